"""Which tests may be skipped, and which are slow; both are lists beside this file.

In CI a skipped test fails the run, unless ``skips.toml`` names it (``--only-listed-skips``): a skip
is silent, and a peer that was never installed leaves its comparison out for years.

``slow.txt`` names what is marked ``slow``, in one line each: tests and shared fixtures that took
more than ``SLOW`` seconds when ``--list-slow`` wrote it, with every test that waits for such a
fixture; and whole files, by hand, whose imports alone take seconds. ``-m 'not slow'`` does not
import those.
"""

from __future__ import annotations

import functools
import gc
import os
import sys
import time
import tomllib
from collections import Counter
from pathlib import Path

import pytest

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(threads, "1")  # before torch and NumPy are imported

# Without bytecode, pytest rewrites the asserts of all tests anew, half of the time that collecting
# takes, and each of the many programs that tests start compiles this package anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

LIST = Path(__file__).with_name("skips.toml")
SLOW_LIST = Path(__file__).with_name("slow.txt")
SLOW = 0.5


def pytest_addoption(parser):
    parser.addoption(
        "--only-listed-skips",
        action="store_true",
        help=f"fail when a test is skipped that {LIST.name} does not name",
    )
    parser.addoption(
        "--list-slow", action="store_true",
        help=f"write the tests that take more than {SLOW:g} s to {SLOW_LIST.name}",
    )  # fmt: skip


def pytest_configure(config):
    if config.getoption("list_slow"):
        config.pluginmanager.register(Clock(config))
    if config.getoption("only_listed_skips"):
        listed = tomllib.loads(LIST.read_text(encoding="utf-8"))
        for name in listed:
            if not (LIST.parents[1] / name.partition("::")[0]).is_file():
                raise pytest.UsageError(f"{LIST.name} names {name}, which does not exist")
        config.pluginmanager.register(Skips(listed))


class Skips:
    """Notes tests that are skipped and not listed, by their id or that of their file."""

    def __init__(self, listed):
        self.listed = listed
        self.unlisted = {}

    def note(self, report):
        names = {report.nodeid, report.nodeid.partition("[")[0], report.nodeid.partition("::")[0]}
        if report.skipped and not hasattr(report, "wasxfail") and not names & set(self.listed):
            self.unlisted[report.nodeid] = report.longrepr[2]

    pytest_runtest_logreport = note
    pytest_collectreport = note

    def pytest_sessionfinish(self, session):
        if self.unlisted and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        for name, reason in sorted(self.unlisted.items()):
            terminalreporter.write_line(f"SKIPPED, BUT NOT IN {LIST.name}: {name}: {reason}")


@pytest.fixture(autouse=True, scope="session")
def silent_progress():
    """What is said of time on a busy machine does not get into what tests compare."""
    from sailtheory import progress

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress, "FIRST", 600.0)
        yield


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """What is imported by the end of it stays: no collection of garbage looks through it again.

    transformers collects after each training, which took half the time of a short one.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@functools.cache
def slow():
    """The lines of the list."""
    return set(SLOW_LIST.read_text(encoding="utf-8").split())


def pytest_ignore_collect(collection_path, config):
    """A slow file is not imported where it is left out anyway."""
    if config.option.markexpr.strip() == "not slow":
        name = collection_path.relative_to(config.rootpath).as_posix()
        return True if name in slow() else None
    return None


@pytest.hookimpl(tryfirst=True)  # before -m looks at marks
def pytest_collection_modifyitems(items):
    listed = slow()
    for item in items:
        function = function_of(item.nodeid)
        file = function.partition("::")[0]
        if listed & {function, file, *(f"{file}::{name}" for name in item.fixturenames)}:
            item.add_marker("slow")


def function_of(name):
    """The test function of an id, which all its parameters share."""
    return name.partition("[")[0]


class Clock:
    """Adds up the seconds of each test, and lists the functions and shared fixtures that are slow.

    Fixtures are measured where they are made: with xdist, in the workers.
    """

    def __init__(self, config):
        self.config = config
        self.seconds = Counter()
        self.fixtures = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef, request):
        began = time.perf_counter()
        try:
            return (yield)
        finally:
            if fixturedef.scope == "module" and time.perf_counter() - began > SLOW:
                self.fixtures.add(f"{request.node.nodeid}::{fixturedef.argname}")

    def pytest_runtest_logreport(self, report):
        self.seconds[report.nodeid] += report.duration

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node):
        self.fixtures |= set(getattr(node, "workeroutput", {}).get("slow_fixtures", ()))

    def pytest_sessionfinish(self):
        if hasattr(self.config, "workeroutput"):
            self.config.workeroutput["slow_fixtures"] = sorted(self.fixtures)
            return
        found = {function_of(name) for name, took in self.seconds.items() if took > SLOW}
        files = {name for name in slow() if "::" not in name}
        alone = {name for name in found | self.fixtures if name.partition("::")[0] not in files}
        SLOW_LIST.write_text("".join(f"{name}\n" for name in sorted(alone | files)), "utf-8")
