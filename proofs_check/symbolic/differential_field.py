"""A differential field in which the production formulas are evaluated exactly.

Its elements are rational functions, with rational coefficients, of free symbols

    θ, θ_ref, φ, log ν, q = p₁₂ − ½, β, prompt weights w, log 2, and constants,

and of symbols that stand for the transcendental functions of them that occur in
the theory. For each prompt x, response k and pair k < l these are

    W_k = ν_k exp(θᵀφ_k)       ∂W_k = φ_k W_k
    V_k = ν_k exp(θ_refᵀφ_k)   ∂V_k = 0
    E_k = exp(β δᵀφ_k)         ∂E_k = β φ_k E_k
    log Σ W                    ∂ = Σ φ_k W_k / Σ W
    log Σ V                    ∂ = 0
    C_kl = log cosh(z_kl / 2)  ∂C_kl = ½ β Δ_kl (E_k − E_l)/(E_k + E_l),

∂ being the gradient in θ. Reading a symbol as the function it stands for is a
homomorphism that respects ∂, so an element that is zero as a rational function is
zero as a function of all parameters: an identity decided here is proved, for every
θ, θ_ref, φ, ν, p, β and w of the stated sizes. The converse is not claimed: an
element that is not zero here only fails to be proved zero.

Zero is decided from polynomial numerators (python-flint), without numerical digits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from proofs_check.symbolic.rational import Element, Rationals, UnknownFunctionError, key
from sailtheory.numeric.numbers import Array, NumberSystem


class Field(Rationals):
    """The field for given sizes.

    Args:
        prompts: n.
        responses: m, of every prompt.
        dimension: d.

    Attributes:
        numbers: The number system whose entries are elements of this field.
        theta: θ, (d,). ref: θ_ref, (d,).
        features: φ, (n, m, d).
        log_base: log ν, (n, m).
        preference: q, (n, m, m), antisymmetric.
        weights: w, (n,), not normalised: every claim is linear in them.
        beta: β.
        free: Four further symbols, constants of the claim that uses them.
        other: Unnormalised weights of an arbitrary further policy, (n, m); they and
            their sum have logarithms.
    """

    def __init__(self, prompts: int, responses: int, dimension: int) -> None:
        self.size = n, m, d = prompts, responses, dimension
        names: list[str] = []
        groups: list[int] = []
        shapes: dict[str, tuple[int, ...]] = {
            "t": (d,), "r": (d,), "b": (), "w": (n,), "c": (4,), "l2": (),
            "f": (n, m, d), "u": (n, m), "q": (n, m, m), "h": (n, m), "lh": (n, m), "ls": (n,),
            "W": (n, m), "V": (n, m), "E": (n, m), "C": (n, m, m), "LW": (n,), "LV": (n,),
        }  # fmt: skip
        index: dict[str, Any] = {}
        for name, shape in shapes.items():
            index[name] = np.arange(int(np.prod(shape))).reshape(shape) + len(names)
            for place in np.ndindex(shape):
                names.append(name + "_".join(map(str, place)))
                groups.append(place[0] if name in ("W", "V", "E", "C", "LW", "LV") else -1)
        super().__init__(names, groups)
        lift = np.frompyfunc(self.symbol, 1, 1)
        symbol: dict[str, Any] = {name: lift(where) for name, where in index.items()}
        self.theta, self.ref, self.beta = symbol["t"], symbol["r"], symbol["b"]
        self.weights, self.free, self.log_2 = symbol["w"], symbol["c"], symbol["l2"]
        self.features, self.log_base = symbol["f"], symbol["u"]
        self.preference = np.triu(symbol["q"], 1) - np.swapaxes(np.triu(symbol["q"], 1), 1, 2)
        self.other = symbol["h"]
        self._exp: dict[Any, Element] = {}
        self._log: dict[Any, Element] = {}
        self._log_cosh: dict[Any, Element] = {}
        unit = self._lift(np.eye(d, dtype=int))
        self.slopes = {int(i): unit[k] for k, i in enumerate(index["t"])}
        for x in range(n):
            self._tabulate(symbol, index, x)
        self.numbers = self._number_system()

    def _lift(self, data: Any) -> Array:
        """An array of elements from an array of rational numbers."""
        return np.frompyfunc(self.coerce, 1, 1)(np.asarray(data, dtype=object))

    def _tabulate(self, symbol: dict[str, Any], index: dict[str, Any], x: int) -> None:
        """The functions of one prompt and their derivatives."""
        _, m, _ = self.size
        phi, beta = self.features[x], self.beta
        now, ref, power = symbol["W"][x], symbol["V"][x], symbol["E"][x]
        for theta, mass, total in ((self.theta, now, "LW"), (self.ref, ref, "LV")):
            level = phi @ theta + self.log_base[x]
            self._log[key(mass.sum())] = symbol[total][x]
            for k in range(m):
                self._exp[key(level[k])] = mass[k]
                self._exp[key(level[k] - symbol[total][x])] = mass[k] / mass.sum()
        for k in range(m):
            self._log[key(self.other[x, k])] = symbol["lh"][x, k]
        self._log[key(self.other[x].sum())] = symbol["ls"][x]
        self.slopes[int(index["LW"][x])] = now @ phi / now.sum()
        drift = phi @ (self.theta - self.ref)
        for k in range(m):
            self.slopes[int(index["W"][x, k])] = phi[k] * now[k]
            self.slopes[int(index["E"][x, k])] = phi[k] * (beta * power[k])
            for j in range(m):
                gap = drift[k] - drift[j]
                self._exp[key(gap * beta)] = power[k] / power[j] if k != j else self.coerce(1)
                self._exp[key(gap)] = now[k] * ref[j] / (now[j] * ref[k])
                low, high = min(k, j), max(k, j)
                if k != j:
                    self._log_cosh[key(gap * beta)] = symbol["C"][x, low, high]
                if k < j:
                    tilt = (power[k] - power[j]) / (power[k] + power[j])
                    self.slopes[int(index["C"][x, k, j])] = (phi[k] - phi[j]) * (tilt * beta / 2)
        self._log_cosh[key(drift[0] * 0)] = self.coerce(0)

    def _number_system(self) -> NumberSystem:
        def look(table: dict[Any, Element], name: str) -> Callable[[Any], Element]:
            def function(x: Any) -> Element:
                argument = key(self.coerce(x))
                if argument not in table:
                    raise UnknownFunctionError(f"{name} of an argument that has no symbol")
                return table[argument]

            return function

        exp, log = look(self._exp, "exp"), look(self._log, "log")
        log_cosh_half = look(self._log_cosh, "log cosh")

        def log_softmax(a: Array) -> Array:
            rows = np.frompyfunc(exp, 1, 1)(a).sum(-1)
            return a - np.asarray(np.frompyfunc(log, 1, 1)(rows), dtype=object)[..., None]

        def each(function: Callable[[Any], Any]) -> Callable[[Array], Array]:
            lifted: Callable[[Array], Array] = np.frompyfunc(function, 1, 1)
            return lifted

        return NumberSystem(
            name="field",
            asarray=self._lift,
            exp=each(exp),
            log=each(log),
            tanh=each(lambda z: 1 - 2 / (exp(z * 2) + 1)),
            sigmoid=each(lambda z: exp(z) / (1 + exp(z))),
            log_sigmoid=each(lambda z: z / 2 - log_cosh_half(z) - self.log_2),
            log_cosh_half=each(log_cosh_half),
            log_softmax=log_softmax,
            log_2=lambda: self.log_2,
        )


def gradient(field: Field, values: Array) -> Array:
    """∂ values / ∂θ along a new last axis: (...) to (..., d)."""

    def partial(e: Any, i: int) -> Element:
        return field.coerce(e).derivative(i)

    each = np.frompyfunc(partial, 2, 1)
    return np.asarray(each(np.asarray(values, dtype=object)[..., None], np.arange(field.size[2])))


def all_zero(values: Array) -> bool:
    """Whether every entry is identically zero."""
    return all(e.is_zero() for e in np.asarray(values, dtype=object).flat)
