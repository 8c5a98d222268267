"""The map in CONTRIBUTING.md is of the tree as it is, and imports go the way it says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TOP = ("sailtheory", "proofs_check", "tests", "benchmarks")
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


def rooms(lines):
    """Entries of ``sailtheory/`` in order: names, and of a folder the modules below it."""
    found = []
    for line in lines[1:]:
        if line.startswith("    "):
            found[-1][1].append(line.strip())
        else:
            names = re.match(r"  ((?:[\w/.]+, )*[\w/.]+) ", line)[1]
            found.append((names.split(", "), []))
    return [(names, modules(" ".join(text))) for names, text in found]


def modules(text):
    """``one (a remark), two and three`` without the remarks."""
    plain = re.sub(r"\([^()]*\)", "", text)
    return [word for word in re.split(r",| and ", plain) for word in [word.strip()] if word]


def complaints(page, root=ROOT):
    """What the map lacks, and what it names that is not there."""
    parts, found = sections(map_of(page)), []
    listed = [(n, kept) for names, kept in rooms(parts.pop("sailtheory")) for n in names]
    named = {name for name, _ in listed}
    for name, kept in listed:
        path = root / "sailtheory" / name
        if not path.exists():
            found.append(f"no sailtheory/{name}")
        elif name.endswith("/"):
            there = {file.stem for file in path.glob("*.py")} - DUNDER
            found += [f"no sailtheory/{name}{stem}.py" for stem in kept if stem not in there]
            found += [f"not named: sailtheory/{name}{stem}.py" for stem in there - {*kept}]
            found += [f"twice: sailtheory/{name}{s}.py" for s in {*kept} if kept.count(s) > 1]
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
        ("readers.py ", "writers.py ", "no sailtheory/writers.py"),
        ("files.py, lock.py ", "files.py ", "not named: sailtheory/storage/lock.py"),
        ("inherited and neutral", "neutral", "not named: sailtheory/training/llm/inherited.py"),
        ("  training/llm/ ", "  training/lm/ ", "no sailtheory/training/lm/"),
        ("html_claims,", "html, html_claims,", "twice: sailtheory/report/html.py"),
        (", tabular_rule.py", "", "not named: proofs_check/arguments/tabular_rule.py"),
        ("*_steps.py", "*_stairs.py", "no proofs_check/*_stairs.py"),
        ("formal/mutants.py", "formal/none.py", "no proofs_check/formal/none.py"),
        ("log_linear.py", "log_log.py", "not named: studies/log_linear/__main__.py"),
        ("skips.toml", "skipped.toml", "no tests/skipped.toml"),
        ("smoke.py\n", "\n", "not named: tests/support/smoke.py"),
    ],
)
def test_what_is_missing_or_gone_is_seen(old, new, complaint):
    page = PAGE.replace(map_of(PAGE), map_of(PAGE).replace(old, new, 1))
    assert page != PAGE and complaint in complaints(page)


def imported(path):
    """Modules of the package that a file imports when it is loaded, as their parts."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    later = [
        node for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]  # fmt: skip
    left_out = {id(inner) for node in later for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in left_out or not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        of = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
        names = [f"{of}{alias.name}" for alias in node.names]
        yield from (name.split(".")[1:] for name in names if name.startswith("sailtheory."))


def upwards(page):
    """Imports from rooms below their own, and how many imports there are."""
    places = {
        name: place
        for place, (names, _) in enumerate(rooms(sections(map_of(page))["sailtheory"]))
        for name in names
    }

    def place_of(parts):
        names = [f"{'/'.join(parts[:2])}/", f"{parts[0]}/", f"{parts[0]}.py"]
        known = [places[name] for name in names if name in places]
        return known[0] if known else -1  # what the package itself defines

    found, seen = [], 0
    for path in sorted((ROOT / "sailtheory").rglob("*.py")):
        own = path.relative_to(ROOT / "sailtheory").with_suffix("").parts
        for parts in [] if own[0] in DUNDER else imported(path):
            seen += 1
            if place_of(parts) > place_of(own):
                found.append(f"{'.'.join(own)} imports {'.'.join(parts)}")
    return found, seen


def test_imports_go_in_one_direction():
    found, seen = upwards(PAGE)
    assert found == [] and seen > 500


def test_an_import_from_below_is_seen():
    (line,) = re.findall(r"^  blocks.py .*\n", PAGE, re.M)
    later = PAGE.replace(line, "").replace("  landscape/ ", f"{line}  landscape/ ")
    assert "problem imports blocks.Block" in upwards(later)[0]
