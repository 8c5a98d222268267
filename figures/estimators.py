"""Variance and bias of gradient estimators (C18, C22)."""

from figures.write import write

if __name__ == "__main__":
    write("estimators", "estimators", "bradley-terry")
