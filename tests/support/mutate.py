"""How many small slips in the formulas, bounds and certificates the tests notice.

    python -m tests.support.mutate [--sample 300] [--seed 0] [--jobs 2] [--out FILE] [--only TEXT]

Each mutant of the sample is tried in a process of its own, forked from one that has imported
the libraries: the changed module is imported in place of the one on disk, no file is written,
and the tests of ``TESTS`` run until one fails. A mutant that uses up its CPU time counts as
killed and is listed as ``out of time``. With ``--out`` an interrupted run goes on where it
was as long as the mutated files are the same, and survivors are tried again.

``equivalent_mutants.toml`` lists mutants that change nothing that a test could observe, each
with its reason; those that a test kills all the same count as killed. The exit code is 1 when
less than ``LEAST`` of the others are killed.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import random
import resource
import signal
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha256
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import Any

import pytest

from tests.support.mutants import Mutant, mutants

ROOT = Path(__file__).parents[2]
EQUIVALENT = Path(__file__).parent / "equivalent_mutants.toml"
LEAST = 0.9
CPU_SECONDS = 60
MEMORY = 12 << 30
SURVIVED = "no test"
SHOWN = ("file", "function", "line", "kind", "before", "after")
FOUND = ("outcome", "by", "seconds")
LIBRARIES = ("scipy.linalg", "scipy.optimize", "scipy.special", "scipy.stats", "mpmath", "flint")
SYMBOLIC = ("sympy", "torch")
"""Libraries that tests need, the last ones those of formulas and bounds."""

BOUNDS = ["theory/test_bounds", "theory/test_relative_bound", "theory/test_inner_supremum"]
TESTS = {
    "theory/formulas.py": ["support/claims_in_order"],
    "theory/fields.py": ["support/claims_in_order"],
    "theory/field_bound.py": ["theory/test_field_bound"],
    "theory/pair_form.py": [
        "support/claims_in_order",
        "landscape/test_pencil",
    ],
    "theory/bounds.py": BOUNDS,
    "theory/inner_supremum.py": BOUNDS[::-1],
    "numeric/enclose.py": ["numeric/test_enclose", *BOUNDS],
    "certificates/branch.py": ["certificates/test_search", "certificates/test_cover"],
    "certificates/certificate.py": ["certificates/test_forged"],
    "certificates/certify.py": ["certificates/test_levels", "certificates/test_search"],
    "certificates/cover.py": [
        "certificates/test_cover",
        "certificates/test_forged",
        "certificates/test_search",
    ],
    "certificates/expansion.py": ["certificates/test_bounds", "certificates/test_remainder"],
    "certificates/pencil.py": ["certificates/test_bounds", "certificates/test_search"],
    "certificates/positive.py": ["certificates/test_bounds", "certificates/test_cover"],
    "certificates/refine.py": [
        "certificates/test_search",
        "certificates/test_resume::test_a_coarse_pass_does_not_push_out_the_fine_one",
        "certificates/test_resume::test_finished_levels_are_skipped",
    ],
    "certificates/region.py": ["certificates/test_search", "certificates/test_forged"],
    "certificates/remainder.py": ["certificates/test_remainder", "certificates/test_bounds"],
    "certificates/replay.py": ["certificates/test_forged"],
    "certificates/saved.py": [
        "certificates/test_resume::test_a_state_gives_back_what_it_took",
        "certificates/test_resume::test_what_is_no_state_is_refused_and_stays",
        "certificates/test_resume::test_a_forged_state_is_not_believed",
        "certificates/test_resume::test_finished_levels_are_skipped",
        "certificates/test_resume::test_pieces_that_another_version_settled_are_shown_again",
    ],
    "certificates/stationary.py": [
        "certificates/test_search",
        "certificates/test_forged",
        "certificates/test_certify::test_a_spurious_stop_refutes_prox_pl",
        "certificates/test_certify::test_an_interior_stop_refutes_plain_pl",
    ],
}
"""What is mutated, and the tests that are to notice, the quickest first."""


def population() -> list[Mutant]:
    """All mutants of all files."""
    files = [f"sailtheory/{name}" for name in TESTS]
    return [mutant for file in files for mutant in mutants(ROOT / file, file)]


def killers(file: str) -> list[str]:
    """The tests that are to notice a mutant of a file, as pytest takes them."""
    named = [name.partition("::") for name in TESTS[file.removeprefix("sailtheory/")]]
    return [f"tests/{name}.py{mark}{test}" for name, mark, test in named]


# --- equivalent mutants -----------------------------------------------------------------


@cache
def equivalents() -> list[dict[str, Any]]:
    """The entries of the list, each with file, function, before, after and reason."""
    return list(tomllib.loads(EQUIVALENT.read_text(encoding="utf-8")).get("mutant", []))


def matches(entry: dict[str, Any], mutant: Mutant) -> bool:
    """Whether an entry speaks of a mutant; without ``after``, of every change of its line."""
    same = all(entry[key] == getattr(mutant, key) for key in ("file", "function", "before"))
    return same and mutant.after in entry.get("after", [mutant.after])


def reason(mutant: Mutant) -> str | None:
    """Why a mutant is equivalent, or None."""
    return next((entry["reason"] for entry in equivalents() if matches(entry, mutant)), None)


# --- one mutant ---------------------------------------------------------------------------


class _Changed(SourceFileLoader):
    """Loads a module from a text instead of its file."""

    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self._text = text

    def get_code(self, fullname: str) -> Any:
        return compile(self._text, self.path, "exec", dont_inherit=True)


class _Finder:
    """Finds the changed module before the one on disk."""

    def __init__(self, mutant: Mutant) -> None:
        self._name = mutant.file.removesuffix(".py").replace("/", ".")
        path = ROOT / mutant.file
        self._loader = _Changed(self._name, str(path), mutant.applied(path.read_text("utf-8")))

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name != self._name:
            return None
        return importlib.util.spec_from_file_location(name, self._loader.path, loader=self._loader)


class _Watcher:
    """Remembers the first test that fails."""

    failed = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = self.failed or report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed = self.failed or f"{report.nodeid} (import)"


def noticed(mutant: Mutant, tests: Sequence[str]) -> str:
    """The first test that fails, or ""; in a process that has not imported the package."""
    sys.meta_path.insert(0, _Finder(mutant))
    watcher, quick = _Watcher(), ["-x", "-q", "-p", "no:cacheprovider", "--assert=plain"]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    code = pytest.main([*quick, *tests], plugins=[watcher])
    return watcher.failed or ("" if code == 0 else f"pytest ended with {int(code)}")


def _child(mutant: Mutant, out: int) -> None:
    """Run the tests, silently and within limits, say which one failed, and end."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silence, stream)
    try:
        found = noticed(mutant, killers(mutant.file))
    except BaseException as error:  # a mutant may break anything, pytest included
        found = f"{type(error).__name__} outside a test"
    os.write(out, (found or SURVIVED).encode())
    os._exit(0)


