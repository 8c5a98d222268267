"""Sample complexity of one problem, SAIL-RevKL beside the two-level methods (C16)."""

from figures.write import write

if __name__ == "__main__":
    write("samples", "samples", "bradley-terry")
