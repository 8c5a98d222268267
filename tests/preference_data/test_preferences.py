"""Scores and labels become probabilities only as the user says."""

from __future__ import annotations

import numpy as np
import pytest

from sailtheory import InputError
from sailtheory.preference_data.preferences import Rule, preferred
from tests.preference_data.test_formats import read
from tests.support.preference_rows import COMPARED, SCORED

SCORES = [SCORED["scores"] | {"prompt": p, "responses": ["a", "b", "c"], "scores": s}
          for p, s in (("P", [8, 4, 1]), ("Q", [2, 2, 6]))]  # fmt: skip
TRL = COMPARED["trl"]
OTHER = TRL | {"chosen": "b", "rejected": "a"}


def refused(data, **options):
    with pytest.raises(InputError) as error:
        held_out = options.pop("held_out", None)
        preferred(data, Rule(**options), held_out)
    return str(error.value)


def counted(*pairs):
    return read(*({"prompt": p, "response_a": a, "response_b": b, "wins_a": x, "wins_b": y}
                  for p, a, b, x, y in pairs))  # fmt: skip


def test_scores_are_divided_by_the_temperature_given():
    found = preferred(read(*SCORES), Rule(temperature=2.0))
    assert np.array_equal(np.stack(found.rewards), [[4, 2, 0.5], [1, 1, 3]])
    assert found.temperature == {"value": 2.0, "from": "given"}
    assert found.counts is None and "T = 2, given" in found.rule


def test_no_temperature_is_assumed():
    message = refused(read(*SCORES))
    assert "temperature = not given: scores go from 1 to 8" in message
    assert "--comparisons DATA, which it is fitted on" in refused(read(*SCORES), temperature="fit")
    compared = read(TRL)
    assert "--temperature fit beside them" in refused(
        read(*SCORES), temperature=2.0, held_out=compared)  # fmt: skip
    assert "counts" not in message


def test_a_temperature_is_fitted_on_held_out_comparisons():
    held_out = counted(("P", "a", "b", 3, 1), ("Q", "c", "a", 3, 1), ("R", "a", "b", 9, 0),
                       ("P", "a", "z", 9, 0))  # fmt: skip
    texts = {"prompt": " P", "chosen": "a ", "rejected": "b"}  # the same prompt as plain text
    other = preferred(read(*SCORES), Rule(temperature="fit"),
                      read(texts, texts | {"chosen": "b", "rejected": "a"}, texts))  # fmt: skip
    assert other.temperature["value"] == pytest.approx(4 / np.log(2))
    found = preferred(read(*SCORES), Rule(temperature="fit"), held_out)
    assert found.temperature["value"] == pytest.approx(4 / np.log(3))
    assert found.temperature["comparisons"] == 8
    assert found.rewards[0][0] == pytest.approx(2 * np.log(3))
    assert "holds scores" in refused(read(*SCORES), temperature="fit", held_out=read(*SCORES))
    strangers = counted(("R", "a", "b", 3, 1))
    assert "none is one" in refused(read(*SCORES), temperature="fit", held_out=strangers)


def test_unlike_scores_of_one_response_are_averaged_and_said():
    twice = SCORED["scores"] | {"scores": [4, 1]}
    found = preferred(read(SCORED["scores"], twice), Rule(temperature=1.0))
    assert np.array_equal(found.rewards, [[3, 1]])
    assert sum(found.notes.values()) == 1


def test_one_label_is_not_certainty():
    data = read(TRL)
    message = refused(data)
    assert "1 pairs have one label, which alone gives p = 1: --confidence P or fit" in message
    sure = preferred(data, Rule(confidence=0.8))
    assert sure.matrices[0] == pytest.approx(np.array([[0.5, 0.8], [0.2, 0.5]]))
    assert np.array_equal(sure.counts[0], [[0, 1], [0, 0]])
    smooth = preferred(data, Rule(smoothing=0.5))
    assert smooth.matrices[0][0, 1] == pytest.approx(0.75)
    fitted = preferred(data, Rule(bradley_terry=1.0))
    gap = fitted.rewards[0][0] - fitted.rewards[0][1]
    assert gap / 2 == pytest.approx(1 / (1 + np.exp(gap)))  # the slope of the posterior is 0
    assert preferred(data, Rule(confidence=1.0)).matrices[0][0, 1] == 1


def test_shares_of_repeated_comparisons():
    data = read(TRL, OTHER, TRL, TRL)
    assert preferred(data, Rule()).matrices[0][0, 1] == 0.75
    assert preferred(data, Rule(confidence=0.9)).matrices[0][0, 1] == pytest.approx(0.7)
    assert np.array_equal(preferred(data, Rule()).counts[0], [[0, 3], [1, 0]])


def test_confidence_is_fitted_on_repeated_labels():
    data = counted(("P", "a", "b", 4, 1), ("Q", "a", "b", 1, 0))
    found = preferred(data, Rule(confidence="fit"))
    c = found.matrices[1][0, 1]
    assert c**2 + (1 - c) ** 2 == pytest.approx(6 / 10)  # of the 10 pairs of 5 labels 6 agree
    assert "repeated labels" in found.rule
    assert "no pair has them" in refused(read(TRL), confidence="fit")


def test_separable_prompts_have_no_finite_fit():
    data = counted(("P", "a", "b", 3, 1), ("Q", "a", "b", 2, 0))
    assert "1 of 2 prompts have no finite fit" in refused(data, bradley_terry=np.inf)
    assert len(preferred(data, Rule(bradley_terry=2.0)).rewards) == 2


def test_pairs_never_compared_have_no_share():
    data = counted(("P", "a", "b", 3, 1), ("P", "b", "c", 2, 2))
    for options in ({}, {"confidence": 0.9}):
        assert "1 pairs of responses: pairs that were never compared" in refused(data, **options)
    smooth = preferred(data, Rule(smoothing=1.0))
    assert smooth.matrices[0][0, 2] == 0.5
    assert smooth.notes == {"pairs were never compared: p = ½": 1}
    assert preferred(data, Rule(bradley_terry=np.inf)).rewards[0] == pytest.approx(
        np.array([np.log(3) * 2 / 3, -np.log(3) / 3, -np.log(3) / 3]))  # fmt: skip


BAD = [
    ({"temperature": 0.0}, "temperature = 0.0: a number > 0"),
    ({"temperature": np.inf}, "a finite number"),
    ({"temperature": np.nan}, "a number > 0"),
    ({"smoothing": -1.0}, "smoothing = -1.0"),
    ({"bradley_terry": 0.0}, "bradley-terry = 0.0"),
    ({"confidence": 0.5}, "above 0.5"),
    ({"confidence": 1.1}, "at most 1"),
    ({"confidence": 0.9, "smoothing": 1.0}, "--confidence and --smoothing: one of them"),
]


@pytest.mark.parametrize(("options", "expected"), BAD)
def test_bad_rules(options, expected):
    with pytest.raises(InputError, match=expected):
        Rule(**options)


def test_options_of_the_other_kind_of_data():
    assert "scores holds scores" in refused(read(*SCORES), confidence=0.9)
    assert "trl holds comparisons" in refused(read(TRL), temperature=1.0)
