"""Sections of the page that hold the arms against the theory, from JSON files alone."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from textwrap import fill
from typing import Any

from sailtheory.training.control.settings import SAILSettings
from studies.certificates.page import short, table

LEFT_OUT = Path("studies/control_arms/segment_mdp.json")
AGE = Path("studies/control_arms/segment_age.json")
NOISE = Path("studies/control_arms/segment_noise.json")
HEAVY = 0.1
"""Weight of J of the plan ``heavy``."""
LEARNS = 2000
"""Step by which the reward is learned and the critic drawn anew."""
CURVATURE = Path("studies/control_arms/curvature.json")

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
    """What the gradient of ``sail`` leaves out: that states depend on the actions before them."""
    if not (LEFT_OUT.exists() and AGE.exists()):
        return ""
    found, age = (json.loads(path.read_text(encoding="utf-8")) for path in (LEFT_OUT, AGE))
    return "\n\n".join([
        "## What the gradient leaves out", fill(_REDRAWN, 98), _shares(found["left_out"]),
        fill(_recorded(age, found["moved"]), 98), _moved(found["moved"]),
    ])  # fmt: skip


_REDRAWN = (
    "`sail` takes the states of its segments as they are, of the last steps, and draws actions in "
    "them from the present actor, which the learned reward then compares: the states of both are "
    "the prompt, the actions the responses. (So log Z does not cancel in z as it does where both "
    "answer one prompt: J compares segments, as preferences over them do, and is not the "
    "reduction of a bilevel problem.) Of J over such pairs the expected gradient is exact; on "
    "three-step MDPs, enumerated (`python -m studies.control_arms.segment_mdp`), it is to 1e-10. Of J "
    "over the segments that π_θ walks itself it leaves out that a state depends on the actions before "
    "it. On the same MDPs, that is this share of the whole gradient, ‖difference‖ / ‖whole‖, with "
    "the cosine of the two and how often they point apart (cosine < 0); the part of it that is the "
    "start's alone is what would be left out of segments taken as they were walked. How large the "
    "share is for segments of 50 steps in MuJoCo is not measured:"
)


def _recorded(age: dict[str, Any], moved: list[dict[str, float]]) -> str:
    """Why segments are not taken as they were walked."""
    learning = [row for row in age["rows"] if row["steps"][0] > LEARNS]
    least, most = (short(pick(row["median"] for row in learning)) for pick in (min, max))
    close = max(r["apart"] for r in moved if r["weighed_error"] < r["redrawn_error"])
    return (
        "Segments taken as they were walked were the first attempt, and are nearer to the whole "
        "gradient as long as the actor that walked them is the present one. It is not: each step "
        f"has an update, so the last {age['recent']} steps are of {age['recent']} actors. In a run "
        f"of `{age['method']}` on {age['task']} (`python -m studies.control_arms.segment_age`, "
        f"seed {age['seed']}, steps {LEARNS:,} to {age['steps']:,}) |log π_now − log π_then| of their "
        f"segments of {age['segment']} steps has medians of {least} to {most} nats, by thousands "
        "of steps (before, the critic is drawn anew and the actor goes much further), and a pair "
        f"has two. With J in the loss, at weight {HEAVY:g} as in `heavy`, such runs diverged, and "
        "with weights min(π_now/π_then, 1) the pairs all but vanished; but actors of `heavy` go "
        "far as well, so this is no proof that they were the cause. The table has what each way "
        "costs: states and actions of an actor π_then, by the mean |log π_now − log π_then| of a "
        "pair; ‖difference‖ / ‖whole‖ and the cosine, medians, and how often the two point apart "
        f"(β = 0.1, L = 2; segments of 50 steps may differ). Up to {short(close)} nats weights are "
        "the better way:"
    )


_PARTS = {"start": "the start", "states": "all states"}


def _shares(rows: list[dict[str, Any]]) -> str:
    """Shares of the gradient, by β and length."""
    head = ["β", "L", "left out", "MDPs", "median", "10 % to 90 %", "largest", "cosine", "apart"]
    return table(head, [
        [f"{r['beta']:g}", r["length"], _PARTS[r["left_out"]], r["instances"], r["median"],
         f"{r['tenth']} to {r['ninetieth']}", r["largest"], r["cosine"], f"{r['reversed']:.1%}"]
        for r in rows
    ])  # fmt: skip


def _moved(rows: list[dict[str, float]]) -> str:
    """Errors when the segments are another actor's."""
    ways = {"redrawn": "drawn anew", "weighed": "weighed", "unweighed": "as they are"}
    head = ["nats", *(f"{ways[w]}: {n}" for w in ways for n in ("error", "cosine", "apart"))]
    return table(head, [
        [short(r["apart"]), *(
            value for w in ways
            for value in (r[f"{w}_error"], r[f"{w}_cosine"], f"{r[f'{w}_reversed']:.1%}")
        )]
        for r in rows
    ])  # fmt: skip


