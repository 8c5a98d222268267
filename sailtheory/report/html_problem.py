"""The page of ``sailtheory check --html``: what holds on one problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sailtheory.analysis.check import STRENGTHS, Report
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.problem.problem_file import dumps
from sailtheory.report.html import page
from sailtheory.report.html_claims import findings
from sailtheory.report.html_figures import price_figure, thresholds_figure
from sailtheory.report.numerals import number, percent
from sailtheory.report.words import (
    SIDE_BY_SIDE,
    THRESHOLD_USES,
    earned,
    modulus,
    priced,
    summary,
    trust,
    vector,
    worst_prompts,
)
from sailtheory.verdict import Verdict

__all__ = ["problem_file", "problem_page", "statements_of"]


_MOST_NUMBERS = 100_000
_LEVELS = (
    "The γ in use (solid) beside what this problem needs (γ*, found by search), what its prompts "
    "need one by one (ḡ), the theorem's bound with its preferences (K_data), what the theorem "
    "asks of every problem of this β and Z_max (K_B), the same in closed form, and what follows "
    "without relative curvature (absolute)."
)
_PRICE = "The maximiser of J_γ: gain in win rate against π_ref and distance from π_ref."


def problem_page(
    report: Report, name: str, seconds: float, figures: Mapping[str, str] | None = None
) -> str:
    """The result of ``check`` as a self-contained page.

    Args:
        report: The result.
        name: What the problem is called, for example the name of its file.
        seconds: How long it took.
        figures: Further pictures, caption to inline SVG made by this program.
    """
    levels = {key: getattr(report.thresholds, key) for key in THRESHOLD_USES}
    named = [(THRESHOLD_USES[key][0].partition(" (")[0], value) for key, value in levels.items()]
    found = any(value is not None for value in levels.values())
    prices = [(f"γ = {of}" if of == "0" else of, best) for of, best in priced(report)]
    return page(
        "problem",
        report.seed,
        report.effort,
        seconds,
        title=f"{name} at γ = {number(report.gamma)}",
        lead=summary(report),
        name=name,
        facts=_facts(report),
        file=problem_file(report.problem),
        landscape=_landscape(report, name),
        constants=_constants(report),
        levels_words=_LEVELS,
        levels_use="when to use it",
        price_title="Maximisers of J_γ",
        price_words=_PRICE,
        price_columns=("γ", "win rate", "gain", "KL(π_ref‖π)", "maximiser"),
        levels=[
            (of, number(levels[key]), STRENGTHS[key], use)
            for key, (of, use) in THRESHOLD_USES.items()
        ],
        worst=worst_prompts(report),
        levels_figure=thresholds_figure(named, report.gamma) if found else None,
        trust=trust(report),
        price=[
            (
                of,
                f"{best.win_rate:.4f}",
                f"{best.gain:.4f}",
                number(best.kl_ref_policy),
                "on the boundary" if best.on_boundary else "inside",
            )
            for of, best in prices
        ],
        price_figure=price_figure(
            [(_last(of), best.kl_ref_policy, best.gain) for of, best in prices]
        ),
        objectives=[
            (
                says,
                number(getattr(report.thresholds, of_sail)),
                number(getattr(report.online.thresholds, of_field)),
            )
            for says, of_sail, of_field in SIDE_BY_SIDE
        ],
        earned=_earned(report),
        figures=figures or {},
    )


def _last(names: str) -> str:
    """Of several names of one γ the last, with its value: a picture has little space."""
    return " = ".join(names.split(" = ")[-2:])


def _earned(report: Report) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows; rewards only where the preferences state some."""
    known = report.online.best.reward is not None
    columns = ["policy", "win rate", "share", "KL(π_ref‖π)", *["reward", "share"] * known]
    rows = []
    for name, each in earned(report):
        unsettled = "" if each.settled else " (the search does not agree on it)"
        row = (name + unsettled, f"{each.win_rate:.4f}", percent(each.share),
               number(each.kl_ref_policy))  # fmt: skip
        rewards = (number(each.reward), percent(each.reward_share)) if known else ()
        rows.append((*row, *rewards))
    return tuple(columns), rows


def problem_file(problem: PreferenceProblem) -> str:
    """The problem as a file to copy; a large one is only named."""
    numbers = sum(problem.responses) * problem.dimension
    if numbers <= _MOST_NUMBERS:
        return dumps(problem)
    return f"# {problem}: its {numbers} features are not repeated here.\n"


def _facts(report: Report) -> dict[str, str]:
    problem = report.problem
    decided = "" if problem.span.exact else " (decided numerically)"
    facts = {
        "prompts": str(problem.prompts),
        "responses": ", ".join(map(str, sorted(set(problem.responses)))),
        "dimension": f"{problem.dimension}, of which S has {problem.span.dimension}{decided}",
        "β": number(float(problem.beta)),
        "B": f"{number(float(problem.radius))}, radius of C",
        "L": f"{number(problem.feature_norm)}, largest norm of a feature",
        "D": f"{number(problem.feature_diameter)}, largest distance between features of a prompt",
        "Z_max": f"{number(problem.z_max)}, range of z over C",
        "γ": number(report.gamma)
        + ("" if report.gamma_given else ", the closed-form threshold, as none was given"),
    }
    return facts | {f"note {i}": note for i, note in enumerate(problem.notes, start=1)}


def _landscape(report: Report, name: str) -> list[dict[str, Any]]:
    (sail, sail_at), (revkl, revkl_at) = report.sail, report.sail_revkl
    monotone, turn = report.online.monotone
    plain, prox = report.plain, report.prox
    rows = [
        ("J is concave", sail, "λ_max = ", sail_at.value, sail_at.theta),
        ("J_γ is concave", revkl, "λ_max = ", revkl_at.value, revkl_at.theta),
        ("V − γ∇KL is monotone", monotone, "γ*_V − γ = ", turn.value, turn.theta),
        ("J_γ is plain PL", plain.verdict, "μ ≤ ", plain.constant, plain.theta),
        ("J_γ is prox-PL", prox.verdict, "μ ≤ ", prox.constant, prox.theta),
    ]
    shown = [
        (says, verdict, f"{symbol}{number(value)}", "—" if value is None else vector(theta))
        for says, verdict, symbol, value, theta in rows
    ]
    return statements_of(shown, name)


def statements_of(
    rows: Sequence[tuple[str, Verdict | None, str, str]], name: str
) -> list[dict[str, Any]]:
    """Statements on C as the template takes them, with evidence and witnesses.

    Args:
        rows: The words, the verdict (None where S = {0}), the worst value and where it is taken.
        name: Of the problem.
    """
    statements = []
    for place, (says, verdict, value, at) in enumerate(rows, start=1):
        evidence = [e.as_dict() for e in verdict.evidence] if verdict else []
        data = {
            "id": f"statement-{place}",
            "verdict": verdict and verdict.outcome.value,
            "evidence": evidence,
        }
        statements.append(
            {
                "says": says,
                "verdict": verdict,
                "found": findings(data, f"“{says}” on {name}"),
                "value": value,
                "at": at,
            }
        )
    return statements


def _constants(report: Report) -> dict[str, str]:
    best = report.maximiser
    place = "on the boundary of C" if best.on_boundary else "inside C"
    return {
        "μ": modulus(report),
        "Λ": f"{number(report.smoothness)}, smoothness",
        "K⁻": number(report.k_minus),
        "maximiser": f"{vector(best.theta)}, {place}, where J_γ = {best.value:.6g}",
    }
