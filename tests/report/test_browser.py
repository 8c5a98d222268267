"""The pages in a real headless Chromium; each check is also seen to fail on a broken page.

Without a Chromium these tests are skipped, unless SAILTHEORY_REQUIRE_BROWSER is set.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from sailtheory import examples
from sailtheory.analysis.check import check
from sailtheory.claims import Context, Result, registered
from sailtheory.problem.problem_file import loads
from sailtheory.report.html_ledger import ledger_page
from sailtheory.report.html_problem import problem_page
from sailtheory.verdict import Evidence, Outcome, Strength, Witness, conclude
from tests.support.browser import CHROMIUM, REQUIRED, Browser, pixels

LEDGER = json.loads((Path(__file__).parents[2] / "docs/evidence/ledger.json").read_text("utf-8"))
IDS = [entry["id"] for entry in LEDGER["claims"]]
FEW = {"C01", "C04", "C08b", "C11b", "C22"}  # those that broken pages are made of

if not CHROMIUM and not REQUIRED:
    pytest.skip("no chromium: the pages were not tested in a browser", allow_module_level=True)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    assert CHROMIUM, "SAILTHEORY_REQUIRE_BROWSER is set, but there is no chromium"
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


def evidence(data: dict) -> Evidence:
    """What the committed ledger has; nothing is checked again here."""
    found = data.get("witness")
    witness = found and Witness(
        loads(found["problem"]), np.array(found["theta"]), found["statement"], found["value"],
        lambda: True, found["data"],
    )  # fmt: skip
    outcome, strength = Outcome(data["outcome"]), Strength(data["strength"])
    return Evidence(data["kind"], data["detail"], outcome, strength, witness)


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    claims = {claim.id: claim for claim in registered()}
    results = [
        Result(claims[e["id"]], conclude(map(evidence, e["evidence"])), e["seconds"])
        for e in LEDGER["claims"]
    ]
    report = check(examples.load("c04-weighted-reference"), 0.01)
    return {
        "ledger": ledger_page(results, Context(), 1.0),
        "short": ledger_page([r for r in results if r.claim.id in FEW], Context(), 1.0),
        "problem": problem_page(report, "<script>problem</script>.toml", 1.0),
    }


def show(browser: Browser, tmp_path, text: str, anchor: str = "", scheme: str = "light") -> None:
    path = tmp_path / "page.html"
    path.write_text(text, encoding="utf-8")
    browser.appearance(scheme)
    browser.open(path, anchor)


def quiet(browser: Browser, tmp_path, text: str) -> None:
    """No message, no exception, no request but for the page and its empty icon."""
    show(browser, tmp_path, text)
    browser.run("new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")
    assert browser.complaints == []
    assert [url for url in browser.requests if not url.startswith("data:")] == [
        (tmp_path / "page.html").as_uri()
    ]


def told(text: str) -> list[str]:
    """The claims that a page has a link to, or a place for."""
    return [name for name in IDS if f'href="#{name}"' in text or f'id="{name}"' in text]


def reachable(browser: Browser, tmp_path, text: str) -> None:
    """Every claim is in the navigation, and following the link shows it."""
    show(browser, tmp_path, text)
    for name in told(text):
        found = browser.run(
            f"""(() => {{
              const link = document.querySelector('nav a[href="#{name}"]');
              if (!link) return "no link";
              link.click();
              const target = document.getElementById("{name}");
              if (!target) return "no target";
              const box = target.getBoundingClientRect();
              return box.height > 50 && box.top < innerHeight && box.bottom > 0;
            }})()"""
        )
        assert found is True, f"{name}: {found}"


def painted(browser: Browser, tmp_path, text: str) -> None:
    """Light and dark are both legible: ink on paper, in the heading as in text and tables."""
    for scheme in ("light", "dark"):
        show(browser, tmp_path, text, scheme=scheme)
        grey = pixels(browser.screenshot()).mean(-1)
        paper = float(np.median(grey))
        assert (paper > 200) if scheme == "light" else (paper < 60), (scheme, paper)
        for place in ("h1", ".lead", "nav a", "main td, main dd"):
            x, y, width, height = browser.run(
                f"""(() => {{ const r = document.createRange();
                  r.selectNodeContents(document.querySelector("{place}"));
                  const b = r.getBoundingClientRect();
                  return [b.x, b.y, b.width, b.height].map(Math.round); }})()"""
            )
            assert width > 5 and y + height < grey.shape[0], place
            ink = np.mean(np.abs(grey[y : y + height, x : x + width] - paper) > 80)
            assert 0.02 < ink < 0.5, (scheme, place, ink)


def typeset(browser: Browser, tmp_path, text: str) -> None:
    """Formulas are laid out as mathematics: boxes with a size, a superscript above its base."""
    show(browser, tmp_path, text)
    sizes = browser.run(
        "[...document.querySelectorAll('math')].map(m => {"
        "const b = m.getBoundingClientRect(); return [b.width, b.height]; })"
    )
    assert len(sizes) >= len(told(text))
    assert all(width > 5 and height > 5 for width, height in sizes)
    raised = browser.run(
        """(() => {
          const sup = document.querySelector('math msup');
          const [base, above] = [...sup.children].map(c => c.getBoundingClientRect());
          return [base.bottom - above.bottom, base.right - above.left];
        })()"""
    )
    assert raised[0] > 2 and raised[1] < 2


def copies(browser: Browser, tmp_path, text: str) -> None:
    """Every button puts exactly its text on the clipboard, and that text is a problem."""
    show(browser, tmp_path, text)
    browser.send(
        "Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"]
    )
    browser.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    anchors = browser.run(
        "[...document.querySelectorAll('button[data-copy]')].map(b => b.dataset.copy)"
    )
    assert anchors
    for anchor in anchors:
        browser.run("navigator.clipboard.writeText('nothing')")
        copied, said, expected = browser.run(
            f"""(async () => {{
              const button = document.querySelector('button[data-copy="{anchor}"]');
              if (button.hidden) return ["hidden", "", ""];
              button.click();
              for (let i = 0; i < 200 && !button.nextElementSibling.textContent; i++)
                await new Promise(r => setTimeout(r, 10));
              return [await navigator.clipboard.readText(),
                      button.nextElementSibling.textContent,
                      document.getElementById("{anchor}").textContent];
            }})()"""
        )
        assert copied == expected and said == "Copied."
        loads(copied)


def keyboard(browser: Browser, tmp_path, text: str) -> None:
    """Tab meets the skip link first, with a visible outline; Enter goes to the results."""
    show(browser, tmp_path, text)
    browser.press("Tab", 9)
    focused = browser.run(
        """(() => { const s = getComputedStyle(document.activeElement);
          const b = document.activeElement.getBoundingClientRect();
          return [document.activeElement.className, s.outlineStyle, b.left >= 0]; })()"""
    )
    assert focused == ["skip", "solid", True]
    browser.press("Enter", 13)
    assert browser.run("location.hash") == "#main"
    assert browser.run("document.activeElement.id") == "main"
    landmarks = browser.run(
        "['nav', 'main', 'footer'].map(t => document.querySelectorAll(t).length)"
    )
    assert landmarks == [1, 1, 1]
    headed = browser.run(
        "[...document.querySelectorAll('table')].every(t => t.caption"
        " && t.querySelectorAll('thead th[scope=col]').length"
        " === t.rows[0].cells.length && t.querySelectorAll('tbody tr').length"
        " === t.querySelectorAll('tbody th[scope=row]').length)"
    )
    assert headed
    # What scrolls can be reached.
    assert browser.run(
        "[...document.querySelectorAll('pre, .scroll')].every(e => e.tabIndex === 0)"
    )


def fits(browser: Browser, tmp_path, text: str) -> None:
    """On a narrow screen nothing but tables and formulas scrolls sideways."""
    show(browser, tmp_path, text)
    browser.appearance("light", 360, 800)
    assert browser.run("document.documentElement.scrollWidth") <= 360


def prints(browser: Browser, tmp_path, text: str) -> None:
    """On paper, what was closed is open: more pages than with the evidence left out."""
    show(browser, tmp_path, text)
    whole = count_pages(browser.pdf())
    show(browser, tmp_path, re.sub(r"<details.*?</details>", "", text, flags=re.S))
    assert whole >= 2 and whole > count_pages(browser.pdf())


def count_pages(pdf: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


CHECKS = {c.__name__: c for c in (quiet, painted, typeset, copies, keyboard, fits, prints)}
WITHOUT_FORMULAS = {"typeset"}


@pytest.mark.parametrize("name", CHECKS)
def test_ledger(name, browser, pages, tmp_path):
    CHECKS[name](browser, tmp_path, pages["ledger"])


def test_every_claim_is_reachable(browser, pages, tmp_path):
    assert told(pages["ledger"]) == IDS
    reachable(browser, tmp_path, pages["ledger"])


@pytest.mark.parametrize("name", [name for name in CHECKS if name not in WITHOUT_FORMULAS])
def test_problem(name, browser, pages, tmp_path):
    CHECKS[name](browser, tmp_path, pages["problem"])


def test_a_link_into_closed_details_opens_them(browser, pages, tmp_path):
    show(browser, tmp_path, pages["ledger"], "#C04-witness-1")
    assert browser.run("document.getElementById('C04-witness-1').closest('details').open")


def css(rule: str):
    return lambda text: text.replace("</style>", rule + "</style>")


def swap(old: str, new: str):
    def broken(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return broken


BROKEN = {
    "script error": (quiet, swap('"use strict";', '"use strict"; undefined.x;')),
    "script outside the policy": (quiet, swap("</main>", "<script>1</script></main>")),
    "remote picture": (quiet, swap("</main>", '<img src="https://example.org/a.png"></main>')),
    "no anchor": (reachable, swap('<article id="C08b"', "<article")),
    "no link": (reachable, swap('<li><a href="#C11b">', "<li><a>")),
    "empty claim": (reachable, css("#C22 { display: none; }")),
    "blank": (painted, css("body { visibility: hidden; }")),
    "ink like paper": (painted, css(":root { --ink: var(--paper); }")),
    "no dark": (painted, swap("(prefers-color-scheme: dark)", "(prefers-color-scheme: none)")),
    "no formulas": (typeset, css("math { display: none; }")),
    "formulas as text": (typeset, lambda text: re.sub(r"</?m(sup|sub|subsup|row)>", "", text)),
    "superscripts as text": (typeset, swap("msup>", "mrow>")),
    "button copies another text": (
        copies, swap("writeText(source.textContent)", "writeText(source.textContent + ' ')")
    ),
    "button does nothing": (copies, swap('addEventListener("click"', 'addEventListener("no"')),
    "text is no problem": (copies, swap("beta = ", "beta ")),
    "no skip link": (keyboard, swap('class="skip" href', 'class="skip" tabindex="-1" href')),
    "skip link goes nowhere": (keyboard, swap('href="#main"', 'href="#"')),
    "focus is invisible": (keyboard, css("* { outline: none !important; }")),
    "tables without heads": (keyboard, swap('scope="row"', "")),
    "wider than the screen": (fits, css("main { min-width: 500px; }")),
    "nothing printed": (prints, css("@media print { details { display: none; } }")),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_the_check_fails_on_a_broken_page(name, browser, pages, tmp_path):
    looks, breaks = BROKEN[name]
    text = breaks(pages["short"])
    assert text != pages["short"]
    if name != "script outside the policy":
        # The policy would stop a script that was altered, whatever the alteration does.
        text = re.sub(r"script-src '[^']*'", "script-src 'unsafe-inline'", text)
    with pytest.raises((AssertionError, RuntimeError, ValueError)):
        looks(browser, tmp_path, text)
