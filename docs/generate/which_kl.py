"""``python -m docs.generate.which_kl [--run]``: renew the tables of docs/which-kl.md.

With ``--run`` every entry is computed anew, by TRL as it is installed, into
docs/evidence/which_kl.json, which takes minutes; without, the tables are made from that file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from docs.generate import blocks, which_kl_quotes
from sailtheory.auditing import estimators
from sailtheory.auditing.batches import LossBatch, Sampling, gradients
from sailtheory.auditing.catalogue import CATALOGUE, Entry
from sailtheory.auditing.decompose import Kind, combination
from sailtheory.auditing.expected_update import KLS, kl_apart, of_different_lengths, of_one_length
from sailtheory.auditing.library import library
from sailtheory.auditing.models import SmallModel, small_models
from sailtheory.auditing.small_trainer import small_trainer, trl_update, trl_version
from sailtheory.auditing.trainers import trainer_loss
from sailtheory.report.expected_update import as_dict, finding_dict
from sailtheory.storage.files import write_text

ROOT = Path(__file__).parents[1]
PAGE, EVIDENCE = ROOT / "which-kl.md", ROOT / "evidence" / "which_kl.json"
TEXTS = {o.name: o.text for o in library()} | {
    "shaped_reward": "f(V)", "shaped_reward_per_length": "f(V) ÷ own length"
}  # fmt: skip
LOSS_TYPES = ("grpo", "dr_grpo", "dapo", "bnpo", "luspo", "cispo", "sapo", "vespo")
SCALES = ("group", "batch", "none")
BETA = 0.04
LONGEST = 4
Row = dict[str, Any]


# --- what is computed ---------------------------------------------------------------------


def plan() -> Iterator[tuple[str, Row]]:
    """Every trainer and setting that is computed."""
    for loss_type, bias, scale in product(LOSS_TYPES, (True, False), SCALES):
        yield "grpo", grpo(loss_type=loss_type, use_bias_correction_kl=bias, scale_rewards=scale)
    for loss_type, beta in product(LOSS_TYPES, (0.0, 1.0)):
        yield "grpo", grpo(loss_type=loss_type, beta=beta)
    for loss_type, bias in product(("grpo", "dr_grpo", "luspo"), (True, False)):
        yield "grpo", grpo(loss_type=loss_type, importance_sampling_level="sequence",
                           use_bias_correction_kl=bias)  # fmt: skip
    yield "grpo", grpo(loss_type="cispo", epsilon_high=5.0)
    for beta, normalised in product((0.0, 0.05, 1.0), (False, True)):
        yield "rloo", {"beta": beta, "normalize_advantages": normalised}
    for loss_type, beta in product(("sigmoid", "ipo"), (0.01, 0.1, 1.0)):
        yield "online-dpo", {"beta": beta, "loss_type": loss_type}


def grpo(**changed: Any) -> Row:
    """Settings of GRPO that are always named."""
    plain = {
        "beta": BETA, "loss_type": "dapo", "scale_rewards": "group", "use_bias_correction_kl": True,
        "importance_sampling_level": "token", "max_completion_length": LONGEST,
    }  # fmt: skip
    return plain | changed


def computed(method: str, settings: Row) -> Row:
    """One line of the evidence."""
    found = as_dict(trl_update(method, settings))
    sides = {side: found[side] for side in ("one_length", "lengths")}
    return {"method": method, "settings": settings, **sides}


def real_rewards() -> Row:
    """GRPO ÷ deviation on rewards that are not 0 or 1: what part of it is no multiple of ∇V."""
    loss = trainer_loss(small_trainer("grpo", grpo(loss_type="luspo", beta=0.0)))
    models = small_models(2, draws=3, shapes=((2, 2, None),))
    sampling = Sampling(size=4, unordered=True)
    found = torch.cat([gradients(loss, m, sampling).mean.reshape(-1) for m in models])
    reward = next(o for o in library() if o.name == "reward")
    goal = torch.cat([reward.gradient(m, sampling).reshape(-1) for m in models])
    multiple = float(found @ goal / goal.square().sum())
    return {"distance": float((found - multiple * goal).norm() / found.norm())}


def two_prompts() -> Row:
    """The factor of ∇V of one prompt beside a prompt of another pass rate, by ``scale_rewards``.

    The first of two letters stands for the prompt, the second is the answer; a batch has two
    draws for each prompt, which are two groups.
    """
    rows: Row = {}
    for scale, other in product(SCALES, (0.1, 0.5)):
        settings = grpo(loss_type="luspo", beta=0.0, scale_rewards=scale, num_generations=2)
        loss = trainer_loss(small_trainer("grpo", settings), group=2)
        model = _of_two(0.3, other)
        found = gradients(loss, model, Sampling(size=4))
        number = torch.cartesian_prod(*[torch.arange(4)] * 4)
        kept = (model.tokens[number][:, :, 0] == torch.tensor([0, 0, 1, 1])).all(-1)
        chance = found.chance * kept
        mean = torch.einsum("k,ksv->sv", chance / chance.sum(), found.each)
        state = int(model.states[(model.tokens[:, 0] == 0).nonzero()[0, 0], 1])
        rows[f"{scale} {other}"] = float(-mean[state, 0] / (0.3 * 0.7)) * 2
    return rows


def _of_two(first: float, second: float) -> SmallModel:
    model = small_models(2, draws=1, shapes=((2, 2, None),))[0]
    logits = torch.zeros_like(model.logits)
    for prompt, rate in ((0, first), (1, second)):
        state = int(model.states[(model.tokens[:, 0] == prompt).nonzero()[0, 0], 1])
        logits[state, 0] = torch.logit(torch.tensor(rate, dtype=torch.float64))
    passed = (model.tokens[:, 1] == 0).to(model.reward)
    return replace(model, logits=logits, ref_logits=logits, old_logits=logits, reward=passed)


def by_batch() -> Row:
    """How far one model's part is at most from its KL by token, by responses in the batch.

    The term is k3 × ratio as a mean over the batch's tokens.
    """
    estimate = estimators.times_ratio(estimators.k3)

    def loss(batch: LossBatch) -> Tensor:
        return (estimate(batch) * batch.mask).sum() / batch.mask.sum()

    found: Row = {}
    for size in (4, 8, 16, 32):
        sampling = Sampling(size=size, unordered=True)
        each = [
            kl_apart([gradients(loss, m, sampling)], [m], sampling)["token_kl_policy_ref"].distance
            for m in of_different_lengths()
        ]
        found[str(size)] = max(each)
    return found


def variants() -> list[Row]:
    """Published terms for a KL, beside each KL, on responses of different lengths."""
    return [_variant(e) for e in CATALOGUE if e.place in ("loss", "reward") and _of_kl(e)]


def _of_kl(entry: Entry) -> bool:
    return isinstance(entry.claim, str)


def _variant(entry: Entry) -> Row:
    audited = entry.audit()
    models = (*of_one_length(), *of_different_lengths())
    found = [gradients(entry.loss, model, entry.sampling) for model in models]
    apart = kl_apart(found, models, entry.sampling)
    return {
        "name": entry.name, "place": entry.place, "finding": finding_dict(audited.finding),
        "apart": {name: vars(each) for name, each in apart.items()},
    }  # fmt: skip


def run() -> Row:
    """All of the evidence."""
    rows = []
    for method, settings in plan():
        rows.append(computed(method, settings))
        print(method, settings, file=sys.stderr, flush=True)
    return {
        "trl": trl_version(), "rows": rows, "real_rewards": real_rewards(),
        "two_prompts": two_prompts(), "by_batch": by_batch(), "variants": variants(),
    }  # fmt: skip


# --- how it is told -----------------------------------------------------------------------


def tables(data: Row) -> dict[str, str]:
    """All of them by name, as Markdown."""
    quotes = [tuple(map(_escaped, row)) for row in which_kl_quotes.told(data)]
    return {
        "trl": _trl(data["rows"]),
        "by-batch": _by_batch(data["by_batch"]),
        "documentation": blocks.table(("setting", "TRL says", "computed"), quotes),
        "variants": _variants(data["variants"]),
    }


def renewed(page: str, data: Row) -> str:
    """The page with its tables as the evidence has them."""
    return blocks.renewed(page, tables(data))


def real_told(data: Row) -> str:
    """What is left where rewards are not 0 or 1."""
    return f"{_percent(data['real_rewards']['distance'])} is left with one length"


_NAMES = dict(zip(KLS, ("KL(π_ref‖π_θ)", "KL(π_θ‖π_ref)", "KL(π_ref‖π_θ) by token",
                        "KL(π_θ‖π_ref) by token"), strict=True))  # fmt: skip


def _trl(rows: Sequence[Row]) -> str:
    """One line for all settings that give the same, to the digits that are shown."""
    lines: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        lines.setdefault((row["method"], _reward(row), *_cells(row)), []).append(row)
    head = (
        "trainer", "settings", "of the reward", "KL, one length", "KL, different lengths", "γ",
        *(f"to {name}" for name in _NAMES.values()),
    )  # fmt: skip
    told = []
    for (method, reward, *cells), found in lines.items():
        if reward == _NEITHER:
            left = [row["lengths"]["reward"]["residual"] for row in found]
            reward += f" ({_range(left)} left)"
        told.append((_TRAINERS[method], _settings(method, found), reward, *cells))
    return blocks.table(head, [tuple(map(_escaped, line)) for line in told])


_TRAINERS = {"grpo": "GRPO", "rloo": "RLOO", "online-dpo": "online DPO"}
_NEITHER = "f(V) at one length, else neither"


def _cells(row: Row) -> tuple[str, ...]:
    beta, even, uneven = row["settings"]["beta"], row["one_length"], row["lengths"]
    gamma = even["gamma"]
    share = "–" if gamma is None else f"{gamma / beta:.6g}β".removeprefix("1β") or "β"
    if uneven["gamma"] is None and gamma is not None:
        share += " (one length)"
    distances = (uneven["apart"].get(name) for name in KLS)
    return (
        _kl(even["kl"]), _kl(uneven["kl"]), share,
        *("–" if d is None else _distance(d["distance"]) for d in distances),
    )  # fmt: skip


def _reward(row: Row) -> str:
    even, uneven = (set(row[side]["reward"]["coefficients"]) for side in ("one_length", "lengths"))
    if even != {"shaped_reward"}:
        raise ValueError(f"the reward's part is {row['one_length']['reward']}")
    if uneven == even:
        return "f(V)"
    return "f(V), each response ÷ its length" if uneven else _NEITHER


def _kl(found: Row) -> str:
    if found["verdict"] == Kind.STILL:
        return "none"
    if found["verdict"] != Kind.COMBINATION:
        return f"no KL ({_percent(found['residual'])} left)"
    shares = found["coefficients"]
    total = sum(shares.values())
    words = {k: v / total if len(shares) > 1 else 1.0 for k, v in shares.items()}
    return combination(words, _NAMES).replace("∇", "")


def _percent(value: float) -> str:
    return f"{100 * value:.2g} %"


def _range(values: Sequence[float]) -> str:
    low, high = (f"{100 * value:.2g}" for value in (min(values), max(values)))
    return f"{low} %" if low == high else f"{low} to {high} %"


def _distance(value: float) -> str:
    return "0" if value < 1e-6 else f"{value:.2g}"


def _settings(method: str, rows: Sequence[Row]) -> str:
    """The values of each setting that a line stands for; what makes no difference is left out."""
    found = [row["settings"] for row in rows]
    parts = []
    for name in found[0]:
        values = list(dict.fromkeys(_value(name, settings) for settings in found))
        same = {"scale_rewards": sorted(SCALES), "importance_sampling_level": ["token"]}
        if name == "max_completion_length" or sorted(values) == same.get(name):
            continue
        if name == "use_bias_correction_kl" and {s["beta"] for s in found} == {0.0}:
            continue
        parts.append(f"{name} {', '.join(values)}")
    return "; ".join(parts)


def _value(name: str, settings: Row) -> str:
    value = settings[name]
    if name == "loss_type" and "epsilon_high" in settings:
        return f"{value} with epsilon_high {settings['epsilon_high']:g}"
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def _by_batch(found: Row) -> str:
    told = ", ".join(f"{_percent(found[size])} with {size}" for size in found)
    return (
        "That `dapo`, `bnpo`, `cispo` and `vespo` have no KL on different lengths is of small "
        "batches of one prompt:\nthey divide by the tokens of the batch. Model by model the part "
        f"is away from its KL by token by at most\n{told} responses in the batch.\n"
    )


def _variants(rows: Sequence[Row]) -> str:
    head = ("term", "where", "its gradient", *(f"to {name}" for name in _NAMES.values()))
    told = []
    for row in rows:
        found = row["finding"]
        if found["verdict"] == Kind.COMBINATION:
            what = combination(found["coefficients"], TEXTS)
        elif found["verdict"] in (Kind.ZERO, Kind.STILL):
            what = "0, but not in every batch" if found["verdict"] == Kind.ZERO else "0"
        else:
            what = f"none of the library ({_percent(found['residual'])} left)"
        apart = [_distance(row["apart"][k]["distance"]) if row["apart"] else "–" for k in KLS]
        told.append(tuple(map(_escaped, (row["name"], row["place"], what, *apart))))
    return blocks.table(head, told)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def main(words: Sequence[str]) -> None:
    """Renew the page, and the evidence first where that is asked for."""
    if "--run" in words:
        write_text(json.dumps(run(), ensure_ascii=False, indent=1) + "\n", EVIDENCE)
    data = json.loads(EVIDENCE.read_text(encoding="utf-8"))
    write_text(renewed(PAGE.read_text(encoding="utf-8"), data), PAGE)


if __name__ == "__main__":
    main(sys.argv[1:])
