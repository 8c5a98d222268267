"""Constants of any pair payoff G: K, K⁻ and K_V, each a supremum enclosed in balls (C35, C36).

With |z| ≤ Z on C, for every policy, preference and number of responses,

    ∇²J ⪯ K F̄,      K = 2b + 2N + 2β² sup_{|z|≤Z}[G'²/(b − G) + G''],  any b > max G,
    sym DV ⪯ K_V F̄, K_V = 2b + 2β² sup_{|z|≤Z}[G'²/(4b) + G''],        any b > 0,

where −J_x ≤ N = sup_{0≤t≤Z}[ψ(t) − ct] + cZ/2, ψ(t) = max(−G(t), −G(−t)), for any c ≥ 0: two
responses differ by Z/2 at most in the mean. For a concave G the best c gives ½(ψ(0) + ψ(Z)).
−G's K is K⁻. Floats propose b, c and s; balls show that the supremum is at most s, as
G'² + (G'' − s)(b − G) ≤ 0 on all pieces: near a maximum of G the quotient cannot be enclosed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from flint import arb, ctx

from sailtheory.errors import InputError, real_number, require
from sailtheory.numeric.enclose import PRECISION, Enclosure, Oracle, float_above, supremum
from sailtheory.numeric.jets import Jet
from sailtheory.numeric.numbers import FLOAT64, arb_numbers
from sailtheory.theory.field_bound import payoff_field_bound
from sailtheory.theory.payoffs import PairPayoff

__all__ = [
    "PayoffBounds",
    "loss_ceiling",
    "payoff_bounds",
    "payoff_curvature",
    "payoff_field_curvature",
    "payoff_maximum",
    "payoff_supremum",
    "require_smooth",
]

_GRID = 1025
_STEPS = 60
_TIGHT, _ROUGHLY = 1e-11, 1e-6
_SLACKS = (1e-9, 1e-5, 1e-2)
_WIDER = (1, 10, 100, 1e3, 1e5, 1e7)
_BUDGET, _FEWER = 3000, 1000
_ALL = arb(0, math.inf)
_OUTSIDE = "finite, with a derivative that does not jump up (no convex kink)"

Pick = Callable[[Jet], tuple[arb, arb]]
"""A jet on a piece to a function of interest and its slope there."""


@dataclass(frozen=True)
class _Asked:
    """A payoff with β and Z: in balls on pieces, and in floats on a grid that proposes."""

    payoff: PairPayoff
    beta: float
    z: float

    @classmethod
    def checked(cls, payoff: PairPayoff, beta: float, z_range: float) -> _Asked:
        b, z = real_number("beta", beta), real_number("z_range", z_range)
        require(">", beta=b)
        require(">=", z_range=z)
        return cls(payoff, b, z)

    @cached_property
    def grid(self) -> np.ndarray:
        """Points of [−Z, Z], denser at its ends and at 0."""
        near = np.geomspace(1e-6, 1, 200) * self.z
        spread = np.concatenate([near, self.z - near])
        return np.unique(np.concatenate(
            [np.linspace(-self.z, self.z, _GRID), spread, -spread, [0.0]]
        ))  # fmt: skip

    def at(self, z: np.ndarray) -> tuple[np.ndarray, ...]:
        """G, G', G'' in floats; 0 where not finite."""
        with np.errstate(all="ignore"):
            parts = np.broadcast_arrays(*self.payoff.jet(FLOAT64, z, self.beta).parts[:3])
            return tuple(np.where(np.isfinite(part), part, 0.0) for part in parts)

    @cached_property
    def floats(self) -> tuple[np.ndarray, ...]:
        """Those of the grid."""
        return self.at(self.grid)

    @cached_property
    def size(self) -> float:
        """The largest |G|, about."""
        return float(abs(self.floats[0]).max()) + 1e-300

    def oracle(self, pick: Pick, sign: int = 1, *, semiconcave: bool = False) -> Oracle:
        """Enclose what ``pick`` makes of the jet at ±z.

        With ``semiconcave`` nothing is said of a piece that may hold a convex kink.
        """

        def enclosed(lo: arb, hi: arb) -> tuple[arb, arb]:
            jet = self._tight(sign * lo, sign * hi)
            if semiconcave and jet.kink is not None and jet.kink.up:
                return _ALL, _ALL
            value, slope = pick(jet)
            return value, _ALL if jet.rough else slope

        return enclosed

    def _tight(self, lo: arb, hi: arb) -> Jet:
        """The jet on a piece, G and G' by their mean-value forms too: sums forget what cancels."""
        xp, weight, piece = arb_numbers(), arb(self.beta), lo.union(hi)
        jet = self.payoff.jet(xp, piece, weight)
        if piece.rad() == 0:
            return jet
        middle = piece.mid()
        at, away = self.payoff.jet(xp, middle, weight).parts, piece - middle
        g, u, h, third = jet.parts
        if not jet.rough:
            u = _meet(u, at[1] + h * away)
        return replace(jet, parts=(_meet(g, at[0] + u * away), u, h, third))

    def sup(self, pick: Pick, relative: float = _TIGHT, *, semiconcave: bool = False) -> Enclosure:
        """Over |z| ≤ Z; a kink at 0 would be halved for ever."""
        oracle = self.oracle(pick, semiconcave=semiconcave)
        with ctx.workprec(PRECISION):
            return supremum(
                oracle, -self.z, self.z, relative=relative, absolute=1e-14 * self.size,
                budget=_FEWER,
            )  # fmt: skip


