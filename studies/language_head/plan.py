"""Which γ the design asks for, as multiples of K_B and of 2β."""

OF_K_B = (0.02, 0.05, 0.1, 0.2, 0.5, 1.05, 2.0)
OF_2_BETA = (0.25, 0.5, 1.05, 2.0, 5.0)
