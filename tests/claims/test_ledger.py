"""The ledger's machinery: entry points, selection, conclusions, contexts."""

from __future__ import annotations

import sys
import textwrap

import numpy as np
import pytest

from sailtheory import InputError, examples
from sailtheory.claims import Claim, Context, registered, run, run_all, select
from sailtheory.verdict import Evidence, Outcome, Strength, Witness, conclude

EXAMPLE_PACKAGE = """
from sailtheory.claims import Claim
from sailtheory.verdict import Evidence, Outcome, Strength


def check(context):
    draws = context.rng("P01").random(1000)
    outcome = Outcome.HOLDS if (draws < 1).all() else Outcome.UNDECIDED
    yield Evidence("sampled", "1,000 draws below 1", outcome, Strength.SUPPORTED)


def claims():
    return [
        Claim(
            id="P01",
            title="draws are below 1",
            statement="u < 1",
            source="an example package",
            hypotheses=(),
            expected=Outcome.HOLDS,
            reachable=Strength.SUPPORTED,
            check=check,
        )
    ]
"""


@pytest.fixture
def example_package(tmp_path, monkeypatch):
    """Another package, installed beside this one, that registers a claim."""
    (tmp_path / "example_claims.py").write_text(textwrap.dedent(EXAMPLE_PACKAGE))
    info = tmp_path / "example_claims-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: example-claims\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sailtheory.claims]\nexample = example_claims:claims\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("example_claims", None)


def test_another_package_can_add_claims(example_package, capsys):
    from sailtheory.cli import main

    assert "P01" in [claim.id for claim in registered()]
    assert main(["verify", "--claims", "P01"]) == 0
    assert "draws are below 1" in capsys.readouterr().out


def test_an_id_may_be_registered_once(example_package, tmp_path):
    info = tmp_path / "example_claims-1.0.dist-info"
    (info / "entry_points.txt").write_text(
        "[sailtheory.claims]\na = example_claims:claims\nb = example_claims:claims\n"
    )
    with pytest.raises(InputError, match="P01"):
        registered()


def claim(check, expected=Outcome.HOLDS):
    return Claim("X01", "t", "s", "here", (), expected, Strength.PROVED, check)


def piece(outcome, strength, witness=None):
    return Evidence("sampled", "d", outcome, strength, witness)


@pytest.fixture
def witness():
    problem = examples.load("tabular")
    return Witness(problem, np.zeros(4), "fails", 1.0, lambda: True)


def test_refutation_outweighs_support(witness):
    verdict = conclude(
        [
            piece(Outcome.HOLDS, Strength.PROVED),
            piece(Outcome.REFUTED, Strength.SUPPORTED, witness),
        ]
    )
    assert (verdict.outcome, verdict.strength) == (Outcome.REFUTED, Strength.SUPPORTED)
    assert verdict.witness is witness


def test_steps_alone_decide_nothing():
    verdict = conclude([piece(Outcome.UNDECIDED, Strength.PROVED)] * 3)
    assert (verdict.outcome, verdict.strength) == (Outcome.UNDECIDED, None)
    assert conclude([]).outcome is Outcome.UNDECIDED


def test_the_strongest_evidence_counts():
    verdict = conclude([piece(Outcome.HOLDS, s) for s in Strength])
    assert verdict.strength is Strength.PROVED


def test_a_refutation_without_a_witness_is_a_defect():
    with pytest.raises(ValueError, match="witness"):
        conclude([piece(Outcome.REFUTED, Strength.PROVED)])


def test_result_differs_when_the_verdict_does(witness):
    refuting = claim(lambda context: [piece(Outcome.REFUTED, Strength.PROVED, witness)])
    result = run(refuting, Context())
    assert not result.as_expected
    data = result.as_dict()
    assert data["verdict"] == "refuted"
    assert data["evidence"][0]["witness"]["theta"] == [0.0] * 4


def test_selection_by_number_includes_its_variants():
    claims = [Claim(i, "", "", "", (), Outcome.HOLDS, Strength.PROVED, lambda c: [])
              for i in ("C04", "C05", "C05b", "C11")]  # fmt: skip
    assert [c.id for c in select(claims, ["C05", " C11"])] == ["C05", "C05b", "C11"]
    assert [c.id for c in select(claims, ["C05b"])] == ["C05b"]
    assert len(select(claims, None)) == 4
    for bad in ("C9", "c05", ""):
        with pytest.raises(InputError, match="claims"):
            select(claims, [bad])


def test_generators_depend_on_seed_and_name_only():
    draw = Context(seed=3).rng("a").random()
    assert draw == Context("full", 3).rng("a").random()
    assert draw != Context(seed=4).rng("a").random()
    assert draw != Context(seed=3).rng("b").random()


@pytest.mark.parametrize("arguments", [{"effort": "light"}, {"seed": -1}])
def test_context_refuses_bad_arguments(arguments):
    with pytest.raises(InputError):
        Context(**arguments)


def test_processes_change_no_result():
    chosen = select(registered(), ["C04", "C07"])
    alone, apart = (list(run_all(chosen, Context(), jobs)) for jobs in (1, 2))
    for one, other in zip(alone, apart, strict=True):
        assert one.claim is other.claim
        first, second = one.as_dict(), other.as_dict()
        assert first | {"seconds": 0} == second | {"seconds": 0}
    assert apart[0].verdict.witness.replay()


@pytest.mark.parametrize("jobs", ["0", "x"])
def test_bad_jobs_are_one_line(jobs, capsys):
    from sailtheory.cli import main

    assert main(["verify", "--claims", "C04", "--jobs", jobs]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
