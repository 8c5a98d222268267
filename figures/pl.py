"""PL near a boundary maximiser, and the spurious stop of C14 (C13, C14)."""

from figures.write import write

if __name__ == "__main__":
    write("pl", "pl", "c14-spurious-stop")
