"""The landscape of self-preference (C06, C19)."""

from figures.write import write

if __name__ == "__main__":
    write("self_preference", "self-preference", "bradley-terry")
