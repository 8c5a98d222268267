"""Interruption of certificates: a killed run goes on where it was; time limits; output paths."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sailtheory import InputError
from sailtheory.certificates import Budget, certify_gamma, refine, replay, saved
from sailtheory.certificates.branch import Statement, grow
from sailtheory.certificates.cover import LEAF, OPEN, Checker, leaves, root
from sailtheory.certificates.region import region
from sailtheory.certificates.saved import Cover, recall, remember
from sailtheory.cli import main
from sailtheory.problem.problem_file import save as save_problem
from tests.certificates.test_bounds import random_problem

TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def problem():
    return random_problem(
        np.random.default_rng(5), d=3, m=4, n=1, radius=0.4, ref_params=[0.1, 0, 0]
    )


@pytest.fixture(scope="module")
def undisturbed(problem):
    return certify_gamma(problem, TOLERANCE)


@pytest.fixture
def proofs(monkeypatch):
    """How often a piece was tried in ball arithmetic, in this process."""
    count = [0]
    each_holds = Checker.each_holds

    def counted(self, boxes):
        count[0] += len(boxes)
        return each_holds(self, boxes)

    monkeypatch.setattr(Checker, "each_holds", counted)
    return count


def words(state):
    return [entry["word"] for entry in json.loads(state.read_text())["covers"].values()]


# --- a killed run -----------------------------------------------------------------------


def test_after_sigkill_the_work_goes_on(problem, undisturbed, proofs, tmp_path):
    source, state = tmp_path / "p.toml", tmp_path / "c.json.partial"
    save_problem(problem, source)
    code = (
        "import sys; from sailtheory.cli import main; "
        "main(['certify', sys.argv[1], '--property', 'gamma', '--tol', sys.argv[2], "
        "'--out', sys.argv[3]])"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", code, source, str(TOLERANCE), tmp_path / "c.json"]
    )
    while not state.exists():
        assert run.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    settled = words(state)[0].count(LEAF)
    assert 10 < settled < undisturbed.pieces
    resumed = certify_gamma(problem, TOLERANCE, Budget(state=state))
    # 50 are shown again, and a few may have failed and been halved.
    assert proofs[0] <= undisturbed.pieces - settled + 55
    assert same(resumed, undisturbed)
    assert replay(resumed).valid


def children(parent):
    """Processes whose parent is this one, by /proc."""
    out = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(status.read_text().rpartition(")")[2].split()[1]) == parent:
                out.append(int(status.parent.name))
    return out


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("answered", [False, True])  # killed as they start, or at work
def test_workers_end_with_their_parent(tmp_path, answered):
    source, state = tmp_path / "p.toml", tmp_path / "c.json.partial"
    save_problem(random_problem(np.random.default_rng(2), d=4, m=5, n=2), source)
    code = (
        "import sys; from sailtheory.cli import main; main(['certify', sys.argv[1], "
        "'--property', 'gamma', '--jobs', '2', '--time-limit', '60', '--out', sys.argv[2]])"
    )
    run = subprocess.Popen([sys.executable, "-c", code, source, tmp_path / "c.json"])
    until = time.monotonic() + 50
    try:
        written = 0.0
        while not (written and state.stat().st_mtime > written):  # the workers have answered
            assert run.poll() is None and time.monotonic() < until
            if not written and state.exists() and len(children(run.pid)) >= 2:
                written = state.stat().st_mtime
                if not answered:
                    break
            time.sleep(0.05)
        workers = children(run.pid)
    finally:
        run.kill()
        run.wait()
    until = time.monotonic() + 60
    while alive := [pid for pid in workers if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < until, f"{alive} linger"
        time.sleep(0.2)


def same(first, second):
    one, other = (made.as_dict() | {"seconds": 0, "digest": ""} for made in (first, second))
    return one == other


def test_a_coarse_pass_does_not_push_out_the_fine_one(problem, undisturbed, proofs, tmp_path):
    found, state = region(problem), tmp_path / "partial"
    fine, coarse = (Statement(found, undisturbed.gamma * share) for share in (1, 2))
    lines = []

    def stop(line):
        lines.append(line)
        if len(lines) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        refine.refine(fine, Budget(progress=stop, state=state))
    settled = words(state)[0].count(LEAF)
    assert refine.refine(coarse, Budget(state=state)).complete
    proofs[0] = 0
    assert refine.refine(fine, Budget(state=state)).word == undisturbed.cover
    assert settled > 10 and proofs[0] <= undisturbed.pieces - settled + 55


def test_finished_levels_are_skipped(problem, undisturbed, proofs, tmp_path):
    """Those that a point refutes, and those that are covered."""
    found, state = region(problem), tmp_path / "partial"
    false = Statement(found, undisturbed.lower * Fraction(9, 10))
    true = Statement(found, undisturbed.gamma)
    first = [refine.refine(s, Budget(state=state)) for s in (false, true)]
    assert first[0].against is not None and first[1].complete
    proofs[0] = 0
    again = [refine.refine(s, Budget(state=state)) for s in (false, true)]
    assert proofs[0] == min(first[1].word.count(LEAF), 50)  # a sample is shown again
    np.testing.assert_array_equal(again[0].against, first[0].against)
    assert again[1].word == first[1].word


def test_pieces_that_another_version_settled_are_shown_again(
    problem, undisturbed, proofs, tmp_path, monkeypatch
):
    state = tmp_path / "partial"
    certify_gamma(problem, TOLERANCE, Budget(state=state))
    monkeypatch.setattr("sailtheory.__version__", "0.0.9")
    proofs[0] = 0
    assert same(certify_gamma(problem, TOLERANCE, Budget(state=state)), undisturbed)
    assert proofs[0] == undisturbed.pieces


@pytest.mark.parametrize("word", [".", "a.", "zz...", "\ud800", 7, None, "a" * 2000 + "." * 2001])
def test_a_forged_state_is_not_believed(problem, undisturbed, tmp_path, word):
    """A settled piece that does not hold opens all; what is no tree is refused by name."""
    statement = Statement(region(problem), undisturbed.lower - 1)  # cannot be certified
    state = tmp_path / "partial"
    key = refine._key(statement)
    remember(state, key, Cover(OPEN))
    data = json.loads(state.read_text())
    agreeing = [] if word == "\ud800" else [saved._digest(key, word)]  # no digest of no text
    for digest in [*agreeing, "", None]:
        data["covers"][key] |= {"word": word, "digest": digest}
        state.write_text(json.dumps(data))
        budget = Budget(time.monotonic() + 0.5, state=state)
        if word == ".":
            assert not refine.refine(statement, budget).complete
            continue
        with pytest.raises(InputError, match="delete it to begin anew") as caught:
            refine.refine(statement, budget)
        assert caught.value.field == "state"


def test_a_letter_that_changed_on_the_disk_settles_nothing(tmp_path):
    """One open piece among many, read as settled, would pass most samples."""
    state = tmp_path / "partial"
    word = LEAF
    for axis in "abababa":
        word = axis + word + word
    word = word[:-1] + OPEN
    remember(state, "key", Cover(word))
    assert recall(state, "key", 2).word == word
    state.write_text(state.read_text().replace(OPEN, LEAF))
    assert LEAF not in recall(state, "key", 2).word


TWICE = '{"schema": "sailtheory.cover/1", "covers": {"key": {}, "key": {}}}'


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1}', "\x00", "[" * 5000, TWICE])
def test_what_is_no_state_is_refused_and_stays(tmp_path, text):
    state = tmp_path / "partial"
    state.write_text(text)
    for use in (lambda: recall(state, "key", 2), lambda: remember(state, "key", Cover(OPEN))):
        with pytest.raises(InputError, match=f"state = {state}"[:40]) as caught:
            use()
        assert "\n" not in str(caught.value)
    assert state.read_text() == text


def test_a_state_gives_back_what_it_took(tmp_path):
    state = tmp_path / "partial"
    assert recall(state, "key", 2) is None
    remember(state, "key", Cover("a..", np.array([0.1, 0.2])))
    found = recall(state, "key", 2)
    assert found.word == "a.." and found.against.tolist() == [0.1, 0.2]
    assert recall(state, "other", 2) is None
    with pytest.raises(InputError, match="3 numbers"):
        recall(state, "key", 3)


# --- time limits ------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1.0, 3.0])
def test_a_time_limit_is_kept(limit):
    """In CPU seconds, since other work on the machine stretches the clock."""
    hard = random_problem(np.random.default_rng(2), d=4, m=5, n=2)
    certify_gamma(hard, 1, Budget(time.monotonic() + 0.01))  # imports are not counted
    began = time.process_time()
    made = certify_gamma(hard, 1e-6, Budget(time.monotonic() + limit))
    assert time.process_time() - began < limit + 1
    assert made.verdict == "undecided" and replay(made).valid


def test_time_is_looked_at_between_proofs(undisturbed, monkeypatch):
    """Not only between batches of hundreds of pieces; by a clock that ticks when it is read."""
    ticks = itertools.count()
    clock = SimpleNamespace(monotonic=lambda: next(ticks))
    monkeypatch.setattr("sailtheory.certificates.branch.time", clock)
    statement = Statement(undisturbed.region, undisturbed.gamma)
    boxes = [box for _, box in leaves(undisturbed.cover, root(3))]
    assert OPEN not in grow(statement, boxes, 10**6, 10**9).words
    grown = grow(statement, boxes, 10**6, next(ticks) // 4)
    assert 1 <= grown.words.count(LEAF) < len(boxes) / 2
    assert set(grown.words) == {LEAF, OPEN}


# --- where output goes ------------------------------------------------------------------


@pytest.mark.parametrize("where", ["directory", "missing/c.json", "", "c.json/"])
def test_a_bad_output_path_is_refused_before_the_work(
    where, problem, tmp_path, capsys, monkeypatch
):
    source = tmp_path / "p.toml"
    save_problem(problem, source)
    (tmp_path / "directory").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sailtheory.certificates.certify_gamma", None)  # would fail when called
    out = where and os.path.join(tmp_path, where)
    if where.endswith("/"):
        (tmp_path / "c.json").mkdir()
    assert main(["certify", str(source), "--property", "gamma", "--out", out]) == 2
    assert capsys.readouterr().err.startswith("sailtheory: out = ")
    assert not list(tmp_path.glob("*.tmp"))


def test_a_bad_state_path_is_refused_before_the_work(problem, tmp_path, capsys):
    began = time.process_time()
    for bad in (tmp_path, tmp_path / "missing" / "state"):
        with pytest.raises(InputError, match="state = "):
            certify_gamma(problem, 1e-9, Budget(state=bad))
    assert time.process_time() - began < 2
