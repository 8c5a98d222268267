"""γ*, K_B, the closed form and γ_abs against B (C10, C11)."""

from figures.write import write

if __name__ == "__main__":
    write("thresholds", "thresholds", "bradley-terry")
