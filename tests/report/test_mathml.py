"""LaTeX to MathML and inline mathematics: nothing is lost, nothing is let through."""

from __future__ import annotations

import html
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sailtheory.claims import registered
from sailtheory.report.inline import inline
from sailtheory.report.mathml import Unsupported, mathml

CLAIMS = {claim.id: claim for claim in registered()}

# Written apart from the converter's tables: what each command looks like.
GLYPHS = {
    r"\nabla": "∇", r"\beta": "β", r"\gamma": "γ", r"\delta": "δ", r"\eta": "η", r"\theta": "θ",
    r"\lambda": "λ", r"\Lambda": "Λ", r"\mu": "μ", r"\pi": "π", r"\sigma": "σ", r"\Delta": "Δ",
    r"\top": "⊤", r"\sum": "∑", r"\preceq": "⪯", r"\succeq": "⪰", r"\prec": "≺", r"\le": "≤",
    r"\ge": "≥", r"\iff": "⟺", r"\implies": "⟹", r"\Rightarrow": "⇒", r"\to": "→", r"\in": "∈",
    r"\|": "‖", r"\langle": "⟨", r"\rangle": "⟩", r"\bar": "¯", r"\hat": "^",
    r"\mathbb{E}": "𝔼", r"\mathbb{R}": "ℝ", r"\mathbb R": "ℝ", r"\mathcal L": "ℒ",
    r"\tfrac": "", r"\frac": "", r"\rm": "", r"\mathrm": "", r"\text": "", r"\quad": "",
    r"\log": "log", r"\max": "max", r"\min": "min", r"\sup": "sup", r"\arg": "arg",
    r"\,": "", r"\;": "", "\\ ": "", r"\ell": "ℓ", r"\kappa": "κ", r"\tilde": "~", r"\cap": "∩",
    r"\neq": "≠", r"\cdot": "⋅", r"\phi": "φ", r"\{": "\x01", r"\}": "\x02",
}  # fmt: skip


def expected_characters(latex: str) -> list[str]:
    """The characters a reader should see, in no particular order."""
    commands = sorted(GLYPHS, key=len, reverse=True)
    pattern = "|".join(
        re.escape(c) + (r"(?![A-Za-z])" if c[-1].isalpha() else "") for c in commands
    )
    text = re.sub(pattern, lambda m: GLYPHS[m[0]], latex)
    # What stays of an accent's caret differs from the caret of a superscript.
    carets = len(re.findall(r"\\hat(?![A-Za-z])", latex))
    assert "\\" not in text, text
    text = re.sub(r"[{}_^\s]", "", text) + "^" * carets
    text = text.replace("\x01", "{").replace("\x02", "}")  # braces that are written
    return sorted(text.replace("-", "−").replace("*", "∗").replace("'", "′"))


def shown(markup: str) -> str:
    root = ET.fromstring(f"<body>{markup}</body>")
    assert all(child.tag == "math" for child in root)
    # A hyphen within \\text is none of the minus signs that a formula has.
    return re.sub(r"\s", "", "".join(root.itertext())).replace("-", "−")


@pytest.mark.parametrize("name", CLAIMS)
def test_every_statement_keeps_its_characters(name):
    latex = CLAIMS[name].statement
    assert sorted(shown(mathml(latex))) == expected_characters(latex)


def test_the_comparison_notices_a_lost_symbol():
    latex = CLAIMS["C12"].statement
    assert expected_characters(latex.replace(r"\mu", "")) != sorted(shown(mathml(latex)))


def test_structure():
    assert mathml("x_1^2") == (
        '<math displaystyle="true"><msubsup><mi>x</mi><mn>1</mn><mn>2</mn></msubsup></math>'
    )
    assert mathml("x^2_1") == mathml("x_1^2")
    assert '<mfrac displaystyle="false"><mn>1</mn><mn>2</mn></mfrac>' in mathml(r"\tfrac12")
    assert "<mn>12</mn>" in mathml("12") and "<mn>0.5</mn>" in mathml("0.5x")
    assert "<munder><mi>sup</mi>" in mathml(r"\sup_C x")
    assert mathml("a<b").count("<math") == 2 and "&lt;" in mathml("a<b")
    assert mathml("(a<b)").count("<math") == 1  # no line ends within brackets
    assert mathml(r"\|a-b\|=c-d").count("<math") == 3  # nor within bars
    assert 'form="prefix">−' in mathml("x=-y") and mathml("x=-y").count("<math") == 2
    assert "<mtext>\N{NO-BREAK SPACE}for\N{NO-BREAK SPACE}all\N{NO-BREAK SPACE}</mtext>" in mathml(
        r"x\text{ for all }y"
    )
    assert mathml(r"\rm ref") == '<math displaystyle="true"><mi>ref</mi></math>'


@pytest.mark.parametrize(
    "latex",
    [r"\foo", r"\quadE", "{x", "x}", "x_1_2", "x^2^3", r"\frac1", r"\text{$x$}", "x^",
     r"\mathbb Q", "é💥", "a&b", "#1", r"\text{a", r"\script"],
)  # fmt: skip
def test_what_is_not_understood_is_refused(latex):
    with pytest.raises(Unsupported):
        mathml(latex)


@given(st.text(alphabet=r"abxσ\_^{}'<>&|+-=1 2,;()fractexilo", max_size=24))
def test_any_text_gives_well_formed_markup_or_is_refused(latex):
    try:
        markup = mathml(latex)
    except Unsupported:
        return
    ET.fromstring(f"<body>{markup}</body>")


def texts() -> list[str]:
    found = []
    for claim in CLAIMS.values():
        found += [claim.title, *claim.hypotheses, *(f.statement for f in claim.planted)]
    return found


def test_inline_keeps_every_character_of_the_claims():
    raised = 0
    for text in texts():
        markup = inline(text)
        plain = html.unescape(re.sub(r"</?su[bp]>", "", markup))
        assert plain == re.sub(r"[_^{}]", "", text) or plain.replace("^", "") == re.sub(
            r"[_^{}]", "", text
        )
        raised += markup.count("<su")
    assert raised > 100
    assert inline("KL(π_ref‖π_θ) ≤ e^{−R}") == (
        "KL(π<sub>ref</sub>‖π<sub>θ</sub>) ≤ e<sup>−R</sup>"
    )


def test_inline_leaves_names_alone_and_escapes():
    for text in ("docs/a_b.md", "relative_bound 1.74", "theta_ref = 0", "a/b_c", "x^"):
        assert inline(text) == text
    assert inline("<script>x_1</script>") == "&lt;script&gt;x<sub>1</sub>&lt;/script&gt;"
    assert inline('a_{<b onclick="x">}') == "a<sub>&lt;b onclick=&quot;x&quot;&gt;</sub>"


@given(st.text(alphabet="ab_^{}<>&\"'xθKL ", max_size=20))
def test_inline_lets_no_markup_through(text):
    rest = re.sub(r"</?su[bp]>", "", inline(text))
    assert not re.search(r"[<>\"']", rest)
    assert re.sub(r"[_^{}]", "", html.unescape(rest)) == re.sub(r"[_^{}]", "", text)
