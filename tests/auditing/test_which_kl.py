"""TRL's expected updates as the page has them: the page, some of its rows anew, and the command."""

from __future__ import annotations

import inspect
import json

import pytest

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("trl", reason="the extra trl is not installed")

import trl
from trl.experimental import online_dpo

from docs.generate import blocks, which_kl, which_kl_quotes
from sailtheory.auditing.decompose import Finding, Kind
from sailtheory.auditing.expected_update import ExpectedUpdate, Part
from sailtheory.auditing.small_trainer import parsed
from sailtheory.cli import main
from sailtheory.errors import InputError
from sailtheory.report.expected_update import headline

PAGE = which_kl.PAGE.read_text(encoding="utf-8")
DATA = json.loads(which_kl.EVIDENCE.read_text(encoding="utf-8"))
ROWS = DATA["rows"]


def test_the_page_is_made_of_the_evidence():
    """If this fails: ``python -m docs.generate.which_kl``."""
    assert which_kl.renewed(PAGE, DATA) == PAGE
    assert blocks.names(PAGE) == [*which_kl.tables(DATA)]
    assert which_kl.real_told(DATA) in PAGE and f"TRL {DATA['trl']}" in PAGE
    assert [(r["method"], r["settings"]) for r in ROWS] == [*which_kl.plan()]


# Each kind of line of the table: by hand, T = 2 tokens where lengths are equal.
BY_HAND = [
    ("grpo", which_kl.grpo(loss_type="dr_grpo"), {"token_kl_policy_ref": 0.04 / 4}, 0.04),
    ("grpo", which_kl.grpo(loss_type="cispo"), {"token_kl_policy_ref": 0.04 / 2}, 0.2),
    # Σ_t k3_t/T·S is 1/T of k3 in the reward, ∇KL(π_θ‖π_ref) − ∇KL(π_ref‖π_θ) by token.
    ("grpo", which_kl.grpo(loss_type="luspo", importance_sampling_level="sequence"),
     {"kl_policy_ref": 0.02, "token_kl_ref_policy": 0.02}, None),
    # (Δ − 1/(2β))² has the gradient 2ΔΔ' − Δ'/β.
    ("online-dpo", {"beta": 0.1, "loss_type": "ipo"}, {"kl_policy_ref": 4.0}, 0.2),
]  # fmt: skip


@pytest.mark.parametrize(("method", "settings", "kl", "gamma"), BY_HAND)
def test_rows_anew(method, settings, kl, gamma):
    row = which_kl.computed(method, settings)
    (written,) = [r for r in ROWS if (r["method"], r["settings"]) == (method, settings)]
    assert row["one_length"]["kl"]["coefficients"] == pytest.approx(kl, rel=1e-6)
    if gamma is None:
        assert row["one_length"]["gamma"] is None
    else:
        assert row["one_length"]["gamma"] == pytest.approx(gamma, rel=1e-6)
    for side in ("one_length", "lengths"):
        for part in ("reward", "kl"):
            new, old = (r[side][part] for r in (row, written))
            assert new["verdict"] == old["verdict"]
            assert new["coefficients"] == pytest.approx(old["coefficients"], rel=1e-6)
            assert new["residual"] == pytest.approx(old["residual"], rel=1e-5, abs=1e-9)


def test_what_the_page_says_first():
    with_kl = [r for r in ROWS if r["settings"]["beta"]]
    names = {n for r in with_kl for side in ("one_length", "lengths")
             if r[side]["kl"]["verdict"] == Kind.COMBINATION
             for n in r[side]["kl"]["coefficients"]}  # fmt: skip
    assert names == {"kl_policy_ref", "token_kl_policy_ref", "token_kl_ref_policy"}
    group = [r["lengths"]["kl"] for r in with_kl if r["method"] == "grpo"]
    assert not any("kl_policy_ref" in kl["coefficients"] for kl in group)
    ipo = [r for r in with_kl if r["settings"].get("loss_type") == "ipo"]
    assert all(r["lengths"]["gamma"] == pytest.approx(2 * r["settings"]["beta"]) for r in ipo)
    for row in (r for r in with_kl if r["settings"].get("loss_type") == "sigmoid"):
        beta = row["settings"]["beta"]
        multiple = row["lengths"]["apart"]["kl_policy_ref"]["multiple"]
        assert multiple / beta**2 == pytest.approx(0.5, abs=0.35 * beta**2)
    assert {r["one_length"]["reward"]["verdict"] for r in ROWS} == {Kind.COMBINATION}


