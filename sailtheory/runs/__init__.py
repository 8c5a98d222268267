"""What a run of any training writes, and how it is read back."""
