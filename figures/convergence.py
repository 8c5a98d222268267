"""Projected, mirror and stochastic ascent with their bounds (C15–C17)."""

from figures.write import write

if __name__ == "__main__":
    write("convergence", "convergence", "tabular")
