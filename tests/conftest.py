"""Which tests may be skipped, and which are slow; both are lists beside this file.

In CI a skipped test fails the run, unless ``skips.toml`` names it (``--only-listed-skips``): a skip
is silent, and a peer that was never installed leaves its comparison out for years.

``slow.txt`` names the tests that are marked ``slow``, those that took more than ``SLOW`` seconds
when ``--list-slow`` wrote it.
"""

from __future__ import annotations

import os
import tomllib
from collections import Counter
from pathlib import Path

import pytest

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(threads, "1")  # before torch and NumPy are imported

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
    if config.getoption("list_slow") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Clock())
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


@pytest.hookimpl(tryfirst=True)  # before -m looks at marks
def pytest_collection_modifyitems(items):
    slow = set(SLOW_LIST.read_text(encoding="utf-8").split())
    for item in items:
        if function_of(item.nodeid) in slow:
            item.add_marker("slow")


def function_of(name):
    """The test function of an id, which all its parameters share."""
    return name.partition("[")[0]


class Clock:
    """Adds up the seconds of each test, and lists the functions with a slow one."""

    def __init__(self):
        self.seconds = Counter()

    def pytest_runtest_logreport(self, report):
        self.seconds[report.nodeid] += report.duration

    def pytest_sessionfinish(self):
        found = {function_of(name) for name, took in self.seconds.items() if took > SLOW}
        SLOW_LIST.write_text("".join(f"{name}\n" for name in sorted(found)), encoding="utf-8")
