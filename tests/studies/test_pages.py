"""Pages of studies are what their templates and their committed evidence make."""

from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from studies import pages, render
from studies.render import ROOT


@pytest.mark.parametrize("study", pages.STUDIES)
def test_a_page_is_that_of_its_evidence(study):
    text = pages.made(study)
    assert (ROOT / study / "page.md").read_text(encoding="utf-8") == text
    # A key that a dict has as a method would show the method.
    assert "object at" not in text and "nan" not in text.split()


def test_every_study_has_a_page():
    assert all((path.parent / "page.md").exists() for path in ROOT.glob("*/evidence.json"))


def test_a_page_that_differs_fails_the_check(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pages, "ROOT", tmp_path / "studies")
    monkeypatch.setattr(pages, "STUDIES", ["one"])
    monkeypatch.setattr(pages, "made", lambda study: "new\n")
    path = tmp_path / "studies" / "one" / "page.md"
    path.parent.mkdir(parents=True)
    path.write_text("old\n", encoding="utf-8")
    for words, status, left in (
        (["--check"], 1, "old\n"),
        ([], 0, "new\n"),
        (["--check"], 0, "new\n"),
    ):
        monkeypatch.setattr("sys.argv", ["pages", *words])
        with pytest.raises(SystemExit) as ended:
            pages.main()
        assert ended.value.code == status and path.read_text(encoding="utf-8") == left
    assert "one/page.md differs" in capsys.readouterr().out


def test_a_value_that_is_missing_is_an_error():
    with pytest.raises(UndefinedError, match="rows"):
        render.render("tightness", min_reference=1, shapes=1)


def test_no_line_ends_in_the_middle_of_a_word():
    text = render.fill("sail-revkl " * 40, 2)
    assert text.split() == ["sail-revkl"] * 40 and text.endswith("\n")
    lines = text.splitlines()
    assert max(map(len, lines)) <= render.WIDTH and all(x.startswith("  s") for x in lines[1:])


@pytest.mark.parametrize("value, shown", [
    (None, "–"), (3.0, "3"), (1234.56, "1235"), (310_000.0, "3.1e+05"), (0.12346, "0.1235"),
    (0.0012345, "0.00123"),
])  # fmt: skip
def test_a_short_number_has_four_digits(value, shown):
    assert render.short(value) == shown


def test_intervals_name_their_level_where_it_is_not_95():
    assert render.interval((1.0, 0.5, 2.0), ".1f") == "1.0 (0.5 to 2.0)"
    assert render.interval((1.0, 0.5, 2.0), ".1f", 0.975) == "1.0 (97.5 %: 0.5 to 2.0)"
    assert render.interval((1.0,), ".1f") == "1.0" and render.interval(None, ".1f") == "–"
    assert render.spread([1.0, None, 4.0, 2.0]) == "2 (4)" and render.spread([None]) == "–"
