"""Certificates made by hand that say too much: replay refuses each, at the right place.

What a forger can write is everything in the file, its digest included. The honest
certificates beside the forged ones show that it is the forgery that is refused.
"""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from sailtheory import InputError, PreferenceProblem, examples
from sailtheory.certificates import load, replay
from sailtheory.certificates.branch import Statement
from sailtheory.certificates.certificate import Certificate, Stop, WitnessPoint, digest, parse
from sailtheory.certificates.refine import Budget, refine
from sailtheory.certificates.region import Region, region, valid
from sailtheory.certificates.stationary import REFUTED
from sailtheory.report.certificates import claim

WINNER = examples.load("c04-one-winner")
EXACT = Fraction(37, 2700) / Fraction(2, 9)
"""J''/F of that problem at θ_ref (C04 (ii))."""


def covered(gamma, modulus=0, problem=WINNER):
    cover = refine(Statement(region(problem), Fraction(gamma), Fraction(modulus)), Budget())
    assert cover.complete
    return cover.word


def made(kind="concave", verdict="certified", gamma=1, problem=WINNER, **rest):
    return Certificate(
        verdict, kind, region(problem), None if gamma is None else Fraction(gamma), **rest
    )


def at_reference(direction=1.0):
    return WitnessPoint(np.zeros(1), np.array([direction]))


def forged(certificate, **changes):
    """Its JSON with some entries changed and the digest made to agree."""
    data = json.loads(json.dumps(certificate.as_dict())) | changes
    return data | {"digest": digest(data)}


@pytest.fixture(scope="module")
def honest():
    """One certificate for each thing that can be claimed."""
    return {
        "concave": made(cover=covered(1)),
        "refuted": made(verdict="refuted", gamma=EXACT * Fraction(9, 10), witness=at_reference()),
        "pl": made("pl", modulus=Fraction(1, 100), cover=covered(1, Fraction(1, 100))),
        "gamma": made("gamma", cover=covered(1), lower=EXACT / 2, witness=at_reference()),
        "open": made(verdict="undecided", cover="a.?"),
    }


@pytest.mark.parametrize("kind", ["concave", "refuted", "pl", "gamma", "open"])
def test_the_honest_ones_are_accepted(honest, kind):
    assert replay(honest[kind]).valid
    assert replay(parse(honest[kind].as_dict())).valid


# --- signs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", [1.0, -1.0, 1e-200])
@pytest.mark.parametrize(
    "share, accepted",
    [(1, False), (1 - Fraction(1, 10**20), True), (1 + Fraction(1, 10**20), False), (0, True)],
)
def test_a_witness_needs_a_certain_sign(share, accepted, direction):
    """At γ = J''/F the quadratic form is 0, and its ball contains 0."""
    point = at_reference(direction)
    refuted = made(verdict="refuted", gamma=EXACT * share, witness=point)
    bounded = made("gamma", "undecided", None, lower=EXACT * share, witness=point)
    assert replay(refuted).valid is replay(bounded).valid is accepted


def test_a_witness_needs_a_direction_and_a_point_of_c(honest):
    for point in (at_reference(0.0), WitnessPoint(np.array([np.nextafter(1, 2)]), np.ones(1))):
        assert not replay(replace(honest["refuted"], gamma=Fraction(-5), witness=point)).valid
    on_the_sphere = WitnessPoint(np.ones(1), np.ones(1))
    assert replay(replace(honest["refuted"], gamma=Fraction(-5), witness=on_the_sphere)).valid


@pytest.mark.parametrize("modulus", ["-1/100", "0", "1"])
def test_a_modulus_is_positive_and_shown(honest, modulus):
    assert not replay(parse(forged(honest["pl"], modulus=modulus))).valid
    if modulus != "0":
        assert not replay(parse(forged(honest["concave"], modulus=modulus))).valid


# --- domains --------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [0, 0.99, 1 - 2**-52])
def test_a_domain_that_is_too_small(honest, factor):
    assert not replay(parse(forged(honest["concave"], radius=factor))).valid
    assert replay(parse(forged(honest["concave"], radius=1 + 2**-52))).valid


