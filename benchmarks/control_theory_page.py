"""Sections of docs/control.md that hold the arms against the theory, from JSON files alone."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import fill
from typing import Any

from benchmarks.certificates_page import short, table

DROPPED = Path("docs/evidence/segment_mdp.json")
AGE = Path("docs/evidence/segment_age.json")
CURVATURE = Path("docs/evidence/control_curvature.json")

PROBE = """\
The same of a run of one's own, by `ActorProbe` (a share of the time at most, `share`):

```python
from sailtheory.training.control.probe import ActorProbe
from sailtheory.training.control.settings import settings_of
from sailtheory.training.control.train import Trainer

quick = {"random_steps": 200, "entropy_steps": 100, "reference.since": 400, "steps": 500}
small = {"sac.width": 32, "sac.batch": 32, "reward.width": 32}
trainer = Trainer(settings_of("cheetah-run", "sail-revkl", 0, quick, small), seeds=[0])
while trainer.step < 400:  # the reference is taken here
    trainer.advance()
probe = ActorProbe(trainer, length=10)
while trainer.step < 500:
    trainer.advance()
    probe(trainer.step)  # None where it is too early to measure again
print(probe.monitor.records[-1]["relative_max"], probe.linearised(radius=0.5).dimension)
```
"""


def segment_gamma(kl_coef: float, length: int, weight: float) -> float:
    """γ of J − γ KL(π_ref‖π_θ) over segments, where weight · J − kl_coef · (mean KL) is ascended.

    The KL of a segment is the sum of those at its states, so ``length`` times their mean.

    Args:
        kl_coef: Coefficient of the KL, a mean over states.
        length: Steps L of a segment.
        weight: Of J, a mean over pairs of segments.
    """
    return kl_coef / (weight * length)


def left_out() -> str:
    """What the gradient of ``sail`` leaves out: the starts' dependence, and staleness."""
    parts = [text for text in (_dropped(), _limited(), _age()) if text]
    return "\n\n".join(["## What the gradient leaves out", *parts]) if parts else ""


def _dropped() -> str:
    """The share of the gradient that the starts' dependence would have."""
    if not DROPPED.exists():
        return ""
    found = json.loads(DROPPED.read_text(encoding="utf-8"))["left_out"]
    rows = [
        [beta, r["instances"], r["median"], f"{r['tenth']} to {r['ninetieth']}", r["largest"]]
        for beta, r in found.items()
    ]
    text = (
        "`sail` takes the score of a segment exactly, given its start; that the start itself "
        "depends on earlier actions is left out. The two segments of a pair share no step, so "
        "given their starts their actions are independent. On three-step MDPs, enumerated "
        "(`python -m benchmarks.segment_mdp`), the expected gradient over segments of the present "
        "actor is that of the stated objective to 1e-10, and what is left out is this share of "
        "the whole gradient, ‖difference‖ / ‖whole‖:"
    )
    head = ["β", "MDPs", "median", "10 % to 90 %", "largest"]
    return fill(text, 98) + "\n\n" + table(head, rows)


def _limited() -> str:
    """What weights with a limit make of the gradient when the segments are another actor's."""
    if not DROPPED.exists():
        return ""
    found = json.loads(DROPPED.read_text(encoding="utf-8"))["limited"]
    text = (
        "In the runs a segment is not the present actor's but of the last steps, each of which had "
        "an update. A pair weighs min(π_now/π_then, 1), and the limit has its price: weights "
        "without one make the gradient exact again (but have no bound), with it the gradient is "
        "off by what follows, on the same MDPs, β = 0.1, by the mean |log π_now − log π_then| of a "
        "pair: ‖difference‖ / ‖exact‖ and the cosine, medians, and the share of MDPs in which the "
        "two point apart (cosine < 0). No weights at all are worse throughout."
    )
    kinds = ("weighed", "unweighed")
    rows = [
        [short(r["apart"]), *(
            value for kind in kinds
            for value in (r[f"{kind}_error"], r[f"{kind}_cosine"], f"{r[f'{kind}_reversed']:.1%}")
        )]
        for r in found
    ]  # fmt: skip
    head = ["nats", *(f"{name}, {kind}" for kind in kinds for name in ("error", "cosine", "apart"))]
    return fill(text, 98) + "\n\n" + table(head, rows)