@pytest.mark.parametrize(("config", "option", "words"), [q[:3] for q in which_kl_quotes.QUOTES])
def test_quotations_are_of_trl(config, option, words):
    made = getattr(trl, config, None) or getattr(online_dpo, config)
    text = " ".join(inspect.getdoc(made).split())
    assert words in text
    name = option.split(",")[0].split(";")[0]
    at = text.index(f"{name} (")
    assert words in text[at : at + 6000]


def test_the_command(capsys, tmp_path):
    out = tmp_path / "found.json"
    words = ["which-kl", "grpo", "beta=0.04", "loss_type=luspo", "scale_rewards=none"]
    assert main([*words, "num_generations=2", "--json", str(out)]) == 0
    shown = capsys.readouterr().out
    first = " ".join(shown.partition("GRPOTrainer")[0].split())
    assert first.startswith("What is trained: ") and "E f(V) − 0.04·KL(π_θ‖π_ref) by token" in first
    assert "0.04·∇KL(π_θ‖π_ref) by token" in shown and "C34" in shown
    found = json.loads(out.read_text())
    assert found["schema"] == "sailtheory.which-kl/1" and found["group"] == 2
    assert found["lengths"]["gamma"] == pytest.approx(0.04)


def test_what_is_no_combination_is_told_with_the_nearest(capsys):
    assert main(["which-kl", "online-dpo", "beta=.1"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "nearest" in shown and "0.0029" not in shown  # that of KL(π_ref‖π_θ)
    assert main(["which-kl", "online-dpo", "beta=.1", "loss_type=ipo"]) == 0
    shown = capsys.readouterr().out
    assert "nearest" not in shown and "4·∇KL(π_θ‖π_ref)" in shown and "C33" in shown


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["ppo"], "one of grpo, rloo, online-dpo"),
        (["grpo", "betta=1"], "a field of GRPOConfig, as beta"),
        (["grpo", "beta"], "NAME=VALUE"),
        (["grpo", "beta=1", "beta=2"], "beta once"),
        (["grpo", "loss_type=nope"], "what TRL accepts: Unknown loss type"),
        (["grpo", "output_dir=x"], "batches are listed here"),
        (["grpo", "num_generations=1"], "an integer ≥ 2"),
        (["grpo", "beta=abc"], "beta = abc: a number is expected"),
        (["online-dpo", "beta=abc"], "beta = abc: a number is expected"),
    ],
)
def test_bad_input_is_one_line(words, says, capsys):
    assert main(["which-kl", *words]) == 2
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("sailtheory:")]
    assert says in line


def test_no_kl_is_said_first():
    still = Finding(Kind.STILL, {}, 0.0, 1.0, 1.0)
    found = ExpectedUpdate("GRPOTrainer", 4, *[Part(still, still, {})] * 2)
    assert headline(found, {}).startswith("No KL is trained: TRL's default is beta=0.")
    assert headline(found, {"beta": 0}).startswith("No KL is trained: beta=0.")


def test_settings_are_read_as_values():
    found = parsed(["a=true", "b=.5", "c=None", "d=none", "e=[1, 2]"])
    assert found == {"a": True, "b": 0.5, "c": None, "d": "none", "e": [1, 2]}
    with pytest.raises(InputError):
        parsed(["=1"])
