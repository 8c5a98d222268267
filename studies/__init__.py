"""Experiments: one folder a study, with its design, run, evidence and page."""
