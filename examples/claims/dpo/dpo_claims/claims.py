"""DPO01 to DPO05: what is known of direct preference optimisation (Rafailov et al., 2305.18290)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from dpo_claims.problems import COUNT, best, every, log_base, of_rewards, problems, rewards_of
from dpo_claims.steps import DPO02_STEPS, DPO04_STEPS, DPO05_STEPS
from proofs_check.arguments.gibbs import GIBBS_STEPS
from proofs_check.claims.c01_gradient import off_policy, off_policy_value
from proofs_check.evidence.argument import argue
from proofs_check.evidence.cases import Case, false_at, flat_at, tabular, tried
from proofs_check.symbolic.identities import Identity, conclude_by, establish, false_identity
from proofs_check.symbolic.settings import Prompt, Setting
from sailtheory import (
    DPO,
    IPO,
    SAIL,
    BradleyTerry,
    ExpectedReward,
    KLPolicyRef,
    KLRefPolicy,
    Objective,
    PreferenceProblem,
)
from sailtheory.claims import Claim, Context, expectations
from sailtheory.numeric.numbers import FLOAT64, Array, arb_numbers
from sailtheory.theory import formulas
from sailtheory.verdict import Evidence

_XP = arb_numbers()
_PAPER = "Rafailov et al., arXiv 2305.18290"


# --- DPO01: the optimal policy ----------------------------------------------------------------


def value(problem: PreferenceProblem) -> Objective:
    """E_π r − β KL(π‖π_ref)."""
    return ExpectedReward(problem) - float(problem.beta) * KLPolicyRef(problem)


def distance(problem: PreferenceProblem, theta: Array, other: Array) -> Array:
    """E_x KL(π_θ‖π_other)."""
    here, there = (DPO(problem).points(each) for each in (theta, other))
    return sum(
        formulas.kl_policy_ref(a.policy, a.log_policy - b.log_policy) @ a.block.weights
        for a, b in zip(here, there, strict=True)
    )


def shortfall(problem: PreferenceProblem, theta: np.ndarray, share: float = 1.0) -> Case:
    """Is the value at π* less that at π_θ equal to share·β KL(π_θ‖π*)?"""
    star, at = _XP.asarray(best(problem)), _XP.asarray(theta)

    def gap() -> Array:
        lost = value(problem).value(star) - value(problem).value(at)
        return abs(lost - share * float(problem.beta) * distance(problem, at, star))

    return Case(problem, theta, gap)


def is_its_mean_reward(problem: PreferenceProblem) -> Case:
    """Is the value at π* equal to E_π* r?"""
    star = _XP.asarray(best(problem))

    def gap() -> Array:
        return abs(value(problem).value(star) - ExpectedReward(problem).value(star))

    return Case(problem, best(problem), gap)


def check_policy(context: Context) -> Iterator[Evidence]:
    """DPO01: the identity; then the objectives that run."""
    yield from argue(
        "π_ref e^{r/β}/Z alone maximises E_π r − βKL(π‖π_ref), and the maximum is β log Z",
        GIBBS_STEPS,
    )
    rng = context.rng("DPO01 points")
    cases = []
    for problem in problems(context, "DPO01"):
        cases.append(flat_at(value(problem), best(problem)))
        cases.append(shortfall(problem, rng.normal(size=(problem.dimension,))))
    yield tried("the gradient is 0 at θ = r/β, and θ loses β KL(π_θ‖π*)", cases)


PLANTED_POLICY = (
    every("temperature", "the optimum is π_ref e^{βr}/Z",
          lambda p: flat_at(value(p), rewards_of(p) * float(p.beta))),
    every("other-kl", "π_ref e^{r/β}/Z maximises E_π r − βKL(π_ref‖π) too",
          lambda p: flat_at(ExpectedReward(p) - float(p.beta) * KLRefPolicy(p), best(p))),
    every("no-reference", "the optimum is e^{r/β}/Z, without π_ref",
          lambda p: flat_at(value(p), best(p) - log_base(p))),
    every("mean-reward", "the maximum is the mean reward of π*", is_its_mean_reward),
    every("half", "a policy loses ½β KL(π‖π*)", lambda p: shortfall(p, 0 * best(p), 0.5)),
)  # fmt: skip


# --- DPO02: what preferences tell of the reward -----------------------------------------------


def same_preferences(
    problem: PreferenceProblem, change: Callable[[np.ndarray], np.ndarray]
) -> Case:
    """Do rewards (n, m) and their change have the same preferences?"""
    n = problem.prompts
    rewards = rewards_of(problem).reshape(n, -1)
    other = of_rewards(change(rewards), problem.base, float(problem.beta))

    def gap() -> Array:
        ours, theirs = (each.blocks(_XP)[0].preference for each in (problem, other))
        return abs(ours - theirs)

    return Case(problem, best(problem), gap)


def implicit(problem: PreferenceProblem, *, shift: str = "prompt", reference: bool = True) -> Case:
    """Is β log π*/π_ref equal to r, up to a shift for each prompt, one shift, or none?"""
    star = _XP.asarray(best(problem))

    def gap() -> Array:
        (at,) = DPO(problem).points(star)
        level = at.log_ratio if reference else at.log_policy
        left = float(problem.beta) * level - _XP.asarray(rewards_of(problem).reshape(level.shape))
        origin = {"prompt": left[:, :1], "one": left[:1, :1], "none": 0 * left}[shift]
        return abs(left - origin)

    return Case(problem, best(problem), gap)


def check_identified(context: Context) -> Iterator[Evidence]:
    """DPO02: the argument; then preferences and implicit rewards in balls."""
    yield from argue(
        "preferences, and π*, tell r up to a function of the prompt, and each class of such r "
        "holds β log π/π_ref for one policy", DPO02_STEPS,
    )  # fmt: skip
    yield tried("r and r + c(x) have the same preferences", (
        same_preferences(p, lambda r: r + np.arange(1.0, 1 + len(r))[:, None])
        for p in problems(context, "DPO02")
    ))  # fmt: skip
    yield tried("β log π*/π_ref is r up to c(x)", map(implicit, problems(context, "DPO02")))


def _one_raised(rewards: np.ndarray) -> np.ndarray:
    return np.asarray(rewards + np.eye(rewards.shape[1])[0])


PLANTED_IDENTIFIED = (
    every("scale", "preferences tell r up to a scale: 2r has those of r",
          lambda p: same_preferences(p, lambda r: 2 * r)),
    every("order", "only the order of rewards matters: r³ has the preferences of r",
          lambda p: same_preferences(p, lambda r: r**3)),
    every("one-response", "a response's own constant may be added to its reward",
          lambda p: same_preferences(p, _one_raised)),
    every("exactly", "β log π*/π_ref is r itself", lambda p: implicit(p, shift="none")),
    every("one-constant", "β log π*/π_ref is r up to one constant for all prompts",
          lambda p: implicit(p, shift="one")),
    every("log-policy", "β log π* is r up to c(x), without π_ref",
          lambda p: implicit(p, reference=False)),
)  # fmt: skip


# --- DPO03: the gradient ----------------------------------------------------------------------


def drawn(weight: Callable[[Prompt, int, int], Any], *, loser: bool = True) -> Any:
    """∇J against β E_{(w, l)}[weight · (∇log π(w) − ∇log π(l))], scores written out.

    Pairs are drawn from π_ref and labelled by p: each ordered pair (w, l) stands for two draws.
    """

    def stated(x: Prompt) -> Array:
        def term(w: int, j: int) -> Array:
            apart = x.scores[w] - x.scores[j] if loser else x.scores[w]
            return apart * (weight(x, w, j) * x.p(w, j) * 2)

        return x.mean_ref(lambda w: x.mean_ref(lambda j: term(w, j)))

    def sides(at: Setting) -> tuple[Array, Array]:
        return at.objective(DPO).gradient(at.theta), at.expect(stated)

    return sides


IDENTITIES = (
    Identity("DPO's value is as defined", off_policy_value),
    Identity("DPO's gradient formula is its derivative", off_policy(DPO)),
    Identity("−∇L = βE[σ(r̂_l − r̂_w)(∇log π(y_w) − ∇log π(y_l))]",
             drawn(lambda x, w, j: x.sigma(j, w) * x.beta)),
)  # fmt: skip


def check_gradient(context: Context) -> Iterator[Evidence]:
    """DPO03: identities of the formulas that run."""
    if (yield from establish(IDENTITIES, context, "DPO03")):
        yield conclude_by("−∇L = βE[σ(r̂_l − r̂_w)(∇log π(y_w) − ∇log π(y_l))]")


PLANTED_GRADIENT = (
    false_identity("confident", "the weight is σ(r̂_w − r̂_l): pairs that are right count most",
                   drawn(lambda x, w, j: x.sigma(w, j) * x.beta)),
    false_identity("unweighted", "every pair has the weight ½, its value at π_ref",
                   drawn(lambda x, w, j: x.beta / 2)),
    false_identity("dropped-beta", "−∇L = E[σ(r̂_l − r̂_w)(∇log π(y_w) − ∇log π(y_l))]",
                   drawn(lambda x, w, j: x.sigma(j, w))),
    false_identity("winner-only", "−∇L = βE[σ(r̂_l − r̂_w)∇log π(y_w)]",
                   drawn(lambda x, w, j: x.sigma(j, w) * x.beta, loser=False)),
    false_identity("slope", "the weight is σ'(r̂_w − r̂_l)",
                   drawn(lambda x, w, j: x.slope(w, j) * x.beta)),
)  # fmt: skip


# --- DPO04: the minimiser ---------------------------------------------------------------------


def check_minimiser(context: Context) -> Iterator[Evidence]:
    """DPO04: the argument; then the gradient at r/β."""
    yield from argue(
        "if preferences are Bradley–Terry with r, the population loss has one minimiser, "
        "π_ref e^{r/β}/Z", DPO04_STEPS, ("DPO03", "a concave function with slope 0 is at its top"),
    )  # fmt: skip
    yield tried("∇L = 0 at θ = r/β", (
        flat_at(DPO(p), best(p)) for p in problems(context, "DPO04")
    ))  # fmt: skip


def _smoothed(problem: PreferenceProblem) -> Case:
    """Labels flipped with chance 1/8, at the optimum of the clean ones."""
    noisy = []
    for model in problem.preferences:
        clean = model.centred(FLOAT64) * 0.75 + 0.5
        upper = np.triu(clean, 1)
        noisy.append(upper + np.tril(1 - upper.T, -1) + np.eye(len(clean)) / 2)
    return flat_at(DPO(tabular(noisy, problem.base, float(problem.beta))), best(problem))


def _cycle(wins: float, beta: float = 1.0) -> PreferenceProblem:
    """y₁ ≻ y₂ ≻ y₃ ≻ y₁, each with chance ``wins``; uniform π_ref."""
    p = [[0.5, wins, 1 - wins], [1 - wins, 0.5, wins], [wins, 1 - wins, 0.5]]
    return tabular([p], [[1, 1, 1]], beta)


def _reproduced(_: Context) -> list[Case]:
    """On a cycle DPO's optimum is π_ref, by symmetry, where σ(z) = ½."""
    problem, theta = _cycle(0.875), np.zeros(3)

    def gap() -> Array:
        (at,) = DPO(problem).points(_XP.asarray(theta))
        return abs(formulas.log_likelihood_payoff(_XP, at.block.preference, at.z).first)

    return [flat_at(DPO(problem), theta), Case(problem, theta, gap)]


