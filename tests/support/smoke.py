"""Every command of the installed package, once, on small input: ``python tests/support/smoke.py``.

For environments in which the tests do not run: the lowest versions, a built wheel outside the
repository, other Pythons. It writes into a temporary folder and ends with what it ran.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import sailtheory
from sailtheory.cli import main
from sailtheory.plots import KINDS

HERE = Path(__file__).resolve().parents[2]
EXTRAS = [  # what they need, and a command that says so where it is missing
    ("torch", "torch", ["curvature", "policy.toml"]),
    ("torch", "rl", ["train", "control", "--task", "walker-walk", "--out", "control"]),
    ("torch", "llm", ["train", "llm", "--model", "m", "--data", "prompts", "--out", "llm"]),
    ("torch", "llm", ["fetch", "smollm2-135m"]),
    ("pyarrow", "rl", ["train", "export", "a"]),
    ("pyarrow", "data", ["problem", "d.parquet", "--features", "e", "--suggest"]),
    ("datasets", "data", ["problem", "some/data", "--features", "e", "--suggest"]),
    (
        "torch",
        "embed",
        ["problem", "d.jsonl", "--embed", "minilm", "--temperature", "2", "--suggest"],
    ),
]
done = 0


def run(*words: str, code: int = 0) -> str:
    """Run a command in this process; its output. Any other exit code ends the script."""
    global done
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        found = main(list(words))
    if found != code:
        sys.exit(f"sailtheory {' '.join(words)}: exit code {found}, not {code}\n{err.getvalue()}")
    done += 1
    return out.getvalue() + err.getvalue()


def started(*command: str) -> str:
    """The same in a process of its own, as a user starts it."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def installed() -> None:
    """The package is the installed one, and both ways to start it work."""
    place = Path(sailtheory.__file__).resolve()
    assert HERE not in place.parents or "site-packages" in place.parts, f"not installed: {place}"
    script = Path(sys.executable).with_name("sailtheory")
    wanted = f"sailtheory {sailtheory.__version__}\n"
    assert started(str(script), "--version") == wanted
    assert started(sys.executable, "-m", "sailtheory", "--version") == wanted


def problems() -> None:
    """Commands about one problem."""
    names = run("example").split()
    assert len(names) > 10
    Path("p.toml").write_text(run("example", "c04-weighted-reference"), encoding="utf-8")
    Path("b.toml").write_text(run("example", "c13-boundary-maximiser"), encoding="utf-8")
    run("check", "p.toml", "--gamma", "0.1", "--json", "check.json", "--html", "check.html")
    assert json.loads(Path("check.json").read_text("utf-8"))["gamma"] == 0.1
    assert Path("check.html").read_text("utf-8").startswith("<!")
    assert "affords" in run("frontier", "p.toml", "--points", "5")
    run("certify", "p.toml", "--property", "gamma", "--tol", "0.2", "--out", "gamma.json")
    assert run("replay", "gamma.json").startswith("valid")
    run("certify", "p.toml", "--property", "concave", "--gamma", "0", code=1)
    run("certify", "p.toml", "--property", "pl", "--gamma", "1", "--tol", "0.5")
    assert "K_B" in run("rates", "p.toml", "--gamma", "1", "--no-samples")
    rows = "".join(f"{k},{0.9**k}\n" for k in range(60))
    Path("series.csv").write_text("iteration,gap\n" + rows, encoding="utf-8")
    assert "q = 0.9" in run("rates", "series.csv")
    Path("rates.csv").write_text("prompt,samples,correct\na,16,3\nb,16,0\n", encoding="utf-8")
    assert "2.475" in run("rewards", "rates.csv", "--gamma", "0.04")
    for kind in KINDS:
        source = "b.toml" if kind == "pl" else "p.toml"
        run("plot", kind, source, "-o", f"{kind}.svg", "--data", f"{kind}.json")


