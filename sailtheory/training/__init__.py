"""What control and language runs share, and the two training cores."""
