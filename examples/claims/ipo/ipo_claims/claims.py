"""IPO01 to IPO05: what is known of identity preference optimisation (Azar et al., 2310.12036)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ipo_claims.steps import IPO01_STEPS, IPO02_STEPS, IPO05_STEPS
from proofs_check.claims.c01_gradient import off_policy, off_policy_value
from proofs_check.evidence.argument import argue
from proofs_check.evidence.cases import Case, false_at, flat_at, tabular, tried
from proofs_check.evidence.instances import random_preferences
from proofs_check.symbolic.identities import Identity, conclude_by, establish, false_identity
from proofs_check.symbolic.settings import Prompt, Setting
from sailtheory import DPO, IPO, BradleyTerry, KLPolicyRef, Objective, PreferenceProblem
from sailtheory.claims import Claim, Context, Falsehood, expectations
from sailtheory.numeric.numbers import Array, arb_numbers
from sailtheory.objectives.payoff import PayoffObjective
from sailtheory.objectives.self_play import SelfPlay, WinsAgainst
from sailtheory.theory import formulas
from sailtheory.theory.payoffs import named_payoff
from sailtheory.verdict import Evidence

_XP = arb_numbers()
_PROBLEMS = {"quick": 6, "full": 200}
_PAPER = "Azar et al., arXiv 2310.12036"


# --- problems ---------------------------------------------------------------------------------


def problems(context: Context, name: str) -> Iterator[PreferenceProblem]:
    """Random ones: any preferences, 1 or 2 prompts, 2 to 4 responses, τ from ⅛ to 4."""
    rng = context.rng(name)
    for i in range(_PROBLEMS[context.effort]):
        n, m = 1 + i % 2, 2 + i % 3
        preferences = [random_preferences(rng, m) for _ in range(n)]
        yield tabular(preferences, rng.integers(1, 9, (n, m)) / 4, 2.0 ** (i % 6 - 3))


def rates(problem: PreferenceProblem, opponent: Array | None = None) -> Array:
    """P(· ≻ π_opponent) − ½ by response, as balls: (n, m). π_ref unless one is given."""
    where = np.zeros(problem.dimension) if opponent is None else opponent
    (at,) = IPO(problem).points(_XP.asarray(where))
    return formulas.expectation(at.policy[..., None, :], at.block.preference)


def root(problem: PreferenceProblem, opponent: np.ndarray | None = None) -> Callable[[], Array]:
    """θ = P(· ≻ μ)/τ up to a constant, where π_θ ∝ π_ref exp(P(· ≻ μ)/τ); as balls, (d,)."""
    return lambda: rates(problem, opponent).ravel() / float(problem.beta)


def every(name: str, says: str, case: Callable[[PreferenceProblem], Case]) -> Falsehood:
    """A statement that the problems of its claim refute."""
    return false_at(name, says, lambda context: map(case, problems(context, name)))


# --- IPO01: the optimal policy ----------------------------------------------------------------


def regularised(wins: Objective) -> Objective:
    """Wins less τ KL(π‖π_ref)."""
    return wins - float(wins.problem.beta) * KLPolicyRef(wins.problem)


def _opponents(context: Context) -> Iterator[Case]:
    rng = context.rng("IPO01 μ")
    for problem in problems(context, "IPO01"):
        other = rng.normal(size=(problem.dimension,))
        yield flat_at(regularised(WinsAgainst(problem, other)), root(problem, other))


def check_policy(context: Context) -> Iterator[Evidence]:
    """IPO01: the identity; then the gradient against random opponents."""
    yield from argue(
        "π_ref exp(P(· ≻ μ)/τ)/Z alone maximises P(π ≻ μ) − τKL(π‖π_ref), for every μ",
        IPO01_STEPS,
    )
    yield tried("∇[P(π ≻ μ) − τKL(π‖π_ref)] = 0 there", _opponents(context))


def _as_dpo(problem: PreferenceProblem) -> Case:
    """At r/τ, for Bradley–Terry preferences with integer rewards."""
    m = problem.responses[0]
    rewards = np.arange(problem.prompts * m).reshape(-1, m)
    made = tabular([BradleyTerry(r) for r in rewards], problem.base, float(problem.beta))
    return flat_at(regularised(WinsAgainst(made, np.zeros(made.dimension))),
                   rewards.ravel() / float(problem.beta))  # fmt: skip


def _beaten(_: Context) -> list[Case]:
    """y₁ beats y₂ by 9 to 7, y₂ always beats y₃, y₃ always beats y₁."""
    p = [[0.5, 0.5625, 0], [0.4375, 0.5, 1], [1, 0, 0.5]]
    problem = tabular([p], [[1, 1, 1]], 1.0)
    at = root(problem)
    return [Case(problem, np.array([float(x) for x in at()]), lambda: at()[1] - at()[0])]


PLANTED_POLICY = (
    every("as-dpo", "for Bradley–Terry preferences the optimum is DPO's, π_ref e^{r/τ}/Z", _as_dpo),
    every("itself", "against itself in place of π_ref a policy has the same optimum",
          lambda p: flat_at(regularised(SelfPlay(p)), root(p))),
    every("any-opponent", "the optimum is the same against every μ",
          lambda p: flat_at(regularised(WinsAgainst(p, np.arange(p.dimension) / 2)), root(p))),
    false_at("beats", "a response that beats another gains on it", _beaten),
)  # fmt: skip


# --- IPO02: one minimiser ---------------------------------------------------------------------


def check_minimiser(context: Context) -> Iterator[Evidence]:
    """IPO02: the argument; then the gradient of the loss that runs."""
    yield from argue(
        "if μ charges every response, L has one minimiser, and it solves h = (p̄_k − p̄_l)/τ for "
        "every pair", IPO02_STEPS, ("two policies whose log-ratios differ by a constant are one",),
    )  # fmt: skip
    yield tried("∇L = 0 at log π/π_ref = p̄/τ", (
        flat_at(IPO(p), root(p)) for p in problems(context, "IPO02")
    ))  # fmt: skip


def _pairwise(problem: PreferenceProblem) -> Case:
    """Is h_kl = (p_kl − ½)/τ at the minimiser?"""

    def gap() -> Array:
        (at,) = IPO(problem).points(root(problem)())
        return abs(formulas.squared_payoff(at.block.preference, at.z, at.block.beta).first)

    return Case(problem, np.zeros(problem.dimension), gap)


def _uniform(problem: PreferenceProblem) -> Case:
    """At the win rates against uniform opponents."""
    base: list[Any] = list(problem.base)
    even = -np.log(np.concatenate(base).astype(float))
    return flat_at(IPO(problem), root(problem, even))


def _modulus(_: Context) -> list[Case]:
    """A response of chance 1e-9, along its own parameter."""
    problem = tabular([np.full((3, 3), 0.5)], [[1, 1, "1e-9"]], 1.0)
    theta, along = np.zeros(3), np.eye(3)[2]

    def excess() -> Array:
        curved = IPO(problem).curvature(_XP.asarray(theta), _XP.asarray(along))
        return curved + _XP.asarray(2.0**-20)

    return [Case(problem, theta, excess)]


PLANTED_MINIMISER = (
    every("pairwise", "at the minimiser h = (p_kl − ½)/τ for every pair", _pairwise),
    every("uniform", "p̄ may be taken against uniform opponents, pairs from π_ref", _uniform),
    every("on-policy", "with pairs from the policy itself the minimiser stays",
          lambda p: flat_at(PayoffObjective(p, named_payoff("ipo")), root(p))),
    false_at("modulus", "L curves by 2⁻²⁰ or more however rare a response is", _modulus),
)  # fmt: skip


# --- IPO03, IPO04: forms of the loss ----------------------------------------------------------


def against(slope: Callable[[Prompt, int, int], Array]) -> Any:
    """∇(−L) of IPO as it runs against the mean of a slope over pairs from π_ref."""

    def sides(at: Setting) -> tuple[Array, Array]:
        stated = at.expect(lambda x: x.mean_ref(lambda k: x.mean_ref(lambda j: slope(x, k, j))))
        return at.objective(IPO).gradient(at.theta), stated

    return sides


def square(x: Prompt, k: int, j: int, target: Any) -> Array:
    """∇ of −(h − target)², h = z/τ."""
    return x.gap(k, j) * ((x.z(k, j) / x.beta - target) * -2)


def rate(x: Prompt, k: int) -> Any:
    """P(y_k ≻ π_ref)."""
    return x.mean_ref(lambda j: x.p(k, j))


def roots(x: Prompt, k: int, j: int, twice: int = 1) -> Array:
    """The root-finding form, target (p̄_k − p̄_l)/τ."""
    return square(x, k, j, (rate(x, k) - rate(x, j)) * twice / x.beta)


def labels(x: Prompt, k: int, j: int) -> Array:
    """Target I/τ for a label I ∈ {0, 1} of chance p."""
    return square(x, k, j, 1 / x.beta) * x.p(k, j) + square(x, k, j, x.beta * 0) * x.p(j, k)


def sampled(x: Prompt, k: int, j: int, parts: int = 2, chance: Any = Prompt.p) -> Array:
    """(h_wl − 1/(parts·τ))² for the pair as its label orders it."""
    aim = 1 / (x.beta * parts)
    return square(x, k, j, aim) * chance(x, k, j) + square(x, j, k, aim) * chance(x, j, k)


DEFINED = (
    Identity("IPO's value is as defined", off_policy_value),
    Identity("IPO's gradient formula is its derivative", off_policy(IPO)),
)
FORMS = (
    *DEFINED,
    Identity("∇L = ∇E_{μ⊗μ}(h − (p̄_k − p̄_l)/τ)²", against(roots)),
    Identity("∇L = ∇E(h − I/τ)², I a label of chance p", against(labels)),
)
SAMPLED = (*DEFINED, Identity("∇L is the mean of ∇(h_wl − 1/(2τ))² over pairs and labels",
                              against(sampled)))  # fmt: skip


def check_forms(context: Context) -> Iterator[Evidence]:
    """IPO03: identities of the formulas that run."""
    if (yield from establish(FORMS, context, "IPO03")):
        yield conclude_by("the three losses differ by constants, pairs independent, from one μ")


def check_sampled(context: Context) -> Iterator[Evidence]:
    """IPO04: the mean over all pairs and labels, as an identity."""
    if (yield from establish(SAMPLED, context, "IPO04")):
        yield conclude_by("E ∇(sampled loss) = ∇L, by enumeration of pairs and labels")


def _values(at: Setting) -> tuple[Array, Array]:
    """L as it runs and the root-finding form, without a constant."""

    def form(x: Prompt) -> Any:
        def term(k: int, j: int) -> Any:
            left = (x.z(k, j) - rate(x, k) + rate(x, j)) / x.beta
            return -left * left

        return x.mean_ref(lambda k: x.mean_ref(lambda j: term(k, j)))

    return np.array([at.objective(IPO).value(at.theta)]), np.array([at.expect(form)])


def _two_laws(at: Setting) -> tuple[Array, Array]:
    """y from π_ref, y' uniform, target I/τ."""

    def stated(x: Prompt) -> Array:
        m = len(x.responses)
        return x.mean_ref(lambda k: sum(labels(x, k, j) for j in x.responses) / m)

    return at.objective(IPO).gradient(at.theta), at.expect(stated)


