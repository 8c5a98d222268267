"""Figures of the theory: one script a figure, its data, its image (``make figures``)."""
