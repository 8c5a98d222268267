"""In CI a skipped test fails the run, unless ``skips.toml`` names it: see ``--only-listed-skips``.

A skip is silent: a peer that was never installed leaves its comparison out for years.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

LIST = Path(__file__).with_name("skips.toml")


def pytest_addoption(parser):
    parser.addoption(
        "--only-listed-skips",
        action="store_true",
        help=f"fail when a test is skipped that {LIST.name} does not name",
    )


def pytest_configure(config):
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
