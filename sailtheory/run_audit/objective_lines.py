"""Lines on what the loss follows: the KL term, the score term, and whether γ is large enough."""

from __future__ import annotations

from sailtheory.analysis.ladder import ladder
from sailtheory.analysis.online import field_thresholds
from sailtheory.landscape.concavity import gamma_star, largest_relative_curvature_on
from sailtheory.landscape.domain import Domain
from sailtheory.landscape.search import Search
from sailtheory.objectives.fields import OnlineDPO
from sailtheory.run_audit import reward_lines
from sailtheory.run_audit.candidate import Guarantee
from sailtheory.run_audit.decided import agrees
from sailtheory.run_audit.gradients import COARSE, SMALL, SURE, Followed, interval
from sailtheory.run_audit.standing import Found, holds, unknown, violated
from sailtheory.run_audit.view import View
from sailtheory.theory import field_bound

__all__ = ["divergence", "score", "threshold"]


def divergence(view: View) -> Found | None:
    """The penalty is γKL(π_ref‖π_θ), by the logged gradients."""
    found = view.followed
    hidden = _hidden(view)
    if found is None or hidden is not None:
        return hidden
    (gamma, error), (other, _) = found.gamma, found.other
    span = found.span
    stated = view.trace.facts.gamma
    if not found.penalised:
        return unknown(f"log more updates: the penalty's factor is {interval(found.gamma)} {span}")
    if found.reverse:
        return violated(
            f"the gradients hold {other:.3g}·∇KL(π_θ‖π_ref) beside {gamma:.3g}·∇KL(π_ref‖π_θ) "
            f"{span}: KL(π_θ‖π_ref) has no such threshold (C33){_blind(found)}"
        )
    told = "" if stated is None or agrees(stated, found.gamma) else f", γ = {stated:g} is stated"
    if gamma - SURE * error <= SMALL * max(abs(stated or 0.0), 1e-3):
        return violated(
            f"the gradients hold {gamma:.3g}·∇KL(π_ref‖π_θ) {span}: no penalty{told}{_blind(found)}"
        )
    if stated is not None and told:
        return violated(f"γ = {stated:g} is stated, the gradients hold {gamma:.4g} {span}")
    beside = f"{span}{', beside ∇E[r]' if found.rewarded else ''}{_blind(found)}"
    return holds(f"the gradients hold {gamma:.4g}·∇KL(π_ref‖π_θ), and no other, {beside}")


def score(view: View) -> Found | None:
    """The score term's sign and scale, by the logged gradients."""
    found = view.followed
    hidden = _hidden(view)
    if found is None or hidden is not None:
        return hidden
    value, stated = found.score[0], view.trace.facts.score
    span = found.span
    if found.weight is None:
        return unknown(f"log more updates: the score term's factor is {interval(found.score)}")
    if found.rewarded:
        return holds(
            f"no pairs need one: the gradients hold ∇E[r] {span}, and no term of DPO{_blind(found)}"
        )
    if found.weight not in (0.0, 1.0):
        sign = "the wrong sign: " if value < 0 else ""
        return violated(
            f"{sign}{value:.3g} times J's score term {span}: the gradient of no objective"
        )
    if stated is not None and not agrees(stated, (found.weight, found.score[1])):
        return violated(f"score = {stated:g} is stated, the gradients hold {value:.3g} {span}")
    if found.weight == 0:
        field = "the field of online DPO (C29)"
        return holds(f"absent ({value:.2g} times J's {span}): {field}{_blind(found)}")
    return holds(f"{value:.4g} times J's {span}; J is not the reward (C28){_blind(found)}")


def _hidden(view: View) -> Found | None:
    """Why the gradients do not show of what they are; None where they do, or are not of these."""
    if view.unseen:
        return unknown(view.unseen) if view.trace.facts.all_responses else None
    return unknown(view.outside) if view.upside_down else None


def _blind(found: Followed) -> str:
    """What rounding or the gap of log-linearity may hide, where that is much."""
    if found.blind <= COARSE:
        return ""
    return f"; a loss that differs by less than {found.blind:.1g} of its gradients looks the same"


