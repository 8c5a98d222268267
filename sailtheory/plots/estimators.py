"""Variance of C18's estimator by baseline, and the bias of C22's, along a ray."""

from __future__ import annotations

from typing import Any

import numpy as np

from sailtheory.ascent import BiasedEstimator, Estimator, moments
from sailtheory.ascent.estimators import BASELINES
from sailtheory.ascent.pairs import Draws, Layout, contract
from sailtheory.errors import InputError
from sailtheory.landscape import Domain
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.objectives.sail import KLRefPolicy, SAILRevKL, fisher
from sailtheory.plots import style
from sailtheory.plots.series import array, margin_range, positive, ray
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory import bounds

__all__ = ["draw", "series"]

_POINTS = 41
_MOST_OUTCOMES = 2000  # each is evaluated on its own, at every point
_NAMES = {
    "none": "$b = 0$", "-log 2": r"$b = -\log 2$", "mid-range": "$b$ mid-range",
    "optimal": "$b^*$ (optimal)",
}  # fmt: skip
_BIASED = {
    "detached": r"$k$, sampling detached",
    "differentiated": r"$k$, differentiated through",
    "chosen": r"$\mathrm{KL}(q\,\|\,\pi_\theta)$, $q$ the chosen",
    "divided": r"$g / \log \pi$ for $g$",
}