def _any_pairs(_: Context) -> list[Case]:
    """One feature for rewards 3, 0, 1: its slope's sign depends on which pairs are drawn."""
    made = [
        PreferenceProblem(
            features=[[[1.0], [0.0], [2.0]]], preferences=[BradleyTerry([3, 0, 1])], base=[base],
            beta=1.0, radius=100,
        )
        for base in ([1, 1, 1 / 256], [1 / 256, 1, 1])
    ]  # fmt: skip
    theta = np.array([1.0])

    def excess() -> Array:
        slopes = [DPO(each).gradient(_XP.asarray(theta)) for each in made]
        return -slopes[0] * slopes[1]

    return [Case(made[0], theta, excess)]


PLANTED_MINIMISER = (
    every("label-smoothing", "with labels flipped at random (⅛) the minimiser stays", _smoothed),
    every("on-policy", "with pairs from the policy itself the minimiser stays",
          lambda p: flat_at(SAIL(p), best(p))),
    every("ipo", "IPO's loss has the same minimiser, τ = β", lambda p: flat_at(IPO(p), best(p))),
    false_at("reproduced", "at the minimiser σ(z) = p for any preferences, a cycle's too",
             _reproduced),
    false_at("any-pairs", "which pairs are drawn moves no minimiser, also when no θ realises r",
             _any_pairs),
)  # fmt: skip