# --- many mutants -------------------------------------------------------------------------


def tried(work: Sequence[Mutant], jobs: int) -> Iterator[tuple[Mutant, dict[str, Any]]]:
    """Each mutant with its outcome, by which test, and CPU seconds; as they end."""
    waiting = list(work)[::-1]
    running: dict[int, tuple[Mutant, int]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            near, far = os.pipe()
            pid = os.fork()
            if pid == 0:
                _child(mutant, far)
            os.close(far)
            running[pid] = mutant, near
        pid, status, used = os.wait4(-1, 0)
        mutant, near = running.pop(pid)
        with open(near, encoding="utf-8") as pipe:
            said = pipe.read()
        seconds = round(used.ru_utime + used.ru_stime, 1)
        yield mutant, _found(mutant, said, status) | {"seconds": seconds}


def _found(mutant: Mutant, said: str, status: int) -> dict[str, Any]:
    """What became of a mutant whose process said this and ended so."""
    if os.WIFSIGNALED(status):
        late = os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)
        return {"outcome": "out of time" if late else "killed", "by": f"signal {status}"}
    if said != SURVIVED:
        return {"outcome": "killed", "by": said}
    why = reason(mutant)
    return {"outcome": "equivalent" if why else "survived", "by": why or said}


def sound(drawn: Sequence[Mutant], jobs: int) -> None:
    """Refuse to begin where the tests fail without a change."""
    each = {tuple(killers(mutant.file)): mutant.file for mutant in drawn}
    unchanged = [Mutant(file, "", 0, "", "", "", 0, 0, "") for file in each.values()]
    for mutant, found in tried(unchanged, jobs):
        if found["outcome"] != "survived":
            sys.exit(f"without a change to {mutant.file}: {found['by']}")


