"""Where J_γ is concave as γ rises (C11)."""

from figures.write import write

if __name__ == "__main__":
    write("curvature_map", "curvature-map", "c14-spurious-stop")
