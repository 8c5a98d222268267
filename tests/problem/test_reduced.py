"""Prompts reduced to their Gram matrices (C23): what covers C, and how far numbers may be off."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from mpmath import mp, mpf

from sailtheory import BradleyTerry, PreferenceProblem
from sailtheory.problem import reduced
from sailtheory.problem.reduced import Chunk, ProblemPrompts, ranges, reduce_chunk
from tests.support.prompt_data import data_set
from tests.support.reference import mpf_of

RNG = np.random.default_rng(3)


def exact(values):
    return np.vectorize(lambda v: Fraction(float(v)), otypes=[object])(values)


def positive_semidefinite(matrix):
    """Of a matrix of fractions, decided by elimination."""
    rows = [list(row) for row in matrix]
    while rows:
        pivot = rows[0][0]
        if pivot < 0 or (pivot == 0 and any(rows[0])):
            return False
        head, rest = rows[0], rows[1:]
        rows = [
            [
                v - (row[0] * h / pivot if pivot else 0)
                for v, h in zip(row[1:], head[1:], strict=True)
            ]
            for row in rest
        ]
    return True


def covers(data, chunk, made):
    """Whether LLᵀ ⪰ B²DDᵀ exactly, for every prompt of a chunk."""
    for i in range(len(chunk.prompts)):
        phi = exact(chunk.features[i])
        gaps, reach = phi[1:] - phi[:1], exact(made.reach[i, 1:])
        if not positive_semidefinite(
            reach @ reach.T - Fraction(data.radius) ** 2 * (gaps @ gaps.T)
        ):
            return False
    return True


def awkward(kind):
    data = data_set(RNG, 6, 4, 2 if kind == "flat" else 7, single=kind == "float32")
    if kind == "repeated":
        data.features[:, 2] = data.features[:, 1]
    if kind == "shifted":  # differences that lose 7 digits
        data.features = data.features + 1e7
    if kind == "scales":
        data.features = data.features * np.array([1, 1e-9, 1e9, 1])[:, None]
    if kind == "tiny":
        data.features = data.features * 1e-200
    return data


@pytest.mark.parametrize(
    "kind", ["plain", "float32", "flat", "repeated", "shifted", "scales", "tiny"]
)
def test_the_reach_covers_the_ball_exactly(kind):
    data = awkward(kind)
    (chunk,) = data.chunks(1 << 20)
    assert covers(data, chunk, reduce_chunk(data, chunk))


def test_without_room_for_rounding_it_does_not(monkeypatch):
    """The check above can fail."""
    monkeypatch.setattr(reduced, "ROUNDING", 0.0)
    data = data_set(RNG, 40, 3, 50)
    (chunk,) = data.chunks(1 << 20)
    assert not covers(data, chunk, reduce_chunk(data, chunk))


@pytest.mark.parametrize("kind", ["plain", "float32", "shifted", "scales"])
def test_numbers_are_within_the_error(kind):
    data = awkward(kind)
    (chunk,) = data.chunks(1 << 20)
    made = reduce_chunk(data, chunk)
    with mp.workdps(60):
        for i in range(len(chunk.prompts)):
            phi = [[mpf_of(float(v)) for v in row] for row in chunk.features[i]]
            gaps = [[a - b for a, b in zip(row, phi[0], strict=True)] for row in phi]
            ref, center = ([mpf_of(float(v)) for v in w] for w in (data.ref_params, data.center))
            logits = [sum(a * b for a, b in zip(g, ref, strict=True)) for g in gaps]
            logits = [a + mpf_of(float(b)) for a, b in zip(logits, chunk.log_base[i], strict=True)]
            total = mp.log(sum(mp.exp(a) for a in logits))
            away = [a - b for a, b in zip(center, ref, strict=True)]
            for k in range(len(phi)):
                off = abs(
                    sum(a * b for a, b in zip(gaps[k], away, strict=True)) - made.offset[i, k]
                )
                assert max(off, abs(logits[k] - total - made.log_ref[i, k])) <= mpf(made.error[i])
    assert made.error.max() < 1e-12 * (1 + abs(data.features).max())


def test_ranges_hold_every_point_of_the_ball():
    data = data_set(RNG, 5, 3, 4)
    (chunk,) = data.chunks(1 << 20)
    low, high = ranges(reduce_chunk(data, chunk), data.beta)
    for _ in range(200):
        move = RNG.normal(size=4)
        theta = data.center + data.radius * move / np.linalg.norm(move)
        a = data.features @ (theta - data.ref_params)
        z = data.beta * (a[:, :, None] - a[:, None])
        assert (low <= z).all() and (z <= high).all()
    span = data.beta * data.radius * np.linalg.norm(data.features[0, 0] - data.features[0, 1])
    assert high[0, 0, 1] - low[0, 0, 1] == pytest.approx(2 * span, rel=1e-9)


def test_decimals_are_covered():
    """Features of a problem are decimals: 0.1 is 1/10, whose float64 is another number."""
    phi = np.round(RNG.normal(size=(3, 3, 2)) + 1000, 1)
    problem = PreferenceProblem(
        features=phi, preferences=[BradleyTerry([0.1, 0.2, 0])] * 3, beta=0.1, radius=1
    )
    source = ProblemPrompts(problem)
    (chunk,) = source.chunks(1 << 20)
    made = reduce_chunk(source, chunk)
    for i in range(3):
        decimal = np.vectorize(lambda v: Fraction(str(v)), otypes=[object])(phi[i])
        gaps, reach = decimal[1:] - decimal[:1], exact(made.reach[i, 1:])
        assert positive_semidefinite(reach @ reach.T - gaps @ gaps.T)


def test_chunks_hold_every_prompt_once_within_the_budget():
    sizes = [2, 4, 3, 2, 4, 1, 3]
    problem = PreferenceProblem(
        features=[RNG.normal(size=(m, 3)) for m in sizes],
        preferences=[BradleyTerry(RNG.normal(size=m)) for m in sizes],
        beta=1,
        radius=1,
    )
    chunks = list(ProblemPrompts(problem).chunks(100))
    assert sorted(x for chunk in chunks for x in chunk.prompts) == list(range(7))
    assert all(chunk.features.nbytes <= 100 for chunk in chunks)
    for chunk in chunks:
        assert isinstance(chunk, Chunk)
        for x, phi in zip(chunk.prompts, chunk.features, strict=True):
            np.testing.assert_array_equal(phi, problem.features[x] - problem.features[x][:1])


def test_where_nothing_moves():
    data = data_set(RNG, 3, 3, 2)
    data.features[1] = data.features[1, :1]
    (chunk,) = data.chunks(1 << 20)
    assert reduce_chunk(data, chunk).moves.tolist() == [True, False, True]
