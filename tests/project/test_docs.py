"""The site's pages come from one source each, and its checks can fail."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from docs.generate import claims as generated
from docs.generate import reference
from docs.generate.gather import relink
from docs.generate.links import complaints
from docs.generate.typeset import typeset
from sailtheory.claims import registered

CLAIMS = {claim.id: claim for claim in registered()}
PAGES = {path: text for path, _, text in generated.pages()}
ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("studies/*/page.md")])
WRITTEN = ["README.md", *(page.relative_to(ROOT).as_posix() for page in FILES)]


@pytest.mark.parametrize("name", CLAIMS)
def test_one_page_a_claim(name):
    claim, text = CLAIMS[name], PAGES[f"claims/{name}.md"]
    (found,) = [
        entry
        for entry in json.loads((generated.DOCS / "evidence/ledger.json").read_text())["claims"]
        if entry["id"] == name
    ]
    assert text.startswith(f"# {name} ")
    assert "<math" in text
    assert f"{found['verdict']}</span> ({found['strength']})" in text
    assert f"All evidence ({len(found['evidence'])})" in text
    assert text.count("Copy problem file") == sum("witness" in e for e in found["evidence"])
    assert text.count("| refuted |") == len(claim.planted)
    assert "In the theory" in text
    assert f"**{name[:3]}" in text
    told = {number for number in re.findall(r"\*\*(C\d\d)\b", text)}
    assert told == {name[:3]}  # and no other claim's words


def test_the_overview_has_them_all():
    for name in CLAIMS:
        assert f"[{name}]({name}.md)" in PAGES["claims/index.md"]


def test_a_ledger_of_other_claims_is_refused(tmp_path, monkeypatch):
    (tmp_path / "evidence").mkdir()
    ledger = json.loads((generated.DOCS / "evidence/ledger.json").read_text())
    ledger["claims"].pop()
    (tmp_path / "evidence/ledger.json").write_text(json.dumps(ledger))
    monkeypatch.setattr(generated, "DOCS", tmp_path)
    with pytest.raises(ValueError, match="make evidence"):
        generated.ledger()


def test_falsehoods_of_other_claims_are_refused(tmp_path, monkeypatch):
    (tmp_path / "falsehoods.md").write_text("| C01 | one | refuted | | | |\n")
    monkeypatch.setattr(generated, "DOCS", tmp_path)
    with pytest.raises(ValueError, match="C01"):
        generated._planted(CLAIMS["C01"])


def test_every_room_has_a_reference_page():
    text = "".join(page for _, _, page in reference.pages())
    for module in (
        "problem.problem",
        "landscape.pl",
        "ascent.mirror",
        "curvature.operators",
        "verdict",
    ):
        assert f".. automodule:: sailtheory.{module}\n" in text
    assert "sailtheory.cli" not in text


def test_links_of_the_readme():
    assert relink("[a](docs/theory.md) [b](https://x.org)") == "[a](theory.md) [b](https://x.org)"
    assert relink("[LICENSE](LICENSE), [it](LICENSE)") == "`LICENSE`, it (`LICENSE`)"
    with pytest.raises(ValueError, match="nowhere"):
        relink("[a](nowhere.md)")


def test_subscripts_outside_code():
    assert typeset("<p>K_B <code>K_B</code> a &lt; b_1</p>") == (
        "<p>K<sub>B</sub> <code>K_B</code> a &lt; b<sub>1</sub></p>"
    )
    assert typeset('<a href="x_y">π_θ</a>') == '<a href="x_y">π<sub>θ</sub></a>'


SOUND = (
    '<html><head><link href="s.css"></head><body id="top"><a href="b.html#x">b</a></body></html>'
)
BROKEN = {
    "no file b2.html#x": SOUND.replace("b.html", "b2.html"),
    "no anchor b.html#y": SOUND.replace("#x", "#y"),
    "no anchor #z": SOUND.replace("b.html#x", "#z"),
    "no file t.css": SOUND.replace("s.css", "t.css"),
    "loads https://x.org/f.css": SOUND.replace("s.css", "https://x.org/f.css"),
    "loads //x.org/f.js": SOUND.replace("</body>", '<script src="//x.org/f.js"></script></body>'),
}


@pytest.mark.parametrize("complaint", [None, *BROKEN])
def test_links_of_the_site(complaint, tmp_path):
    (tmp_path / "s.css").write_text("")
    (tmp_path / "b.html").write_text('<p id="x">b <a href="https://x.org">away</a></p>')
    (tmp_path / "a.html").write_text(SOUND if complaint is None else BROKEN[complaint])
    assert complaints(tmp_path) == ([] if complaint is None else [f"a.html: {complaint}"])


def absent(text):
    """Files of the repository that a text names and that are not there."""
    modules = r"(?:tests|benchmarks|studies|sailtheory|proofs_check)/[\w/]+\.py"
    others = r"(?:figures|docs|benchmarks|studies)/[\w./-]*\w"
    named = re.findall(rf"(?<![\w/.-])(?:\.\./)?({modules}|{others})", text)
    return sorted({name for name in named if not (ROOT / name).exists()})


@pytest.mark.parametrize("name", WRITTEN)
def test_files_that_a_page_names_exist(name):
    assert absent((ROOT / name).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", ["Makefile", ".ci/run", ".ci/smoke", "MANIFEST.in"])
def test_files_that_a_script_names_exist(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    named = re.findall(r"(?:tests|docs|proofs_check|studies|figures)/[\w/]+\.\w+", text)
    assert [path for path in named if not (ROOT / path).exists()] == []
    assert named or name == "MANIFEST.in"


def test_a_file_that_is_named_and_absent_is_seen():
    text = "(tests/test_none.py), [a](../figures/none.png), `tests/conftest.py`, docs/evidence/."
    assert absent(text) == ["figures/none.png", "tests/test_none.py"]


@pytest.mark.parametrize("name", WRITTEN)
def test_no_page_prints_minus_zero(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert re.findall(r"(?<![\w.])[-−]0(?:\.0*)?(?![\w.])", text) == []


def test_the_table_along_training_is_the_recorded_one():
    data = json.loads((ROOT / "studies/log_linear/evidence.json").read_text(encoding="utf-8"))
    recorded = [
        [float(gamma), r["step"], r["pl_ratio"], r["lambda_max"], r["lambda_min"],
         r["relative_max"], r["rank"], r["relative_damped"]["0.001"], r["network_share"],
         r["kl_ref_policy"], r["win_rate"]]
        for gamma in ("0", "0.01", "0.1") for r in data["training"][gamma]["records"]
    ]  # fmt: skip
    text = (ROOT / "studies/log_linear/page.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| (0(?:\.\d+)? \| \d+ \|.*) \|$", text, re.M)
    assert len(shown) == len(recorded) == 15
    for line, values in zip(shown, recorded, strict=True):
        cells = line.replace("−", "-").split(" | ")
        for cell, value in zip(cells, values, strict=True):
            digits = len(cell.partition(".")[2])
            assert abs(float(cell) - value) <= 0.5 * 10**-digits + 1e-12, (line, cell, value)


def test_the_theory_of_the_last_claim_ends_with_it():
    """What follows is of all claims, and its links do not lead anywhere from a claim's page."""
    words = generated.theory("C34")
    assert words.startswith("**C34") and words.endswith("∎")