def _meet(x: arb, y: arb) -> arb:
    """What two enclosures of one number have in common."""
    return x.intersection(y) if x.is_finite() and y.is_finite() and x.overlaps(y) else x


def payoff_maximum(payoff: PairPayoff, beta: float, z_range: float) -> Enclosure:
    """Enclose max G over |z| ≤ Z.

    Raises:
        InputError: β or Z outside its domain.
    """
    asked = _Asked.checked(payoff, beta, z_range)
    return asked.sup(lambda jet: (jet.parts[0], jet.parts[1]))


@lru_cache(maxsize=256)
def require_smooth(payoff: PairPayoff, beta: float, z_range: float) -> tuple[float, float]:
    """sup |G'| and sup G'' over |z| ≤ Z, from above; refuses what has no K.

    Raises:
        InputError: G is not shown to be Lipschitz and semiconcave there: it is infinite
            somewhere, or its derivative jumps up.
    """
    asked = _Asked.checked(payoff, beta, z_range)
    steep = max(
        asked.sup(lambda jet: jet.parts[1:3], _ROUGHLY).upper,
        asked.sup(lambda jet: (-jet.parts[1], -jet.parts[2]), _ROUGHLY).upper,
    )
    bend = math.inf
    if math.isfinite(steep):
        bend = asked.sup(lambda jet: jet.parts[2:4], _ROUGHLY, semiconcave=True).upper
    if not (math.isfinite(steep) and math.isfinite(bend)):
        fault = "G is not finite" if not math.isfinite(steep) else "G has a convex kink"
        accepted = f"a payoff on |z| ≤ {asked.z:.4g} that is {_OUTSIDE}: {fault}"
        raise InputError("payoff", payoff.options.get("formula", payoff.name), accepted)
    return steep, bend


def payoff_supremum(
    payoff: PairPayoff, beta: float, z_range: float, offset: float, *, field: bool = False
) -> float:
    """An upper bound of S(b) = sup_{|z|≤Z}[G'²/(b − G) + G''], or with 4b for b − G (``field``).

    Args:
        payoff: G.
        beta: β > 0, which G may depend on.
        z_range: Z ≥ 0.
        offset: b above max G (above 0).
        field: Without the score term (C36).

    Returns:
        ∞ where nothing is shown.
    """
    asked = _Asked.checked(payoff, beta, z_range)
    found, least = _seen(asked, offset, field, asked.grid)
    if not least > 0:
        return math.inf
    size = max(abs(found), abs(float(asked.floats[2].max())), least, 1e-300)
    for slack in _SLACKS:
        if _at_most(asked, offset, found + slack * size, field):
            return found + slack * size
    return math.inf


