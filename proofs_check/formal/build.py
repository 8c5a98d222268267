"""Build the machine-checked theorems: ``python3 proofs_check/formal/build.py``.

Uses the standard library alone, so that it runs before anything is installed. It refuses
gaps in the sources, compiles them with Coq, has every theorem's axioms printed and compared
with an allow-list, has ``coqchk`` check the compiled files again, and compares the outcome with
the committed record (``record.json``), which the ledger reads where Coq is absent.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

SOURCES = Path(__file__).resolve().parent
RECORD = SOURCES / "record.json"
PACKAGES = ("coq", "libcoq-coquelicot", "libcoq-interval")
MISSING = 3
"""Exit status where Coq is not there."""

ALLOWED = frozenset(
    {
        "ClassicalDedekindReals.sig_forall_dec",
        "ClassicalDedekindReals.sig_not_dec",
        "FunctionalExtensionality.functional_extensionality_dep",
        "Classical_Prop.classic",
    }
)
"""The axioms of Coq's classical real numbers; no theorem may rest on any other."""

COMPUTED = frozenset({"Numbers", "C08_other_kl", "C11_c_zero", "C11b_averaged_value"})
"""Files that compute with intervals; ``coqchk`` has no virtual machine and would take hours."""

_GAPS = re.compile(
    r"\b(Admitted|Axioms?|Parameters?|Conjectures?|admit|give_up|Abort|Unset\s+Guard\s+Checking|"
    r"Unset\s+Positivity\s+Checking|Unset\s+Universe\s+Checking|bypass_check|native_compute)\b"
)
_STATED = re.compile(r"^(?:Theorem|Corollary)\s+([\w']+)", re.MULTILINE)
_INSTANCES = (
    re.compile(r"^Definition\s+instance_([\w']+)\s*:=\s*ltac:\(holds(.*?)\)\.$", re.M | re.S),
    re.compile(r"^Theorem\s+instance_([\w']+)\s*:.*?^Proof\.(.*?)\bQed\.", re.M | re.S),
)
_OUTSIDE = re.compile(r"^(?:Variables?|Hypothes[ie]s|Context)\b")
_FLAGS = ["-q", "-w", "-ambiguous-paths"]


class NotBuilt(Exception):
    """What stopped the build, one line."""


def sources() -> list[Path]:
    """The Coq files, by name."""
    return sorted(SOURCES.glob("*.v"))


def without_comments(text: str) -> str:
    """Coq text without its comments, which nest."""
    out, depth, i = [], 0, 0
    while i < len(text):
        pair = text[i : i + 2]
        if pair in ("(*", "*)"):
            depth += 1 if pair == "(*" else -1
            i += 2
            continue
        if depth == 0:
            out.append(text[i])
        i += 1
    return "".join(out)


def gaps(text: str) -> list[str]:
    """Words of a Coq text that leave something unproved, and assumptions outside a section."""
    code = without_comments(text)
    found = [match[1] for match in _GAPS.finditer(code)]
    depth = 0
    for line in code.splitlines():
        depth += bool(re.match(r"\s*Section\s", line))
        depth -= bool(re.match(r"\s*End\s", line))
        if depth == 0 and _OUTSIDE.match(line):
            found.append(line.split()[0] + " outside a section")
    return found


def theorems(text: str) -> list[str]:
    """Names of the theorems and corollaries that a Coq text states."""
    return _STATED.findall(without_comments(text))


def digest(text: bytes) -> str:
    """SHA-256 of a source."""
    return hashlib.sha256(text).hexdigest()


def instances() -> set[str]:
    """Theorems that ``Instances*.v`` apply, with every premise shown, by name."""
    found = set()
    for path in SOURCES.glob("Instances*.v"):
        code = without_comments(path.read_text(encoding="utf-8"))
        for match in chain.from_iterable(pattern.finditer(code) for pattern in _INSTANCES):
            if re.search(rf"(?<![\w']){re.escape(match[1])}(?![\w'])", match[2]):
                found.add(match[1])
    return found


