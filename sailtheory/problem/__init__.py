"""Preference problems: their data, checked, and their files."""