PLANTED_FORMS = (
    false_identity("value", "the two losses are equal, without a constant", _values),
    false_identity("twice", "∇L = ∇E(h − 2(p̄_k − p̄_l)/τ)²",
                   against(lambda x, k, j: roots(x, k, j, twice=2))),
    false_identity("one-rate", "∇L = ∇E(h − p̄_k/τ)², without the other's win rate",
                   against(lambda x, k, j: square(x, k, j, rate(x, k) / x.beta))),
    false_identity("two-laws", "y from π_ref and y' uniform give the same ∇L", _two_laws),
)  # fmt: skip


def majority(x: Prompt, k: int, j: int) -> Any:
    """p²(3 − 2p): the chance that two of three labels say y_k."""
    return x.p(k, j) ** 2 * (3 - 2 * x.p(k, j))


def winner_only(x: Prompt, k: int, j: int) -> Array:
    """∇ of −(log π/π_ref(w) − 1/(2τ))² for the winner alone."""

    def term(w: int) -> Array:
        ratio = x.log_policy[w] - x.log_ref[w]
        return x.scores[w] * ((ratio - 1 / (2 * x.beta)) * -2)

    return term(k) * x.p(k, j) + term(j) * x.p(j, k)


def _distinct(at: Setting) -> tuple[Array, Array]:
    """Pairs drawn again until the two differ."""

    def stated(x: Prompt) -> Array:
        same = x.mean_ref(lambda k: x.ref[k])
        return x.mean_ref(lambda k: x.mean_ref(lambda j: sampled(x, k, j))) / (1 - same)

    return at.objective(IPO).gradient(at.theta), at.expect(stated)


