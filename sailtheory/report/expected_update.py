"""Tables of a trainer's expected update: what it makes of the reward, and which KL it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from sailtheory.auditing.decompose import Finding, Kind, combination
from sailtheory.auditing.expected_update import KLS, ExpectedUpdate, Part

__all__ = ["as_dict", "distances", "finding_dict", "headline", "sentences", "table"]

_FAMILIES = {"one_length": "responses of one length", "lengths": "of different lengths"}
_THEORY = {
    "kl_ref_policy": "the KL of C30 to C32: a threshold for one softmax, times the prefix ratio ρ "
    "for sequences",
    "kl_policy_ref": "C33: PL for every γ if a reward of this policy class is realisable, else no "
    "threshold free of the radius",
    "token_kl_ref_policy": "C34: no threshold, whatever γ, for responses of two tokens or more",
    "token_kl_policy_ref": "C34: not the gradient of the sequence's KL; no threshold is known",
}


def headline(found: ExpectedUpdate, settings: Mapping[str, Any]) -> str:
    """What is trained under these settings, in plain sentences."""
    sides = found.one_length, found.lengths
    if all(side.kl.kind is Kind.STILL for side in sides):
        why = "beta=0" if "beta" in settings else "TRL's default is beta=0"
        return f"No KL is trained: {why}. The update is that of the reward alone."
    one, lengths = map(_trained, sides)
    told = one if one == lengths else (
        f"{one} where all responses have one length. Where lengths differ: {lengths}"
    )  # fmt: skip
    return (
        f"What is trained: {told}. V is a prompt's expected reward, f the method's function of it."
    )


def _trained(side: Part) -> str:
    if side.gamma is not None:
        (name,) = side.kl.coefficients
        return f"E f(V) − {side.gamma:.4g}·{side.kl.texts[name]}"
    mixed = [side.kl.texts[name] for name in _only(side.kl)]
    if len(mixed) > 1:
        return f"no exact E f(V) − γ·KL, as the KL's part mixes {' and '.join(mixed)}"
    if not side.apart:
        return "the reward alone"
    near = min(side.apart, key=lambda name: side.apart[name].distance)
    left = _share(side, near)
    return f"no exact E f(V) − γ·KL (nearest is {side.kl.texts[near]}, with {left} left over)"


def table(found: ExpectedUpdate, title: str) -> Table:
    """The two parts and γ, one column for each family of models."""
    made = Table(title=escape(title), title_justify="left")
    for column in ("", *_FAMILIES.values()):
        made.add_column(column, overflow="fold")
    sides = [getattr(found, name) for name in _FAMILIES]
    made.add_row("the reward's part", *(escape(_told(s.reward)) for s in sides))
    made.add_row("the KL's part", *(escape(_told(s.kl) + _nearest(s)) for s in sides))
    made.add_row(
        "γ of E f(V) − γKL", *("–" if s.gamma is None else f"{s.gamma:.6g}" for s in sides)
    )
    return made


def distances(found: ExpectedUpdate) -> Table | None:
    """The KL's part beside each KL; None where there is no KL."""
    sides = [getattr(found, name) for name in _FAMILIES]
    if not any(side.apart for side in sides):
        return None
    made = Table(title="Which KL? Share of the part that no multiple of its gradient explains",
                 title_justify="left")  # fmt: skip
    for column in ("KL", *_FAMILIES.values()):
        made.add_column(column, overflow="fold")
    for name in KLS:
        made.add_row(_texts(sides[0])[name], *(_share(side, name) for side in sides))
    return made


def sentences(found: ExpectedUpdate) -> list[str]:
    """What the theory has to say of this KL, and what the computation rests on."""
    kinds = {name for side in (found.one_length, found.lengths) for name in _only(side.kl)}
    told = [f"{found.one_length.kl.texts[name]}: {_THEORY[name]}." for name in KLS if name in kinds]
    rests = (
        f"Exact sums over all batches of {found.group} draws of small models, rewards 0 or 1, the "
        "first pass over a batch that the policy itself drew."
    )
    return [*told, rests]


def as_dict(found: ExpectedUpdate) -> dict[str, Any]:
    """JSON form."""
    sides = {name: _part(getattr(found, name)) for name in _FAMILIES}
    return {"trainer": found.method, "group": found.group, **sides}


def _part(part: Part) -> dict[str, Any]:
    return {
        "reward": finding_dict(part.reward), "kl": finding_dict(part.kl), "gamma": part.gamma,
        "apart": {name: vars(each) for name, each in part.apart.items()},
    }  # fmt: skip


def finding_dict(found: Finding) -> dict[str, Any]:
    """JSON form of one part."""
    return {
        "verdict": found.kind.value, "coefficients": dict(found.coefficients),
        "residual": found.residual,
    }  # fmt: skip


def _only(found: Finding) -> Mapping[str, float]:
    return found.coefficients if found.kind is Kind.COMBINATION else {}


def _told(found: Finding) -> str:
    if found.kind is Kind.COMBINATION:
        rounded = {name: float(f"{value:.6g}") for name, value in found.coefficients.items()}
        return combination(rounded, found.texts, found.same)
    if found.kind is Kind.NONE:
        return f"no combination: {100 * found.residual:.2g} % is left"
    return found.kind.value


def _nearest(side: Part) -> str:
    """The KL that a part which is no combination comes closest to."""
    if side.kl.kind not in (Kind.NONE, Kind.UNDECIDED):
        return ""
    name = min(side.apart, key=lambda each: side.apart[each].distance)
    near = combination({name: float(f"{side.apart[name].multiple:.3g}")}, side.kl.texts)
    return f"; nearest {near}"


def _share(side: Part, name: str) -> str:
    each = side.apart.get(name)
    if each is None:
        return "–"
    return "0" if each.distance < 1e-9 else f"{100 * each.distance:.3g} %"


def _texts(side: Part) -> Mapping[str, str]:
    return side.kl.texts
