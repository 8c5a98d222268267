"""Preference data as people have them, read into problem folders."""
