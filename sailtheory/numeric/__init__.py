"""Number systems, exact rational data, enclosures of suprema."""
