"""The two KLs and their curvatures (C07, C08)."""

from figures.write import write

if __name__ == "__main__":
    write("divergences", "divergences", "bradley-terry")
