"""Eigenvalues of the terms of ∇²J and of F̄ along a ray from θ_ref (C02)."""

from figures.write import write

if __name__ == "__main__":
    write("spectra", "spectra", "ragged")