def _age() -> str:
    """How far the actor has gone since the segments were drawn, and what the term does then."""
    if not AGE.exists():
        return ""
    found = json.loads(AGE.read_text(encoding="utf-8"))
    groups = found["weighed"]["by_update"]
    first, worst = groups[0], max(groups, key=lambda r: r["median"])
    text = (
        "How far apart they are in a run, whose segments come from the last "
        f"{found['recent']} steps, with weights up to {found['limit']:g}: `python -m "
        f"benchmarks.segment_age` follows `{found['method']}` on {found['task']} (seed "
        f"{found['seed']}, the first {found['steps']:,} steps, reference taken at "
        f"{found['since']:,}). In the first {first['updates'][1]} updates with the objective "
        f"|log π_now − log π_then| of a segment of {found['segment']} steps has median "
        f"{short(first['median'])} nats (10 % to 90 %: {short(first['tenth'])} to "
        f"{short(first['ninetieth'])}; largest {short(first['largest'])}), and at most "
        f"{short(worst['median'])} later. By updates since the reference was taken, with the "
        "medians of |z| and of the score's coefficient |g + log 2|:"
    )
    lost = max(found["unweighed"]["by_update"], key=lambda r: r["median"])
    without = (
        "The same run without the weights: the coefficient grows as |z|, so segments that the "
        "actor has left, and would not draw again, are pushed away the more the further they are, "
        f"and the median reaches {short(lost['median'])} nats in updates {lost['updates'][0]:,} to "
        f"{lost['updates'][1] - 1:,}. That is what is seen; the cause may be another one: the "
        "log-density of an action is taken back through atanh, and where tanh has rounded to ±1 in "
        "float32 it is wrong by any amount. In first trials with actions kept before the squashing "
        "the runs that diverge here did not. This is to be mended before these arms are judged."
    )
    by_age = (
        f"By the age of a segment's last action, in steps, with the weights, in the first "
        f"{first['updates'][1]} updates:"
    )
    head = ["segments", "median", "10 % to 90 %", "largest"]

    def along(name: str) -> str:
        rows = [
            [*_old("updates", r), short(r["margin"]), short(r["score_coefficient"])]
            for r in found[name]["by_update"]
        ]
        return table(["updates", *head, "size of z", "of g + log 2"], rows)

    ages = [_old("age", r) for r in found["weighed"]["by_age"]]
    return "\n\n".join([
        fill(text, 98), along("weighed"), fill(without, 98), along("unweighed"),
        fill(by_age, 98), table(["age", *head], ages),
    ])  # fmt: skip


def _old(key: str, group: dict[str, Any]) -> list[Any]:
    """One group of segments; its upper bound is left out of it."""
    low, high = group[key]
    return [
        f"{low:,} to {high - 1:,}", group["segments"], short(group["median"]),
        f"{short(group['tenth'])} to {short(group['ninetieth'])}", short(group["largest"]),
    ]  # fmt: skip


def curvature() -> str:
    """kl_coef against thresholds, and curvature along a run."""
    if not CURVATURE.exists():
        return ""
    found = json.loads(CURVATURE.read_text(encoding="utf-8"))
    tops = [r["relative_max"] for r in found["records"]]
    weights = {weight: _gamma(found, weight) for weight in (1.0, found["sail_weight"])}
    return "\n\n".join([
        "## kl_coef against the theorem, and curvature along a run", fill(_reading(found), 98),
        fill(_setting(found, weights), 98), _thresholds(found, weights), _along(found["records"]),
        fill(_conclusion(found, tops, weights), 98), PROBE.strip("\n"),
    ])  # fmt: skip


def _gamma(found: dict[str, Any], weight: float) -> float:
    """γ for J of this weight over the candidates."""
    return segment_gamma(found["kl_coef"], found["length"], weight)


def _reading(found: dict[str, Any]) -> str:
    weight, length = found["sail_weight"], found["segment"]
    gamma = segment_gamma(found["kl_coef"], length, weight)
    return (
        "Which γ a kl_coef is: besides SAC's terms the actor of `sail-revkl` ascends w J − "
        "kl_coef · E_s KL(π_ref‖π_θ)(s), J being a mean over pairs of segments of L steps and the "
        "KL a mean over the minibatch's states. The KL of a segment, given its start, is the sum "
        "over its steps of the KL at the states that π_ref leads to, so L times a mean over "
        "states; as far as the minibatch's states, which earlier actors have visited, stand for "
        "those, what is ascended is w (J − γ KL(π_ref‖π_θ)) over segments, with γ = kl_coef / "
        f"(w L). With w = {weight:g}, L = {length} and kl_coef = {found['kl_coef']:g} that is γ = "
        f"{gamma:.0e}. `pebble-revkl` has no J in its loss, and so no γ of its own."
    )


