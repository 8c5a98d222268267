"""The map in CONTRIBUTING.md is of the tree as it is; imports go the way it says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TOP = ("sailtheory", "proofs_check", "tests", "studies", "benchmarks")
"""Whose modules are all in the map; figures and the site are named as a whole."""
DUNDER = {"__init__", "__main__"}


def map_of(page):
    (found,) = re.findall(r"^```\n(sailtheory/\n.*?)^```$", page, re.M | re.S)
    return found


def sections(text):
    """Lines of each folder at the root, by its name."""
    found = {}
    for line in text.splitlines():
        if line[0] != " ":
            name, found[line.split("/")[0]] = line.split("/")[0], [line]
        else:
            found[name].append(line)
    return found


def packages(lines):
    """Entries of ``sailtheory/`` in order: a file, or a folder and the modules below it."""
    found = []
    for line in lines[1:]:
        if line.startswith("    "):
            found[-1][1].append(line.strip())
        else:
            found.append((re.match(r"  ([\w/.]+) ", line)[1], []))
    return [(name, modules(" ".join(text))) for name, text in found]


def modules(text):
    """``one (a remark), two and three`` without the remarks."""
    plain = re.sub(r"\([^()]*\)", "", text)
    return [word for word in re.split(r",| and ", plain) for word in [word.strip()] if word]


def complaints(page, root=ROOT):
    """What the map lacks, and what it names that is not there."""
    parts, found = sections(map_of(page)), []
    listed = packages(parts.pop("sailtheory"))
    named = {name for name, _ in listed}
    for name, below in listed:
        path = root / "sailtheory" / name
        if not path.exists():
            found.append(f"no sailtheory/{name}")
        elif name.endswith("/"):
            there = {file.stem for file in path.glob("*.py")} - DUNDER
            found += [f"no sailtheory/{name}{stem}.py" for stem in below if stem not in there]
            found += [f"not named: sailtheory/{name}{stem}.py" for stem in there - {*below}]
            found += [f"twice: sailtheory/{name}{s}.py" for s in {*below} if below.count(s) > 1]
    for file in (root / "sailtheory").rglob("*.py"):
        at = file.relative_to(root / "sailtheory")
        place = at.name if at.parent == Path() else f"{at.parent.as_posix()}/"
        if place not in named and file.stem not in DUNDER:
            found.append(f"not named: sailtheory/{at.as_posix()}")
    for name, lines in parts.items():
        text = "\n".join(lines)
        paths = re.findall(r"[\w*/]+\.(?:py|toml|json|css|js)\b", text)
        folders = re.findall(r"^  (\w+/) ", text, re.M)
        seen = {path: sorted((root / name).glob(path)) for path in [*paths, *folders]}
        found += [f"no {name}/{path}" for path, files in seen.items() if not files]
        if name in TOP:
            all_named = {file for files in seen.values() for file in files}
            found += [
                f"not named: {file.relative_to(root).as_posix()}"
                for file in sorted((root / name).rglob("*.py"))
                if file not in all_named and file.stem not in DUNDER
            ]
    return sorted(found)


def test_the_map_is_true():
    assert complaints(PAGE) == []
    assert {*sections(map_of(PAGE))} >= {*TOP, "figures", "docs"}
    assert all((ROOT / name).is_dir() for name in sections(map_of(PAGE)))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("bfgs (how it climbs), ", "", "not named: sailtheory/landscape/bfgs.py"),
        ("bfgs (how", "bgfs (how", "no sailtheory/landscape/bgfs.py"),
        ("  extras.py ", "  extra.py ", "no sailtheory/extra.py"),
        ("  extras.py ", "  extra.py ", "not named: sailtheory/extras.py"),
        ("formulas (every", "formulae (every", "not named: sailtheory/theory/formulas.py"),
        ("  training/llm/ ", "  training/lm/ ", "no sailtheory/training/lm/"),
        ("html_claims,", "html, html_claims,", "twice: sailtheory/report/html.py"),
        ("arguments/tabular_rule.py, ", "", "not named: proofs_check/arguments/tabular_rule.py"),
        ("*_steps.py", "*_stairs.py", "no proofs_check/arguments/*_stairs.py"),
        ("formal/mutants.py", "formal/none.py", "no proofs_check/formal/none.py"),
        ("control.py, llm.py", "control.py", "not named: benchmarks/llm.py"),
        ("skips.toml", "skipped.toml", "no tests/skipped.toml"),
        ("pages.py, render.py", "pages.py", "not named: studies/render.py"),
    ],
)
def test_what_is_missing_or_gone_is_seen(old, new, complaint):
    page = PAGE.replace(map_of(PAGE), map_of(PAGE).replace(old, new, 1))
    assert page != PAGE and complaint in complaints(page)


def kept(root):
    """Whether ``lint-imports`` finds every contract of pyproject.toml kept, and what it says."""
    command = "from importlinter.cli import lint_imports; import sys; sys.exit(lint_imports())"
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=root, capture_output=True, text=True, check=False
    )
    return done.returncode == 0, " ".join(done.stdout.split())


def test_imports_go_in_one_direction():
    assert kept(ROOT)[0]


WRONG = {
    "sailtheory/problem/blocks.py": "from sailtheory.objectives.sail import SAIL",
    "sailtheory/training/llm/scale.py": "from sailtheory.training.control import methods",
    "sailtheory/compare/arms.py": "from studies import render",
    "proofs_check/evidence/argument.py": "from proofs_check.claims import all_claims",
    "sailtheory/stray.py": "",
}


def test_an_import_against_the_contract_is_seen(tmp_path):
    """Each breaks another contract; a module that no layer names breaks the first."""
    for name in ("sailtheory", "proofs_check", "studies"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.json"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, line in WRONG.items():
        path = tmp_path / name
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        path.write_text(f"{text}\n\n{line}\n", encoding="utf-8")
    holds, said = kept(tmp_path)
    assert not holds
    assert "sailtheory.problem is not allowed to import sailtheory.objectives" in said
    assert "llm is not allowed to import sailtheory.training.control" in said
    assert "sailtheory is not allowed to import studies" in said
    assert "proofs_check.evidence is not allowed to import proofs_check.claims" in said
    assert "sailtheory.stray" in said


def test_the_map_and_the_contract_agree():
    """From the bottom up, the map names the layers in an order that the contract allows."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    (layers, *_) = [c["layers"] for c in contracts["importlinter"]["contracts"] if "layers" in c]
    place = {name: i for i, layer in enumerate(reversed(layers)) for name in layer.split(" | ")}
    listed = packages(sections(map_of(PAGE))["sailtheory"])
    order = [place[re.split(r"[/.]", name)[0]] for name, _ in listed]
    assert order == sorted(order) and {*order} == {*place.values()}