@pytest.mark.parametrize("stretch", [Fraction(1, 2), Fraction(2), Fraction(1, 3)])
def test_a_radius_belongs_to_its_coordinates(stretch):
    """{‖sx‖ ≤ B} lies in ‖x‖ ≤ R for R > B/s, which is at least B only where s ≤ 1."""
    basis = stretch * region(WINNER).basis
    needed = max(1, 1 / stretch)
    for factor, fits in ((0.99, False), (1 + 1e-12, True)):
        assert valid(Region(WINNER, basis, float(needed) * factor)) is fits


FLAT = PreferenceProblem(
    features=[[[0, 0], [1, 0], [2, 0]]], beta=1, radius=1,
    preferences=[[[0.5, 0.7, 1], [0.3, 0.5, 0.6], [0, 0.4, 0.5]]],
)  # fmt: skip


@pytest.mark.parametrize(
    "rows, spans",
    [
        ([[1], [0]], True),
        ([[0], [1]], False),  # as good a basis, of another space
        ([["3/5"], ["4/5"]], False),
        ([[1], ["1/1000000000000"]], False),
        ([[1, 0], [0, 1]], False),  # more than S
        ([[], []], False),  # less
        ([[1, 0], [0, 0]], False),
    ],
)
@pytest.mark.parametrize("radius", [0, 1])
def test_a_basis_spans_s_and_nothing_else(rows, spans, radius):
    basis = np.array([[Fraction(v) for v in row] for row in rows], dtype=object)
    basis = basis.reshape(2, len(rows[0]))
    assert valid(Region(FLAT.replace(radius=radius), basis, 2.0)) is spans


def test_a_basis_of_dependent_columns_spans_less_than_s():
    plane = FLAT.replace(features=[[[0, 0], [1, 0], [0, 1]]])
    for radius in (0, 1):  # at B = 0 only the rank tells
        twice = np.array([[Fraction(1), Fraction(1)], [Fraction(0), Fraction(0)]], dtype=object)
        assert not valid(Region(plane.replace(radius=radius), twice, 2.0))


# --- covers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word", ["", "?", "a.", "a", "a.?", "a?.", "a...", "b..", "ab", "A..", "a.x"]
)
def test_a_cover_is_one_complete_tree(honest, word):
    """At a γ at which both halves of C hold."""
    assert honest["concave"].cover == "a.."
    assert not replay(replace(honest["concave"], cover=word)).valid


def test_pieces_of_an_open_cover_are_shown(honest):
    assert replay(honest["open"]).pieces == 1
    for word in (".?", "a?", "z.?", "a" * 60 + "?" * 61):
        assert not replay(replace(honest["open"], cover=word)).valid
    false = replace(honest["open"], gamma=EXACT / 2, cover="a?.")
    assert not replay(false).valid
    nothing = made("gamma", "undecided", None, cover="a.?")
    assert replay(nothing).valid and replay(nothing).pieces == 0
    assert not replay(replace(nothing, cover="a?")).valid


# --- what belongs to a claim --------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, changes",
    [
        ("concave", {"cover": None, "pieces": 0}),
        ("concave", {"gamma": None}),
        ("concave", {"lower": "0"}),
        ("concave", {"verdict": "refuted"}),
        ("concave", {"verdict": "undecided", "gamma": None}),
        ("concave", {"property": "pl"}),
        ("concave", {"property": "gamma"}),
        ("concave", {"witness": {"x": [0], "direction": [1]}}),
        ("refuted", {"verdict": "certified"}),
        ("refuted", {"verdict": "undecided"}),
        ("refuted", {"property": "pl"}),
        ("refuted", {"property": "gamma"}),
        ("refuted", {"witness": None}),
        ("refuted", {"witness": {"x": [0], "better": [1]}}),
        ("refuted", {"gamma": None}),
        ("pl", {"property": "concave"}),
        ("pl", {"property": "gamma"}),
        ("pl", {"gamma": "1/100"}),
        ("gamma", {"property": "concave"}),
        ("gamma", {"property": "pl"}),
        ("gamma", {"verdict": "refuted"}),
        ("gamma", {"lower": None}),
        ("gamma", {"lower": None, "witness": None}),
        ("gamma", {"witness": None}),
        ("gamma", {"gamma": None}),
        ("gamma", {"lower": "1"}),
        ("gamma", {"lower": "2"}),
        ("gamma", {"cover": None, "pieces": 0}),
        ("gamma", {"verdict": "undecided", "cover": None, "pieces": 0}),
        ("gamma", {"verdict": "undecided", "cover": "a.?", "pieces": 1}),
    ],
)
def test_claims_without_what_shows_them(honest, kind, changes):
    assert not replay(parse(forged(honest[kind], **changes))).valid


