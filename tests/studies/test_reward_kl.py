"""The study of a reward's KL: its fields, its rule of rates, its tests and its resuming."""

from __future__ import annotations

import itertools
import json
from math import sqrt

import numpy as np
import pytest
import torch

from docs.generate import how_large
from figures import reward_kl
from studies.evidence import rounded
from studies.render import ROOT, read
from studies.reward_kl import __main__ as study
from studies.reward_kl import grpo, page, world
from studies.reward_kl.arms import (
    GROUP,
    K3,
    NONE,
    PROVED,
    REF_POLICY,
    Arm,
    Fields,
    arms,
    curvature,
    shaped,
    slope,
    thresholds,
)
from studies.reward_kl.ascent import learn, settle
from studies.reward_kl.tuned import RATES, cell_of, trl_rates, tuned

RNG = np.random.default_rng(0)


def by_hand(at, problem, prompt, theta):
    """π of the responses, in torch, from the token policies one by one."""
    features = torch.tensor(at.features[problem, prompt])
    logits = features @ theta + torch.tensor(at.log_ref[problem, prompt])
    tokens = torch.log_softmax(logits, -1)
    if at.depth == 1:
        return tokens[0], tokens
    v = world.LETTERS
    return torch.stack([tokens[0, a] + tokens[1 + a, b]
                        for a, b in itertools.product(range(v), repeat=2)]), tokens  # fmt: skip


def objective(at, problem, theta, arm, gamma, scale):
    """E f(V) − γ·KL with what has to be held fixed held fixed: its gradient is the field."""
    total = 0.0
    for x in range(world.PROMPTS):
        log, tokens = by_hand(at, problem, x, theta)
        ref = torch.tensor(at.ref[problem, x])
        passed = (log.exp() * torch.tensor(at.reward[problem, x])).sum()
        first = float(slope(scale, np.array(passed.item()))[0])
        kls = {
            NONE: 0.0, REF_POLICY: (ref * (ref.log() - log)).sum(),
            "KL(π_θ‖π_ref)": (log.exp() * (log - ref.log())).sum(),
        }  # fmt: skip
        if at.depth == 2:
            met = torch.cat([torch.ones(1), tokens[0].exp().detach()])
            base = torch.tensor(at.log_ref[problem, x])
            kls[K3] = (met * (base.exp() * (base - tokens)).sum(-1)).sum()
        total = total + first * passed - gamma * kls[arm.kl]
    return total / world.PROMPTS


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("scale", ["none", "std"])
def test_fields_are_those_of_the_objectives(depth, scale):
    at, tried = world.problems(0, depth, 0.1, 2), arms(depth)
    threshold = np.array([0.4, 0.7])
    theta = RNG.normal(size=(2, len(tried), world.DIMENSION))
    found, _ = Fields.of(at, scale, tried, threshold).at(theta)
    for problem, k in ((0, 0), (1, 2), (0, 9), (1, len(tried) - 1), (0, len(tried) - 4)):
        leaf = torch.tensor(theta[problem, k], requires_grad=True)
        gamma = float(tried[k].coefficient(scale, threshold)[problem])
        value = objective(at, problem, leaf, tried[k], gamma, scale)
        (gradient,) = torch.autograd.grad(value, leaf)
        np.testing.assert_allclose(found[problem, k], gradient.numpy(), rtol=1e-9, atol=1e-12)


def test_f_is_that_of_a_groups_deviation():
    """f' by all groups, f by its derivative, and the supremum of (1 − V)f' is K."""
    for passed in (0.05, 0.6):
        total = 0.0
        for rest in itertools.product((0.0, 1.0), repeat=GROUP - 1):
            group = np.array([1.0, *rest])
            spread = group.std(ddof=1)
            weight = np.prod([passed if r else 1 - passed for r in rest])
            total += weight * ((1 - group.mean()) / spread if spread else 0.0)
        assert float(slope("std", np.array(passed))[0]) * (1 - passed) == pytest.approx(total)
    v, h = np.linspace(0.01, 0.99, 9), 1e-5
    first, second = slope("std", v)
    np.testing.assert_allclose((shaped("std", v + h) - shaped("std", v - h)) / (2 * h), first, 1e-8)
    apart = slope("std", v + h)[0] - slope("std", v - h)[0]
    np.testing.assert_allclose(apart / (2 * h), second, rtol=1e-6, atol=1e-6)
    assert float(slope("std", np.array(1e-12))[0]) == pytest.approx(PROVED["std"])
    assert PROVED["none"] == 1
    assert PROVED["std"] == pytest.approx((GROUP - 1) / sqrt(GROUP))


