"""The claims of SAIL and SAIL-RevKL, with evidence that runs.

Provenance: theorem numbers are ours. The statements are reconstructed from the
abstract of arXiv 2606.31524 and its authors' published code; those marked [S]
are standard, those marked [N] are new here.
"""
