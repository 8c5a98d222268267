"""Averaged certificates: sound at adversarial θ in 50 digits, saved, forged, replayed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from mpmath import mp, mpf

from sailtheory import BradleyTerry, InputError, PreferenceProblem
from sailtheory.certificates.averaged import certify_averaged, moments, replay_averaged
from sailtheory.certificates.averaged import replay as replay_module
from sailtheory.certificates.averaged.certificate import parse
from sailtheory.certificates.averaged.certify import _Search, _Trial
from sailtheory.certificates.averaged.pairs import read_pairs, rotate
from sailtheory.certificates.certificate import digest
from sailtheory.certificates.refine import Budget
from sailtheory.problem.reduced import ROUNDING, ProblemPrompts
from sailtheory.report.averaged import claim, summary
from tests.support.prompt_data import data_set
from tests.support.reference import lists

KINDS = ("bt", "ties", "hard", "any")


def data_of(seed=0, n=40, d=3, **knobs):
    knobs = {"radius": 1.0, "kind": KINDS[seed % 4]} | knobs
    return data_set(np.random.default_rng(seed), n, 2, d, **knobs)


def eta(data, theta):
    """v and η of every prompt at points θ (k, d), typed afresh: (k, n) each."""
    gaps = data.features[:, 0].astype(float) - data.features[:, 1]
    odds = theta @ gaps.T + data.log_base[:, 0] - data.log_base[:, 1]
    z = data.beta * ((theta - data.ref_params) @ gaps.T)
    s, q, h = 1 / (1 + np.exp(-odds)), data.preference[:, 0, 1], np.tanh(z / 2) / 2
    g, v = q * z - np.log(np.cosh(z / 2)), s * (1 - s)
    values = (2 - 12 * v) * g + 4 * data.beta * (q - h) * (1 - 2 * s)
    return gaps, v, values - 2 * data.beta**2 * (0.25 - h * h)


def top(data, theta):
    """The largest eigenvalue of (∇²J, F̄) at points θ, and its direction, float64."""
    gaps, v, values = eta(data, theta)
    found = []
    for mass, curved in zip(v * data.weights, v * values * data.weights, strict=True):
        root = np.linalg.cholesky((gaps.T * mass) @ gaps)
        half = np.linalg.solve(root, (gaps.T * curved) @ gaps)
        values_, vectors = np.linalg.eigh(np.linalg.solve(root, half.T))
        found.append((values_[-1], np.linalg.solve(root.T, vectors[:, -1])))
    return np.array([f[0] for f in found]), np.array([f[1] for f in found])


def worst(data, rng, count=400, rounds=12):
    """A point of C of high curvature: random points, then steps around the best."""
    d = len(data.center)
    best, value, size = data.center, -np.inf, 1.0
    for _ in range(rounds):
        moves = rng.normal(size=(count // rounds, d))
        moves *= size * data.radius / np.linalg.norm(moves, axis=1, keepdims=True)
        tried = best - data.center + moves
        length = np.linalg.norm(tried, axis=1, keepdims=True)
        tried *= np.minimum(1, data.radius * (1 - 1e-12) / np.maximum(length, 1e-300))
        values, _ = top(data, data.center + tried)
        if values.max() > value:
            best, value = data.center + tried[values.argmax()], values.max()
        else:
            size *= 0.6
    return best, value


def in_digits(data, theta, direction):
    """vᵀ∇²Jv / vᵀF̄v of the average in 50 digits."""
    with mp.workdps(50):
        at, v = lists(theta), mp.matrix(lists(direction))
        above = below = mpf(0)
        for x, weight in enumerate(data.weights):
            made = data.reference(x)
            above += mpf(weight) * (v.T * mp.matrix(made.hessian("sail", at)) * v)[0]
            below += mpf(weight) * (v.T * mp.matrix(made.kl_ref_policy(at)[2]) * v)[0]
        return above / below


DATA = data_of()
MADE = certify_averaged(DATA)


@pytest.mark.parametrize("seed", range(8))
def test_no_adversarial_point_exceeds_it(seed):
    data = data_of(seed, n=12, d=1 + seed % 3, radius=(0.5, 3.0)[seed % 2], away=seed > 3)
    made = certify_averaged(data)
    point, value = worst(data, np.random.default_rng(seed))
    assert made.verdict == "certified"
    assert in_digits(data, point, top(data, point[None])[1][0]) <= made.gamma
    assert made.gamma <= 6 * max(value, 0.02)


@pytest.mark.parametrize("seed", range(6))
def test_a_millionth_below_a_witness_nothing_is_shown(seed):
    data = data_of(seed, n=1 + 4 * (seed % 2), d=1, radius=2.0)
    pairs = read_pairs(data)
    search = _Search(pairs, rotate(pairs), Budget())
    _, value = worst(data, np.random.default_rng(seed))
    if value <= 0:
        return
    for share in (0.0, 0.5, 1.0):
        for bend in (0.0, 0.01, 0.1):
            assert not search.shows(_Trial(value * (1 - 1e-6), bend, share))


def test_one_prompt_alone_is_as_tight_as_its_supremum():
    data = data_of(2, n=1, d=1, radius=1.0)
    _, value = worst(data, np.random.default_rng(0))
    assert value <= certify_averaged(data).gamma <= max(value * 1.02, 1e-3)


def test_many_prompts_need_less_than_the_worst_of_them():
    data = data_of(0, n=400, d=4)
    made = certify_averaged(data)
    values = eta(data, data.center + np.zeros((1, 4)))[2]
    assert made.gamma < 0.5 * values.max()
    assert replay_averaged(made, data).valid


def test_a_problem_without_curvature_has_zero():
    data = data_of(1, n=50)
    data.preference = np.zeros_like(data.preference)
    data.center, data.radius = data.ref_params, 0.0
    assert certify_averaged(data).gamma <= 1e-2


def test_saved_and_read(tmp_path):
    MADE.save(tmp_path / "c.json")
    read = parse(json.loads((tmp_path / "c.json").read_text(encoding="utf-8")))
    assert read == MADE
    assert replay_averaged(read, DATA).valid
    assert "C26" in claim(MADE) and "On average" in summary(MADE)


@pytest.mark.parametrize(
    "changes",
    [
        {"gamma": MADE.gamma * 0.9},
        {"gamma": -1.0},
        {"gamma": None},
        {"bend": -MADE.bend - 0.1},
        {"bend": 5.0},
        {"moving": MADE.moving - 1},
        {"prompts": MADE.prompts + 1},
        {"data": "0" * 64},
        {"by_prompt": MADE.gamma / 10},
    ],
    ids=str,
)
def test_a_forged_claim_is_not_valid(changes):
    assert not replay_averaged(replace(MADE, **changes), DATA).valid


def test_other_data_are_refused():
    other = data_of()
    other.preference = other.preference * 0.99
    found = replay_averaged(MADE, other)
    assert not found.valid and "other" in found.reason


@pytest.mark.parametrize(
    ("key", "value", "field"),
    [
        ("gamma", "0.1", "gamma"), ("gamma", float("nan"), "gamma"), ("verdict", "sure", "verdict"),
        ("method", "per-prompt", "method"), ("prompts", -1, "prompts"),
        ("prompts", True, "prompts"),
        ("note", 3, "note"), ("bend", None, "bend"),
    ],
)  # fmt: skip
def test_malformed_files_are_refused(key, value, field):
    data = MADE.as_dict() | {key: value}
    if value == value:
        data["digest"] = digest(data)
    with pytest.raises(InputError) as caught:
        parse(data)
    assert caught.value.field in (field, "digest")


def test_keys_and_digest_are_checked():
    data = MADE.as_dict()
    with pytest.raises(InputError, match="altered"):
        parse(data | {"gamma": 0.5})
    with pytest.raises(InputError, match="unknown"):
        parse(data | {"more": 1})


def test_replay_by_blocks_of_prompts(monkeypatch):
    monkeypatch.setattr(replay_module, "LARGEST", 0)
    assert replay_averaged(MADE, DATA).valid
    monkeypatch.setattr(replay_module, "BLOCK", 15)
    spare = replace(MADE, gamma=MADE.gamma * 3)
    assert replay_averaged(spare, DATA, memory=1 << 12).valid


def test_decimals_and_singular_problems():
    data = data_of(3, n=4, d=6)
    made = certify_averaged(data)
    assert made.verdict == "undecided" and "dimensions" in made.note
    assert replay_averaged(made, data).valid
    assert not replay_averaged(replace(made, gamma=1.0), data).valid


def test_time_runs_out():
    made = certify_averaged(DATA, Budget(deadline=0.0))
    assert made.verdict == "undecided" and "time" in made.note


def test_beta_that_no_float_states():
    assert read_pairs(data_of(0, beta="0.1")).beta == (0.1, pytest.approx(0.2 * ROUNDING))


@pytest.mark.parametrize("n", [1, 2, 16])
def test_a_block_of_one_prompt(n, monkeypatch):
    monkeypatch.setattr(replay_module, "LARGEST", 0)
    monkeypatch.setattr(replay_module, "BLOCK", 15)
    data = data_of(0, n=n, d=1)
    made = certify_averaged(data)
    assert replay_averaged(replace(made, gamma=made.gamma * 3, bend=0.001), data).valid


def test_what_is_shown_by_blocks_replays_by_blocks(monkeypatch):
    for module in (moments, replay_module):
        monkeypatch.setattr(module, "LARGEST", 0)
        monkeypatch.setattr(module, "BLOCK", 500)
    rng = np.random.default_rng(0)
    features = rng.normal(size=(800, 2, 24))
    features /= np.linalg.norm(features, axis=-1, keepdims=True)
    rewards = features @ (4 * rng.normal(size=24)) + 0.3 * rng.normal(size=(800, 2))
    data = ProblemPrompts(PreferenceProblem(
        features=features, preferences=[BradleyTerry(r) for r in rewards], beta=0.1, radius=1
    ))  # fmt: skip
    made = certify_averaged(data)
    assert made.verdict == "certified" and made.bend
    assert replay_averaged(made, data).valid
