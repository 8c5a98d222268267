"""The coordinates of the head: inner products of e_y ⊗ h(x) within prompts, and nothing else."""

from __future__ import annotations

import numpy as np

from studies.language_head.__main__ import coordinates


def test_coordinates_keep_every_inner_product_of_differences():
    rng = np.random.default_rng(0)
    states, tokens = rng.normal(size=(4, 5)), np.array([[0, 1, 2], [1, 2, 3], [0, 3, 4], [4, 1, 0]])
    weights = np.zeros((4, 3, 5, 5))  # e_y ⊗ h(x)
    for x in range(4):
        for k in range(3):
            weights[x, k, tokens[x, k]] = states[x]
    gaps = (weights - weights[:, :1]).reshape(12, 25)
    found = coordinates(states, tokens)
    rows = (found - found[:, :1]).reshape(12, -1)
    scale = np.sqrt((gaps**2).sum() / (rows**2).sum())
    np.testing.assert_allclose(rows @ rows.T * scale**2, gaps @ gaps.T, atol=1e-9)
    distances = np.linalg.norm(found[:, :, None] - found[:, None], axis=-1)
    assert np.isclose(distances.sum() / (4 * 3 * 2), 1)
    assert found.shape[-1] == np.linalg.matrix_rank(gaps)
