"""A defect is shown as one: never as a verdict, with an exit code of its own."""

from __future__ import annotations

import json
import pickle
from functools import partial

import pytest

from proofs_check.__main__ import main as ledger
from proofs_check.evidence.argument import Step, argue
from proofs_check.symbolic import differential_field, identities
from proofs_check.symbolic.rational import UnknownFunctionError
from sailtheory import InputError, examples
from sailtheory.certificates import certify_concave, certify_gamma
from sailtheory.certificates.certificate import load
from sailtheory.claims import Claim, ClaimsError, Context, Falsehood, registered, run, run_all
from sailtheory.cli import main
from sailtheory.verdict import Evidence, Outcome, Strength

FAULT = "AttributeError: module 'flint' has no attribute 'acb_theta'"


def sound(_):
    return [Evidence("sampled", "d", Outcome.HOLDS, Strength.SUPPORTED)]


def broken(_):
    yield Evidence("sampled", "so far so good", Outcome.HOLDS, Strength.SUPPORTED)
    raise AttributeError(FAULT.partition(": ")[2])


def claim(name, check, planted=()):
    return Claim(name, "t", "s", "here", (), Outcome.HOLDS, Strength.SUPPORTED, check, planted)


CLAIMS = [claim("X01", sound), claim("X02", broken), claim("X03", sound)]


@pytest.fixture
def stated(monkeypatch):
    monkeypatch.setattr("sailtheory.claims.registered", lambda: CLAIMS)


@pytest.mark.parametrize("jobs", [1, 2])
def test_other_claims_are_checked_and_the_failed_one_has_no_verdict(jobs):
    found = list(run_all(CLAIMS, Context(), jobs))
    assert [r.verdict and r.verdict.outcome for r in found] == [Outcome.HOLDS, None, Outcome.HOLDS]
    assert [r.as_expected for r in found] == [True, False, True]
    assert found[1].failure.says == FAULT
    assert "in broken" in found[1].failure.traceback
    data = found[1].as_dict()
    assert (data["verdict"], data["strength"], data["error"]) == (None, None, FAULT)
    assert "error" not in found[0].as_dict()


def test_one_claim_alone_raises_what_its_check_raises():
    with pytest.raises(AttributeError, match="acb_theta"):
        run(CLAIMS[1], Context())


def test_verify_names_claim_and_exception_and_ends_with_70(stated, tmp_path, capsys):
    page, data = tmp_path / "l.html", tmp_path / "l.json"
    assert main(["verify", "--html", str(page), "--json", str(data)]) == 70
    out, err = capsys.readouterr()
    assert err == f"sailtheory: internal error in X02: {FAULT} (SAILTHEORY_DEBUG=1 shows where)\n"
    assert "error" in out and "undecided" not in out and "differ" not in out
    entries = json.loads(data.read_text(encoding="utf-8"))["claims"]
    assert [entry.get("error") for entry in entries] == [None, FAULT, None]
    text = page.read_text(encoding="utf-8")
    assert "1 of 3 checks ended in an internal error, which is no verdict: X02." in text
    assert "internal error: AttributeError" in text and "undecided</span>" not in text


def test_the_traceback_is_shown_on_request(stated, monkeypatch, capsys):
    assert main(["verify", "--claims", "X02"]) == 70
    assert "Traceback" not in capsys.readouterr().err
    monkeypatch.setenv("SAILTHEORY_DEBUG", "1")
    assert main(["verify", "--claims", "X02"]) == 70
    err = capsys.readouterr().err
    assert "Traceback" in err and err.endswith(f"internal error in X02: {FAULT}\n")


@pytest.mark.parametrize("claims", [["C03"], ["C18"]])
def test_a_library_that_lacks_a_function_decides_nothing(claims, monkeypatch, capsys):
    """What python-flint or SymPy of another version would do inside a step or an identity."""

    def gone(*_, **__):
        raise AttributeError("no such function in this version")

    monkeypatch.setattr(identities, "all_zero", gone)
    for verify in (lambda: main(["verify", "--claims", *claims]), lambda: ledger(claims)):
        assert verify() == 70
        out, err = capsys.readouterr()
        assert f"internal error in {claims[0]}: AttributeError: no such function" in err
        assert "undecided" not in out