# --- DPO05: deterministic preferences ---------------------------------------------------------


def ordered(m: int, beta: float, wins: float = 1.0) -> PreferenceProblem:
    """y₁ ≻ y₂ ≻ …, each pair with chance ``wins``."""
    p = np.triu(np.full((m, m), wins), 1) + np.tril(np.full((m, m), 1 - wins), -1)
    return tabular([p + np.eye(m) / 2], [np.arange(1, m + 1)], beta)


def rises(
    problem: PreferenceProblem, theta: np.ndarray, kind: Callable[..., Objective] = DPO
) -> Case:
    """Does −L rise at θ along (m − 1, …, 1, 0), which spreads the order?"""
    along = _XP.asarray(np.arange(problem.dimension)[::-1].copy())
    return Case(problem, theta, lambda: -(kind(problem).gradient(_XP.asarray(theta)) @ along))


def _orders(context: Context) -> Iterator[Case]:
    rng = context.rng("DPO05")
    for i in range(COUNT[context.effort]):
        m, beta = 2 + i % 3, 2.0 ** (i % 7 - 3)
        yield rises(ordered(m, beta), rng.normal(size=m) * 4 / beta)


def check_deterministic(context: Context) -> Iterator[Evidence]:
    """DPO05: the argument; then the slope for whole orders of responses."""
    yield from argue(
        "if y_w always wins, −L rises with the log-ratio for ever, whatever β: the optimum gives "
        "the loser nothing, and β regularises nothing", DPO05_STEPS,
    )  # fmt: skip
    yield tried("for an order of responses −L rises wherever the order is spread", _orders(context))


