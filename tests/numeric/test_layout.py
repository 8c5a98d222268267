"""The order of arrays in memory changes no value."""

from __future__ import annotations

import numpy as np
import pytest

from sailtheory.numeric import layout
from sailtheory.theory import pair_form

N, M, D = 5, 3, 4


@pytest.fixture
def features():
    return np.random.default_rng(0).normal(size=(N, M, D))


def test_stored_otherwise_the_entries_are_the_same(features):
    outside = layout.responses_outside(features)
    np.testing.assert_array_equal(outside, features)
    assert outside.strides[1] > outside.strides[0]
    for a in (features[..., 0], features):
        adjacent = layout.prompts_adjacent(a)
        np.testing.assert_array_equal(adjacent, a)
        assert adjacent.strides[0] == adjacent.itemsize


def test_rows_and_entries_are_in_one_order(features):
    for stored in (features, layout.responses_outside(features)):
        rows = layout.rows(stored)
        assert layout.in_rows(stored[..., 1], stored).tolist() == rows[:, 1].tolist()
        np.testing.assert_array_equal(layout.vectors_in_rows(stored, stored), rows)
        np.testing.assert_array_equal(layout.from_rows(rows[:, 2], stored), stored[..., 2])


@pytest.mark.parametrize("dimension", [4, 30])
def test_products_over_all_prompts_are_the_same_in_both_orders(dimension):
    rng = np.random.default_rng(1)
    features, theta = rng.normal(size=(N, M, dimension)), rng.normal(size=(2, dimension))
    weights = rng.normal(size=(2, N, M, M))
    weights = weights + weights.mT
    gaps = features[:, :, None] - features[:, None]
    expected = np.einsum("snkl,nkli,nklj->sij", weights, gaps, gaps) / 2
    for stored in (features, layout.responses_outside(features)):
        np.testing.assert_allclose(pair_form.laplacian_all(weights, stored), expected, rtol=1e-10)
        logits = pair_form.logits(theta, stored)
        np.testing.assert_allclose(logits, np.einsum("nmd,sd->snm", features, theta), rtol=1e-10)
        np.testing.assert_allclose(
            pair_form.combine_all(logits, stored), np.einsum("snm,nmd->sd", logits, features)
        )


@pytest.mark.parametrize("sign", [1, -1])
def test_pairs_become_a_matrix_in_floats_and_in_objects(sign):
    values = np.arange(1.0, 7.0).reshape(2, 3)
    expected = np.array([[[9.0, a, b], [sign * a, 9, c], [sign * b, sign * c, 9]]
                         for a, b, c in values])  # fmt: skip
    for given in (values, values.astype(object)):
        found = layout.mirrored(given, 3, sign, diagonal=9.0)
        np.testing.assert_array_equal(found.astype(float), expected)
    np.testing.assert_array_equal(layout.upper(expected), values)
    np.testing.assert_array_equal(layout.upper_gaps(np.array([5.0, 2.0, 1.0])), [3.0, 4.0, 1.0])