def series(problem: PreferenceProblem, gamma: float | None, seed: int) -> dict[str, Any]:
    """Settings, caption and series; γ = β unless given.

    Raises:
        InputError: More pairs of responses than can be enumerated.
    """
    level = float(problem.beta) if gamma is None else gamma
    outcomes = sum(m * (m + 1) // 2 for m in problem.responses)
    if outcomes > _MOST_OUTCOMES:
        size = f"{outcomes} pairs of responses"
        raise InputError("prompts", size, f"at most {_MOST_OUTCOMES} are enumerated")
    domain = Domain(problem)
    direction, t, towards = ray(domain, seed, _POINTS)
    theta = domain.embed(domain.ref + t[:, None] * direction)
    found: dict[str, Any] = {"distance": t}
    found["variance"] = {
        name: moments(problem, theta, Estimator(name)).variance for name in BASELINES
    }
    beta, trace = float(problem.beta), np.trace(fisher(problem, theta), axis1=-2, axis2=-1)
    reached = margin_range(problem, theta)
    found["bound"] = {
        name: bounds.second_moment_bound(FLOAT64, beta, beta * reached, trace, centred=centred)
        for name, centred in (("none", False), ("mid-range", True))
    }
    true = SAILRevKL(problem, level).gradient(theta)
    chosen = tuple(
        tuple(2 * ref * (0.5 + beaten) for ref, beaten in zip(*rows, strict=True))
        for rows in _reference(problem)
    )
    biased = {
        "detached": BiasedEstimator(kl="detached"),
        "differentiated": BiasedEstimator(kl="differentiated"),
        "chosen": BiasedEstimator(data=chosen),
        "divided": BiasedEstimator(score="g/log pi"),
    }
    bias = {name: _mean(problem, theta, each, level) - true for name, each in biased.items()}
    found["bias"] = {name: np.linalg.norm(each, axis=-1) for name, each in bias.items()}
    found["unbiased"] = float(
        np.abs(_mean(problem, theta, Estimator(), level) - true).max()
    )  # rounding
    found["gradient"] = np.linalg.norm(true, axis=-1)
    return {
        "settings": {"gamma": level, "direction": domain.lift(direction)},
        "caption": (
            f"Gradient estimators along the ray from θ_ref {towards}, on {{problem}}, all "
            "outcomes enumerated. (a) Variance of the unbiased estimator of ∇J from one pair, by "
            "baseline b; thin, dashed: the bounds of C18 for b = 0 and b mid-range. (b) Norm of "
            f"the bias of four estimators of ∇J_γ found in published code (C22), γ = {level:.3g}, "
            "beside ‖∇J_γ‖ (dashed); q is the law of the preferred of two responses of π_ref. "
            f"The unbiased one agrees with ∇J_γ to {found['unbiased']:.0e} and cannot be shown; "
            "biases below 1e-12 are zero to rounding and not drawn."
        ),
        "series": found,
    }


def _reference(problem: PreferenceProblem) -> list[tuple[list[float], list[float]]]:
    """π_ref and p̄ − ½ of each prompt, in order."""
    rows: list[Any] = [None] * problem.prompts
    for at in KLRefPolicy(problem).points(problem.ref_params):
        beaten = (at.ref[:, None, :] * at.block.preference).sum(-1)
        for i, x in enumerate(at.block.prompts):
            rows[x] = (at.ref[i].tolist(), beaten[i].tolist())
    return rows


def _mean(
    problem: PreferenceProblem, theta: np.ndarray, estimator: Estimator, gamma: float
) -> np.ndarray:
    """E of what an estimator of ∇J_γ gives, its KL term included: θ (k, d) to (k, d)."""
    layout = Layout(problem)
    at = layout.frame(np.ascontiguousarray(theta.T))
    pairs, factor, prompt = layout.outcomes(bernoulli=False)
    flat = at.policy.reshape(layout.n * layout.m, -1)
    chance = factor * flat[pairs.first[:, 0]] * flat[pairs.second[:, 0]]
    chance *= layout.weights[prompt][:, None]
    total, ones = np.zeros_like(flat), np.ones((1, len(theta)))
    for i in range(len(prompt)):
        draws = Draws(pairs.first[i : i + 1], pairs.second[i : i + 1],
                      pairs.preference[i : i + 1], ones)  # fmt: skip
        found = estimator.coefficients(layout, at, draws, gamma)
        total += chance[i] * found.reshape(total.shape)
    return np.asarray(contract(layout.features.T, total).T)


def _above_rounding(row: Any) -> np.ndarray:
    """A row without what is zero but for rounding."""
    numbers = array(row)
    return np.where(numbers > 1e-12, numbers, np.nan)


def draw(data: dict[str, Any]) -> Any:
    """Two panels at the width of two columns, logarithmic in the second coordinate."""
    found = data["series"]
    t = array(found["distance"])
    figure, axes = style.panels(style.DOUBLE, 72, 1, 2, sharex=True)
    left, right = axes[0]
    rows = list(found["variance"].values()) + list(found["bound"].values())
    for k, (name, row) in enumerate(found["variance"].items()):
        left.plot(t, positive(row), label=_NAMES[name], **style.LINES[k])
        if name in found["bound"]:
            left.plot(t, positive(found["bound"][name]), color=style.LINES[k]["color"],
                      linestyle=(0, (4, 2)), linewidth=0.8)  # fmt: skip
    left.set_ylabel(r"variance $\mathrm{E}\|\hat g - \nabla J\|^2$")
    style.log_axis(left.yaxis, np.array(rows, dtype=float))
    for k, (name, row) in enumerate(found["bias"].items()):
        right.plot(t, _above_rounding(row), label=_BIASED[name], **style.LINES[k])
    right.plot(t, positive(found["gradient"]), label=r"$\|\nabla J_\gamma\|$", **style.BOUND)
    right.set_ylabel(r"bias $\|\mathrm{E}\,\hat g - \nabla J_\gamma\|$")
    biases = [*map(_above_rounding, found["bias"].values()), positive(found["gradient"])]
    style.log_axis(right.yaxis, np.stack(biases))
    for i, (ax, title) in enumerate(((left, "variance by baseline"), (right, "bias"))):
        ax.set_xlim(t[0], t[-1])
        ax.set_xlabel(r"$\|\theta - \theta_{\mathrm{ref}}\|$")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
        style.letter(ax, i, title)
    return figure
