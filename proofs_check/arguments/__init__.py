"""Arguments as chains of checked steps."""
