"""Our own records of runs: what their settings decide, and what they measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sailtheory.errors import InputError
from sailtheory.run_audit.standing import Found, holds, unknown, violated
from sailtheory.run_audit.trace import Facts, Point, Series, Trace, faults_of
from sailtheory.runs.read import Record

__all__ = ["of_record"]

_Config = Mapping[str, Any]
_LANGUAGE = (
    "beta", "kl_coef", "kl_estimator", "policy_kl_coef", "score_weight", "preference", "tune",
    "max_new_tokens", "ref_model", "r", "p", "g",
)  # fmt: skip
_CONTROL = ("task", "kl_coef", "reference.since", "reference.every", "sail.beta")
_MEASURE = "log with AuditCallback how far from it (docs/audit-a-run.md)"


def of_record(record: Record) -> Trace:
    """A run of ``SAILTrainer`` or of ``train control``.

    Raises:
        InputError: The record of anything else.
    """
    if all(key in record.config for key in _CONTROL):
        return _control(record)
    missing = [key for key in _LANGUAGE if key not in record.config]
    if not missing:
        return _language(record)
    raise InputError(
        "run", record.folder,
        "a record that is neither SAILTrainer's nor of sailtheory train control shows no "
        "assumption: log the run with AuditLog (docs/audit-a-run.md); `sailtheory compare` reads "
        f"this record. Of SAILTrainer's settings it lacks {', '.join(missing)}",
    )  # fmt: skip


def _language(record: Record) -> Trace:
    config = record.config
    stated = {
        "reference": holds(f"{config['ref_model']}, which SAILTrainer never changes"),
        "linear": unknown(
            f"tune = {config['tune']}: a network is linear only close to π_ref; {_MEASURE}"
        ),
        "preferences": _preferences(config),
        "divergence": _divergence(config),
        "score": _score(config),
        "step": _optimiser(str(config.get("optim", "adamw_torch"))),
    }
    beta = config["beta"]
    facts = Facts(
        float(beta[0] if isinstance(beta, list) else beta), float(config["kl_coef"]),
        score=float(config["score_weight"]) if config["g"] == 1 else None,
    )  # fmt: skip
    return _trace(record, "a record of SAILTrainer", facts, stated, ())


def _optimiser(name: str) -> Found:
    if name == "sgd":
        return unknown("optim = sgd: log Λ along the run (AuditLog on log-linear candidates)")
    return violated(f"optim = {name}: its updates are not along the gradient, and C15's are")


def _preferences(config: _Config) -> Found:
    own, data = _shares(config)
    if data:
        return unknown(f"a share {data:g} of the pairs has the data's labels: log who gave them")
    if config["p"]:
        return violated(f"p = {config['p']:g}: the policy's own preference moves with θ (C06)")
    return holds(f"σ(r₁ − r₂), {config['preference']}, on a share {own:g} of the pairs")


def _divergence(config: _Config) -> Found:
    gamma, other = config["kl_coef"], config["policy_kl_coef"]
    if other:
        return violated(f"policy_kl_coef = {other:g}: KL(π_θ‖π_ref) has no such threshold (C33)")
    if not gamma:
        return violated("kl_coef = 0: there is no penalty")
    if config["kl_estimator"] == "token-proxy":
        return violated("kl_estimator = token-proxy: the gradient of no divergence")
    return holds(f"kl_coef = {gamma:g}, kl_estimator = {config['kl_estimator']}")


def _score(config: _Config) -> Found:
    own, _ = _shares(config)
    weight = config["score_weight"]
    if not own or not weight:
        return holds("absent: the field is not J's gradient (C29)" if own else "no pairs need one")
    if weight != 1:
        return violated(f"score_weight = {weight:g}: the gradient of no objective")
    return holds("score_weight = 1: the gradient is J's, and J is not the reward (C28)")


def _shares(config: _Config) -> tuple[float, float]:
    """Shares of the policy's own pairs, and of pairs with the data's labels."""
    own = float(config["p"] or 0) + float(config["g"] or 0)
    return own, max(1 - own - float(config["r"] or 0), 0.0)


def _control(record: Record) -> Trace:
    config, method = record.config, record.method
    apart = [(s, float(v)) for s, name, v in record.rows if name == "reference/distance"]
    points = tuple(Point(step, distance=value) for step, value in apart)
    radius = config.get("reference.radius")
    pairs = method.startswith("sail")
    gamma = float(config["kl_coef"]) if method.endswith("revkl") else 0.0
    if "sail.score" in config and pairs:  # the penalty lies beside weight · J
        gamma /= float(config["sail.weight"])
    # Before that setting the score term was part of the loss.
    score = float(config.get("sail.score", 1.0)) if pairs else None
    facts = Facts(
        float(config["sail.beta"]) if pairs else None, gamma,
        None if radius is None else float(radius), score,
    )  # fmt: skip
    stated = {
        "reference": _moves(record),
        "linear": unknown(
            "the actor is a network of Gaussian actions: not linear; ActorProbe measures its "
            "candidates (studies/control_arms)"
        ),
        "preferences": _learned(record) if pairs
                       else unknown("no preferences enter the actor's loss"),
        "divergence": holds(f"γ = {gamma:g}, in closed form") if gamma
                      else violated(f"{method} has no penalty"),
        "score": _beside(score),
        "step": violated("Adam's updates are not along the gradient: C15 is of gradient steps"),
        "threshold": unknown("candidates and a B: ActorProbe gives both (studies/control_arms)")
                     if pairs else unknown("no preferences enter the actor's loss"),
    }  # fmt: skip
    return _trace(record, "a record of train control", facts, stated, points)


def _beside(score: float | None) -> Found:
    """The score term in an actor's loss."""
    if score is None:
        return holds("no pairs need one")
    if score not in (0, 1):
        return violated(f"sail.score = {score:g}: the gradient of no objective")
    what = "weight 1" if score else "absent: the field is not J's gradient (C29)"
    return holds(f"{what}, beside α log π − Q, which is no part of J")


