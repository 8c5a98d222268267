"""NASHMD01 to NASHMD03: the last iterate of Nash-MD (Munos et al., 2312.00886), restated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from flint import arb

from nash_md_claims.game import XP, Game, cycle, games, ladder, tied
from nash_md_claims.steps import NASHMD01_STEPS, NASHMD02_STEPS, NASHMD03_STEPS
from proofs_check.evidence.argument import argue
from proofs_check.evidence.cases import Case, false_at, tried
from sailtheory.claims import Claim, Context, Falsehood, expectations
from sailtheory.numeric.numbers import Array
from sailtheory.verdict import Evidence, Outcome, Strength

_PAPER = "Munos et al., arXiv 2312.00886, Theorem 1, as we restate it"
_STEPS = 8
Bound = Callable[[float, float, Any], Any]
"""η, τ and the distance before a step, to what the distance after it may be."""


def as_restated(eta: float, tau: float, before: Any) -> Any:
    """(1 − ητ)KL + 2η²."""
    return (1 - eta * tau) * before + 2 * arb(eta) ** 2


def sharp(eta: float, tau: float, before: Any) -> Any:
    """(1 − ητ)KL + log(sinh(η/2)/(η/2)), which is at most η²/24 more than (1 − ητ)KL."""
    half = arb(eta) / 2
    return (1 - eta * tau) * before + (half.sinh() / half).log()


def plus(part: int, *, rate: float = 1.0) -> Bound:
    """(1 − rate·ητ)KL + η²/part; without a floor if ``part`` is 0."""

    def bound(eta: float, tau: float, before: Any) -> Any:
        floor = arb(eta) ** 2 / part if part else arb(0)
        return (1 - rate * eta * tau) * before + floor

    return bound


# --- NASHMD01: the equilibrium ----------------------------------------------------------------


def advantage(game: Game, theta: np.ndarray, apart: Callable[[Game, Array], Any]) -> Case:
    """Is P_τ(π* ≻ π_θ) − ½ equal to τ times a distance?"""

    def gap() -> Array:
        at = XP.asarray(theta)
        return np.array([abs(game.advantage(0 * at, at) - game.tau * apart(game, at))])

    return Case(game.problem, theta, gap)


def _to_star(game: Game, theta: Array) -> Any:
    return game.kl(theta, 0 * theta)


def check_equilibrium(context: Context) -> Iterator[Evidence]:
    """NASHMD01: the argument; then the advantage of π* in random games."""
    yield from argue(
        "the equilibrium is the one π* ∝ μ exp(P(· ≻ π*)/τ), and P_τ(π* ≻ π) = ½ + τKL(π‖π*)",
        NASHMD01_STEPS,
        ("an equilibrium exists (Brouwer)", "it is its own best reply, which the first step gives",
         "for two of them KL(π‖π') + KL(π'‖π) = 0"),
    )  # fmt: skip
    yield tried("P_τ(π* ≻ π) = ½ + τKL(π‖π*)", (
        advantage(made, theta, _to_star) for made, theta, _ in games(context, "NASHMD01")
    ))  # fmt: skip


def _reply(game: Game) -> Array:
    """θ of the best reply to μ."""
    mu = game.mu(XP.asarray(np.zeros(game.problem.dimension)))
    return mu + game.lead(mu) / game.tau


def _reply_wins(_: Context) -> list[Case]:
    """Is P_τ(best reply to μ ≻ π*) at least ½?"""
    made = cycle(0.125, (1, 2, 4))

    def excess() -> Array:
        at = _reply(made)
        return np.array([-made.advantage(at, 0 * at)])

    return [Case(made.problem, np.zeros(3), excess)]


def _wins_alone(_: Context) -> list[Case]:
    """Is P(π* ≻ π) at least ½ without the regulariser?"""
    made = cycle(0.125, (1, 2, 4))
    theta = np.array([0.0, 8.0, 0.0])

    def excess() -> Array:
        at = XP.asarray(theta)
        return np.array([-(made.at(0 * at).policy[0] @ made.lead(at))])

    return [Case(made.problem, theta, excess)]


PLANTED_EQUILIBRIUM = (
    false_at("direction", "P_τ(π* ≻ π) = ½ + τKL(π*‖π)", lambda context: [
        advantage(made, theta, Game.distance) for made, theta, _ in games(context, "direction")
    ]),
    false_at("reply", "the best reply to μ is the equilibrium", _reply_wins),
    false_at("alone", "π* wins without the regulariser too: P(π* ≻ π) ≥ ½ for all π", _wins_alone),
)  # fmt: skip


# --- NASHMD02: one step -----------------------------------------------------------------------

Step = Callable[[Game, Array, float], Array]


def one_step(
    game: Game, theta: np.ndarray, eta: float, bound: Bound, step: Step = Game.step,
    distance: Callable[[Game, Array], Any] = Game.distance,
) -> Case:  # fmt: skip
    """Is the distance after a step within a bound of the distance before it?"""

    def excess() -> Array:
        at = XP.asarray(theta)
        after = distance(game, step(game, at, eta))
        return np.array([after - bound(eta, game.tau, distance(game, at))])

    return Case(game.problem, theta, excess)


def check_step(context: Context) -> Iterator[Evidence]:
    """NASHMD02: the argument; then both bounds in random games, and how close one comes."""
    yield from argue(
        "KL(π*‖π⁺) ≤ (1 − ητ)KL(π*‖π) + log(sinh(η/2)/(η/2)) ≤ (1 − ητ)KL(π*‖π) + η²/24 for "
        "ητ ≤ 1, so with 2η² too", NASHMD02_STEPS,
        ("NASHMD01", "KL ≥ 0"),
    )  # fmt: skip
    for says, bound in (("the sharp bound", sharp), ("2η² as we restate it", as_restated)):
        yield tried(f"{says}, one step", (
            one_step(*each, bound) for each in games(context, "NASHMD02")
        ))  # fmt: skip


def _from_policy(game: Game, theta: Array, eta: float) -> Array:
    """The step from π_t, the opponent alone being mixed with μ."""
    return theta + eta * game.lead(game.mixture(theta, eta))


def _against_reference(game: Game, theta: Array, eta: float) -> Array:
    """The step from the mixture, against μ."""
    return game.mixture(theta, eta) + eta * game.lead(game.mu(theta))


def _at_reply(_: Context) -> list[Case]:
    """From the best reply to μ, where that step stays."""
    made = cycle(0.125, (1, 2, 4))
    theta = np.array([float(x) for x in _reply(made)])
    return [one_step(made, theta, 1 / 64, as_restated, _against_reference)]


def _reversed(game: Game, theta: Array) -> Any:
    return game.kl(theta, 0 * theta)


_FAR = np.array([0.0, -200.0])


def _tied(name: str, says: str, eta: float, bound: Bound, **how: Any) -> Falsehood:
    """Two responses that tie, π far from π*: only the regulariser acts."""
    return false_at(name, says, lambda _: [one_step(tied(), _FAR, eta, bound, **how)])


PLANTED_STEP = (
    false_at("constant", "KL(π*‖π⁺) ≤ (1 − ητ)KL(π*‖π) + η²/25", lambda _: [
        one_step(*ladder(), 0.25, plus(25))
    ]),
    _tied("faster", "KL shrinks by 1 − 1.25ητ", 0.125, plus(24, rate=1.25)),
    _tied("from-policy", "the step may start from π_t, if its opponent is the mixture", 0.125,
          as_restated, step=_from_policy),
    false_at("against-reference", "the opponent may be μ", _at_reply),
    _tied("reversed", "KL(π⁺‖π*) ≤ (1 − ητ)KL(π‖π*) + 2η²", 0.125, as_restated,
          distance=_reversed),
    false_at("no-floor", "KL(π*‖π⁺) ≤ (1 − ητ)KL(π*‖π), so π* is where it stays", lambda _: [
        one_step(cycle(0.5, (1, 2, 4)), np.zeros(3), 0.5, plus(0))
    ]),
    _tied("large-step", "η = 4/τ is small enough", 4.0, as_restated),
)  # fmt: skip


# --- NASHMD03: the last iterate ---------------------------------------------------------------

Promise = Callable[[float, float, int, Any], Any]
"""η, τ, T and the distance at first, to what it may be after T steps."""


def last(eta: float, tau: float, steps: int, first: Any) -> Any:
    """(1 − ητ)^T KL + η/(24τ)."""
    return (1 - eta * tau) ** steps * first + arb(eta) / (24 * tau)


def last_as_restated(eta: float, tau: float, steps: int, first: Any) -> Any:
    """(1 − ητ)^T KL + 2η/τ."""
    return (1 - eta * tau) ** steps * first + 2 * arb(eta) / tau


def run_of(
    game: Game, theta: np.ndarray, eta: float, promise: Promise, steps: int = _STEPS
) -> Case:
    """Are T = 1, …, steps within what is promised?"""

    def excess() -> Array:
        at = XP.asarray(theta)
        first, found = game.distance(at), []
        for t in range(1, steps + 1):
            at = game.step(at, eta)
            found.append(game.distance(at) - promise(eta, game.tau, t, first))
        return np.array(found)

    return Case(game.problem, theta, excess)


def floor(context: Context) -> Evidence:
    """How much of η/(24τ) is left after 400 steps, in float64."""
    kept = []
    for made, theta, eta in games(context, "NASHMD03 floor"):
        eta, at = min(eta, 0.125 / made.tau), np.array(theta)
        for _ in range(400):
            at = made.step(at, eta)
        kept.append(float(made.distance(at)) / (eta / (24 * made.tau)))
    detail = f"{len(kept)} games, 400 steps: at most {max(kept):.2g} of η/(24τ) is left"
    return Evidence("search", detail, Outcome.UNDECIDED, Strength.SUPPORTED)


def check_last(context: Context) -> Iterator[Evidence]:
    """NASHMD03: the sum; then exact replays of random games, and what is left after many steps."""
    yield from argue(
        "KL(π*‖π_T) ≤ (1 − ητ)^T KL(π*‖π_0) + η/(24τ) for ητ ≤ 1, so with 2η/τ too",
        NASHMD03_STEPS, ("NASHMD02",),
    )  # fmt: skip
    for says, promise in (("η/(24τ)", last), ("2η/τ as we restate it", last_as_restated)):
        yield tried(f"with {says}, {_STEPS} steps replayed in balls", (
            run_of(*each, promise) for each in games(context, "NASHMD03")
        ))  # fmt: skip
    yield floor(context)


_TWO_OF_THREE = np.array([0.0, 0.0, -30.0])


def _once(eta: float, tau: float, steps: int, first: Any) -> Any:
    return (1 - eta * tau) ** steps * first + arb(eta) ** 2 / 24


def _never_more(eta: float, tau: float, steps: int, first: Any) -> Any:
    return first


def _squared(eta: float, tau: float, steps: int, first: Any) -> Any:
    return first / steps**2 + arb(steps).log() / (24 * arb(tau) ** 2 * steps)


PLANTED_LAST = (
    false_at("once", "the floor is that of one step, η²/24", lambda _: [
        run_of(cycle(2.0**-20), _TWO_OF_THREE, 0.25, _once, 4)
    ]),
    false_at("never-more", "KL(π*‖π_t) never exceeds KL(π*‖π_0), also for small τ", lambda _: [
        run_of(cycle(2.0**-20), _TWO_OF_THREE, 0.25, _never_more, 4)
    ]),
    false_at("squared", "η = log T/(τT) leaves KL(π*‖π_0)/T² + log T/(24τ²T)", lambda _: [
        run_of(tied(), _FAR, float(np.log(4) / 4), _squared, 4)
    ]),
)  # fmt: skip


def all_claims() -> list[Claim]:
    """What the entry point registers."""
    written = expectations(__package__)
    hypotheses = ("P(y ≻ y') + P(y' ≻ y) = 1", "μ > 0, τ > 0", "one prompt, exact steps")
    return [
        Claim(
            id="NASHMD01", title="the regularised preference game has one equilibrium",
            statement=r"\pi^* \propto \mu\, e^{P(\cdot \succ \pi^*)/\tau},\;"
            r" P_\tau(\pi^* \succ \pi) = \tfrac12 + \tau KL(\pi \| \pi^*)",
            source=f"{_PAPER}; the identity is ours", hypotheses=hypotheses,
            check=check_equilibrium, planted=PLANTED_EQUILIBRIUM, **written["NASHMD01"],
        ),
        Claim(
            id="NASHMD02", title="a step of Nash-MD: (1 − ητ)KL + 2η², and η²/24 is enough",
            statement=r"KL(\pi^* \| \pi_{t+1}) \le (1-\eta\tau) KL(\pi^* \| \pi_t) + \eta^2/24",
            source=f"{_PAPER}, with 2η² for η²/24, which is ours; η²/25 is refuted",
            hypotheses=(*hypotheses, "ητ ≤ 1"),
            check=check_step, planted=PLANTED_STEP, **written["NASHMD02"],
        ),
        Claim(
            id="NASHMD03", title="Nash-MD's last iterate: (1 − ητ)^T KL + 2η/τ, η/(24τ) is enough",
            statement=r"KL(\pi^* \| \pi_T) \le (1-\eta\tau)^T KL(\pi^* \| \pi_0) + \eta/(24\tau)",
            source=f"{_PAPER}, summed, with 2η/τ; that constant is ours",
            hypotheses=(*hypotheses, "ητ ≤ 1"),
            check=check_last, planted=PLANTED_LAST, **written["NASHMD03"],
        ),
    ]  # fmt: skip
