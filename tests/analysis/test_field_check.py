"""``check --objective grpo`` on rewards that are not 0 and 1, against all ordered groups (C32)."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from scipy.linalg import eigh

from sailtheory import check
from sailtheory.analysis.field_check import check_field
from sailtheory.cli import main
from sailtheory.landscape import Domain, largest_relative_curvature
from sailtheory.objectives.curvature_sign import curvature_sign
from sailtheory.objectives.reward_bounds import group_bounds
from sailtheory.objectives.rewards import GroupField
from sailtheory.problem.problem_file import loads
from sailtheory.problem.reward_problem import reward_problem

FILE = """
radius = 2
[[prompts]]
features = [[1, 0], ["1/3", 0.2], [0, 1]]
base = [1, 1, 2]
response_rewards = [1.5, 0, -3]
[[prompts]]
weight = 2
features = [[1, 2], [0, 0], [-1, 0.5], [0.2, -1]]
response_rewards = [1, 0.25, 0, 0]
"""
GROUP, RADIUS = 3, 2.0


def ball(count, d=2, seed=0):
    theta = np.random.default_rng(seed).normal(size=(count, d))
    theta *= RADIUS / np.linalg.norm(theta, axis=1, keepdims=True)
    return theta * np.linspace(0, 1, count)[:, None] ** 0.5


class Brute:
    """h by all m^G ordered samples, in formulas of its own."""

    def __init__(self, at, group, ddof, epsilon=0.0):
        self.at, self.group, self.ddof, self.epsilon = at, group, ddof, epsilon

    def policies(self, theta):
        for x, phi in enumerate(self.at.features):
            phi, base = phi.astype(float), self.at.base[x]
            mass = np.exp(phi @ theta) * (1 if base is None else base.astype(float))
            yield self.at.weights[x], phi, mass / mass.sum(), self.at.response_rewards[x]

    def h(self, theta):
        whole = 0.0
        for weight, phi, p, rewards in self.policies(theta):
            rows = np.array(list(itertools.product(range(len(p)), repeat=self.group)))
            r = rewards.astype(float)[rows]
            gaps, spread = r - r.mean(1, keepdims=True), r.std(1, ddof=self.ddof, keepdims=True)
            alike = (r == r[:, :1]).all(1, keepdims=True)
            a = np.where(alike, 0, gaps / np.where(alike, 1, spread + self.epsilon))
            scores = (phi - p @ phi)[rows]
            each = (a[..., None] * scores).mean(1)
            whole = whole + weight * p[rows].prod(1) @ each
        return whole

    def fisher(self, theta):
        return sum(w * (phi - p @ phi).T @ np.diag(p) @ (phi - p @ phi)
                   for w, phi, p, _ in self.policies(theta))  # fmt: skip

    def pull(self, theta):
        """∇KL(π_ref‖π_θ), θ_ref = 0."""
        parts = zip(self.policies(theta), self.policies(0 * theta), strict=True)
        return sum(w * (p - q) @ phi for (w, phi, p, _), (_, _, q, _) in parts)

    def curvature(self, theta, step=1e-5):
        shifts = step * np.eye(len(theta))
        jacobian = np.stack([(self.h(theta + s) - self.h(theta - s)) / (2 * step) for s in shifts])
        return eigh(jacobian + jacobian.T, 2 * self.fisher(theta), eigvals_only=True)[-1]

    def reward(self, theta):
        return sum(w * (p @ r.astype(float)) for w, _, p, r in self.policies(theta))


@pytest.fixture(scope="module")
def brute():
    return Brute(loads(FILE, preferences=False), GROUP, ddof=1)


@pytest.fixture(scope="module")
def report(brute):
    return check_field(GroupField(brute.at, GROUP, "sample"), 0.4, "light")


def test_gamma_star_is_the_largest_by_finite_differences(brute, report):
    found = report.gamma_star
    assert found.value == pytest.approx(brute.curvature(found.theta), rel=1e-6)
    seen = [brute.curvature(theta) for theta in ball(150)]
    assert max(seen) <= found.value + 1e-7
    assert max(seen) > 0.95 * found.value


def test_solutions_are_those_of_the_enumerated_field(brute, report):
    assert set(report.price) == {"zero", "gamma", "instance", "relative"}
    around = ball(400)
    for each in report.price.values():
        push = brute.h(each.theta) - each.gamma * brute.pull(each.theta)
        assert each.settled
        assert ((around - each.theta) @ push).max() < 1e-9
        assert each.worth == pytest.approx(brute.reward(each.theta), abs=1e-12)
        assert each.worth < report.best.value + 1e-12
    assert report.best.value >= max(brute.reward(theta) for theta in around)
    assert report.start == pytest.approx(brute.reward(np.zeros(2)))
    kl = [report.price[name].kl_ref_policy for name in ("zero", "gamma", "relative")]
    assert kl == sorted(kl, reverse=True)


def test_verdicts_below_between_and_above_the_bounds(brute):
    field = GroupField(brute.at, GROUP, "population", 0.2)
    known = group_bounds(field)
    star = check_field(field, 0.0, "light").gamma_star.value
    assert star < known.data < known.relative
    ended = []
    for gamma in (0.99 * star, 1.01 * star, known.data, known.relative, 1.1 * known.relative):
        made = check_field(field, gamma, "light")
        verdict, point = made.monotone
        ended.append((verdict.outcome.value, verdict.strength.value))
        assert point.value == pytest.approx(star - gamma, abs=1e-9)
        for piece in verdict.evidence:
            if piece.witness is not None:
                assert piece.witness.replay() and brute.at.contains(piece.witness.theta)
                assert "monotone" in piece.witness.statement
    assert ended == [("refuted", "proved"), ("holds", "supported"), ("holds", "certified"),
                     ("holds", "proved"), ("holds", "proved")]  # fmt: skip
    assert made.modulus == pytest.approx(1.1 * known.relative - known.data)


def extremal(group, std, epsilon=0.0, chance=1e-5):
    """Two best responses with opposite features, so rare that a group has one at most; ×7."""
    at = reward_problem(
        features=[[[1], [-1], [0]]], response_rewards=[[5, 5, -2]], radius=1,
        base=[[chance, chance, 1 - 2 * chance]],
    )  # fmt: skip
    field = GroupField(at, group, std, epsilon)
    return float(largest_relative_curvature(field, Domain(at), np.zeros(1))[0]), group_bounds(field)


@pytest.mark.parametrize("std", ["population", "sample"])
def test_k_is_reached_and_no_smaller_one_would_do(std):
    for group in (2, 3, 4, 7):
        needed, known = extremal(group, std)
        stated = np.sqrt(group - 1) if std == "population" else (group - 1) / np.sqrt(group)
        assert known.relative == pytest.approx(stated) and known.data == known.relative
        assert 0.999 * stated < needed < known.data
    needed, known = extremal(2, std, 3.0)
    assert 0.999 * known.data < needed < known.data < 0.7 * known.relative
    needed, _ = extremal(4, std, 0.5)  # the table's ε is for rewards of 0 and 1
    binary = 3 / (3**0.5 + 4 * 0.5) if std == "population" else 3 / (4**0.5 + 4 * 0.5)
    assert needed > 1.2 * binary


def test_no_point_of_random_problems_needs_more_than_k():
    rng = np.random.default_rng(5)
    for number in range(50):
        sizes, d = rng.integers(2, 5, size=2), int(rng.integers(1, 4))
        scale = 10.0 ** rng.uniform(-1, 1)
        at = reward_problem(
            features=[rng.normal(size=(m, d)) for m in sizes], radius=RADIUS,
            response_rewards=[scale * rng.normal(size=m) for m in sizes],
            base=[np.exp(2 * rng.normal(size=m)) for m in sizes],
        )  # fmt: skip
        field = GroupField(at, int(rng.integers(2, 5)), ("population", "sample")[number % 2],
                           number % 3 * 0.3)  # fmt: skip
        values = largest_relative_curvature(field, Domain(at), ball(60, d, number))[0]
        assert np.nanmax(values) <= group_bounds(field).data


def test_a_witness_of_many_prompts_is_confirmed_by_balls():
    rng = np.random.default_rng(1)
    at = reward_problem(
        features=rng.normal(size=(60, 4, 12)), response_rewards=rng.normal(size=(60, 4)), radius=1
    )
    field, v = GroupField(at, 4), rng.normal(size=12)
    theta = 0.1 * rng.normal(size=12)
    assert curvature_sign(field, theta, v) == np.sign(field.curvature(theta, v)) != 0


def test_two_levels_of_reward_are_told_to_have_an_objective():
    features = [[[1, 0], [0, 1], [-1, 0.5]]]
    both = [
        check({"radius": 1, "prompts": [{"features": features[0], "response_rewards": r}]}, 0.5,
              objective="grpo", group=3, effort="light")
        for r in ([-1, 3, -1], [0, 1, 0])
    ]  # fmt: skip
    assert both[0].gamma_star.value == pytest.approx(both[1].gamma_star.value, rel=1e-6)
    said = " ".join(str(both[0]).split())
    assert "have the objective E f(V)" in said and "no objective" not in said


def test_one_policy_is_told_so():
    still = {"radius": 1, "prompts": [{"features": [[1], [1]], "response_rewards": [2.5, 0]}]}
    found = check(still, objective="grpo")
    assert found.bounds is None and found.as_dict()["monotone"]["verdict"] is None
    assert "nothing to optimise" in str(found)


def test_the_command(tmp_path, capsys):
    path, out, page = tmp_path / "p.toml", tmp_path / "o.json", tmp_path / "p.html"
    path.write_text(FILE)
    words = ["check", str(path), "--objective", "grpo", "--group", "3", "--gamma", "0.4"]
    assert main([*words, "--json", str(out), "--html", str(page)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "no objective exists, so concavity, PL, certify, frontier" in said
    assert "refuted (proved)" in said and "whatever the rewards, the problem and B (C32)" in said
    data = json.loads(out.read_text())
    assert data["schema"] == "sailtheory.check-field/1"
    assert set(data) == {"schema", "version", "seed", "objective", "reward_levels", "problem",
                         "gamma", "monotone", "thresholds", "strengths", "worth"}  # fmt: skip
    assert data["objective"] == {"name": "grpo", "title": "GRPO, sample std, G = 3", "group": 3,
                                 "std": "sample", "epsilon": 0.0}  # fmt: skip
    assert data["monotone"]["verdict"] == "refuted" and data["reward_levels"] == 3
    shown = page.read_text()
    assert "no objective exists" in shown and "comes to rest" in shown and "best on C" in shown


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("frontier P --objective grpo", "prompts[0].response_rewards = 1.5"),
        ("certify P --objective grpo --property gamma --out P.json", "sailtheory check"),
        ("rates P --objective grpo --gamma 1", "no objective, only a field (C32)"),
        ("plot price P --objective grpo -o P.pdf", "sailtheory check"),
        ("check P --objective grpo --divergence chi2", "check (with KL)"),
        ("check P --objective dynamic-sampling", "drawn again"),
        ("check P --objective maxrl", "by maxrl"),
        ("check P --objective grpo --group 64", "group = 64"),
        ("check P --objective grpo --group 1", "group = 1"),
    ],
)
def test_what_does_not_apply_is_refused_in_a_line(words, named, tmp_path, capsys):
    path = tmp_path / "p.toml"
    path.write_text(FILE)
    assert main([word.replace("P", str(path)) for word in words.split()]) == 2
    said = capsys.readouterr().err
    assert named in said and len(said.splitlines()) == 1
