"""Eigenvalues of the three terms of ∇²J, of ∇²J and of F̄ along a ray from θ_ref (C02)."""

from __future__ import annotations

from typing import Any

import numpy as np

from sailtheory.analysis.check import theorem_threshold
from sailtheory.landscape import Domain, gamma_star
from sailtheory.landscape.pencil import largest_relative_curvature
from sailtheory.objectives.sail import SAIL, fisher
from sailtheory.plots import style
from sailtheory.plots.series import array, ray, searched
from sailtheory.problem.problem import PreferenceProblem

__all__ = ["draw", "series"]

_POINTS = 81
_SHOWN = 8  # more eigenvalues than this are shown by five order statistics
_PANELS = (
    ("score", "score term", r"$\lambda_i(A)$"),
    ("cross", "cross term", r"$\lambda_i(C)$"),
    ("dpo", "DPO term", r"$\lambda_i(D)$"),
    ("hessian", r"$\nabla^2 J = A + C + D$", r"$\lambda_i(\nabla^2 J)$"),
    ("fisher", "Fisher matrix", r"$\lambda_i(\bar F)$"),
)


def series(problem: PreferenceProblem, gamma: float | None, seed: int) -> dict[str, Any]:
    """Settings, caption and series."""
    domain, sail = Domain(problem), SAIL(problem)
    direction, t, towards = ray(domain, seed, _POINTS)
    theta = domain.embed(domain.ref + t[:, None] * direction)
    terms = sail.hessian_terms(theta)
    matrices = {
        "score": terms.score,
        "cross": terms.cross,
        "dpo": terms.dpo,
        "hessian": sail.hessian(theta),
        "fisher": fisher(problem, theta),
    }
    found: dict[str, Any] = {"distance": t}
    for name, matrix in matrices.items():
        found[name] = _shown(np.linalg.eigvalsh(domain.reduce_matrix(matrix)).T)
    found["relative"] = largest_relative_curvature(sail, domain, theta)[0]
    found["gamma_star"] = searched(gamma_star(problem, "light", seed))
    found["relative_bound"] = theorem_threshold(problem)
    few = domain.dimension <= _SHOWN
    rows = "all eigenvalues" if few else "extremes and quartiles of the eigenvalues"
    return {
        "settings": {
            "direction": domain.lift(direction),
            "points": _POINTS,
            "rows": rows,
            "effort": "light",
        },
        "caption": (
            f"Spectra on S along the ray from θ_ref {towards}, on {{problem}}: {rows} (solid: the "
            "largest) of the score, cross and DPO terms of ∇²J (C02), of their sum and of F̄; last, "
            "the largest generalised eigenvalue of (∇²J, F̄), which γ must exceed, below γ*, its "
            "supremum over C (by search), and K_B, the theorem's bound of it (C11)."
        ),
        "series": found,
    }


def _shown(eigenvalues: np.ndarray) -> np.ndarray:
    """The rows that are drawn: (r, k) to (≤ 8, k), smallest first."""
    if len(eigenvalues) <= _SHOWN:
        return eigenvalues
    return np.asarray(np.quantile(eigenvalues, [0.0, 0.25, 0.5, 0.75, 1.0], axis=0))


def draw(data: dict[str, Any]) -> Any:
    """Six panels at the width of two columns."""
    found = data["series"]
    t = array(found["distance"])
    figure, axes = style.panels(style.DOUBLE, 96, 2, 3, sharex=True)
    for i, (name, title, label) in enumerate(_PANELS):
        ax = axes.flat[i]
        for k, row in enumerate(array(found[name])[::-1]):
            ax.plot(t, row, **style.LINES[k % len(style.LINES)])
        ax.axhline(0, **style.ZERO)
        ax.set_ylabel(label)
        style.letter(ax, i, title)
    last = axes.flat[5]
    last.plot(t, array(found["relative"]), **style.LINES[0])
    levels = (("gamma_star", r"$\gamma^*$"), ("relative_bound", "$K_B$"))
    for k, (name, label) in enumerate(levels, start=1):
        last.axhline(found[name], label=label, **style.LINES[k])
    last.axhline(0, **style.ZERO)
    last.set_ylabel(r"$\lambda_{\max}(\nabla^2 J, \bar F)$")
    last.legend(loc="best")
    style.letter(last, 5, "what γ must exceed")
    for ax in axes[1]:
        ax.set_xlabel(r"$\|\theta - \theta_{\mathrm{ref}}\|$")
    for ax in axes.flat:
        ax.set_xlim(t[0], t[-1])
    return figure
