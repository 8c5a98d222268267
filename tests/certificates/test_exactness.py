"""C24's condition: yes only where it holds, and there γ* reaches ḡ."""

from __future__ import annotations

import numpy as np
import pytest

from sailtheory import InputError
from sailtheory.certificates import exactness
from sailtheory.certificates.exactness import spans_apart
from tests.support.prompt_data import data_set


def data_of(seed=0, n=4, m=3, d=10, **knobs):
    return data_set(np.random.default_rng(seed), n, m, d, **knobs)


def test_generic_differences_that_fit_are_apart():
    assert all(spans_apart(data_of(), x) for x in range(4))
    assert not spans_apart(data_of(d=7), 0)
    assert spans_apart(data_of(n=40, m=4, d=130), 3)
    assert not spans_apart(data_of(n=40, m=4, d=110), 3)


def test_a_copy_of_the_prompt_is_not_apart_and_copies_of_others_do_not_matter():
    data = data_of()
    data.features[1] = data.features[0]
    assert not spans_apart(data, 0) and not spans_apart(data, 1)
    assert spans_apart(data, 2)


def test_almost_dependent_is_not_said_by_floats_but_by_fractions(monkeypatch):
    data = data_of()
    data.features[1] = data.features[0] * (1 + 1e-15) + 1e-17
    assert spans_apart(data, 0)
    monkeypatch.setattr(exactness, "_ENTRIES", 0)
    assert not spans_apart(data, 0)


@pytest.mark.parametrize("entries", [0, 4_000])
def test_others_may_be_dependent_among_themselves(entries, monkeypatch):
    monkeypatch.setattr(exactness, "_ENTRIES", entries)
    data = data_of(n=3, m=2, d=4)
    data.features[2, 0], data.features[2, 1] = 0, 2 * (data.features[1, 0] - data.features[1, 1])
    data.features[1, 1] -= data.features[1, 0]
    data.features[1, 0] = 0
    data.features[2, 1] = 2 * data.features[1, 1]
    assert spans_apart(data, 0) == (entries > 0)  # by ranks alone


def test_no_difference_at_all():
    data = data_of()
    data.features[0] = data.features[0, :1]
    assert spans_apart(data, 0)
    with pytest.raises(InputError, match="prompt"):
        spans_apart(data, 4)


def test_what_may_be_off_counts():
    data = data_of()
    data.difference_error = 1.0
    assert not spans_apart(data, 0)