PLANTED_SAMPLED = (
    false_identity("whole-target", "(h_wl − 1/τ)² is unbiased",
                   against(lambda x, k, j: sampled(x, k, j, parts=1))),
    false_identity("majority", "the majority of three labels may stand for one",
                   against(lambda x, k, j: sampled(x, k, j, chance=majority))),
    false_identity("winner-only", "the loser's log-ratio may be left out", against(winner_only)),
    false_identity("distinct", "pairs may be drawn again until they differ", _distinct),
)  # fmt: skip


# --- IPO05: bounded log-ratios ----------------------------------------------------------------


def within(problem: PreferenceProblem, bound: Callable[[Array], Array]) -> list[Case]:
    """∇L = 0 at the root, where τh_kl ≤ bound(μ), (n, m, m), for k ≠ l?"""

    def excess() -> Array:
        (at,) = IPO(problem).points(root(problem)())
        return (at.z - bound(at.ref))[..., ~np.eye(at.z.shape[-1], dtype=bool)]

    theta = np.zeros(problem.dimension)
    return [flat_at(IPO(problem), root(problem)), Case(problem, theta, excess)]


def shares(ref: Array, part: float = 0.5) -> Array:
    """1 − part·(μ_k + μ_l)."""
    return 1 - (ref[..., :, None] + ref[..., None, :]) * part