@pytest.mark.parametrize("depth", [1, 2])
def test_curvature_against_differences_of_fields(depth):
    at, h = world.problems(3, depth, 0.3, 2), 1e-5
    theta = RNG.normal(size=(2, 1, world.DIMENSION))
    of_reward = Fields(at, "std", np.zeros((3, 2, 1)))
    of_kl = Fields(at, "std", np.stack([np.ones((2, 1)), *np.zeros((2, 2, 1))]))

    def jacobian(fields):
        columns = [fields.at(theta + h * e)[0] - fields.at(theta - h * e)[0]
                   for e in np.eye(world.DIMENSION)]  # fmt: skip
        return np.stack(columns, -1)[:, 0] / (2 * h)

    hessian = jacobian(of_reward)
    fisher = hessian - jacobian(of_kl)
    for k, found in enumerate(curvature(at, "std", theta)[:, 0]):
        largest = max(np.linalg.eigvals(np.linalg.solve(fisher[k], hessian[k])).real)
        assert found == pytest.approx(largest, rel=1e-5)


def test_one_token_never_needs_more_than_k():
    at = world.problems(1, 1, 0.01)
    for scale, largest in PROVED.items():
        assert thresholds(at, scale, 1).max() <= largest * (1 + 1e-6)


def test_worlds_have_their_pass_rate():
    for depth, rate in itertools.product((1, 2), (0.01, 0.5)):
        at = world.problems(7, depth, rate)
        np.testing.assert_allclose((at.ref * at.reward).sum(-1), rate, rtol=1e-9)
        other = world.problems(7, depth, 0.1)
        np.testing.assert_array_equal(at.features, other.features)
    assert not np.array_equal(
        world.problems(8, 1, 0.1).features, world.problems(7, 1, 0.1).features
    )


def test_at_gamma_star_all_starts_end_at_one_point():
    at = world.problems(5, 1, 0.1)
    threshold = thresholds(at, "none", 5)
    fields = Fields.of(at, "none", [Arm(REF_POLICY, "1")], 1.02 * threshold).repeated(6)
    end, left = settle(fields, world.starts(5, 1, 6))
    assert left.max() < 1e-5
    np.testing.assert_allclose(end, np.broadcast_to(end[:, :1], end.shape), atol=1e-4)


def test_learning_stays_in_the_ball_and_rises():
    at = world.problems(5, 2, 0.1)
    fields = Fields.of(at, "none", [Arm(NONE, "0")], np.ones(world.PROBLEMS))
    curve = learn(fields, np.array([1.0]))
    rates = [fields.values(theta)["pass_rate"].mean() for theta in curve.values()]
    assert rates[0] == pytest.approx(0.1) and rates == sorted(rates)
    assert np.linalg.norm(curve[200], axis=-1).max() <= world.RADIUS * (1 + 1e-12)


def test_a_rate_that_does_not_rest_is_not_taken():
    lengths = [[0.0, 0.01, 0.02, 3.0]]
    assert tuned([[0.1, 0.3, 0.2, 0.9]], lengths) == RATES[1]
    assert tuned([[0.1, 0.3, 0.3, 0.9]], lengths) == RATES[1]  # of equal ones the smallest
    assert tuned([[0.1, 0.2, 0.3, 0.9]], [[1.0] * 4]) == RATES[0]
    runs = [{"cell": "a", "rate": r, "final": {"pass_rate": v}} for r, v in ((2, 0.4), (1, 0.4))]
    assert trl_rates(runs) == {"a": 1}


def test_a_record_is_done_once_and_the_same_anew(tmp_path):
    kind = {"seed": 3000, "depth": 1, "pass_rate": 0.1, "scale": "none"}
    calls = []

    def work():
        calls.append(1)
        return study.tuning(kind)

    one = study.Runner(tmp_path).do("tuning", kind, work)
    assert study.Runner(tmp_path).do("tuning", kind, work) == one and len(calls) == 1
    (path,) = tmp_path.glob("*.json")
    path.unlink()  # as where it was killed before it was written
    again = study.Runner(tmp_path).do("tuning", kind, work)
    assert {k: v for k, v in again.items() if k != "cpu_seconds"} == {
        k: v for k, v in one.items() if k != "cpu_seconds"
    }


def test_trls_worlds_list_every_response():
    pytest.importorskip("transformers", reason="the extra llm is not installed")
    at = grpo.world(3)
    chance = at.log_ref.exp()
    assert len(grpo.responses()) == chance.shape[1] == 241
    torch.testing.assert_close(chance.sum(-1), torch.ones(grpo.PROMPTS, dtype=torch.float64))
    assert ((chance * at.correct).sum(-1) - grpo.PASS_RATE).abs().max() < 0.005
    found = at.values(grpo.network(3))
    assert abs(found["kl_ref_policy"]) < 1e-12 and abs(found["kl_policy_ref"]) < 1e-12
    assert found["pass_rate"] == pytest.approx(0.1, abs=0.005)
    other = at.values(grpo.network(4))
    assert min(other["kl_ref_policy"], other["kl_policy_ref"]) > 0.1


# --- the page -----------------------------------------------------------------------------


