"""The last iterate of Nash-MD, checked by `sailtheory verify`."""