def test_bounds_of_gamma_may_stand_alone():
    """Each end of an undecided enclosure is shown, or absent."""
    for rest in (
        {"gamma": 1, "cover": covered(1)},
        {"gamma": None, "lower": EXACT / 2, "witness": at_reference()},
        {"gamma": None},
    ):
        assert replay(made("gamma", "undecided", **rest)).valid
        assert not replay(made("gamma", **rest)).valid


@pytest.mark.parametrize("kind", ["concave", "gamma", "pl"])
def test_where_nothing_moves_nothing_else_is_claimed(kind):
    """On S = {0}: γ* is null, and J_γ is constant at each γ."""
    still = FLAT.replace(features=[[[1, 0], [1, 0], [1, 0]]])
    level = None if kind == "gamma" else 0
    empty = made(kind, gamma=level, problem=still)
    assert replay(empty).valid
    for changes in (
        {"gamma": Fraction(-1000) if level is None else None},
        {"modulus": Fraction(1)},
        {"verdict": "refuted"},
        {"verdict": "undecided"},
        {"cover": "."},
        {"lower": Fraction(0)},
        {"witness": WitnessPoint(np.zeros(0), np.zeros(0))},
    ):
        assert not replay(replace(empty, **changes)).valid, changes
    one_point = replace(empty, region=region(WINNER.replace(radius=0)))
    assert replay(one_point).valid is (kind == "pl")


# --- refutations of PL ---------------------------------------------------------------------------

STOPS = {
    "boundary": (
        examples.load("c14-spurious-stop"),
        0,
        Stop(np.array([-1.45276427, -1.3745821]), np.array([1.675, -1.091])),
    ),
    "interior": (
        PreferenceProblem(
            features=[[[0], [1], [2]]], beta=0.05, radius=8, ref_params=[0.1],
            preferences=[[[0.5, 1, 0.5], [0, 0.5, 0], [0.5, 1, 0.5]]],
        ),
        Fraction(1, 1000),
        Stop(np.array([1.72180507]), np.array([-1.64658739])),
    ),
}  # fmt: skip


@pytest.mark.parametrize("where, other", [("boundary", "interior"), ("interior", "boundary")])
def test_a_refutation_says_which_kind_of_stop_it_shows(where, other):
    """The note is a part of the claim: at a boundary stop plain PL may hold."""
    problem, gamma, stop = STOPS[where]
    shown = made("pl", "refuted", gamma, problem, witness=stop, note=REFUTED[where])
    assert replay(shown).valid and REFUTED[where] in replay(shown).reason
    for changes in (
        {"note": REFUTED[other]},
        {"note": ""},
        {"gamma": Fraction(1)},
        {"gamma": None},
        {"kind": "concave"},
        {"verdict": "certified"},
        {"verdict": "undecided"},
        {"witness": Stop(stop.x, stop.x)},
        {"witness": Stop(stop.better, stop.x)},
        {"witness": Stop(stop.x * (1 - 1e-5), stop.better)},
        {"witness": Stop(stop.x, stop.better * 5)},
        {"witness": None},
    ):
        assert not replay(replace(shown, **changes)).valid, changes