def stated() -> dict[str, list[str]]:
    """Theorems by file, as the sources state them now."""
    found = {path.name: theorems(path.read_text(encoding="utf-8")) for path in sources()}
    return {name: names for name, names in found.items() if names}


def recorded() -> dict[str, object]:
    """What Coq accepted when the record was made."""
    record: dict[str, object] = json.loads(RECORD.read_text(encoding="utf-8"))
    return record


def is_current() -> bool:
    """Whether the sources are, byte for byte, those that Coq accepted."""
    now = {path.name: digest(path.read_bytes()) for path in sources()}
    return RECORD.exists() and recorded()["sources"] == now


def version() -> str | None:
    """Coq's version, None where it is absent."""
    if shutil.which("coqc") is None:
        return None
    return _run(["coqc", "--print-version"]).split()[0]


def missing_packages() -> list[str]:
    """Debian packages that are still wanted."""
    if shutil.which("coqc") is None:
        return list(PACKAGES)
    library = Path(_run(["coqc", "-where"]).strip()) / "user-contrib"
    wanted = {"Coquelicot": "libcoq-coquelicot", "Interval": "libcoq-interval"}
    return [package for folder, package in wanted.items() if not (library / folder).is_dir()]


def install(packages: Iterable[str]) -> None:
    """Install Debian packages where that can be done; otherwise nothing happens."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["update", "-qq"],
        ["install", "-y", "-qq", "--no-install-recommends", *packages],
    ):
        subprocess.run(
            ["apt-get", *command], env=environment, stdout=subprocess.DEVNULL, check=False
        )


def compile_into(folder: Path, jobs: int = 2) -> None:
    """Compile all sources in a folder, one process at a time; what is unchanged is kept.

    Raises:
        NotBuilt: A source that Coq does not accept.
    """
    import fcntl  # not on every system; nor is Coq

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _compile(folder, jobs)


def _compile(folder: Path, jobs: int) -> None:
    for path in sources():
        copy = folder / path.name
        if not copy.exists() or copy.read_bytes() != path.read_bytes():
            shutil.copyfile(path, copy)
    names = [path.name for path in sources()]
    for stale in folder.glob("*.v"):
        if stale.name not in names:
            stale.unlink()
    listing = ["-Q . Sail", "-arg -w", "-arg -ambiguous-paths", *names]
    (folder / "_CoqProject").write_text("\n".join(listing) + "\n", encoding="utf-8")
    _run(["coq_makefile", "-f", "_CoqProject", "-o", "CoqMakefile"], folder)
    _run(["make", "-f", "CoqMakefile", f"-j{jobs}", "--no-print-directory"], folder)


def axioms(folder: Path) -> list[str]:
    """The axioms that the theorems rest on, as Coq prints them for all of them together.

    Raises:
        NotBuilt: Coq printed something else.
    """
    names = [f"{file[:-2]}.{name}" for file, listed in stated().items() for name in listed]
    lines = [f"From Sail Require {file[:-2]}." for file in stated()]
    lines += [f"Definition every_theorem := ({', '.join(f'@{name}' for name in names)})."]
    lines += ["Print Assumptions every_theorem."]
    (folder / "Assumptions.v").write_text("\n".join(lines) + "\n", encoding="utf-8")
    printed = _run(["coqc", *_FLAGS, "-Q", ".", "Sail", "Assumptions.v"], folder)
    return axiom_names(printed)


def axiom_names(printed: str) -> list[str]:
    """What ``Print Assumptions`` printed, as names.

    Coq indents what it continues, so each line that is not indented names an assumption: with
    its type, or alone where the type does not fit, or in words ("f is assumed to be guarded").

    Raises:
        NotBuilt: No list of axioms.
    """
    lines = [line for line in printed.splitlines() if line.strip() and not line[0].isspace()]
    if lines == ["Closed under the global context"]:
        return []
    if not lines or lines[0] != "Axioms:" or len(lines) == 1:
        raise NotBuilt(f"Print Assumptions printed {printed[:80]!r}")
    return sorted(line.split()[0].rstrip(":") for line in lines[1:])


def recheck(folder: Path) -> None:
    """Have ``coqchk`` check the compiled files again, all but :data:`COMPUTED`.

    Libraries are taken as they are.

    Raises:
        NotBuilt: A file that ``coqchk`` does not accept.
    """
    modules = [f"Sail.{path.stem}" for path in sources() if path.stem not in COMPUTED]
    _run(
        ["coqchk", "-silent", "-Q", ".", "Sail", "-norec", *_interleaved("-norec", modules)], folder
    )


def _interleaved(option: str, values: list[str]) -> list[str]:
    first, *rest = values
    return [first, *(word for value in rest for word in (option, value))]


def check(folder: Path, jobs: int) -> dict[str, object]:
    """Everything: gaps, compilation, axioms, ``coqchk``.

    Returns:
        The record of what was accepted.

    Raises:
        NotBuilt: What is wrong, one line.
    """
    for path in sources():
        if found := gaps(path.read_text(encoding="utf-8")):
            raise NotBuilt(
                f"{path.name}: {', '.join(sorted(set(found)))} leave(s) something unproved"
            )
    compile_into(folder, jobs)
    used = axioms(folder)
    if others := set(used) - ALLOWED:
        raise NotBuilt(f"a theorem rests on {', '.join(sorted(others))}, which is not allowed")
    recheck(folder)
    return {
        "coq": version(),
        "axioms": used,
        "sources": {path.name: digest(path.read_bytes()) for path in sources()},
        "theorems": stated(),
    }


def _run(command: list[str], folder: Path | None = None) -> str:
    if shutil.which(command[0]) is None:
        raise NotBuilt(f"{command[0]} is missing")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise NotBuilt(f"{command[0]}: " + " | ".join(lines[:6]))
    return done.stdout


def _compile_only(folder: Path, jobs: int) -> int:
    """Compile into a folder named by the sources; prints it."""
    named = folder / digest(b"".join(path.read_bytes() for path in sources()))[:16]
    try:
        compile_into(named, jobs)
    except NotBuilt as trouble:
        print(f"sailtheory: {trouble}", file=sys.stderr)
        return 1
    print(named)
    return 0


def main() -> int:
    """Exit 0 built, 1 not accepted, 3 Coq is absent."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--install", action="store_true", help="install Coq by apt-get if missing and root"
    )
    parser.add_argument("--record", action="store_true", help="write record.json from this build")
    parser.add_argument("--into", default="build/formal", help="folder for the compiled files")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--compile-only", action="store_true", help="compile, print the folder")
    options = parser.parse_args()
    if options.install and (wanted := missing_packages()):
        install(wanted)
    if wanted := missing_packages():
        print(
            "sailtheory: the machine-checked theorems were NOT checked: Coq is missing "
            f"(Debian: apt-get install --no-install-recommends {' '.join(wanted)})",
            file=sys.stderr,
        )
        return MISSING
    if options.compile_only:
        return _compile_only(Path(options.into).resolve(), options.jobs)
    try:
        made = check(Path(options.into).resolve(), options.jobs)
    except NotBuilt as trouble:
        print(f"sailtheory: {trouble}", file=sys.stderr)
        return 1
    if options.record:
        RECORD.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    count = sum(len(names) for names in stated().values())
    print(f"{count} theorems in {len(sources())} files accepted by Coq {version()} and coqchk")
    print(f"axioms: {', '.join(str(name) for name in made['axioms'])}")  # type: ignore[attr-defined]
    if not is_current():
        print("record.json is of other sources: rerun with --record and commit it", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