def check_bounded(context: Context) -> Iterator[Evidence]:
    """IPO05: the argument; then the minimisers of random problems."""
    yield from argue(
        "at IPO's optimum h = (p₁₂ − ½)/τ for two responses, and for more "
        "h ≤ (1 − (μ_k + μ_l)/2)/τ, whatever the preferences are", IPO05_STEPS, ("IPO02",),
    )  # fmt: skip
    cases = [case for p in problems(context, "IPO05") for case in within(p, shares)]
    yield tried("h ≤ (1 − (μ_k + μ_l)/2)/τ at the minimiser", cases)


def _order(tau: float = 1.0) -> PreferenceProblem:
    """y₁ always beats y₂ and y₃, y₂ always beats y₃; μ = (1, 14, 1)/16."""
    return tabular([[[0.5, 1, 1], [0, 0.5, 1], [0, 0, 0.5]]], [[1, 14, 1]], tau)


def _sure(wins: float, tau: float) -> PreferenceProblem:
    return tabular([[[0.5, wins], [1 - wins, 0.5]]], [[1, 1]], tau)


def _doubled(_: Context) -> list[Case]:
    """p₁₂ = ¾: is τh at least 2p − 1 = ½?"""
    problem = _sure(0.75, 1.0)
    return [Case(problem, np.zeros(2), lambda: 0.5 - (root(problem)()[0] - root(problem)()[1]))]


