"""The differential field in which production formulas are proved equal."""
