"""The thresholds on preference data: the evidence, its page and tables, and what makes them."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest

from sailtheory.preference_data.build import Request, build
from sailtheory.preference_data.preferences import Rule
from studies.data_thresholds import choices, page, synthetic, tables, variation
from studies.data_thresholds.commands import cell
from studies.render import ROOT, read

DATA = read("data_thresholds/evidence.json")
PARTS = [name for name in ("choices", "synthetic") if name in DATA]
CELLS = [cell for part in PARTS for cell in DATA[part]["cells"]]
HUMAN = DATA["choices"]["cells"]


def settings(cell):
    return (cell["beta"], cell["radius"], cell.get("confidence"), cell.get("temperature"))


@pytest.mark.parametrize("cell", CELLS, ids=settings)
def test_the_ladder_is_in_order_and_its_certificate_replays(cell):
    assert 0 < cell["gamma_star"] <= cell["g_high"] < cell["k_data"] <= cell["k_b"] < cell["closed"]
    assert cell["g_low"] <= cell["g_high"] and cell["g_most"] <= cell["g_high"]
    assert cell["replay"] == "valid"


@pytest.mark.parametrize("cell", CELLS, ids=settings)
def test_the_closed_form_is_that_of_beta_diameter_and_radius(cell):
    beta, diameter, radius = cell["beta"], cell["diameter"], cell["radius"]
    assert cell["closed"] == pytest.approx(beta * (1.5 * diameter * radius + 4), rel=1e-12)
    assert cell["z_max"] == pytest.approx(beta * radius * diameter, rel=1e-9)


@pytest.mark.parametrize("name", page.LADDER)
def test_more_of_theta_needs_more(name):
    for key in {(c["beta"], c["confidence"]) for c in HUMAN}:
        found = sorted((c["radius"], c[name]) for c in HUMAN if (c["beta"], c["confidence"]) == key)
        values = [value for _, value in found]
        assert len(values) > 1 and all(b >= a * 0.999 for a, b in pairwise(values))


def relative_curvature(beta, p, z):
    """J''/F of one pair at a gap z of logits, from J as it is written, in 50 digits."""

    def sigma(x):
        return 1 / (1 + mp.exp(-x))

    def value(x):
        a, b = sigma(x), sigma(-x)
        won = p * mp.log(sigma(beta * x)) + (1 - p) * mp.log(sigma(-beta * x))
        return 2 * a * b * won + (a**2 + b**2) * mp.log(mp.mpf("0.5"))

    with mp.workdps(50):
        return float(mp.diff(value, z, 2) / (sigma(z) * sigma(-z)))


@pytest.mark.parametrize("cell", [c for c in HUMAN if c["confidence"] == 0.9], ids=settings)
def test_g_is_the_largest_relative_curvature_of_the_widest_pair(cell):
    reach = cell["radius"] * cell["diameter"]
    found = [relative_curvature(cell["beta"], 0.9, reach * k / 10) for k in range(-10, 11)]
    assert max(found) <= cell["g_high"]
    assert max(found) >= 0.9 * cell["g_low"]
    if np.argmax(found) in (0, 20):  # at the edge, where a point of the grid is
        assert max(found) == pytest.approx(cell["g_low"], rel=1e-6)


def test_the_page_tells_what_it_concludes():
    found = page.ratios(HUMAN)
    assert min(low for low, _ in found.values()) >= 1
    halves = DATA["choices"]["halves"]
    assert max(h["others_above"] for h in halves) > 0  # a sample's ḡ does not bound the others
    assert all(h["others_above_most"] / h["others"] < 0.05 for h in halves)
    for b in DATA["choices"]["bootstrap"]:
        value, low, high = b["gamma_star"]
        assert low <= value <= high
        cell = next(c for c in HUMAN if settings(c)[:3] == (0.1, b["radius"], 0.9))
        assert value == pytest.approx(cell["gamma_star"], rel=0.1)


def test_where_the_search_did_not_trust_itself_there_are_further_ones():
    doubted = [settings(c)[:3] for c in HUMAN if not c["search"]["trusted"]]
    further = {(f["beta"], f["radius"], f["confidence"]): f for f in DATA["choices"]["further"]}
    assert doubted == list(further)
    for f in further.values():
        above = next(c["g_high"] for c in HUMAN if settings(c)[:3] == tuple(f.values())[:3])
        assert len(f["gamma_star"]) == 3 and max(f["gamma_star"]) <= above


def test_tables_are_those_of_the_evidence():
    folder = ROOT / "data_thresholds"
    assert (folder / "thresholds.csv").read_text(encoding="utf-8") == tables.csv(DATA)
    assert (folder / "thresholds.tex").read_text(encoding="utf-8") == tables.latex(DATA)
    lines = tables.csv(DATA).splitlines()
    assert len(lines) == len(HUMAN) + 1 and lines[1].startswith("0.1,0.5,0.9,")


TRIPS = [  # price, time, change, comfort; the second offer is the first in the other order
    ([2400, 150, 0, 1], [4000, 130, 0, 1], "choice1"),
    ([4000, 130, 0, 1], [2400, 150, 0, 1], "choice1"),
    ([2400, 150, 0, 1], [3200, 130, 2, 0], "choice2"),
]


@pytest.fixture
def made(tmp_path):
    """Three choices of two people, in the form of the package's file."""
    names = [f"{a}{k}" for k in "12" for a in choices.ATTRIBUTES]
    lines = [",".join(["id", "choice", *names])]
    for i, (one, two, chosen) in enumerate(TRIPS):
        lines.append(",".join(map(str, [1 + i // 2, chosen, *one, *two])))
    path = tmp_path / "train.csv.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return choices.read(path)


def test_an_offer_is_one_prompt_in_either_order(made, tmp_path):
    table, features = choices.write(made, tmp_path / "data")
    rule = Rule(confidence=0.9)
    folder = build(Request(source=str(table), out=str(tmp_path / "p"), beta=0.1, radius=1.0,
                           features=str(features), rule=rule))  # fmt: skip
    (chunk,) = folder.chunks(1 << 20)
    # The cheap trip was taken once and left once; of the other offer the second was taken.
    assert chunk.preference[:, 0, 1] + 0.5 == pytest.approx([0.5, 0.1])
    assert np.asarray(chunk.features)[0] == pytest.approx(made.features[0], rel=1e-6)
    assert choices.prompts_of(made)(1)["change"] == [0, 2]


def test_a_cell_goes_through_the_four_commands(made, tmp_path):
    table, features = choices.write(made, tmp_path / "data")
    given = {"beta": 0.1, "radius": 1.0, "confidence": 0.9}
    found = cell(tmp_path / "cell", [str(table), "--features", str(features)], given)
    assert found["replay"] == "valid" and found["verdict"] == "certified"
    assert found["gamma_star"] <= found["g_high"] < found["k_data"] < found["k_b"] < found["closed"]
    assert found["closed"] == pytest.approx(0.1 * (1.5 * found["diameter"] + 4))
    assert set(found["cpu_seconds"]) == set(page.COMMANDS) and found["beta"] == 0.1
    assert cell(tmp_path / "cell", ["gone"], given) == json.loads(json.dumps(found))


def test_features_are_in_standard_deviations(made):
    assert made.features[..., 0].std() == pytest.approx(1)
    assert made.of(np.array([2])).scale.tolist() == made.scale.tolist()


def test_people_are_drawn_with_all_their_choices():
    people = np.array([7, 3, 7, 9, 3, 7])
    rng = np.random.default_rng(1)
    for _ in range(20):
        rows = variation.drawn_people(people, rng)
        times = np.bincount(rows, minlength=len(people))
        assert all(len(set(times[people == who].tolist())) == 1 for who in (3, 7, 9))
        assert sum(times[[0, 1, 3]]) == 3


def test_a_prompts_threshold_does_not_depend_on_what_was_chosen(made):
    turned = choices.Choices(made.trips, 1 - made.chosen, made.people, made.scale)
    one, other = (variation.each_threshold(d.problem(0.1, 2.0, 0.9)) for d in (made, turned))
    assert one == pytest.approx(other, rel=1e-6)
    far = np.linalg.norm(np.diff(made.features, axis=1)[:, 0], axis=-1)
    assert np.argmax(one) == np.argmax(far)


def test_prompts_are_many_and_none_stands_twice():
    prompts = synthetic.prompts()
    assert len(prompts) == len(set(prompts)) == 536


def test_a_line_that_was_cut_off_is_drawn_again(tmp_path):
    path = tmp_path / "samples.jsonl"
    assert synthetic.count(path) == 0
    path.write_text('{"prompt": 1}\n{"prompt": 2}\n{"pro', encoding="utf-8")
    assert synthetic.count(path) == 2
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] == [
        {"prompt": 1}, {"prompt": 2},
    ]  # fmt: skip
    path.write_text("{", encoding="utf-8")
    assert synthetic.count(path) == 0


def test_the_figure_has_the_numbers_of_the_evidence():
    from figures.data_thresholds import draw, summarise
    from sailtheory.plots import style
    from tests.support.figure_checks import collisions

    data = summarise(DATA)
    panel = data["series"]["panels"][0]
    assert panel["gamma_star"][3] >= max(DATA["choices"]["further"][0]["gamma_star"]) * (1 - 1e-8)
    cell = next(c for c in HUMAN if settings(c)[:3] == (0.1, 2, 0.9))
    place = panel["radius"].index(2)
    assert [panel[name][place] for name in page.LADDER] == pytest.approx(
        [cell[name] for name in page.LADDER], rel=1e-8
    )
    band = panel["bands"]["gamma_star"]
    ends = zip(band["low"], panel["gamma_star"], band["high"], strict=True)
    assert all(a <= v <= b for a, v, b in ends)
    saved = json.loads((ROOT.parent / "figures" / "data_thresholds.json").read_text("utf-8"))
    assert saved["series"] == json.loads(json.dumps(data["series"]))
    figure = draw(json.loads(json.dumps(data)))
    with style.context():
        figure.canvas.draw()
    assert collisions(figure) == []
