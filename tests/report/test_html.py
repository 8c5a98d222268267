"""The pages of ``verify --html`` and ``check --html``: complete, escaped, self-contained."""

from __future__ import annotations

import html as html_module
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from sailtheory import PreferenceProblem, examples
from sailtheory.analysis.check import check
from sailtheory.claims import Claim, Context, Falsehood, run
from sailtheory.cli import main
from sailtheory.problem.problem_file import dumps, loads
from sailtheory.problem.problem_file import load as load_problem
from sailtheory.report.axes import round_ticks
from sailtheory.report.html import page, piece, templates
from sailtheory.report.html_figures import price_figure, thresholds_figure
from sailtheory.report.html_ledger import ledger_page
from sailtheory.report.html_problem import problem_page
from sailtheory.verdict import Evidence, Outcome, Strength, Witness

EVIL = '<script>alert(\'x\')</script>"&<b onclick="y">'
_VOID = {"meta", "link", "br", "hr", "img", "input"}


class Reading(HTMLParser):
    """Elements, anchors, links and the text of each element with an id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: dict[str, str] = {}
        self._open: list[tuple[str, str | None]] = []
        self.feed(text)
        self.close()
        assert self._open == [], "elements that are not closed"

    def handle_starttag(self, tag, attrs):
        names = dict(attrs)
        self.tags.append(tag)
        self.attributes += attrs
        if "id" in names:
            self.ids.append(names["id"])
            self.texts[names["id"]] = ""
        if "href" in names:
            self.links.append(names["href"])
        if tag not in _VOID:
            self._open.append((tag, names.get("id")))

    def handle_startendtag(self, tag, attrs):  # within SVG
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        opened, _ = self._open.pop()
        assert opened == tag, f"</{tag}> closes <{opened}>"

    def handle_data(self, data):
        for _, name in self._open:
            if name is not None:
                self.texts[name] += data


def evil_claims() -> list[Claim]:
    """Every field that others write holds markup."""
    problem = examples.load("c04-one-winner")
    witness = Witness(
        problem,
        np.zeros(1),
        EVIL + "\nbeta = 3\r\x00",
        0.5,
        lambda: True,
        {EVIL: EVIL, "list": [1.0, EVIL]},
    )

    def refuting(context):
        yield Evidence(EVIL, EVIL + "\r\n" + EVIL, Outcome.REFUTED, Strength.PROVED, witness)

    def silent(context):
        return []

    claim = Claim(
        id="X01",
        title=EVIL,
        statement="a_{1}<b",
        source=EVIL,
        hypotheses=(EVIL, EVIL),
        expected=Outcome.HOLDS,
        reachable=Strength.PROVED,
        check=refuting,
        planted=(Falsehood("f", EVIL, refuting),),
    )
    return [claim, replace(claim, id='X_2"><', statement=EVIL, check=silent)]


def ledger(claims, **more) -> str:
    context = Context()
    return ledger_page([run(claim, context) for claim in claims], context, 1.5, **more)


@pytest.fixture(scope="module")
def evil_page() -> str:
    return ledger(evil_claims(), figures={EVIL: "<svg></svg>"})


def test_markup_in_names_stays_text(evil_page):
    reading = Reading(evil_page)
    assert reading.tags.count("script") == 1
    assert "b" not in reading.tags
    assert not any(name.startswith("on") for name, _ in reading.attributes)
    assert reading.texts["main"].count("alert('x')") > 10
    assert len(set(reading.ids)) == len(reading.ids)
    assert {'X_2"><'} <= set(reading.ids) and '#X_2"><' in reading.links


def test_markup_in_a_file_name_stays_text():
    report = check(examples.load("c04-weighted-reference"), 0.01)
    reading = Reading(problem_page(report, EVIL, 1.0, {EVIL: "<svg></svg>"}))
    assert reading.tags.count("script") == 1
    assert "b" not in reading.tags
    assert ("aria-label", f"problem file of {EVIL}") in reading.attributes
    assert {
        "problem",
        "landscape",
        "thresholds",
        "price",
        "evidence",
        "figures",
        "environment",
    } <= (set(reading.ids))


def test_a_template_escapes_whatever_it_is_given():
    hostile = [EVIL, "x_{" + EVIL + "}", f"\x00</code></pre>{EVIL}"]
    for words in hostile:
        for made in (
            piece("parts", "facts", {words: words}),
            piece("parts", "table", words, (words,), [(words,)]),
            piece("parts", "formula", words),
            piece("parts", "copyable", words, words, words),
            piece("parts", "figure", "<svg></svg>", words),
            piece("figures", "label", 0, 0, words, "end"),
        ):
            assert isinstance(made, Markup)
            tags = set(Reading(made).tags)
            assert tags and not tags & {"script", "b"}, made
    # Only what a template or the converter made stays markup.
    assert "<b>" in piece("parts", "facts", {"a": Markup("<b>c</b>")})


def test_a_name_that_nobody_defines_is_an_error():
    for source in ("{{ nobody }}", "{{ given.nobody }}", "{% if nobody %}{% endif %}"):
        with pytest.raises(UndefinedError, match="nobody"):
            templates().from_string(source).render(given={})
    with pytest.raises(UndefinedError, match="'lead' is undefined"):
        page("ledger", 0, "quick", 1.0, title="", results=[], figures={})


def test_a_verdict_that_differs_is_said_to_differ(evil_page):
    assert "2 of 2 verdicts differ" in evil_page
    assert evil_page.count('class="differs"') == 4
    claim = replace(evil_claims()[0], expected=Outcome.REFUTED)
    assert "differs" not in re.sub(r"<style>.*?</style>", "", ledger([claim]), flags=re.S)


def test_self_contained(evil_page):
    for link in Reading(evil_page).links:
        assert link.startswith("#") or link == "data:,"
    outside = re.sub(r"<(title|main).*?</\1>", "", evil_page, flags=re.S)
    assert not re.search(r"https?:|url\(|@import|src=", outside)


def test_the_policy_names_the_script(evil_page):
    import base64
    import hashlib

    (script,) = re.findall(r"<script>(.*?)</script>", evil_page, re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in evil_page
    assert "default-src 'none'" in evil_page
    assert evil_page.startswith("<!DOCTYPE html>")


def test_real_ledger(tmp_path, capsys):
    target = tmp_path / "ledger.html"
    assert main(["verify", "--claims", "C04,C08b,C11b,C22", "--html", str(target)]) == 0
    capsys.readouterr()
    text = target.read_text(encoding="utf-8")
    reading = Reading(text)
    for name in ("C04", "C08b", "C11b", "C22"):
        assert name in reading.ids
        assert reading.links.count(f"#{name}") == 2  # in the navigation and in the table
    assert {link[1:] for link in reading.links if link.startswith("#")} <= set(reading.ids)
    assert text.count("<math") >= 4
    files = [name for name in reading.ids if re.fullmatch(r"C\w+-witness-\d+", name)]
    assert len(files) >= 5
    for name in files:
        loads(reading.texts[name], name)
        assert reading.texts[name].startswith("# Witness against C")
    for svg in re.findall(r"<svg.*?</svg>", text, re.S):
        ET.fromstring(svg)


@pytest.mark.parametrize("name", ["bradley-terry", "c13-boundary-maximiser", "c22-score-weight"])
def test_check_page(name, tmp_path, capsys):
    path, target = tmp_path / "problem.toml", tmp_path / "page.html"
    path.write_text(examples.text(name), encoding="utf-8")
    assert main(["check", str(path), "--gamma", "0.01", "--html", str(target)]) == 0
    shown = capsys.readouterr().out
    text = target.read_text(encoding="utf-8")
    reading = Reading(text)
    problem = load_problem(path)
    assert reading.texts["problem-file"] == dumps(problem)
    assert {link[1:] for link in reading.links if link.startswith("#")} <= set(reading.ids)
    # The numbers are those of the terminal.
    plain = html_module.unescape(re.sub(r"<[^>]+>", "", text))
    for line in re.findall(r"λ_max = (\S+)", shown):
        assert f"λmax = {line}" in plain
    assert "refuted (proved)" not in shown or any(n.startswith("statement-") for n in reading.ids)
    for svg in re.findall(r"<svg.*?</svg>", text, re.S):
        ET.fromstring(svg)


def test_the_copied_witness_passes_through_check(tmp_path, capsys):
    path = tmp_path / "copied.toml"
    reading = Reading(ledger(evil_claims()))
    path.write_text(reading.texts["X01-witness-1"], encoding="utf-8")
    assert main(["check", str(path), "--gamma", "0.05"]) == 0
    assert "refuted (proved)" in capsys.readouterr().out


def test_a_problem_with_nothing_to_decide():
    problem = PreferenceProblem(
        features=[[[1.0], [1.0]]], preferences=[[[0.5, 0.7], [0.3, 0.5]]], beta=0.1, radius=1
    )
    text = problem_page(check(problem), "null.toml", 0.1)
    assert "nothing to decide" in text
    Reading(text)


def test_figures_at_the_edges():
    for values in ([("a", None)], [("a", -1.0), ("b", 0.0)], [("a", 1e-12), ("b", 1e9)]):
        root = ET.fromstring(thresholds_figure(values, 0.0))
        assert "nan" not in ET.tostring(root, encoding="unicode")
    for rows in ([], [("a", 0.0, 0.0)], [("a", 1e-300, -0.2), ("b", 3.0, 0.5)]):
        text = ET.tostring(ET.fromstring(price_figure(rows)), encoding="unicode")
        assert "nan" not in text and 'width="-' not in text
    ET.fromstring(price_figure([("K_B<&>", 1.0, 1.0)]))  # what follows a subscript is escaped too


def test_a_page_that_cannot_be_written_is_one_line(tmp_path, capsys):
    path = tmp_path / "problem.toml"
    path.write_text(examples.text("c04-one-winner"), encoding="utf-8")
    assert main(["check", str(path), "--html", str(tmp_path / "no" / "page.html")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "html = " in err


def test_zero_on_an_axis_has_no_sign():
    assert [f"{x:g}" for x in round_ticks(0.0, 100.0)] == ["0", "20", "40", "60", "80", "100"]
