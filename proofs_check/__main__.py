"""``python -m proofs_check``: the ledger of this package, or its planted falsehoods."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from proofs_check.claims import all_claims
from proofs_check.trials.disguised import TRUTHS, attempt
from sailtheory.claims import EFFORTS, Claim, Context, Falsehood, run_all, select
from sailtheory.cli.exits import INTERNAL, ended, failed, internal
from sailtheory.storage.files import require_writable, write_text
from sailtheory.verdict import Outcome, Verdict, conclude


def ledger(chosen: Sequence[Claim], context: Context) -> int:
    """Print one line a claim; an exit code of :mod:`sailtheory.cli.exits`."""
    status = 0
    for result in run_all(chosen, context):
        verdict, failure = result.verdict, result.failure
        found = "error" if verdict is None else verdict.outcome.value
        strength = verdict.strength.value if verdict and verdict.strength else "-"
        mark = "" if result.as_expected or failure else "  DIFFERS"
        print(
            f"{result.claim.id:5} {found:9} {strength:9} "
            f"expected {result.claim.expected.value:9} {result.seconds:6.2f} s  "
            f"{result.claim.title}{mark}",
            flush=True,
        )
        if failure is not None:
            status = internal(failure.says, failure.traceback, result.claim.id)
        status = status or int(not result.as_expected)
    return status


def is_refuted(verdict: Verdict) -> bool:
    """Refuted by a witness that replays; a replay that raises is a defect and stays visible."""
    witness = verdict.witness
    return verdict.outcome is Outcome.REFUTED and witness is not None and witness.replay()


def try_falsehood(falsehood: Falsehood, context: Context) -> tuple[bool, Verdict]:
    """Whether a planted falsehood is refuted, and the verdict."""
    verdict = conclude(falsehood.check(context))
    return is_refuted(verdict), verdict


_HEAD = """# Planted falsehoods

**The checks refute {} of {} wrong variants of the claims.** Each went through
the check of the claim itself, and has a witness that replays. Written by `make evidence`.

| claim | false variant | verdict | witness θ | what fails there | value |
|---|---|---|---|---|---|"""


def planted(chosen: Sequence[Claim], context: Context, table: str | None = None) -> int:
    """Print one line a falsehood, optionally write a Markdown table; 1 if one is missed."""
    total = refuted = failures = 0
    rows = []
    for claim in chosen:
        for falsehood in claim.planted:
            began, total = time.perf_counter(), total + 1
            try:
                found, verdict = try_falsehood(falsehood, context)
            except Exception as error:
                failures += 1
                failed(error, f"{claim.id}, {falsehood.name}")
                continue
            refuted += found
            rows.append(_row(claim, falsehood, verdict))
            word = "refuted" if found else f"MISSED ({verdict.outcome.value})"
            print(
                f"{claim.id:5} {word:9} {time.perf_counter() - began:6.2f} s  "
                f"{falsehood.name}: {falsehood.statement}",
                flush=True,
            )
    missed = total - refuted - failures
    print(f"planted {total}, refuted {refuted}, missed {missed}")
    if failures:
        return INTERNAL
    if table is not None:
        write_text("\n".join([_HEAD.format(refuted, total), *rows]) + "\n", table, "table")
    return int(missed > 0)


def _row(claim: Claim, falsehood: Falsehood, verdict: Verdict) -> str:
    """One row of the Markdown table."""
    witness = verdict.witness
    cells = [claim.id, falsehood.statement, verdict.outcome.value, "—", "—", "—"]
    if witness is not None:
        theta = ", ".join(f"{x:.4g}" for x in witness.theta)
        cells[3:] = [f"({theta})", witness.statement, f"{witness.value:.4g}"]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def disguised(context: Context) -> int:
    """Print one line a disguised truth; 1 if one is refuted or undecided."""
    held = missed = status = 0
    for truth in TRUTHS:
        try:
            verdict = conclude(attempt(truth, context))
        except Exception as error:
            status = failed(error, truth.name)
            continue
        held += verdict.outcome is Outcome.HOLDS
        missed += verdict.outcome is not Outcome.HOLDS
        print(f"{verdict.outcome.value:9} {truth.name}: {verdict.evidence[0].detail}", flush=True)
    print(f"disguised {len(TRUTHS)}, not refuted {held}, wrong {missed}")
    return status or int(missed > 0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; the exit codes are those of ``sailtheory``: :mod:`sailtheory.cli.exits`."""
    return ended(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(prog="python -m proofs_check", description=__doc__)
    parser.add_argument("claims", nargs="*", metavar="C11", help="claims to check, all by default")
    parser.add_argument("--planted", action="store_true", help="try the planted falsehoods")
    parser.add_argument("--table", metavar="FILE", help="with --planted: write a Markdown table")
    parser.add_argument("--disguised", action="store_true", help="try the disguised truths")
    parser.add_argument("--effort", choices=EFFORTS, default="quick")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    chosen = select(all_claims(), options.claims or None)
    context = Context(options.effort, options.seed)
    if options.table is not None:
        require_writable(options.table, "table")
    if options.disguised:
        return disguised(context)
    if options.planted:
        return planted(chosen, context, options.table)
    return ledger(chosen, context)


if __name__ == "__main__":
    sys.exit(main())