def preference_data() -> None:
    """A data set of preferences becomes a folder, which commands take."""
    row = '{"prompt": "Q%d", "responses": ["a", "b"], "scores": [%d, 1], "e": [[%d], [1]]}\n'
    Path("d.jsonl").write_text("".join(row % (i, i, i) for i in range(9)), encoding="utf-8")
    options = ("--features", "e", "--temperature", "2", "--beta", "0.1", "--radius", "2")
    assert "higher is better" in run("problem", "d.jsonl", *options, "--out", "folder")
    assert "K_B" in run("problem", "folder", "--suggest")
    assert "affords" in run("frontier", "folder", "--points", "5")
    run("check", "folder", "--gamma", "0.1")
    run("certify", "folder", "--property", "gamma", "--method", "per-prompt", "--out", "g.json")
    assert run("replay", "g.json").startswith("valid")
    assert "K_data" in run(
        "sweep", "folder", "--radius", "1,2", "--csv", "t.csv", "--latex", "t.tex"
    )


def claims() -> None:
    """The ledger: algebra, exact arithmetic, balls and searches."""
    run("verify", "--claims", "C02,C04,C05", "--json", "ledger.json", "--html", "l.html")
    entries = json.loads(Path("ledger.json").read_text("utf-8"))["claims"]
    assert all(entry["verdict"] == entry["expected"] for entry in entries)


def runs() -> None:
    """Records of training, which need no extra to be read and compared."""
    from sailtheory.runs.write import Run

    for method in ("a", "b"):
        for seed in (0, 1):
            config = {"method": method, "task": "t", "seed": seed}
            record = Run.create(f"{method}/{seed}", config, read=set(config))
            record.log(1, {"eval/return": float(seed)})
            record.save(1, {})
            record.finish()
    folders = [f"{method}/{seed}" for method in ("a", "b") for seed in (0, 1)]
    run("train", "diff", *folders)
    run("compare", *folders, "--json", "compare.json", "--html", "compare.html")
    run("audit", folders[0], code=2)  # no run that is known
    Path("log").mkdir()
    rows = (
        {"schema": "sailtheory.audit-log/1", "facts": {}, "stated": {}, "preferences": None,
         "notes": []},
        {"step": 0, "distance": 0.0, "numbers": {"loss": 0.7}},
        {"spent": {"updates": 1}, "seconds": 1.0, "share": 0.01},
    )  # fmt: skip
    Path("log/log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert "2 hold" in run("audit", "log", "--json", "audit.json", "--html", "audit.html")


def extras() -> list[str]:
    """Commands whose libraries are missing say so in one line; the extras that are there."""
    present = []
    for library, extra, words in EXTRAS:
        if find_spec(library):
            present.append(extra)
            continue
        line = f"sailtheory: {library} = not installed: pip install 'sailtheory[{extra}]'\n"
        said = run(*words, code=2)
        assert said == line, said
    return present


def library() -> None:
    """The Python interface and the strategies for Hypothesis."""
    from sailtheory import SAIL, KLRefPolicy, examples
    from sailtheory.landscape import gamma_star
    from sailtheory.testing import find_counterexample, preference_problems

    problem = examples.load("c04-weighted-reference")
    objective = SAIL(problem) - 0.2 * KLRefPolicy(problem)
    assert objective.hessian([[0.1] * problem.dimension]).shape[0] == 1
    assert 0 < gamma_star(problem).value < 1
    witness = find_counterexample(
        lambda p, theta: SAIL(p).value(theta), lambda p, theta: 0 * SAIL(p).value(theta) - 1,
        preference_problems(max_prompts=1, max_responses=2), max_examples=5,
    )  # fmt: skip
    assert witness is not None


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        installed()
        problems()
        preference_data()
        claims()
        runs()
        found = extras()
        library()
        os.chdir("/")
    there = ", ".join(found) or "none"
    print(f"{done} commands ran on Python {platform.python_version()}; extras: {there}")
