"""The page of ``sailtheory check --html``: what holds on one problem."""

from __future__ import annotations

from collections.abc import Mapping

from sailtheory.analysis.check import Report
from sailtheory.problem.problem_file import dumps
from sailtheory.report.environment import environment
from sailtheory.report.html import (
    Html,
    Link,
    Page,
    copyable,
    details,
    facts,
    figure,
    section,
    table,
    text,
    verdict,
)
from sailtheory.report.html_claims import evidence, witnesses
from sailtheory.report.html_figures import price_figure, thresholds_figure
from sailtheory.report.words import THRESHOLD_USES, modulus, number, priced, summary, trust, vector
from sailtheory.verdict import Verdict

_SECTIONS = {
    "problem": "Problem",
    "landscape": "Landscape",
    "thresholds": "How large must γ be?",
    "price": "What the guarantee costs",
    "evidence": "Evidence and witnesses",
}


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
    parts = {
        "problem": _problem(report, name),
        "landscape": _landscape(report),
        "thresholds": _thresholds(report),
        "price": _price(report),
        "evidence": _evidence(report, name),
    }
    titles = dict(_SECTIONS)
    if figures:
        titles["figures"] = "Figures"
        pictures = (figure(svg, caption) for caption, svg in figures.items())
        parts["figures"] = Html("".join(pictures))
    made = environment() | {
        "seed": str(report.seed),
        "effort": report.effort,
        "time": f"{seconds:.1f} s",
    }
    links = [Link(anchor, text(title)) for anchor, title in titles.items()]
    return Page(
        title=f"{name} at γ = {number(report.gamma)}",
        lead=text(summary(report)),
        groups={"Contents": [*links, Link("environment", Html("Environment"))]},
        body=[section(anchor, titles[anchor], parts[anchor]) for anchor in titles],
        facts=made,
    ).render()


def _problem(report: Report, name: str) -> Html:
    problem = report.problem
    decided = "" if problem.span.exact else " (decided numerically)"
    rows = {
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
    rows |= {f"note {i}": note for i, note in enumerate(problem.notes, start=1)}
    file = copyable("problem-file", dumps(problem), "Copy problem file", f"problem file of {name}")
    return Html(facts(rows) + details(Html("The problem as a file"), file))


def _landscape(report: Report) -> Html:
    rows = []
    for name, (found, point) in (
        ("J is concave", report.sail),
        ("J_γ is concave", report.sail_revkl),
    ):
        at = "—" if point.value is None else vector(point.theta)
        rows.append((name, _verdict(found), f"λ_max = {number(point.value)}", at))
    for name, pl in (("J_γ is plain PL", report.plain), ("J_γ is prox-PL", report.prox)):
        at = "—" if pl.constant is None else vector(pl.theta)
        rows.append((name, _verdict(pl.verdict), f"μ ≤ {number(pl.constant)}", at))
    best = report.maximiser
    place = "on the boundary of C" if best.on_boundary else "inside C"
    constants = {
        "μ": modulus(report),
        "Λ": f"{number(report.smoothness)}, smoothness",
        "K⁻": number(report.k_minus),
        "maximiser": f"{vector(best.theta)}, {place}, where J_γ = {best.value:.6g}",
    }
    head = ("statement on C", "verdict", "value", "at θ")
    return Html(table("What holds on C, and the worst point found", head, rows) + facts(constants))


def _thresholds(report: Report) -> Html:
    levels = {key: getattr(report.thresholds, key) for key in THRESHOLD_USES}
    named = [(THRESHOLD_USES[key][0].partition(" (")[0], value) for key, value in levels.items()]
    rows = [(name, number(levels[key]), use) for key, (name, use) in THRESHOLD_USES.items()]
    picture = Html("")
    if any(value is not None for value in levels.values()):
        caption = (
            "The γ in use (solid) beside what this problem needs (γ*, found by search), what the "
            "theorem asks of every problem of this β and Z_max (K_B), the same in closed form, "
            "and what follows without relative curvature (absolute)."
        )
        picture = figure(thresholds_figure(named, report.gamma), caption)
    levels_found = table("Thresholds for γ", ("threshold", "γ", "when to use it"), rows)
    note = f"<p>{text(trust(report))}</p>" if trust(report) else ""
    return Html(picture + levels_found + note)


def _price(report: Report) -> Html:
    found = priced(report)
    rows = [
        (
            f"γ = {name}" if name == "0" else name,
            f"{best.win_rate:.4f}",
            f"{best.gain:.4f}",
            number(best.kl_ref_policy),
            "on the boundary" if best.on_boundary else "inside",
        )
        for name, best in found
    ]
    points = [
        (f"γ = {name}" if name == "0" else name, best.kl_ref_policy, best.gain)
        for name, best in found
    ]
    caption = "The maximiser of J_γ: gain in win rate against π_ref and distance from π_ref."
    head = ("γ", "win rate", "gain", "KL(π_ref‖π)", "maximiser")
    return Html(figure(price_figure(points), caption) + table("Maximisers of J_γ", head, rows))


def _evidence(report: Report, name: str) -> Html:
    statements: dict[str, Verdict | None] = {
        "J is concave": report.sail[0],
        "J_γ is concave": report.sail_revkl[0],
        "J_γ is plain PL": report.plain.verdict,
        "J_γ is prox-PL": report.prox.verdict,
    }
    parts = []
    for place, (said, found) in enumerate(statements.items(), start=1):
        if found is None:
            continue
        data = {"id": f"statement-{place}", "evidence": [e.as_dict() for e in found.evidence]}
        heading = f"<h3>{text(said)}: {_verdict(found)}</h3>"
        parts += [heading, *witnesses(data, f"“{said}” on {name}"), evidence(data, f"“{said}”")]
    return Html("".join(parts) or "<p>S = {0}: there is nothing to decide.</p>")


def _verdict(found: Verdict | None) -> Html:
    if found is None:
        return Html("—")
    return verdict(found.outcome.value, found.strength.value if found.strength else None)
