"""The results page of :mod:`studies.certificates`, from its JSON file alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from textwrap import fill
from typing import Any

from sailtheory.compare.statistics import wilson

Record = dict[str, Any]

_INTRO = """\
# Certificates on random and hostile problems

Written by `python -m studies.certificates --table studies/certificates/page.md` from
studies/certificates/evidence.json (seed {seed}, version {version}, ball arithmetic at {bits} bits,
one process; timings taken on a loaded 2-core machine; CPU seconds, which the time aimed at is
compared with, are those of the process).
Random problems have 1 to 3 prompts, features of norm about 1 and arbitrary, 0/1 or
Bradley–Terry preferences, all at three decimals; β is log-uniform in [0.1, 1], B uniform in
[0.2, 1], the centre is 0 in half of them, and θ_ref is away from the centre in half.
"""

_ENCLOSURES = """
## γ* enclosed

Certified means that both ends of [lo, hi] are shown in ball arithmetic and that hi − lo is
within the tolerance, relative to max(|γ*|, {floor} β). Replay checks the certificate again
without the search.
"""

_LOOSENESS = """
## How loose the thresholds are

K_B (C11), the closed form (C11 (i)) and γ_abs (C10), divided by the certified upper end of γ*,
over the problems where γ* > 0 is certified. For γ_abs the largest eigenvalue of ∇²J is the
best one found by search, so that its ratio may be too small, never too large. The lists
cell-β-B re-measure the table of theory.md (Bradley–Terry, ‖φ‖ ≤ 1, θ_ref = c = 0, d ≤ 3).
"""

_CURVE = """
## Where time runs out

n ≤ 3, m ≤ 4, tolerance 5 %, {limit:g} s of wall-clock time: how many were certified, and how far
apart the certified ends of γ* were when time ran out (∞: no upper end was certified).
"""

_COMPLETENESS = """
## Completeness

Problems with two or more prompts, d ≤ 2, at γ = 1.01 lo, with lo the certified lower end of γ*
(γ* to 1e-3). Problems with lo ≤ 0 are skipped: there is no such γ ≥ 0.
"""

_SOUNDNESS = """
## Soundness

Random problems, d ≤ 2, at a γ that is a relative 1e-6 below the value of a witness: a point and
a direction, found by a search of its own, at which ball arithmetic shows that J_γ is not concave.
Besides asking for a certificate, every box on a path of bisections towards the witness is shown
to the checker that a replay uses; it may accept none. At 1.01 γ it should accept the last one,
or the check would be empty.
"""

_HOSTILE = """
## Hostile problems

