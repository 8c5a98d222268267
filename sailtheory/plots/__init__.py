"""Figures of a problem: data first, then a drawing made from the data alone.

    data = compute("price", problem, name="bradley-terry")
    save(draw(data), "price.svg")

Each kind is a module with ``series(problem, gamma, seed)``, which returns settings, caption
and series, and ``draw(data)``, which sees nothing else. Importing this package does not
import matplotlib.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.objectives.sail_target import SAILTarget
from sailtheory.objectives.target import Target
from sailtheory.problem.problem import PreferenceProblem

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

__all__ = [
    "KINDS",
    "Kind",
    "check_kind",
    "check_size",
    "compute",
    "describe",
    "draw",
    "save",
    "write_data",
]

SCHEMA = "sailtheory.plot/1"
_LARGEST = 1000
_SHRUNK = 0.8  # of its own size, below which words of a figure overlap


@dataclass(frozen=True)
class Kind:
    """A kind of figure.

    Attributes:
        module: Under ``sailtheory.plots``.
        shows: What it shows, in one line.
        gamma: Whether it takes a γ.
        any_objective: Whether it draws any objective, not SAIL alone.
    """

    module: str
    shows: str
    gamma: bool = False
    any_objective: bool = False


KINDS: dict[str, Kind] = {
    "spectra": Kind("spectra", "eigenvalues of the terms of ∇²J and of F̄ along a ray (C02)"),
    "curvature-map": Kind("curvature_map", "λ_max(∇²J_γ) over a plane slice of C, γ rising (C11)",
                          any_objective=True),
    "thresholds": Kind("thresholds", "γ*, K_B, the closed form and γ_abs against B (C10, C11)",
                       any_objective=True),
    "pl": Kind("pl", "PL ratios near a boundary maximiser, spurious stops (C13, C14)", True, True),
    "convergence": Kind("convergence", "three ascents with their bounds (C15–C17)", True),
    "samples": Kind("samples", "N(ε) of SAIL-RevKL and of two-level methods (C16)", True),
    "price": Kind("price", "gain and KL against γ, thresholds marked (C20)", any_objective=True),
    "estimators": Kind("estimators", "variance and bias of gradient estimators (C18, C22)", True),
    "divergences": Kind("divergences", "the two KLs and their curvatures (C07, C08)"),
    "self-preference": Kind("self_preference", "the landscape of self-preference (C06, C19)"),
}  # fmt: skip


def compute(
    kind: str,
    problem: PreferenceProblem | Target,
    *,
    name: str = "a problem",
    gamma: float | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """The data of a figure, as JSON can hold it; equal arguments give equal data.

    Args:
        kind: One of :data:`KINDS`.
        problem: The problem, for SAIL; or a target, the objective of a problem.
        name: What the caption calls it.
        gamma: γ ≥ 0, for the kinds that take one.
        seed: Seed of searches and samples.

    Raises:
        InputError: Unknown kind, γ where none is taken or out of range, a seed that is no
            natural number, or a problem on which nothing varies.
    """
    known = check_kind(kind)
    target = problem if isinstance(problem, Target) else None
    if target is not None:
        problem = target.problem
        if not known.any_objective and not isinstance(target, SAILTarget):
            drawn = ", ".join(name for name, each in KINDS.items() if each.any_objective)
            raise InputError("objective", target.title, f"{kind} is of SAIL; of any: {drawn}")
    assert isinstance(problem, PreferenceProblem)
    if gamma is not None and not known.gamma:
        takers = ", ".join(name for name, each in KINDS.items() if each.gamma)
        raise InputError("gamma", gamma, f"{kind} takes none; these do: {takers}")
    if gamma is not None and not (np.isfinite(gamma) and gamma >= 0):
        raise InputError("gamma", gamma, "a finite γ ≥ 0 is required")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InputError("seed", seed, "an integer ≥ 0 is expected")
    if problem.span.dimension == 0:
        raise InputError("features", "equal", "S = {0}: no policy depends on θ, nothing to draw")
    if float(problem.radius) == 0.0:
        raise InputError("radius", 0, "C is one point: a radius > 0 is needed to draw it")
    from sailtheory import __version__
    from sailtheory.plots.series import plain

    shown = (target or SAILTarget(problem)) if known.any_objective else problem
    found = _module(kind).series(shown, gamma, seed)
    data: dict[str, Any] = plain({
        "schema": SCHEMA,
        "kind": kind,
        "version": __version__,
        "problem": describe(problem, name),
        **({} if target is None else {"objective": target.title}),
        "seed": seed,
        **found,
    })  # fmt: skip
    called = f"{name} ({_sizes(problem)})"
    data["caption"] = found["caption"].format(problem=called, objective=target and target.title)
    return data


def draw(
    data: dict[str, Any],
    size: tuple[float, float] | None = None,
    labels: Mapping[str, str] | None = None,
    panel: str | None = None,
) -> Figure:
    """A figure from its data, which may have gone through JSON.

    Args:
        data: The data.
        size: Width and height in mm; default that of the kind.
        labels: New words for labels, titles and legends, by what they say now. Of one such as
            "closed form = 1.78" the name will do, and keeps its number; of a formula its letters.
        panel: Letter of the one panel to draw, as wide as a column.

    Raises:
        InputError: Not the data of a figure, no such panel, a size that is not positive or
            too small for the kind, or words that are nowhere in it.
    """
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        found = data.get("schema") if isinstance(data, dict) else data
        raise InputError("schema", found, f"{SCHEMA} is expected")
    module = _module(data["kind"])
    from sailtheory.plots import panel as panels
    from sailtheory.plots import style

    with style.context():
        figure: Figure = module.draw(data)
        if panel is not None:
            panels.alone(figure, panel)
    if size is not None:
        _resize(figure, size, list(panels.letters(figure)))
    for now, new in (labels or {}).items():
        _reword(figure, now, new)
    return figure


def _resize(figure: Figure, size: tuple[float, float], letters: list[str]) -> None:
    check_size(size)
    own = tuple(side * 25.4 for side in figure.get_size_inches())
    least = tuple(_SHRUNK * side for side in own)
    if any(asked < side for asked, side in zip(size, least, strict=True)):
        shown, made = (f"{width:.0f}x{height:.0f}" for width, height in (least, own))
        fits = f"at least {shown}, as it is made for {made}: words would overlap"
        if letters:
            fits += f"; one panel ({', '.join(letters)}) fits a column of 84 mm"
        raise InputError("size", f"{size[0]:g}x{size[1]:g}", fits)
    figure.set_size_inches(size[0] / 25.4, size[1] / 25.4)


def _reword(figure: Figure, now: str, new: str) -> None:
    from matplotlib.text import Text

    there = [text for text in figure.findobj(Text) if text.get_text()]
    found = [text for text in there if now in (text.get_text(), _letters(text.get_text()))]
    named = [text for text in there if _letters(_name_of(text)) == now] if not found else []
    if not (found or named):
        names = dict.fromkeys(_letters(_name_of(text)) for text in there)
        raise InputError("label", now, f"one of {', '.join(names)}")
    for text in found:
        text.set_text(new)
    for text in named:
        text.set_text(text.get_text().replace(_name_of(text), new, 1))


def _name_of(text: Text) -> str:
    """A label without the number that it ends with."""
    return re.sub(r" = [-+.\de]+$", "", text.get_text())


def _letters(text: str) -> str:
    """What a label says, without the marks of its formulas: K_B for $K_B$."""
    return re.sub(r"\\mathrm|[${}]|\\[,;! ]|\\(?=[A-Za-z])", "", text)


def save(figure: Figure, path: str | Path) -> None:
    """Write PNG, SVG or PDF by suffix; see :func:`sailtheory.plots.style.save`."""
    from sailtheory.plots import style

    style.save(figure, path)


def write_data(data: dict[str, Any], path: str | Path) -> None:
    """Write the data as JSON, one line for each series.

    Raises:
        InputError: The file cannot be written.
    """
    from sailtheory.storage.files import write_text

    def line(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)

    body = {key: line(value) for key, value in data.items() if key != "series"}
    rows = ",\n".join(f"  {line(key)}: {line(value)}" for key, value in data["series"].items())
    head = ",\n".join(f" {line(key)}: {text}" for key, text in body.items())
    write_text(f'{{\n{head},\n "series": {{\n{rows}\n }}\n}}\n', path, "data")


def check_size(size: tuple[float, float]) -> None:
    """Refuse what is no width and height in mm.

    Raises:
        InputError: A length that is not above 0 and at most a metre.
    """
    if not all(np.isfinite(side) and 0 < side <= _LARGEST for side in size):
        raise InputError("size", size, f"two lengths in mm, above 0 and up to {_LARGEST}")


def check_kind(kind: str) -> Kind:
    """The kind of that name.

    Raises:
        InputError: There is none.
    """
    if kind not in KINDS:
        raise InputError("kind", kind, f"one of {', '.join(KINDS)} is expected")
    return KINDS[kind]


def _module(kind: str) -> Any:
    return import_module(f"sailtheory.plots.{check_kind(kind).module}")


def describe(problem: PreferenceProblem, name: str) -> dict[str, Any]:
    """Which problem: name, sizes, and the SHA-256 of its TOML text."""
    from sailtheory.problem.problem_file import dumps

    return {
        "name": name,
        "sha256": sha256(dumps(problem).encode()).hexdigest(),
        "prompts": problem.prompts,
        "responses": [min(problem.responses), max(problem.responses)],
        "dimension": problem.dimension,
        "span": problem.span.dimension,
        "beta": float(problem.beta),
        "radius": float(problem.radius),
    }


def _sizes(problem: PreferenceProblem) -> str:
    low, high = min(problem.responses), max(problem.responses)
    m = f"{low}" if low == high else f"{low} to {high}"
    prompts = "1 prompt" if problem.prompts == 1 else f"{problem.prompts} prompts"
    scale = f"β = {float(problem.beta):g}, " if problem.states_preferences else ""
    return (
        f"{prompts}, {m} responses, d = {problem.dimension}, {scale}B = {float(problem.radius):g}"
    )