def noise() -> str:
    """How large the terms of J are beside SAC's, and the weight that follows."""
    if not NOISE.exists():
        return ""
    found = json.loads(NOISE.read_text(encoding="utf-8"))
    return "\n\n".join([
        "## What the weight of J goes by", fill(_drawn(found), 98), _sizes(found["rows"]),
        fill(_weighed(found["rows"]), 98),
    ])  # fmt: skip


def _drawn(found: dict[str, Any]) -> str:
    return (
        f"`python -m studies.control_arms.segment_noise`: the first {found['steps']:,} steps of "
        f"`sail` on {found['task']} (seed {found['seed']}) with a weight next to nothing, so of `pebble`; "
        "gradients in the actor's parameters, SAC's and at weight 1 those of J, drawn "
        f"{found['draws']} times each as in an update ({found['pairs']} pairs of segments of "
        f"{found['segment']} steps, β = {found['beta']:g}): the norm of their mean (0 where the "
        "noise hides it) and their noise, the root mean square distance from it. Last, the noise "
        "of the score with the constant baseline that has least, instead of −log 2; with both "
        "segments of a pair in the same states, as two responses to a prompt; and SAC's noise over "
        "the score's:"
    )


def _sizes(rows: list[dict[str, Any]]) -> str:
    names = [f"{term}_{kind}" for term in ("sac", "dpo", "score") for kind in ("mean", "noise")]
    names += ["best_noise", "same_noise"]
    head = [name.replace("_", ": ") for name in names[:-2]]
    head = ["step", *head, "best baseline", "same states", "SAC ÷ score"]
    return table(head, [
        [r["step"], *(short(r[name]) for name in names), short(ratio)]
        for r, ratio in zip(rows, noise_ratios(rows), strict=True)
    ])  # fmt: skip


def noise_ratios(rows: list[dict[str, Any]]) -> list[float]:
    """Weights at which the score's noise would be SAC's own."""
    return [row["sac_noise"] / row["score_noise"] for row in rows]


def _weighed(rows: list[dict[str, Any]]) -> str:
    ratios = noise_ratios(rows)
    hidden = sum(row["score_mean"] == 0 for row in rows)
    lost = max(1 - row["best_noise"] / row["score_noise"] for row in rows)
    least, most = (short(HEAVY / pick(ratios)) for pick in (max, min))
    default = SAILSettings().weight
    same = median(row["score_noise"] / row["same_noise"] for row in rows)
    return (
        "As the actor leaves its reference the score's noise grows, since its coefficient g + log "
        f"2 grows as |z| does; in {hidden} of {len(rows)} measurements it hides the mean, and no "
        f"constant baseline would take away more than {lost:.0%} of it (one that depends on the "
        f"states was not tried). The same states for both segments divide it by {short(same)} "
        f"(median), with another J. A weight of {HEAVY:g}, as the runs of `heavy` have it, makes "
        f"it {least} to {most} times SAC's own. Those runs were seen not to learn, and this was "
        "measured then; the weight of the others is set by the table: the median of its last "
        f"column is {short(median(ratios))}, and the default that to one digit, {default:g}. It "
        f"makes the score's noise {short(default / max(ratios))} to {short(default / min(ratios))} "
        "times SAC's own along these steps, and more later: of the runs with it, the tables tell "
        "in how many |z| ran off all the same."
    )


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
        "KL a mean over the minibatch's states. The KL of a segment's actions, given its states, "
        "is the sum of that at its states, so L times a mean over states; as far as the "
        "minibatch's states, of the whole run, stand for those of the last steps, what is ascended "
        "is w (J − γ KL(π_ref‖π_θ)) over segments, with γ = kl_coef / "
        f"(w L). With w = {weight:g}, L = {length} and kl_coef = {found['kl_coef']:g} that is γ = "
        f"{gamma:.0e}. `pebble-revkl` has no J in its loss, and so no γ of its own."
    )


def _setting(found: dict[str, Any], weights: dict[float, float]) -> str:
    values = " and ".join(f"γ = {gamma:.0e} for w = {w:g}" for w, gamma in weights.items())
    return (
        f"`python -m studies.control_arms.curvature`: one run of "
        f"`{found['settings']['method']}` on {found['settings']['task']}, reference taken at step {found['settings']['since']:,}; "
        f"four prompts of four of the actor's own segments of L = {found['length']} steps as "
        "candidates, β = 0.1. The run tells through which actors a training passes; γ is what the "
        f"KL would be beside a J over these candidates: {values} (the weight of the runs). "
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
        "the maximum, so the true one is smaller. One run, one seed, a small candidate set out of "
        "all that the actor's J is a mean over: this says that the theorem guarantees nothing "
        "there, not how the training ends."
    )
