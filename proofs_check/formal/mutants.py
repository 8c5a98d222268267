"""Wrong constants, signs and dropped hypotheses: false by a number, accepted by none.

``python -m proofs_check.formal.mutants`` shows each false by its witness, then gives the mutated
file to Coq, which must reject it. A mutant that is merely unprovable would prove
nothing; so the witness comes first.
"""

from __future__ import annotations

import argparse
import math
import random
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from proofs_check.formal import build
from proofs_check.formal.mutations import MUTANTS, Mutant


def _source(file: str) -> str:
    return (build.SOURCES / f"{file}.v").read_text(encoding="utf-8")


def mutate(mutant: Mutant) -> str:
    """The mutated source.

    Raises:
        ValueError: The text to be replaced is not there exactly once.
    """
    text = _source(mutant.file)
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.file}: {mutant.old!r} is there {text.count(mutant.old)} times")
    return text.replace(mutant.old, mutant.new)


def is_false(mutant: Mutant) -> bool:
    """Whether the witness contradicts the mutated statement, beyond rounding."""
    excess = mutant.excess()
    return math.isfinite(excess) and excess > 1e-9


def accepted(file: str, text: str, compiled: Path) -> bool:
    """Whether Coq accepts a text in place of a source, given the compiled others."""
    with tempfile.TemporaryDirectory() as folder:
        for path in compiled.glob("*.vo"):
            if path.stem != file:
                (Path(folder) / path.name).symlink_to(path.resolve())
        (Path(folder) / f"{file}.v").write_text(text, encoding="utf-8")
        command = ["coqc", "-q", "-w", "none", "-Q", ".", "Sail", f"{file}.v"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode == 0


def main() -> int:
    """Exit 0 when every mutant is false and none is accepted, 1 otherwise, 3 without Coq."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--into", default="build/formal", help="folder of the compiled files")
    parser.add_argument("--sample", type=int, help="give so many of them to Coq, drawn by the seed")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    compiled = Path(options.into).resolve()
    size = len(MUTANTS) if options.sample is None else min(options.sample, len(MUTANTS))
    given = random.Random(options.seed).sample(MUTANTS, size)
    wrong = [mutant for mutant in MUTANTS if not is_false(mutant)]
    for mutant in wrong:
        print(f"NOT SHOWN FALSE  {mutant.file}: {mutant.new.strip()}")
    if shutil.which("coqc") is None or not (compiled / "Sums.vo").exists():
        print("the mutants were NOT given to Coq: run `make formal` first", file=sys.stderr)
        return build.MISSING
    with ThreadPoolExecutor(2) as pool:
        # A control: unmutated, each file is accepted in the same place.
        files = list(dict.fromkeys(mutant.file for mutant in given))
        found = pool.map(lambda file: accepted(file, _source(file), compiled), files)
        for file, holds in zip(files, found, strict=True):
            if not holds:
                print(f"{file} is not accepted as it stands: run `make formal`", file=sys.stderr)
                return 1
        survived = list(pool.map(lambda m: accepted(m.file, mutate(m), compiled), given))
    for mutant, alive in zip(given, survived, strict=True):
        said = " ".join((mutant.new or f"without: {mutant.old}").split())
        print(f"{'SURVIVED' if alive else 'rejected'}  {mutant.file}: {said[:90]}")
    survivors = sum(survived)
    print(
        f"{len(MUTANTS)} mutants, {len(MUTANTS) - len(wrong)} false by a number; "
        f"{survivors} of {len(given)} accepted"
    )
    return 1 if wrong or survivors else 0


if __name__ == "__main__":
    sys.exit(main())