def _seen(
    asked: _Asked, offset: float, field: bool, z: np.ndarray, turns: int = 4
) -> tuple[float, float]:
    """The largest G'²/(b − G) + G'' that floats see, looking closer where it is; least b − G."""
    g, u, h = asked.at(z)
    room = np.full_like(g, 4 * offset) if field else offset - g
    if not (room > 0).all():
        return math.inf, float(room.min())
    values = u * u / room + h
    top = int(values.argmax())
    found, least = float(values[top]), float(room.min())
    if turns:
        closer = np.linspace(z[max(top - 1, 0)], z[min(top + 1, len(z) - 1)], 65)
        found = max(found, _seen(asked, offset, field, closer, turns - 1)[0])
    return found, least


def _at_most(asked: _Asked, offset: float, level: float, field: bool) -> bool:
    """Whether S(b) ≤ ``level`` is shown: G'² + (G'' − s)(b − G) ≤ 0, and b > max G."""

    def pick(jet: Jet) -> tuple[arb, arb]:
        g, u, h, third = jet.parts
        room = 4 * arb(offset) if field else offset - g
        if not room > 0:
            return _ALL, _ALL
        slope = u * (2 * h if field else h + level) + third * room
        return abs(u) * abs(u) + (h - level) * room, slope

    with ctx.workprec(PRECISION):
        oracle = asked.oracle(pick, semiconcave=True)
        return supremum(oracle, -asked.z, asked.z, floor=0.0, budget=_BUDGET).upper <= 0


@lru_cache(maxsize=256)
def loss_ceiling(payoff: PairPayoff, beta: float, z_range: float) -> float:
    """N ≥ −J_x for every policy and preference with margins within Z, rounded up (C35)."""
    asked = _Asked.checked(payoff, beta, z_range)
    t = np.linspace(0, asked.z, _GRID)
    with np.errstate(all="ignore"):
        sides = [-payoff.jet(FLOAT64, at, asked.beta).value for at in (t, -t)]
    psi = np.maximum(*np.broadcast_arrays(*sides))
    if not asked.z or not np.isfinite(psi).all():
        return _tilted(asked, 0.0)
    chord = max(float(psi[-1] - psi[0]) / asked.z, 0.0)
    steepest = 2 * float(abs(np.diff(psi)).max()) / float(t[1])
    best = _least(lambda c: float((psi - c * t).max() + c * asked.z / 2), 0.0, steepest)
    return min(_tilted(asked, c) for c in {0.0, chord, best})


def _tilted(asked: _Asked, tilt: float) -> float:
    """sup_t [ψ(t) − ct] + cZ/2 at c = ``tilt``."""

    def oracle(sign: int) -> Oracle:
        inner = asked.oracle(lambda jet: (-jet.parts[0], -sign * jet.parts[1]), sign)

        def tilted(lo: arb, hi: arb) -> tuple[arb, arb]:
            value, slope = inner(lo, hi)
            return value - tilt * lo.union(hi), slope - tilt

        return tilted

    with ctx.workprec(PRECISION):
        tops = [
            supremum(oracle(s), 0.0, asked.z, relative=_TIGHT, absolute=1e-14 * asked.size).upper
            for s in (1, -1)
        ]
        return float_above(arb(max(tops)) + arb(tilt) * arb(asked.z) / 2)