def _dpo_too(_: Context) -> list[Case]:
    """p₁₂ = 1023/1024: DPO's loss falls at h = 1/τ still."""
    problem = _sure(1023 / 1024, 0.5)
    theta = np.array([2.0, 0.0])
    return [Case(problem, theta, lambda: DPO(problem).gradient(_XP.asarray(theta))[:1])]


PLANTED_BOUNDED = (
    false_at("half-for-all", "h ≤ 1/(2τ) for any number of responses",
             lambda _: within(_order(), lambda ref: ref[..., None] * 0 + 0.5)),
    false_at("whole-shares", "h ≤ (1 − (μ_k + μ_l))/τ",
             lambda _: within(_order(), lambda ref: shares(ref, 1.0))),
    false_at("without-tau", "h ≤ 1 − (μ_k + μ_l)/2, whatever τ is",
             lambda _: within(_order(0.25), lambda ref: shares(ref) / 4)),
    false_at("doubled", "two responses: h = (2p₁₂ − 1)/τ", _doubled),
    false_at("dpo-too", "DPO's optimum obeys h ≤ 1/β too", _dpo_too),
)  # fmt: skip


def all_claims() -> list[Claim]:
    """What the entry point registers."""
    written = expectations(__package__)
    return [
        Claim(
            id="IPO01", title="the optimum of P(π ≻ μ) − τKL is π_ref exp(P(· ≻ μ)/τ)/Z",
            statement=r"\pi^*(y) = \pi_{ref}(y)\, e^{P(y \succ \mu)/\tau}/Z",
            source=f"{_PAPER}, section 3, Ψ the identity", hypotheses=("τ > 0", "π_ref > 0"),
            check=check_policy, planted=PLANTED_POLICY, **written["IPO01"],
        ),
        Claim(
            id="IPO02", title="IPO's population loss has one minimiser, the root of all pairs",
            statement=r"\log\frac{\pi_k\pi_{ref,l}}{\pi_l\pi_{ref,k}} = (\bar p_k-\bar p_l)/\tau",
            source=f"{_PAPER}, section 5", hypotheses=("μ = π_ref charges every response",),
            check=check_minimiser, planted=PLANTED_MINIMISER, **written["IPO02"],
        ),
        Claim(
            id="IPO03", title="labels may stand for win rates in IPO's loss, up to a constant",
            statement=r"E(h - I/\tau)^2 = E(h - (\bar p_k - \bar p_l)/\tau)^2 + \mathrm{const}",
            source=f"{_PAPER}, section 5", hypotheses=("y, y' independent from one μ",),
            check=check_forms, planted=PLANTED_FORMS, **written["IPO03"],
        ),
        Claim(
            id="IPO04", title="IPO's sampled gradient is unbiased for the population's",
            statement=r"E\,\nabla(h_{wl} - \tfrac{1}{2\tau})^2 = \nabla L",
            source=f"{_PAPER}, section 5", hypotheses=("pairs from π_ref", "one label of chance p"),
            check=check_sampled, planted=PLANTED_SAMPLED, **written["IPO04"],
        ),
        Claim(
            id="IPO05", title="IPO's optimum is within 1/τ of π_ref, for any preferences",
            statement=r"m = 2: h = (p_{12} - \tfrac12)/\tau;\; h \le (1 - (\mu_k+\mu_l)/2)/\tau",
            source=f"{_PAPER}, section 5; the bound for m ≥ 3 is ours",
            hypotheses=("μ = π_ref charges every response",),
            check=check_bounded, planted=PLANTED_BOUNDED, **written["IPO05"],
        ),
    ]  # fmt: skip
