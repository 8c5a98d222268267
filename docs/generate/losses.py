"""``python -m docs.generate.losses``: renew the tables of docs/loss-audit.md from the code."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from docs.generate import blocks
from sailtheory.auditing import Kind, loss_changes
from sailtheory.auditing.catalogue import CATALOGUE, Entry
from sailtheory.auditing.decompose import combination
from sailtheory.auditing.library import library
from sailtheory.storage.files import write_text

PAGE = Path(__file__).parents[1] / "loss-audit.md"
_TEXTS = {o.name: o.text for o in library()}
_PLACES = {
    "loss": "Terms in the loss",
    "reward": "Terms in the reward",
    "policy gradient": "Policy gradients",
    "pairs": "Pairs",
}
_CHANGED = (
    "k2 in the loss", "k3 in the loss", "k3 × ratio in the loss", "k1 in the reward", "RLOO",
    "mean of the group as baseline", "GRPO, mean over own tokens", "mean over the batch's tokens",
    "÷ padded length", "no mask", "PPO, clipped ratio of tokens", "SAIL with its score term",
)  # fmt: skip
_HEAD = ("estimator", "said to be", "its expected gradient", "bias", "variance", "formula", "found")


@cache
def tables() -> dict[str, str]:
    """All of them by name, as Markdown."""
    found = {
        place.replace(" ", "-"): blocks.table(
            _HEAD, [_row(entry) for entry in CATALOGUE if entry.place == place]
        )
        for place in _PLACES
    }
    rows = [(f"`{o.name}`", _escaped(o.text)) for o in library()]
    return {"changes": _changes(), "objectives": blocks.table(("name", "objective"), rows), **found}


def renewed(page: str) -> str:
    """The page with its tables as the code has them now."""
    return blocks.renewed(page, tables())


def _row(entry: Entry) -> tuple[str, ...]:
    audited = entry.audit()
    found, against = audited.finding, audited.against(entry.claim)
    claim = {entry.claim: 1.0} if isinstance(entry.claim, str) else entry.claim
    cells = (
        entry.name, _sum(claim), _VERDICTS[found.kind](audited.finding),
        "0" if against.witness is None else f"{against.bias:.2g}", f"{against.variance:.3g}",
        entry.source, entry.wild or "",
    )  # fmt: skip
    return tuple(map(_escaped, cells))


def _changes() -> str:
    """By how much an expected gradient changes with how batches come about."""
    found = {e.name: loss_changes(e.loss, e.sampling) for e in CATALOGUE if e.name in _CHANGED}
    head = ("estimator", *next(iter(found.values())))
    rows = [
        (_escaped(name), *("0" if v < 1e-9 else f"{v:.2g}" for v in changes.values()))
        for name, changes in found.items()
    ]
    return blocks.table(head, rows)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def _sum(coefficients: Mapping[str, float]) -> str:
    return combination(coefficients, _TEXTS)


_VERDICTS = {
    Kind.STILL: lambda f: "0 in every batch",
    Kind.ZERO: lambda f: "0, but not in every batch",
    Kind.COMBINATION: lambda f: _sum(f.coefficients),
    Kind.SCALED: lambda f: (
        f"{_sum(dict.fromkeys(f.coefficients, 1.0))} × {f.factors[0]:.3g} to {f.factors[1]:.3g}, "
        "by model"
    ),
    Kind.NONE: lambda f: f"none of these: {100 * f.residual:.2g} % is left",
    Kind.UNDECIDED: lambda f: "undecided",
}


if __name__ == "__main__":
    write_text(renewed(PAGE.read_text(encoding="utf-8")), PAGE)
