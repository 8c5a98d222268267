"""Coordinates on the span of the candidates' differences."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra torch is not installed")

import torch

from sailtheory.run_audit import measure


@pytest.mark.parametrize("small", [0, 1 << 18])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_coordinates(small, dtype, monkeypatch):
    """Inner products of differences and of θ with them, by either way to the basis."""
    monkeypatch.setattr(measure, "_SMALL", small)
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(6, 40, generator=generator, dtype=dtype)
    rows[2] = rows[0] + 2 * (rows[1] - rows[0])  # on a line with the others of its prompt
    found = measure.coordinates(iter(rows), 2, 3)
    assert found.features.shape == (2, 3, 3) and found.basis.dtype == dtype
    apart = (rows.view(2, 3, -1) - rows.view(2, 3, -1)[:, :1]).double().numpy().reshape(6, -1)
    mine = found.features.reshape(6, -1)
    tolerance = 1e-4 if dtype == torch.float32 else 1e-6
    assert np.allclose(mine @ mine.T, apart @ apart.T, atol=tolerance)
    theta = torch.randn(40, generator=generator, dtype=dtype)
    assert np.allclose(mine @ found.of(theta), apart @ theta.double().numpy(), atol=tolerance)


def test_candidates_without_differences_have_no_coordinates():
    assert measure.coordinates(iter([torch.ones(5)] * 4), 2, 2) is None