def made(levels=None):
    """Evidence of ten worlds whose numbers are known."""
    noise = np.random.default_rng(1)
    runs = []
    for kind in study.kinds(study.FRESH):
        told = {}
        for arm in arms(kind["depth"]):
            base = {"pass_rate": 0.5, "bad_objective": 0.3, "bad_pass_rate": 0.3}
            base |= (levels or {}).get((kind["depth"], cell_of(arm)), {})
            told[cell_of(arm)] = {
                "rate": 1.0, "restless": 0.0, "from_ref_bad": 0.0,
                **{k: v + 0.01 * noise.normal() for k, v in base.items()},
            }  # fmt: skip
        runs.append({"stage": "fresh", **kind, "threshold": [0.5] * 6, "arms": told,
                     "cpu_seconds": 1.0, "commit": "abc"})  # fmt: skip
    for seed, cell in itertools.product(study.FRESH, study.grpo.CELLS):
        final = dict.fromkeys(("pass_rate", "kl_ref_policy", "kl_policy_ref"), 0.4 + seed / 100)
        runs.append({"stage": "trl", "cell": cell, "seed": seed, "rate": 0.01, "final": final,
                     "cpu_seconds": 1.0, "commit": "abc"})  # fmt: skip
    head = json.loads(json.dumps(study.settings()))
    return head | {"runs": runs}


def verdicts(levels):
    return [found["verdict"] for found in page.Study(made(levels)).primaries()]


def test_verdicts_are_those_of_the_design():
    k, low = cell_of(Arm(REF_POLICY, "K")), cell_of(Arm(REF_POLICY, "0.2"))
    assert verdicts({}) == ["none", "no", "none"]
    assert verdicts({(1, k): {"pass_rate": 0.3}})[0] == "less"
    assert verdicts({(1, k): {"pass_rate": 0.7}})[0] == "more"
    assert verdicts({(1, low): {"bad_objective": 0.01}})[1] == "yes"
    assert verdicts({(1, low): {"bad_objective": 0.05}})[1] == "undecided"
    worse = {(2, cell_of(Arm(K3, f"{r:g}"))): {"bad_pass_rate": 0.4} for r in study.RATIOS}
    assert verdicts(worse)[2] == "more"
    # What the design does not name does not count: γ = K, std's own arms keep the rest.
    assert verdicts({(2, cell_of(Arm(K3, "K"))): {"bad_pass_rate": 0.9}})[2] == "none"


def test_nothing_is_concluded_before_all_is_done():
    pytest.importorskip("trl", reason="the extra trl is not installed")
    data = made()
    data["runs"] = data["runs"][1:]
    assert "Nothing yet" in page.page(data) and "three tests" not in page.page(data)
    assert len(page.values(made())["sentences"]) == 4


def test_the_evidence_is_of_the_design():
    data = read("reward_kl/evidence.json")
    head = json.loads(json.dumps(rounded(study.settings())))
    for name in head.keys() - {"versions", "machine"}:
        assert data[name] == head[name]
    assert page.Study(data).complete
    design = (ROOT / "reward_kl" / "design.md").read_text(encoding="utf-8")
    for word in (".1, .3, 1, 3", "1e-3,\n3e-3, 1e-2", "worlds 0 to 9", "98.33", "at most .05"):
        assert word in design


def test_a_fresh_record_anew():
    """One committed record is what the code gives, at the committed rates."""
    data = read("reward_kl/evidence.json")
    found = next(r for r in data["runs"] if r["stage"] == "fresh" and r["depth"] == 1)
    kind = {k: found[k] for k in ("seed", "depth", "pass_rate", "scale")}
    rates = {name: arm["rate"] for name, arm in found["arms"].items()}
    again = rounded(study.fresh(kind, rates))
    assert again["threshold"] == pytest.approx(found["threshold"], rel=1e-4)
    for name, arm in found["arms"].items():
        for field in ("pass_rate", "bad_objective", "bad_pass_rate"):
            assert again["arms"][name][field] == pytest.approx(arm[field], rel=1e-3, abs=1e-6)


def test_the_practitioners_page_is_of_code_and_evidence():
    """If this fails: ``python -m docs.generate.how_large``."""
    text = how_large.PAGE.read_text(encoding="utf-8")
    assert how_large.renewed(text) == text
    # C31's table in the theory: K, path, V at both, for p = .1 and G = 8.
    for row in ("| 2.475 | 1.960 | 0.241 | 0.296 |", "| 8.000 | 5.126 | 0.182 | 0.232 |"):
        assert row in text


def test_the_figure_is_of_the_evidence():
    drawn = json.loads((ROOT.parent / "figures" / "reward_kl.json").read_text(encoding="utf-8"))
    data = read("reward_kl/evidence.json")
    assert drawn["series"] == reward_kl.summarise(data)["series"]
    found = page.Study(data)
    at_none = found.mean(found.of("bad_objective", 1, "none", Arm(NONE, "0"), [0.1]))[0]
    assert drawn["series"]["ends"]["p = 0.1"]["mean"][0] == pytest.approx(at_none)