def threshold(view: View) -> Found | None:
    """γ against 2β, K_data and ḡ of the run's own candidates, or K of its groups of rewards."""
    of_rewards = reward_lines.threshold(view.trace)
    if of_rewards is not None:
        return of_rewards
    if view.outside:
        return unknown(view.outside)
    gamma, beta, kind = view.loss.gamma, view.trace.facts.beta, view.loss.score
    if gamma is None or beta is None or kind is None:
        return None if view.trace.problem is None else unknown(view.lacking)
    at, room = view.guarantee, view.loss.room
    if at is None:
        found = _limit(gamma, beta, kind, _needed(view.linearised) or view.lacking)
    else:
        found = _of_sail(at, room) if kind else _of_field(at, room)
    return view.as_far(found)


def _limit(gamma: float, beta: float, kind: bool, why: str) -> Found:
    """What is known without candidates: 2β, for one step without a score term."""
    if kind:
        needed = f"K_B needs a B and log-linear candidates; {why}"
        return violated("γ = 0: there is no penalty") if gamma == 0 else unknown(needed)
    limit = float(field_bound.field_limit(beta))
    relation, found = (">", holds) if gamma > limit else ("≤", violated)
    rest = "proved for one-step, log-linear policies alone"
    return found(f"γ = {gamma:g} {relation} 2β = {limit:g}, {rest}; {why}")


def _needed(at: Guarantee | None) -> str:
    """What the candidates of a network need, linearised at π_ref."""
    if at is None:
        return ""
    if at.score:
        found = ladder(at.problem, at.constants.relative)
        certain = None if found is None else found.least
    else:
        certain = field_thresholds(at.problem).data
    if certain is None:
        return ""
    radius = float(at.problem.radius)
    return (
        f"the run is not log-linear; its candidates, linearised at π_ref, need at most "
        f"{certain:.4g} at B = {radius:.3g}"
    )


def _of_field(at: Guarantee, room: float) -> Found:
    """Without the score term: 2β, K_V of the candidates, γ*_V found by search (C29, C36)."""
    gamma, known = at.gamma, field_thresholds(at.problem)
    said = _gamma(gamma, room)
    if known.data is None or known.limit is None:
        return unknown("the candidates of each prompt have equal features: add some that differ")
    if gamma - room > known.data:
        return holds(
            f"{said} > {known.data:.4g}, which is certain for these candidates (C36); "
            f"2β = {known.limit:g}"
        )
    search = Search(Domain(at.problem), effort="light", seed=0)
    least = largest_relative_curvature_on(OnlineDPO(at.problem), search).value
    more = f"γ > {known.data:.4g} is enough, and no certificate tells more of online DPO"
    return _between(gamma, room, least, known.data, f"{more}; 2β = {known.limit:g}")


def _of_sail(at: Guarantee, room: float) -> Found:
    """With it: K_B, K_data, ḡ of the candidates, γ* found by search (C11, C23, C25)."""
    gamma, known = at.gamma, ladder(at.problem, at.constants.relative)
    if known is None:
        return unknown("the candidates of each prompt have equal features: add some that differ")
    levels = f"ḡ ≤ {known.per_prompt:.4g}, K_data = {known.data:.4g}, K_B = {known.relative:.4g}"
    if gamma - room > known.least:
        return holds(f"{_gamma(gamma, room)} > {known.least:.4g}, which is certain; {levels}")
    found = gamma_star(at.problem, effort="light").value
    more = "`sailtheory certify` on the log's problem.npz encloses γ*"
    return _between(gamma, room, found, known.least, f"{more}; {levels}")


def _between(gamma: float, room: float, least: float | None, certain: float, levels: str) -> Found:
    said = _gamma(gamma, room)
    if least is not None and gamma + room <= least:
        return violated(f"{said} is below γ*, at least {least:.4g} on these candidates; {levels}")
    if least is not None and gamma - room <= least:
        return unknown(f"log more updates: {said} may be below γ*, at least {least:.4g}; {levels}")
    shown = "none found" if least is None else f"{least:.4g}"
    return unknown(
        f"{said} is above γ* as searched ({shown}) and not above {certain:.4g}, which is certain; "
        f"{levels}"
    )


def _gamma(gamma: float, room: float) -> str:
    """γ, with its interval where that is seen in four digits."""
    return f"γ = {gamma:.4g}" + (f" ± {room:.1g}" if room > max(5e-4 * abs(gamma), 1e-9) else "")