def _moves(record: Record) -> Found:
    """When π_ref was taken, and taken anew, by the log."""
    taken = sorted({float(v) for _, name, v in record.rows if name == "reference/step"} - {0.0})
    if not taken:
        return unknown(f"no π_ref was taken: {record.method}, reference.since = "
                       f"{record.config['reference.since']}")  # fmt: skip
    if len(taken) > 1:
        return violated(f"π_ref was taken at step {taken[0]:g} and anew at step {taken[1]:g}")
    return holds(f"taken at step {taken[0]:g}, and not again")


def _learned(record: Record) -> Found:
    """Whether what p is made of moved once there was a π_ref."""
    if record.config.get("sail.value") == "critic":
        return violated("p = σ of the critic's values, which move with every update")
    fits = [step for step, name, _ in record.rows if name == "reward/fit"]
    late = [step for step in fits if step > int(record.config["reference.since"])]
    if late:
        return violated(
            f"p = σ of learned rewards' differences, and they were fitted anew at step {late[0]}: "
            "the theory's p is fixed"
        )
    return holds("σ of learned rewards' differences, not fitted anew once there is a π_ref")


def _trace(
    record: Record, kind: str, facts: Facts, stated: dict[str, Found], points: tuple[Point, ...]
) -> Trace:
    series: dict[str, Series] = {}
    faults = []
    for step, name, text in record.rows:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if math.isfinite(value):
            series.setdefault(name, []).append((step, value))
        else:
            faults.append((name, text, step))
    spent = {name: rows[-1][1] for name, rows in series.items() if name.startswith("spent/")}
    budget = {name.removeprefix("spent/"): value for name, value in spent.items()}
    for key in ("steps", "max_steps", "per_device_train_batch_size", "feedback.maximum"):
        given = record.config.get(key)
        if isinstance(given, int | float) and given > 0:
            budget[key] = float(given)
    unfinished = () if record.finished else ("the run is not finished",)
    return Trace(
        kind, facts, points, stated=stated, series=series, spent=budget,
        faults=faults_of(faults, {step for step, _, _ in record.rows}),
        notes=unfinished,
    )  # fmt: skip
