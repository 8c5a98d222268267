"""Reports: text for the terminal, JSON for programs."""