# --- files ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"gamma": 1}, {"gamma": 0.5}, {"gamma": "nan"}, {"gamma": "inf"}, {"gamma": "1e999"},
        {"gamma": "1/0"}, {"gamma": "0x1"}, {"gamma": ["1"]}, {"gamma": True},
        {"modulus": 0}, {"lower": 0}, {"verdict": "proved"}, {"verdict": None}, {"property": "γ"},
        {"radius": "1"}, {"radius": -1}, {"radius": True}, {"radius": 1e300}, {"radius": 10**400},
        {"radius": None}, {"bits": 52}, {"bits": 4097}, {"bits": 96.0}, {"bits": True},
        {"bits": "96"}, {"pieces": 0}, {"pieces": "1"}, {"cover": 1}, {"cover": ["."]},
        {"note": None}, {"seconds": "1"}, {"seconds": -1}, {"problem": None}, {"problem": ""},
        {"basis": None}, {"basis": []}, {"basis": [["1"], ["1"]]}, {"basis": [["1", "0"]]},
        {"basis": [[1]]}, {"basis": ["1"]}, {"basis": [["1.5x"]]}, {"basis": [[None]]},
        {"witness": {"x": [0]}}, {"witness": {"direction": [0]}}, {"witness": []},
        {"witness": {"x": [0], "direction": [1], "better": [1]}}, {"witness": "x"},
        {"witness": {"x": [], "direction": [1]}}, {"witness": {"x": [0, 0], "direction": [1]}},
        {"witness": {"x": ["0"], "direction": [1]}}, {"witness": {"x": [True], "direction": [1]}},
        {"witness": {"x": [1e300], "direction": [1]}}, {"witness": {"x": 0, "direction": [1]}},
        {"witness": {"x": [10**400], "direction": [1]}}, {"witness": {"x": [[0]], "better": [1]}},
        {"schema": "sailtheory.certificate/2"}, {"trust": "me"},
    ],
    ids=str,
)  # fmt: skip
def test_malformed_entries_are_refused_in_one_line(honest, changes):
    with pytest.raises(InputError) as caught:
        parse(forged(honest["gamma"], **changes))
    assert caught.value.field.startswith((next(iter(changes)), "prompts", "digest"))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("key", ["gamma", "verdict", "cover", "digest"])
def test_a_missing_entry_is_named(honest, key):
    data = honest["gamma"].as_dict()
    del data[key]
    with pytest.raises(InputError, match=f"{key} = missing"):
        parse(data)


@pytest.mark.parametrize("data", [None, [], "x", 1, {}])
def test_other_json_is_no_certificate(data):
    with pytest.raises(InputError, match="schema"):
        parse(data)


def test_a_digest_that_differs_is_refused(honest):
    for digest_ in ("", None, "0" * 64):
        with pytest.raises(InputError, match="digest"):
            parse(honest["gamma"].as_dict() | {"digest": digest_})
    for value in (float("nan"), float("inf")):
        with pytest.raises(InputError, match="digest"):
            parse(honest["gamma"].as_dict() | {"seconds": value})


def test_a_key_given_twice_is_refused(honest, tmp_path):
    """Readers of JSON disagree on which of the two counts."""
    path = tmp_path / "c.json"
    honest["gamma"].save(path)
    assert load(path).gamma == 1
    text = path.read_text()
    for key, doubled in {
        "gamma": text.replace('"gamma": "1"', '"gamma": "1/20", "gamma": "1"'),
        "x": text.replace('"direction"', '"x": [0.5], "direction"'),
    }.items():
        assert doubled != text
        path.write_text(doubled)
        with pytest.raises(InputError, match=f"'{key}' stands 2 times"):
            load(path)


# --- words ----------------------------------------------------------------------------------


def test_words_do_not_round_a_bound_inwards():
    lower, upper = Fraction("0.12345678949"), Fraction("0.12345678941")
    ends = made("gamma", gamma=upper, lower=lower)
    assert claim(ends) == "certified: 0.123456789 ≤ γ* ≤ 0.12345679."
    ends = made("gamma", gamma=-lower, lower=-upper)
    assert claim(ends) == "certified: -0.12345679 ≤ γ* ≤ -0.123456789."
    strong = made("pl", gamma=Fraction("0.1234567"), modulus=Fraction("0.2999999"))
    assert "J_γ is 0.299999-strongly concave on C at γ = 0.1234567;" in claim(strong)
    for level, text in (
        (Fraction(1, 3), "1/3"), (Fraction(1, 10), "0.1"), (Fraction(20), "20"),
        (Fraction(0.1 + 0.2), "0.30000000000000004"), (Fraction("1.00000001"), "1.00000001"),
    ):  # fmt: skip
        assert claim(made(gamma=level)) == f"certified: J_γ is strictly concave on C at γ = {text}."