def _spread(m: int, by: float) -> np.ndarray:
    return by * np.arange(m)[::-1].astype(float)


def _stops(_: Context) -> list[Case]:
    """β = 16: is the slope ≤ 0 at log-ratio 1?"""
    case = rises(ordered(2, 16.0), _spread(2, 1.0))
    return [Case(case.problem, case.theta, lambda: -case.excess())]


def _far(_: Context) -> list[Case]:
    """A log-ratio of 50 for y₁ of chance 1/3: KL(π_θ‖π_ref) ≥ 2?"""
    problem, theta = ordered(2, 1.0), _spread(2, 50.0)
    return [Case(problem, theta, lambda: 2 - KLPolicyRef(problem).value(_XP.asarray(theta)))]


PLANTED_DETERMINISTIC = (
    false_at("large-beta", "β = 16 stops the log-ratio before 1", _stops),
    false_at("nearly-sure", "labels that are right 255 times in 256 leave no optimum either",
             lambda _: [rises(ordered(2, 1.0, 255 / 256), _spread(2, 6.0))]),
    false_at("cycles", "y₁ ≻ y₂ ≻ y₃ is enough for −L to rise along it, also if y₃ ≻ y₁",
             lambda _: [rises(_cycle(1.0), _spread(3, 1.0))]),
    false_at("ipo", "IPO's loss has no optimum either, τ = β",
             lambda _: [rises(ordered(2, 1.0), _spread(2, 1.0), IPO)]),
    false_at("kl-grows", "by the log-ratio 50 KL(π_θ‖π_ref) has passed 2, π_ref = (⅓, ⅔)", _far),
)  # fmt: skip


def all_claims() -> list[Claim]:
    """What the entry point registers."""
    written = expectations(__package__)
    return [
        Claim(
            id="DPO01", title="the optimal policy of a KL-regularised reward is π_ref e^{r/β}/Z",
            statement=r"\pi^*(y|x) = \pi_{ref}(y|x)\, e^{r(x,y)/\beta}/Z(x)",
            source=f"{_PAPER}, section 4; known before", hypotheses=("β > 0", "π_ref > 0"),
            check=check_policy, planted=PLANTED_POLICY, **written["DPO01"],
        ),
        Claim(
            id="DPO02", title="preferences tell the reward up to a function of the prompt",
            statement=r"\sigma(r_k - r_l) = \sigma(r'_k - r'_l)\;\forall k,l \iff r' = r + c(x)",
            source=f"{_PAPER}, section 5.1", hypotheses=("Bradley–Terry", "π_ref > 0"),
            check=check_identified, planted=PLANTED_IDENTIFIED, **written["DPO02"],
        ),
        Claim(
            id="DPO03", title="DPO's gradient weighs a pair by how wrong the implicit reward is",
            statement=r"-\nabla L = \beta E[\sigma(\hat r_l - \hat r_w)"
            r"(\nabla\log\pi(y_w) - \nabla\log\pi(y_l))]",
            source=f"{_PAPER}, section 4", hypotheses=("r̂ = β log π/π_ref", "pairs from π_ref"),
            check=check_gradient, planted=PLANTED_GRADIENT, **written["DPO03"],
        ),
        Claim(
            id="DPO04", title="DPO's population loss is minimised by the Bradley–Terry reward",
            statement=r"\beta\log\frac{\pi}{\pi_{ref}} = r + c(x)",
            source=f"{_PAPER}, section 5.1",
            hypotheses=("Bradley–Terry", "pairs from π_ref > 0", "some θ realises r"),
            check=check_minimiser, planted=PLANTED_MINIMISER, **written["DPO04"],
        ),
        Claim(
            id="DPO05", title="if one response always wins, DPO's optimum is at infinity, any β",
            statement=r"p_{12} = 1 \implies \log\frac{\pi(y_1)\pi_{ref}(y_2)}"
            r"{\pi(y_2)\pi_{ref}(y_1)} = \infty",
            source="Azar et al., arXiv 2310.12036, section 4",
            hypotheses=("p = 1", "π_ref > 0", "two responses; orders of more are sampled"),
            check=check_deterministic, planted=PLANTED_DETERMINISTIC, **written["DPO05"],
        ),
    ]  # fmt: skip
