"""How large the KL of training with rewards must be, from measured pass rates."""
