"""``python -m proofs_check``: the ledger of this package, or its planted falsehoods."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from proofs_check import claims
from sailtheory.claims import EFFORTS, Claim, Context, Falsehood, run_all, select
from sailtheory.errors import InputError
from sailtheory.verdict import Outcome, Verdict, conclude


def ledger(chosen: Sequence[Claim], context: Context) -> int:
    """Print one line a claim; 1 if a verdict is not the expected one."""
    status = 0
    for result in run_all(chosen, context):
        verdict, expected = result.verdict, result.claim.expected.value
        strength = verdict.strength.value if verdict.strength else "-"
        mark = "" if result.as_expected else "  DIFFERS"
        print(
            f"{result.claim.id:5} {verdict.outcome.value:9} {strength:9} "
            f"expected {expected:9} {result.seconds:6.2f} s  {result.claim.title}{mark}",
            flush=True,
        )
        status |= not result.as_expected
    return status


def is_refuted(verdict: Verdict) -> bool:
    """Refuted by a witness that replays."""
    witness = verdict.witness
    return verdict.outcome is Outcome.REFUTED and witness is not None and witness.replay()


def try_falsehood(falsehood: Falsehood, context: Context) -> tuple[bool, Verdict]:
    """Whether a planted falsehood is refuted, and the verdict."""
    verdict = conclude(falsehood.check(context))
    return is_refuted(verdict), verdict


def planted(chosen: Sequence[Claim], context: Context) -> int:
    """Print one line a falsehood; 1 if one is missed."""
    total = refuted = 0
    for claim in chosen:
        for falsehood in claim.planted:
            began = time.perf_counter()
            found, verdict = try_falsehood(falsehood, context)
            total, refuted = total + 1, refuted + found
            word = "refuted" if found else f"MISSED ({verdict.outcome.value})"
            print(
                f"{claim.id:5} {word:9} {time.perf_counter() - began:6.2f} s  "
                f"{falsehood.name}: {falsehood.statement}",
                flush=True,
            )
    print(f"planted {total}, refuted {refuted}, missed {total - refuted}")
    return int(refuted < total)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; 0 when all is as expected, 1 when not, 2 on bad input."""
    parser = argparse.ArgumentParser(prog="python -m proofs_check", description=__doc__)
    parser.add_argument("claims", nargs="*", metavar="C11", help="claims to check, all by default")
    parser.add_argument("--planted", action="store_true", help="try the planted falsehoods")
    parser.add_argument("--effort", choices=EFFORTS, default="quick")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    try:
        chosen = select(claims(), options.claims or None)
        context = Context(options.effort, options.seed)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return planted(chosen, context) if options.planted else ledger(chosen, context)


if __name__ == "__main__":
    sys.exit(main())