def summary(results: Sequence[dict[str, Any]]) -> tuple[str, float]:
    """``killed K of N …`` and K/N; equivalent mutants are not among the N."""
    count = Counter(result["outcome"] for result in results)
    killed, n = count["killed"] + count["out of time"], len(results) - count["equivalent"]
    share = killed / n if n else 1.0
    said = f"killed {killed} of {n} ({100 * share:.1f} %; {count['out of time']} out of time)"
    return f"{said}, equivalent {count['equivalent']}, survived {count['survived']}", share


def _sources() -> str:
    """A digest of the files that are mutated."""
    texts = [(ROOT / "sailtheory" / name).read_bytes() for name in TESTS]
    return sha256(b"".join(texts)).hexdigest()


def _kept(out: Path | None, drawn: Sequence[Mutant]) -> dict[Mutant, dict[str, Any]]:
    """What a file of results on the same sources says about mutants that were killed."""
    data = json.loads(out.read_text("utf-8")) if out is not None and out.exists() else {}
    if data.get("sources") != _sources():
        return {}
    killed = {
        tuple(each[key] for key in SHOWN): {key: each[key] for key in FOUND}
        for each in data["mutants"]
        if each["outcome"] in ("killed", "out of time")
    }
    keys = {mutant: tuple(getattr(mutant, key) for key in SHOWN) for mutant in drawn}
    return {mutant: killed[key] for mutant, key in keys.items() if key in killed}


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the sample, try it, print what survives and the summary."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sample", type=int, default=300, help="mutants to draw")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--out", type=Path, help="results as JSON; go on from there")
    parser.add_argument("--only", default="", help="part of the names of the files to mutate")
    asked = parser.parse_args(arguments)
    some = [mutant for mutant in population() if asked.only in mutant.file]
    drawn = random.Random(asked.seed).sample(some, min(asked.sample, len(some)))
    done = _kept(asked.out, drawn)
    os.chdir(ROOT)
    others = any("certify" not in mutant.file for mutant in drawn)
    for library in LIBRARIES + SYMBOLIC * others:
        importlib.import_module(library)
    sound(drawn, asked.jobs)
    for mutant, found in tried([mutant for mutant in drawn if mutant not in done], asked.jobs):
        done[mutant] = found
        said = f"{len(done)}/{len(drawn)} {found['outcome']:11} {found['seconds']:5.1f} s"
        print(f"{said}  {shown(mutant)}", flush=True)
        if asked.out is not None:
            _write(asked, len(some), drawn, done)
    said, share = summary(list(done.values()))
    for mutant in (m for m in drawn if done[m]["outcome"] == "survived"):
        print(f"survived: {shown(mutant)}")
    print(said)
    return int(share < LEAST)


def shown(mutant: Mutant) -> str:
    """A mutant on one line."""
    return f"{mutant.file}:{mutant.line}  {mutant.before}  →  {mutant.after}"


def _write(
    asked: argparse.Namespace,
    size: int,
    drawn: Sequence[Mutant],
    done: dict[Mutant, dict[str, Any]],
) -> None:
    listed = [{key: getattr(m, key) for key in SHOWN} | done[m] for m in drawn if m in done]
    head = {
        "summary": summary(listed)[0], "population": size, "sample": asked.sample,
        "seed": asked.seed, "sources": _sources(), "mutants": listed,
    }  # fmt: skip
    asked.out.write_text(json.dumps(head, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
