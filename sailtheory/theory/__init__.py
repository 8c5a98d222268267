"""Closed forms, each written once, and the constants of the theorems."""