def _least(function: Callable[[float], float], low: float, high: float) -> float:
    """A number near the least point of a convex function on an interval, by golden section."""
    ratio = (math.sqrt(5) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    values = function(left), function(right)
    for _ in range(_STEPS):
        if values[0] <= values[1]:
            high, right = right, left
            left = high - ratio * (high - low)
            values = function(left), values[0]
        else:
            low, left = left, right
            right = low + ratio * (high - low)
            values = values[1], function(right)
    return left if values[0] <= values[1] else right


def _margin(asked: _Asked, top: float | None) -> float:
    """A good b − max G (``top``), or a good b where there is no score term."""
    g, u, h = asked.floats
    square, beta = u * u, asked.beta
    scale = max(beta * float(abs(u).max()), 1e-12)

    def bound(power: float) -> float:
        margin = scale * math.exp(power)
        room = 4 * margin if top is None else np.maximum(top - g, 0) + margin
        return 2 * margin + 2 * beta * beta * float((square / room + h).max())

    return scale * math.exp(_least(bound, math.log(1e-10), math.log(1e3)))


def payoff_curvature(payoff: PairPayoff, beta: float, z_range: float) -> float:
    """K with ∇²J ⪯ K F̄ wherever |z| ≤ Z, rounded up (C35).

    Args:
        payoff: G.
        beta: β > 0, taken exactly.
        z_range: Z ≥ 0, taken exactly: pass an upper bound of Z_max.

    Raises:
        InputError: G is not shown to be Lipschitz and semiconcave, or an argument is outside its
            domain.
    """
    require_smooth(payoff, beta, z_range)
    asked = _Asked.checked(payoff, beta, z_range)
    top = payoff_maximum(payoff, beta, z_range).upper
    offset, inner = _shown(asked, top)
    floor = loss_ceiling(payoff, beta, z_range)
    with ctx.workprec(PRECISION):
        weight = arb(asked.beta)
        return float_above(2 * (arb(offset) + arb(floor)) + 2 * weight * weight * arb(inner))


def _shown(asked: _Asked, top: float | None) -> tuple[float, float]:
    """B and an upper bound of S(b): where balls do not follow, b is taken larger."""
    margin, field = _margin(asked, top), top is None
    for factor in _WIDER:
        offset = math.nextafter((top or 0.0) + factor * margin, math.inf)
        inner = payoff_supremum(asked.payoff, asked.beta, asked.z, offset, field=field)
        if math.isfinite(inner):
            return offset, inner
    accepted = f"a payoff whose supremum over |z| ≤ {asked.z:.4g} can be enclosed"
    raise InputError("payoff", asked.payoff.options.get("formula", asked.payoff.name), accepted)


def payoff_field_curvature(payoff: PairPayoff, beta: float, z_range: float) -> float:
    """K_V with sym DV ⪯ K_V F̄ for the field without the score term, rounded up (C36).

    Raises:
        InputError: As :func:`payoff_curvature`.
    """
    require_smooth(payoff, beta, z_range)
    asked = _Asked.checked(payoff, beta, z_range)
    offset, inner = _shown(asked, None)
    with ctx.workprec(PRECISION):
        return float_above(payoff_field_bound(arb(asked.beta), arb(offset), arb(inner)))


@dataclass(frozen=True)
class PayoffBounds:
    """What holds of a payoff for every problem with that β and Z.

    Attributes:
        relative: K (C35).
        lower: K⁻, with ∇²J ⪰ −K⁻F̄; None where a concave kink leaves none.
        field: K_V (C36).
        steepest: sup |G'|.
        bend: sup G''.
    """

    relative: float
    lower: float | None
    field: float
    steepest: float
    bend: float


@lru_cache(maxsize=256)
def payoff_bounds(payoff: PairPayoff, beta: float, z_range: float) -> PayoffBounds:
    """All constants of a payoff; arguments and errors as in :func:`payoff_curvature`."""
    steepest, bend = require_smooth(payoff, beta, z_range)
    try:
        lower = payoff_curvature(-payoff, beta, z_range)
    except InputError:
        lower = None
    return PayoffBounds(
        payoff_curvature(payoff, beta, z_range), lower,
        payoff_field_curvature(payoff, beta, z_range), steepest, bend,
    )  # fmt: skip