def test_a_step_that_raises_is_no_step_that_is_not_shown():
    def fails():
        raise TypeError("unexpected keyword")

    with pytest.raises(TypeError, match="unexpected keyword"):
        list(argue("so it holds", [Step("exact", "a step", fails)]))


def test_what_the_field_does_not_hold_is_not_proved():
    """The one exception by which the decision procedure says that it cannot tell."""

    def outside(at):
        if isinstance(at, identities.Symbolic):
            raise UnknownFunctionError("exp of an argument that has no symbol")
        return at.theta, at.theta

    identity = identities.Identity("θ = θ", outside, quick=((1, 2, 1),))
    (piece,) = identities.decide(identity, {}, Context())
    assert piece.outcome is Outcome.UNDECIDED and "has no symbol" in piece.detail
    assert differential_field.UnknownFunctionError is UnknownFunctionError


def test_a_failing_falsehood_is_neither_refuted_nor_missed(monkeypatch, capsys, tmp_path):
    planted = (Falsehood("wrong", "2 = 3", broken),)
    monkeypatch.setattr("proofs_check.__main__.all_claims", lambda: [claim("X04", sound, planted)])
    table = tmp_path / "table.md"
    assert ledger(["--planted", "--table", str(table)]) == 70
    out, err = capsys.readouterr()
    assert out == "planted 1, refuted 0, missed 0\n"
    assert f"internal error in X04, wrong: {FAULT}" in err and not table.exists()


def test_claims_that_cannot_be_loaded_name_their_package(monkeypatch, capsys):
    class Entry:
        name, value = "new", "their_claims:claims"

        def load(self):
            raise ImportError("cannot import name 'claim'")

    monkeypatch.setattr("sailtheory.claims.entry_points", lambda group: [Entry()])
    with pytest.raises(ClaimsError, match=r"their_claims:claims: ImportError: cannot import"):
        registered()
    assert main(["verify"]) == 70
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("command", ["check", "frontier", "certify"])
@pytest.mark.parametrize(
    "error", [RuntimeError("odd"), BrokenPipeError(32, "a worker's"), KeyError("k")]
)
def test_a_defect_in_any_command_is_not_exit_code_1(command, error, monkeypatch, capsys):
    def fail(_, **__):
        raise error

    monkeypatch.setattr("sailtheory.problem.problem_file.load", fail)
    options = ["--property", "concave", "--gamma", "1"] if command == "certify" else []
    assert main([command, "p.toml", *options]) == 70
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"sailtheory: internal error: {type(error).__name__}: ")


def test_a_defect_in_a_search_is_no_undecided_certificate(monkeypatch):
    problem = examples.load("c04-weighted-reference")
    monkeypatch.setattr("sailtheory.certificates.certify.negative", lambda *_: False)
    with pytest.raises(ArithmeticError, match="does not replay"):
        certify_gamma(problem)


def test_data_beyond_float64_stay_undecided_and_say_why(monkeypatch):
    def beyond(*_, **__):
        raise OverflowError("int too large to convert to float")

    monkeypatch.setattr("sailtheory.certificates.certify.largest_relative_curvature_on", beyond)
    made = certify_concave(examples.load("c04-weighted-reference"), 1)
    assert made.verdict == "undecided"
    assert made.note.endswith("OverflowError: int too large to convert to float")


def test_a_defect_in_replay_is_no_invalid_certificate(tmp_path, monkeypatch, capsys):
    out = tmp_path / "c.json"
    certify_concave(examples.load("c04-weighted-reference"), 1).save(out)

    def fails(*_):
        raise ValueError("operands could not be broadcast together")

    monkeypatch.setattr("sailtheory.certificates.cover.Checker.each_holds", fails)
    assert main(["replay", str(out)]) == 70
    assert "not valid" not in capsys.readouterr().out
    assert load(out).verdict == "certified"


def test_an_input_error_travels_between_processes():
    error = pickle.loads(pickle.dumps(InputError("gamma", [1, 2], "a number")))
    assert (str(error), error.field, error.value) == ("gamma = [1, 2]: a number", "gamma", [1, 2])


def refuse(_):
    raise InputError("state", "x", "another one")


def test_bad_input_in_a_worker_arrives_whole():
    found = list(run_all([claim("X05", refuse), claim("X06", partial(sound))], Context(), 2))
    assert found[0].failure.says == "InputError: state = x: another one"
