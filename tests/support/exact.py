"""Exact linear algebra on small matrices of fractions."""

from __future__ import annotations


def positive(rows):
    """Whether every pivot of a symmetric matrix of fractions is positive."""
    rows = [list(row) for row in rows]
    while rows:
        head, *rest = rows
        if head[0] <= 0:
            return False
        rows = [
            [v - row[0] * h / head[0] for v, h in zip(row[1:], head[1:], strict=True)]
            for row in rest
        ]
    return True
