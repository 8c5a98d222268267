"""IPO's known claims, checked by `sailtheory verify`."""