def _setting(found: dict[str, Any], weights: dict[float, float]) -> str:
    values = " and ".join(f"γ = {gamma:.0e} for w = {w:g}" for w, gamma in weights.items())
    return (
        "`python -m benchmarks.control_curvature`: one run of `pebble-revkl` on "
        f"{found['settings']['task']}, reference taken at step {found['settings']['since']:,}; "
        f"four prompts of four of the actor's own segments of L = {found['length']} steps as "
        "candidates, β = 0.1. The run tells through which actors a training passes; γ is what the "
        f"KL would be beside a J over these candidates: {values} (the weight of `sail-revkl`). "
        "The theorem asks for more than K_B on the candidates' linearisation, for the B "
        "given (the last row is the distance that the run had moved, the others parts of it):"
    )


def _thresholds(found: dict[str, Any], weights: dict[float, float]) -> str:
    rows = [
        [short(t["radius"]), t["dimension"], short(t["feature_diameter"]), short(t["gamma_star"]),
         short(t["k_b"]), short(t["closed_form"]),
         *(short(t["gamma_star"] / gamma) for gamma in weights.values())]
        for t in found["thresholds"]
    ]  # fmt: skip
    ratios = [f"γ* ÷ γ, w = {weight:g}" for weight in weights]
    return table(["B", "dim S", "D", "γ* (search)", "K_B", "closed form", *ratios], rows)


def _along(records: list[dict[str, Any]]) -> str:
    keys = {
        "value": "J", "relative_max": "λ_max(∇²J, F̄)", "lambda_max": "λ_max(∇²J)",
        "lambda_min": "λ_min(∇²J)", "network_share": "network share", "pl_ratio": "PL ratio",
        "distance": "‖θ − θ_ref‖", "kl_ref_policy": "KL(π_ref‖π_θ)", "win_rate": "win rate",
    }  # fmt: skip
    rows = [
        [r["step"], *("–" if r[key] is None else short(r[key]) for key in keys)] for r in records
    ]
    read = (
        "J, curvature and PL ratio ½‖∇J‖²/(best J seen − J) at the actor's parameters, on the "
        "candidates; λ_max(∇²J, F̄) is the generalised eigenvalue on range(F̄), which concavity of "
        "J_γ wants below γ where the policy is log-linear (a network's KL has more curvature than "
        "F̄, which is not measured here); network share is the part of the curvature that "
        "log-linear policies do not have."
    )
    return fill(read, 98) + "\n\n" + table(["step", *keys.values()], rows)


def _conclusion(found: dict[str, Any], tops: list[float], weights: dict[float, float]) -> str:
    above = "; ".join(
        f"above γ = {gamma:.0e} in {sum(top > gamma for top in tops)} of {len(tops)} measurements "
        f"and at least {min(tops) / gamma:,.0f} times as large"
        for gamma in weights.values()
    )
    ratios = [r["pl_ratio"] for r in found["records"] if r["pl_ratio"] is not None]
    stars = [t["gamma_star"] for t in found["thresholds"]]
    apart = min(t["k_b"] / t["gamma_star"] for t in found["thresholds"])
    concave = "a KL term of this size does not make J_γ concave at the actors that the run passes"
    follows = f": {concave} through" if min(tops) > max(weights.values()) else ""
    return (
        f"λ_max(∇²J, F̄) lay between {short(min(tops))} and {short(max(tops))}, {above}{follows}. "
        f"γ* of the linearisation (a lower bound, by search) lies between {short(min(stars))} and "
        f"{short(max(stars))}, and K_B is {short(apart)} times as large or more. The PL ratio, "
        f"where there is one, lay between "
        f"{short(min(ratios))} and {short(max(ratios))}; it is taken against the best J seen, not "
        "the maximum, so the true one is smaller. One run, one seed, a small candidate set, an "
        "actor that ascended no J: this says that the theorem guarantees nothing there, not how "
        "the training ends."
    )
