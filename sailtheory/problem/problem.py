"""PreferenceProblem: the data of one bilevel alignment problem, validated.

See :mod:`sailtheory.problem.problem_file` for TOML and NPZ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.numeric.exact import (
    exact_array,
    is_exact,
    rank,
    read_array,
    read_number,
    to_fraction,
)
from sailtheory.numeric.numbers import FLOAT64, Array, NumberSystem, numbers_of
from sailtheory.numeric.row_space import row_space
from sailtheory.problem.blocks import Block, blocks_of
from sailtheory.problem.fields import (
    LARGEST,
    expect_length,
    expect_moderate,
    read_base,
    read_features,
    read_length,
    read_preferences,
    read_response_rewards,
    read_weights,
)
from sailtheory.problem.preferences import Preferences
from sailtheory.problem.span import Span
from sailtheory.theory import formulas

__all__ = ["PreferenceProblem"]

_ROUNDING = 1e-12


class PreferenceProblem:
    """A finite preference problem with a log-linear policy (theory, section 1).

    The policy is π_θ(y|x) ∝ ν(y|x) exp(θᵀφ(x, y)) on the domain
    C = {‖θ − c‖ ≤ B} ∩ (c + S).

    Args:
        features: φ, an (n, m, d) array or a list of n arrays (m_x, d).
        preferences: For each prompt an (m_x, m_x) matrix p, or a preference model
            such as :class:`BradleyTerry`; an (n, m, m) array is accepted.
        beta: β > 0.
        radius: B ≥ 0.
        ref_params: θ_ref, (d,), default zeros. Projected onto c + S, which changes
            no policy; it must then lie in the ball.
        center: c, (d,), default zeros.
        weights: Prompt weights ≥ 0, (n,), default equal; normalised. Prompts of
            weight 0 are dropped.
        base: Base measures ν > 0, a list of n arrays (m_x,), default uniform.
        response_rewards: What training with rewards is given for each response, a list of n
            arrays (m_x,), default none. They are not Bradley–Terry rewards: no preference
            depends on them, nor they on any.

    Attributes:
        notes: One line for each thing that was adjusted.

    Raises:
        InputError: One line naming the field and the value.
    """

    response_rewards: tuple[np.ndarray, ...] | None = None
    states_preferences: bool = True
    """False where its ties stand for preferences that nobody stated (``reward_problem``)."""
    ids: tuple[str, ...] | None = None
    """What the data call the prompts, where a problem folder says so."""

    def __init__(
        self,
        *,
        features: Any,
        preferences: Any,
        beta: Any,
        radius: Any,
        ref_params: Any = None,
        center: Any = None,
        weights: Any = None,
        base: Any = None,
        response_rewards: Any = None,
    ) -> None:
        self.notes: list[str] = []
        names = [f"prompts[{x}]" for x in range(read_length(features, "features"))]
        if not names:
            raise InputError("prompts", "[]", "at least one prompt is expected")
        all_weights = read_weights(weights, len(names), self.notes)
        keep = [x for x, w in enumerate(all_weights) if w > 0]
        if len(keep) < len(names):
            dropped = len(names) - len(keep)
            self.notes.append(f"weights: {dropped} prompt(s) of weight 0 are left out")
        expect_length(preferences, len(names), "preferences")
        if base is not None:
            expect_length(base, len(names), "base")
        if response_rewards is not None:
            expect_length(response_rewards, len(names), "response_rewards")

        self.beta = read_number(beta, "beta")
        if self.beta <= 0:
            raise InputError("beta", float(self.beta), "β > 0 is required")
        if not 1 / LARGEST <= self.beta <= LARGEST:
            accepted = f"a number from {1 / LARGEST:g} to {LARGEST:g} is expected"
            raise InputError("beta", float(self.beta), accepted)
        self.radius = read_number(radius, "radius")
        if self.radius < 0:
            raise InputError("radius", float(self.radius), "a radius ≥ 0 is required")
        expect_moderate(self.radius, "radius")

        self.features = tuple(read_features(features[x], names[x]) for x in keep)
        self.dimension = self.features[0].shape[1]
        for x, phi in zip(keep, self.features, strict=True):
            if phi.shape[1] != self.dimension:
                raise InputError(
                    f"{names[x]}.features",
                    f"{phi.shape[1]} columns",
                    f"{self.dimension} columns are expected, as in the first prompt",
                )
        self.responses = tuple(len(phi) for phi in self.features)
        self.preferences = tuple(
            read_preferences(preferences[x], m, names[x])
            for x, m in zip(keep, self.responses, strict=True)
        )
        self.base = tuple(
            None if base is None or base[x] is None else read_base(base[x], m, names[x])
            for x, m in zip(keep, self.responses, strict=True)
        )
        if response_rewards is not None:
            self.response_rewards = tuple(
                read_response_rewards(response_rewards[x], m, names[x])
                for x, m in zip(keep, self.responses, strict=True)
            )
        self._complete([all_weights[x] for x in keep], center, ref_params)

    # --- data ------------------------------------------------------------------

    @property
    def prompts(self) -> int:
        """Number of prompts of positive weight, n."""
        return len(self.features)

    @property
    def weights_exact(self) -> tuple[Fraction, ...]:
        """Weights as given, as fractions."""
        return tuple(to_fraction(w, "weights") for w in self.raw_weights)

    def replace(self, **changes: Any) -> PreferenceProblem:
        """The same problem with some constructor arguments changed."""
        arguments: dict[str, Any] = {
            "features": list(self.features),
            "preferences": list(self.preferences),
            "beta": self.beta,
            "radius": self.radius,
            "ref_params": self.given_ref_params,
            "center": self.center,
            "weights": list(self.raw_weights),
            "base": list(self.base),
            "response_rewards": self.response_rewards,
        }
        found = PreferenceProblem(**(arguments | changes))
        found.states_preferences = self.states_preferences or "preferences" in changes
        return found

    # --- derived quantities -------------------------------------------------------

    def centred_features(self, prompt: int) -> np.ndarray:
        """φ minus the prompt's first response's φ, in float64: (m_x, d)."""
        phi = self.features[prompt]
        # float32 is widened first: its differences would be rounded.
        wide = phi if phi.dtype == object else np.asarray(phi, float)
        return np.asarray((wide - wide[:1]).astype(np.float64))

    @cached_property
    def ref_params(self) -> np.ndarray:
        """θ_ref projected onto c + S: (d,)."""
        center = self.center.astype(np.float64)
        offset = self.given_ref_params.astype(np.float64) - center
        return (
            self.given_ref_params.astype(np.float64)
            if not offset.any() or self.span.is_full  # at c nothing is to be projected
            else center + self.span.project(offset)
        )

    @cached_property
    def span(self) -> Span:
        """S, its rank decided exactly where the features state exact values."""
        rows = (self.centred_features(x)[1:] for x in range(self.prompts))
        singular, vt, count = row_space(rows, self.dimension)
        # Rounding scales with the features, not with their differences.
        largest = max(float(singular.max(initial=0.0)), self.feature_norm)
        tolerance = largest * max(count, self.dimension) * np.finfo(float).eps
        numerical = int((singular > tolerance).sum())
        if numerical == self.dimension:
            return Span(np.eye(self.dimension), exact=True)
        if not all(is_exact(phi) for phi in self.features):
            return Span(np.ascontiguousarray(vt[:numerical].T), exact=False)
        exact = [exact_array(phi) for phi in self.features]
        r = rank(np.concatenate([phi - phi[:1] for phi in exact]))
        return Span(np.ascontiguousarray(vt[:r].T), exact=True)

    @cached_property
    def feature_norm(self) -> float:
        """L = max ‖φ(x, y)‖."""
        return max(float(np.linalg.norm(phi.astype(float), axis=1).max()) for phi in self.features)

    @cached_property
    def feature_diameter(self) -> float:
        """D = max_x max_ij ‖φ_i − φ_j‖."""
        return float(self._largest_gaps(lambda gap: np.linalg.norm(gap, axis=-1)).max())

    @cached_property
    def z_max(self) -> float:
        """Z_max = β max_{x,i,j} [(c − θ_ref)ᵀΔ_ij + B‖Δ_ij‖], the exact range of z over C."""
        return float(self.beta) * float(self.margin_ranges.max())

    @cached_property
    def z_max_above(self) -> float:
        """An upper bound of Z_max whatever the rounding: what the theorems are used with.

        Features and centres far from 0 lose digits in their differences; each of about
        d + 8 operations errs by at most 8 units of the largest number that it meets.
        """
        shift = np.linalg.norm(self.center.astype(float)) + np.linalg.norm(self.ref_params)
        largest = (float(self.radius) + float(shift)) * self.feature_norm
        roundings = 8 * (self.dimension + 8) * float(np.finfo(float).eps)
        return float(self.z_max + float(self.beta) * roundings * largest)

    @cached_property
    def margin_ranges(self) -> np.ndarray:
        """max_{θ∈C} range(δᵀφ) for each prompt: (n,)."""
        offset, radius = self.center.astype(float) - self.ref_params, float(self.radius)
        return self._largest_gaps(
            lambda gap: abs(gap @ offset) + radius * np.linalg.norm(gap, axis=-1)
        )

    def _largest_gaps(self, size: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """The largest size of a difference φ_k − φ_l of each prompt, (k, d) to (k,): (n,)."""
        found = np.zeros(self.prompts)
        for block in self.blocks():
            phi = block.features
            for k, j in zip(*np.triu_indices(phi.shape[1], 1), strict=True):
                sizes = size(phi[:, k] - phi[:, j])
                found[block.prompts] = np.maximum(found[block.prompts], sizes)
        return found

    def blocks(self, xp: NumberSystem = FLOAT64) -> list[Block]:
        """The data in a number system, prompts of equal m stacked."""
        if xp.name == "torch":  # tensors made inside a torch transform must not outlive it
            return [block.to_torch(xp) for block in self.blocks(FLOAT64)]
        key = (xp, _precision() if xp.name == "arb" else 0)
        cached: list[Block] | None = self._blocks_cache.get(key)
        if cached is None:
            cached = blocks_of(self, xp)
            self._blocks_cache[key] = cached
        return cached

    # --- policy -------------------------------------------------------------------

    def policy(self, theta: Array) -> list[Array]:
        """π_θ for each prompt.

        Args:
            theta: (..., d) in any number system.

        Returns:
            n arrays (..., m_x), in the order of the prompts.
        """
        xp = numbers_of(theta)
        out: list[Array] = [None] * self.prompts
        for block in self.blocks(xp):
            policy = xp.exp(formulas.log_policy(xp, theta, block.features, block.log_base))
            for i, x in enumerate(block.prompts):
                out[x] = policy[..., i, :]
        return out

    def contains(self, theta: np.ndarray, tolerance: float = _ROUNDING) -> np.ndarray:
        """Whether θ (..., d) lies in C up to rounding: (...) bool."""
        offset = np.asarray(theta, dtype=float) - self.center.astype(float)
        off_span = np.linalg.norm(offset - self.span.project(offset), axis=-1)
        scale = tolerance * (1 + float(self.radius) + np.linalg.norm(self.center.astype(float)))
        inside = np.linalg.norm(offset, axis=-1) <= float(self.radius) + scale
        return np.asarray(inside & (off_span <= scale))

    def __getstate__(self) -> dict[str, Any]:
        """Blocks are made again where they are needed: number systems stay in their process."""
        return {key: value for key, value in vars(self).items() if key != "_blocks_cache"}

    def __repr__(self) -> str:
        """Sizes and constants on one line."""
        sizes = sorted(set(self.responses))
        m = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]}..{sizes[-1]}"
        return (
            f"PreferenceProblem(prompts={self.prompts}, responses={m}, "
            f"dimension={self.dimension}, beta={float(self.beta):g}, radius={float(self.radius):g})"
        )

    # --- construction ----------------------------------------------------------------

    @classmethod
    def of_checked(
        cls,
        *,
        features: Sequence[np.ndarray],
        preferences: Sequence[Preferences],
        beta: float,
        radius: float,
        ref_params: np.ndarray | None,
        center: np.ndarray | None,
        weights: Sequence[float],
        base: Sequence[np.ndarray | None],
        response_rewards: Sequence[np.ndarray] | None = None,
    ) -> PreferenceProblem:
        """A problem of arrays that were checked as a whole; they are kept, not copied.

        Args:
            features: n arrays (m_x, d), float32 or float64, finite.
            preferences: n models of m_x responses.
            beta: As for the constructor; so are ``radius``, ``ref_params`` and ``center``.
            radius: B.
            ref_params: θ_ref.
            center: c.
            weights: n numbers > 0.
            base: n arrays (m_x,) > 0, or None.
            response_rewards: n arrays (m_x,), or None.

        Raises:
            InputError: θ_ref outside the ball.
        """
        self = cls.__new__(cls)
        self.notes = []
        self.beta, self.radius = read_number(beta, "beta"), read_number(radius, "radius")
        self.features = tuple(features)
        self.dimension = self.features[0].shape[1]
        self.responses = tuple(len(phi) for phi in self.features)
        self.preferences = tuple(preferences)
        self.base = tuple(base)
        if response_rewards is not None:
            self.response_rewards = tuple(response_rewards)
        self._complete(weights, center, ref_params)
        return self

    def _complete(self, weights: Sequence[float | Fraction], center: Any, ref_params: Any) -> None:
        self.raw_weights = tuple(weights)
        exact = self.weights_exact
        total = sum(exact)
        self.weights = np.array([float(w / total) for w in exact])
        self.center = self._vector(center, "center")
        self.given_ref_params = self._vector(ref_params, "ref_params")
        self._check_reference()

    def _vector(self, data: Any, field: str) -> np.ndarray:
        if data is None:
            return np.zeros(self.dimension)
        vector = read_array(data, field, 1)
        if len(vector) != self.dimension:
            raise InputError(field, f"{len(vector)} entries", f"{self.dimension} are expected")
        expect_moderate(vector, field)
        return vector

    def _check_reference(self) -> None:
        distance = float(np.linalg.norm(self.ref_params - self.center.astype(float)))
        radius = float(self.radius)
        if distance > radius + _ROUNDING * (1 + radius):
            raise InputError(
                "ref_params",
                f"{self.ref_params.tolist()} at distance {distance:.6g} from center",
                f"θ_ref must lie in the ball of radius {radius:g} (after projection onto c + S)",
            )
        if distance and not self.span.is_full:
            moved = np.abs(self.given_ref_params.astype(float) - self.ref_params).max()
            if moved > _ROUNDING * (1 + np.abs(self.ref_params).max()):
                self.notes.append("ref_params: projected onto center + S; no policy changes")

    @cached_property
    def _blocks_cache(self) -> dict[tuple[NumberSystem, int], list[Block]]:
        return {}


def _precision() -> int:
    """The precision of Arb in force, in bits: what is lifted at one is too coarse for another."""
    from flint import ctx

    return int(ctx.prec)
