"""Pieces of evidence: steps, tallies, refutations, and the problems that they are looked for on."""
