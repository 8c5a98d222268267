"""The page in a real headless Chromium: legible, quiet, narrow, by keyboard, with its charts."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="the extra torch is not installed")

from sailtheory.report.html_run_audit import audit_page
from sailtheory.run_audit.audit import audit
from sailtheory.run_audit.log_file import read_log
from sailtheory.run_audit.standing import Found, Standing
from sailtheory.run_audit.trace import Trace
from tests.support.browser import CHROMIUM, REQUIRED, Browser
from tests.support.plain_loop import run

EVIL = "<script>document.title = 'taken'</script>"


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log") / "a"
    run(folder, steps=12, rate=2.0)
    return audit_page(audit(read_log(folder)), EVIL, 1.0)


def test_every_line_and_every_trajectory_is_there(text):
    for name in ("holds", "violated", "not measurable", "1/Λ", "‖θ − θ*‖²", "monotonicity ratio"):
        assert name in text
    assert EVIL not in text and "&lt;script&gt;" in text
    assert text.count("<polyline") >= 8


def test_what_a_run_says_of_itself_is_escaped():
    trace = Trace("a folder", stated={"linear": Found(Standing.UNKNOWN, EVIL)}, notes=(EVIL,),
                  series={EVIL: [(1, 0.5), (2, 0.25)]})  # fmt: skip
    made = audit_page(audit(trace), "a", 1.0)
    assert EVIL not in made and made.count("&lt;script&gt;") >= 3


def test_a_run_that_shows_nothing_has_a_page():
    assert "Nothing was logged along the run" in audit_page(audit(Trace("a folder")), "a", 1.0)


@pytest.mark.skipif(not (CHROMIUM or REQUIRED), reason="no chromium")
def test_in_a_browser(text, tmp_path):
    from tests.report.test_browser import CHECKS, show

    browser = Browser(tmp_path / "profile")
    try:
        for name in ("quiet", "painted", "keyboard", "fits"):
            CHECKS[name](browser, tmp_path, text)
        show(browser, tmp_path, text)
        drawn = browser.run(
            "[...document.querySelectorAll('.charts svg')].map(s => { const b = "
            "s.getBoundingClientRect(), p = s.querySelector('polyline').getBoundingClientRect();"
            "return p.left >= b.left && p.right <= b.right && p.width > 50; })"
        )
        assert len(drawn) >= 8 and all(drawn)
        assert browser.run("document.title") != "taken"
    finally:
        browser.close()