Features × 10 with B = 10 (large); two features that agree to 1e-4, so that F̄ is nearly singular
(singular); a duplicate response with preferences of its own (duplicate); S of dimension 2 in R³
(flat). At most {limit:.0f} s each, tolerance {tolerance:g}.
"""


_WIDTH = 98
_WORDS = {True: "valid", False: "not valid", None: "–"}


def page(data: dict[str, Any]) -> str:
    """Markdown from the JSON data."""
    lists, records = data["lists"], data["records"]
    enclosures = [name for name in lists if name.startswith("enclosure")]
    hostile = [name for name in lists if name.startswith("hostile")]
    cells = [name for name in lists if name.startswith("cell")]
    curve = [name for name in lists if name.startswith("curve")]
    some = lists[hostile[0]]
    parts = [
        _INTRO.format(**data),
        _reached(lists, records),
        _ENCLOSURES.format(**data),
        _enclosures(enclosures, lists, records),
        _open(enclosures, records),
        _LOOSENESS,
        _looseness(enclosures + cells, records),
        _CURVE.format(**lists[curve[0]]),
        _curve(curve, records),
        _COMPLETENESS,
        _completeness(records.get("completeness", [])),
        _SOUNDNESS,
        _soundness(records.get("soundness", [])),
        _HOSTILE.format(**some),
        _hostile(hostile, records),
    ]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _reached(lists: dict[str, Any], records: dict[str, list[Record]]) -> str:
    """What was and was not reached, a line a list."""
    lines = ["", "## Reached and not reached", ""]
    for name, kind in lists.items():
        rows = records.get(name, [])
        run = f"{len(rows)} of {kind['count']} problems run"
        if not rows:
            lines.append(f"- {name}: not run.")
        elif name == "soundness":
            bad = sum(r["verdict"] == "certified" or r.get("accepted", 0) > 0 for r in rows)
            lines.append(f"- {name}: {run}; {bad} unsound.")
        else:
            asked = [r for r in rows if r["verdict"] != "skipped"]
            certified = [r for r in asked if r["verdict"] == "certified"]
            text = f"{len(certified)} of {len(asked)} certified"
            if len(asked) < len(rows):
                text += f" ({len(rows) - len(asked)} skipped)"
            if kind["goal"]:
                slow = sum(r["cpu_seconds"] > kind["goal"] for r in certified)
                text += f", {len(certified) - slow} of them within the {kind['goal']:g} s aimed at"
            lines.append(f"- {name}: {run}; {text}{_replays(certified)}.")
    return "\n".join(fill(line, _WIDTH, subsequent_indent="  ") for line in lines)


def _replays(rows: Sequence[Record]) -> str:
    """How many certificates were replayed, where it was not all of them with success."""
    valid = sum(r.get("replay") is True for r in rows)
    wrong = sum(r.get("replay") is False for r in rows)
    if valid == len(rows):
        return ", all valid in replay" if rows else ""
    cut = len(rows) - valid - wrong
    return f", {valid} valid in replay, {wrong} not valid, {cut} replays cut off by the end"


def _enclosures(names: list[str], lists: dict[str, Any], records: dict[str, list[Record]]) -> str:
    head = ["list", "m ≤", "tolerance", "certified", "seconds", "CPU seconds", "pieces",
            "replay seconds", "bytes"]  # fmt: skip
    rows = []
    for name in names:
        done = records.get(name, [])
        made = [r for r in done if r["verdict"] == "certified"]
        kind = lists[name]
        rows.append(
            [name, kind["responses"], f"{kind['tolerance']:g}", f"{len(made)} of {len(done)}"]
            + [spread(r[key] for r in made) for key in ("seconds", "cpu_seconds", "pieces")]
            + [spread(r["replay_seconds"] for r in made), spread(r["bytes"] for r in made)]
        )
    return "Median (largest) over the certified ones.\n\n" + table(head, rows)


def _open(names: list[str], records: dict[str, list[Record]]) -> str:
    """The enclosures that were not reached, one a row."""
    left = [(name, r) for name in names for r in records.get(name, [])
            if r["verdict"] != "certified"]  # fmt: skip
    if not left:
        return ""
    head = ["list", "place", "limit", "verdict", "lo", "hi", "pieces", "note"]
    rows = [
        [name, r["index"], f"{r['limit']:g} s", r["verdict"], short(r.get("lower")),
         short(r.get("upper")), r.get("pieces", ""), r["note"]]
        for name, r in left
    ]  # fmt: skip
    return "\nNot reached, with the best bounds certified:\n\n" + table(head, rows)


def _looseness(names: list[str], records: dict[str, list[Record]]) -> str:
    rows = []
    for name in names:
        over = [r["over"] for r in records.get(name, []) if "over" in r]
        rows.append(
            [name, len(over)]
            + [spread(o[key] for o in over) for key in ("relative", "closed_form", "absolute")]
        )
    head = ["list", "problems", "K_B ÷ γ*", "closed form ÷ γ*", "γ_abs ÷ γ*"]
    return "Median (largest).\n\n" + table(head, rows)


def _curve(names: list[str], records: dict[str, list[Record]]) -> str:
    out = []
    for name in names:
        rows = records.get(name, [])
        if rows:
            done = sum(r["verdict"] == "certified" for r in rows)
            ends = ", ".join(_ratio(r) for r in rows)
            out.append([
                name.removeprefix("curve-d"), f"{done} of {len(rows)}",
                spread(r["cpu_seconds"] for r in rows), spread(r["pieces"] for r in rows), ends,
            ])  # fmt: skip
    head = ["d", "certified", "CPU seconds", "pieces", "hi ÷ lo, problem by problem"]
    return table(head, out) if out else "Not run."


def _ratio(row: Record) -> str:
    low, high = row.get("lower"), row.get("upper")
    if low is None or high is None:
        return "∞"
    return f"{high / low:.3f}" if low > 0 else f"{short(low)} to {short(high)}"


def _completeness(rows: Sequence[Record]) -> str:
    asked = [r for r in rows if r["verdict"] != "skipped"]
    if not asked:
        return "Not run."
    hits = sum(r["verdict"] == "certified" for r in asked)
    low, high = wilson(hits, len(asked))
    others = ", ".join(
        f"place {r['index']} {r['verdict']}" for r in asked if r["verdict"] != "certified"
    )
    return fill(
        f"{hits} of {len(asked)} certified ({100 * hits / len(asked):.1f} %, 95 % Wilson interval "
        f"{100 * low:.1f} to {100 * high:.1f} %); {len(rows) - len(asked)} skipped. "
        f"Seconds: {spread(r['seconds'] for r in asked if 'seconds' in r)}."
        + (f" The others: {others}." if others else ""),
        _WIDTH,
    )


def _soundness(rows: Sequence[Record]) -> str:
    if not rows:
        return "Not run."
    kinds = sorted({r["verdict"] for r in rows})
    verdicts = ", ".join(f"{sum(r['verdict'] == k for r in rows)} {k}" for k in kinds)
    return fill(
        f"{len(rows)} problems: {verdicts}; "
        f"{sum(r['verdict'] == 'certified' for r in rows)} certificates issued. "
        f"Boxes accepted by the checker: {sum(r.get('accepted', 0) for r in rows)}. "
        f"Accepted at 1.01 γ: {sum(r.get('control', False) for r in rows)} of {len(rows)}.",
        _WIDTH,
    )


def _hostile(names: list[str], records: dict[str, list[Record]]) -> str:
    head = ["list", "n", "m", "β", "B", "verdict", "lo", "hi", "seconds", "pieces", "replay"]
    rows = [
        [name, r.get("n", ""), r.get("m", ""), r.get("beta", ""), r.get("radius", ""),
         r["verdict"], short(r.get("lower")), short(r.get("upper")), r.get("seconds", ""),
         r.get("pieces", ""), _WORDS[r.get("replay")]]
        for name in names for r in records.get(name, [])
    ]  # fmt: skip
    return table(head, rows) if rows else "Not run."


def spread(values: Iterable[float | None]) -> str:
    """Median (largest)."""
    known = [v for v in values if v is not None]
    return f"{short(median(known))} ({short(max(known))})" if known else "–"


def short(value: float | None) -> str:
    if value is None:
        return "–"
    if value == int(value) or abs(value) >= 1000:
        return f"{value:.0f}" if abs(value) < 1e5 else f"{value:.1e}"
    return f"{value:.3g}" if abs(value) < 1e-2 else f"{value:.4g}"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
