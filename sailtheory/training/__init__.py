"""Training: run records, comparison of runs, and the training cores."""
