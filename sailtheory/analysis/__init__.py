"""What holds on one problem, and what it costs."""
