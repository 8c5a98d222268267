"""Certificates by prompt: made, saved, interrupted, forged, checked."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest

from sailtheory import InputError
from sailtheory.certificates.certificate import digest
from sailtheory.certificates.prompts import (
    Level,
    Plan,
    PromptCertificate,
    Workers,
    certify_prompts,
    replay_prompts,
)
from sailtheory.certificates.prompts import certify as certify_module
from sailtheory.certificates.prompts.certificate import parse
from sailtheory.certificates.refine import Budget
from sailtheory.report.prompts import claim, summary
from tests.support.prompt_data import data_set


def data_of(seed=0, n=120, m=2, **knobs):
    return data_set(np.random.default_rng(seed), n, m, 6, **knobs)


DATA = data_of()
MADE = certify_prompts(DATA)


def test_it_encloses_and_names_the_prompts():
    first, second = MADE.levels
    assert MADE.verdict == "certified" and MADE.gamma == first.gamma
    assert MADE.lower <= first.gamma <= MADE.lower * 1.001 * (1 + 1e-9)
    assert len(second.dropped) == 1 and second.gamma < MADE.lower
    assert MADE.worst[0][0] == second.dropped[0] == MADE.witness.prompt
    assert replay_prompts(MADE, DATA).valid
    assert f"ḡ ≤ {first.gamma:.6g}"[:12] in claim(MADE)
    assert "Without the worst 1 prompts" in summary(MADE)


@pytest.mark.parametrize("m", [3, 4, 6])
def test_more_responses(m):
    data = data_of(m, n=8, m=m, radius=0.5)
    made = certify_prompts(data, Plan(tolerance=0.2 if m < 5 else None))
    assert made.verdict == "certified"
    assert replay_prompts(made, data).valid
    if m < 5:
        assert made.gamma <= made.lower * 1.2 * (1 + 1e-9)


def test_chunks_and_processes_do_not_matter():
    small = certify_prompts(DATA, Plan(memory=8 * 2 * 8 * 6 * 7))
    said = [c.as_dict() | {"seconds": 0, "digest": ""} for c in (small, MADE)]
    assert said[0] == said[1]
    assert replay_prompts(MADE, DATA, memory=4000).valid


FORGED = {
    "γ below the witness": lambda c: replace(
        c, levels=(Level(c.lower * (1 - 1e-6)),), lower=None, witness=None
    ),
    "a second level for all": lambda c: replace(c, levels=(c.levels[0], Level(c.levels[1].gamma))),
    "a lower bound that is not seen": lambda c: replace(c, lower=c.lower * (1 + 1e-4)),
    "a witness outside": lambda c: replace(
        c, witness=c.witness._replace(point=c.witness.point * 1.01)
    ),
    "a witness of no prompt": lambda c: replace(c, witness=c.witness._replace(prompt=999)),
    "a witness of another size": lambda c: replace(
        c, witness=c.witness._replace(point=np.zeros(3))
    ),
    "a bound without a witness": lambda c: replace(c, witness=None),
    "no level": lambda c: replace(c, levels=(), lower=None, witness=None),
    "a first level with exceptions": lambda c: replace(c, levels=c.levels[1:]),
    "levels that rise": lambda c: replace(c, levels=(*c.levels, Level(9.0))),
    "another number of prompts": lambda c: replace(c, prompts=119),
    "other data": lambda c: replace(c, data="0" * 64),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_one_is_refused(name):
    found = replay_prompts(FORGED[name](MADE), DATA)
    assert not found.valid and found.reason


@pytest.mark.parametrize("field", ["features", "preference", "log_base", "weights"])
def test_other_data_are_refused(field):
    changed = getattr(DATA, field).copy()
    changed.flat[-2] *= 1 - 1e-9
    assert not replay_prompts(MADE, replace(DATA, **{field: changed})).valid


@pytest.mark.parametrize("field", ["beta", "radius"])
def test_another_setting_is_refused(field):
    other = replace(DATA, **{field: getattr(DATA, field) * 0.999})
    assert not replay_prompts(MADE, other).valid


def test_the_ball_is_around_the_centre():
    """With the ball around θ_ref, or without offsets, another ḡ results, and is refused."""
    data = data_of(4, n=20, kind="hard", radius=3.0)
    moved = replace(data, ref_params=data.center)
    wrong = replace(certify_prompts(moved), data=certify_prompts(data).data)
    assert wrong.gamma != certify_prompts(data).gamma
    assert not replay_prompts(wrong, data).valid


def test_json_comes_back(tmp_path):
    path = tmp_path / "c.json"
    MADE.save(path)
    back = parse(json.loads(path.read_text()))
    assert back.as_dict() == MADE.as_dict()
    assert replay_prompts(back, DATA).valid


CHANGES = {
    "digest": lambda d: d | {"lower": 0.5},
    "property": lambda d: d | {"property": "pl"},
    "verdict": lambda d: d | {"verdict": "maybe"},
    "gamma": lambda d: d | {"levels": [{"gamma": "1", "dropped": []}]},
    "dropped": lambda d: d | {"levels": [{"gamma": 1.0, "dropped": [-1]}]},
    "levels": lambda d: d | {"levels": [{}]},
    "witness": lambda d: d | {"witness": {"prompt": 0}},
    "worst": lambda d: d | {"worst": [1]},
    "note": lambda d: d | {"note": 1},
    "extra": lambda d: d | {"extra": 1},
    "moving": lambda d: {k: v for k, v in d.items() if k != "moving"},
}


@pytest.mark.parametrize("field", CHANGES)
def test_a_malformed_file_is_told_by_field(field):
    data = CHANGES[field](MADE.as_dict())
    if field != "digest":
        data["digest"] = digest(data)
    with pytest.raises(InputError, match=field):
        parse(data)


def test_nothing_moves():
    data = data_of(n=3)
    data.features[:] = data.features[:, :1]
    made = certify_prompts(data)
    assert (made.verdict, made.gamma, made.moving) == ("certified", None, 0)
    assert replay_prompts(made, data).valid
    assert claim(made) == "certified: γ* is null."
    assert not replay_prompts(replace(made, moving=1, levels=(Level(0.0),)), data).valid


def test_a_ball_of_radius_0():
    data = data_of(3, n=20, m=3, radius=0.0, away=False)
    made = certify_prompts(data)
    assert made.verdict == "certified" and made.gamma - made.lower <= 0.0011 * abs(made.lower)
    assert replay_prompts(made, data).valid


def test_no_time_leaves_it_undecided():
    late = Plan(budget=Budget(time.monotonic() - 1))
    made = certify_prompts(data_of(n=1200), late)
    assert made.verdict == "undecided" and made.gamma is None
    assert "time" in made.note


def test_a_width_that_is_not_reached_is_undecided():
    data = data_of(n=5, m=6)
    made = certify_prompts(data, Plan(tolerance=0.01))
    assert made.verdict == "undecided" and made.gamma > made.lower * 1.01
    assert replay_prompts(made, data).valid


def test_an_interrupted_one_goes_on(tmp_path, monkeypatch):
    state = tmp_path / "c.partial"
    monkeypatch.setattr(certify_module, "_SAVE_SECONDS", 0.0)
    monkeypatch.setattr(certify_module, "_TASK", 10)
    data, calls = data_of(5, n=60, m=3, radius=0.5), []
    whole = certify_prompts(data)

    def killed(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return bound(*arguments)

    bound = certify_module._bound
    monkeypatch.setattr(certify_module, "_bound", killed)
    with pytest.raises(KeyboardInterrupt):
        certify_prompts(data, Plan(budget=Budget(state=state)))
    made = certify_prompts(data, Plan(budget=Budget(state=state)))
    assert len(calls) == 4 + 3  # three of six were kept
    assert (made.gamma, made.lower) == (whole.gamma, whole.lower)
    damaged = bytearray(state.read_bytes())
    certify_prompts(replace(data, beta=0.2), Plan(budget=Budget(state=state)))  # other data
    assert len(calls) == 4 + 3 + 6
    state.write_bytes(bytes(damaged[:-30]))
    with pytest.raises(InputError, match="state"):
        certify_prompts(data, Plan(budget=Budget(state=state)))


def test_workers_are_read_strictly():
    for wrong in ({"backend": "ray"}, {"backend": "dask"}, {"scheduler": "tcp://127.0.0.1:1"}):
        with pytest.raises(InputError):
            Workers(2, **wrong)


def test_certificates_are_plain():
    assert PromptCertificate("undecided", 1, 1, "x").gamma is None
