"""Every setting of a control run, with the values of the paper's experiments as defaults.

Source of the values: the papers' tables of hyperparameters. Networks of 2×1024 units and
minibatches of 512 are the paper's; on a CPU, ``sac.width=256`` and ``sac.batch=256`` are
some twenty times as fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sailtheory.storage.config import resolve, setting

__all__ = [
    "METHODS_OWN",
    "PAPER",
    "PAPER_SEEDS",
    "FeedbackSettings",
    "ReferenceSettings",
    "RewardSettings",
    "SACSettings",
    "SAILSettings",
    "Sampling",
    "Settings",
    "TeacherSettings",
    "Valued",
    "settings_of",
]

Sampling = Literal["uniform", "disagreement", "entropy"]
Valued = Literal["critic", "reward"]


@dataclass(frozen=True)
class SACSettings:
    """Actor, critic and temperature.

    Attributes:
        width: Units of each hidden layer.
        depth: Hidden layers.
        batch: Transitions in a minibatch.
        discount: γ of the return.
        polyak: Step of the target towards the critic.
        actor_rate: Learning rate of the actor.
        critic_rate: Learning rate of the critic.
        temperature: α at the start; its target entropy is −a.
        temperature_rate: Learning rate of log α.
    """

    width: int = setting(1024, at_least=1)
    depth: int = setting(2, at_least=1)
    batch: int = setting(512, at_least=1)
    discount: float = setting(0.99, at_least=0, at_most=1)
    polyak: float = setting(0.005, above=0, at_most=1)
    actor_rate: float = setting(5e-4, above=0)
    critic_rate: float = setting(5e-4, above=0)
    temperature: float = setting(0.1, above=0)
    temperature_rate: float = setting(1e-4, above=0)


@dataclass(frozen=True)
class RewardSettings:
    """Reward networks and their training.

    Attributes:
        members: Networks of the ensemble.
        width: Units of each hidden layer.
        depth: Hidden layers.
        rate: Learning rate.
        batch: Labelled pairs in a minibatch.
        epochs: Passes over all labels in one fit, at most.
        accuracy: A fit ends early when each pass agrees with so many labels.
    """

    members: int = setting(3, at_least=1)
    width: int = setting(256, at_least=1)
    depth: int = setting(3, at_least=1)
    rate: float = setting(3e-4, above=0)
    batch: int = setting(128, at_least=1)
    epochs: int = setting(50, at_least=1)
    accuracy: float = setting(0.97, above=0, at_most=1)


@dataclass(frozen=True)
class FeedbackSettings:
    """When and about what the teacher is asked.

    Attributes:
        maximum: Queries in the whole run.
        every: Steps between two sessions.
        queries: Queries in a session.
        segment: Steps L of a segment.
        sampling: How queries are chosen among the candidates; the first session is uniform.
        candidates: Candidates for each query.
        recent: Segments come from the last so many steps.
    """

    maximum: int = setting(250, at_least=1)
    every: int = setting(2000, at_least=1)
    queries: int = setting(10, at_least=1)
    segment: int = setting(50, at_least=1)
    sampling: Sampling = "disagreement"
    candidates: int = setting(10, at_least=1)
    recent: int = setting(100_000, at_least=2)


@dataclass(frozen=True)
class TeacherSettings:
    """Who answers (B-Pref, arXiv 2111.03026); the default is the oracle.

    The thresholds need rewards ≥ 0, as the paper's tasks have them; at 0 there are none.

    Attributes:
        rationality: β of Bradley–Terry labels; none is the oracle.
        myopia: Weight of a step against the next one, ≤ 1; 1 weighs all alike.
        skip: Pairs whose better segment earns less than this share of the average are skipped.
        equal: Pairs closer than this share of the average are labelled equal.
        mistake: Probability that a label is the wrong way round.
    """

    rationality: float | None = setting(None, at_least=0)
    myopia: float = setting(1.0, above=0, at_most=1)
    skip: float = setting(0.0, at_least=0)
    equal: float = setting(0.0, at_least=0)
    mistake: float = setting(0.0, at_least=0, at_most=1)


@dataclass(frozen=True)
class ReferenceSettings:
    """The reference policy π_ref of the methods that have one: a copy of the actor.

    Attributes:
        since: Step at which it is first taken; before, terms that need it are absent.
        every: Steps after which it is taken anew; none keeps the first one.
        radius: B of ‖θ − c‖ ≤ B, c the actor at step ``since``; none does not project.
    """

    since: int = setting(5000, at_least=1)
    every: int | None = setting(50_000, at_least=1)
    radius: float | None = setting(None, above=0)


@dataclass(frozen=True)
class SAILSettings:
    """SAIL in the actor's loss (sail, sail-revkl), a state being the prompt.

    Attributes:
        beta: β of the implicit reward β log π_θ/π_ref(a|s).
        weight: Of the objective against α log π − Q.
        score: Of the score term beside the DPO term; 1 ascends the objective, 0 the field
            without the score term.
        kappa: κ of p = σ(κ(v(s, a) − v(s, a'))).
        value: What v is: the critic's min(Q₁, Q₂), or the learned reward.
        states: Prompts in an update, the first of the minibatch.
        candidates: Actions of the present actor in each.
    """

    beta: float = setting(0.1, above=0)
    weight: float = setting(1.0, above=0)
    score: float = setting(0.0, at_least=0)
    kappa: float = setting(1.0, above=0)
    value: Valued = "critic"
    states: int = setting(64, at_least=1)
    candidates: int = setting(4, at_least=2)


@dataclass(frozen=True)
class Settings:
    """One run.

    Attributes:
        task: Name of the task.
        method: Name of the method.
        seed: Of everything random.
        steps: Steps in the environment.
        random_steps: Uniform actions at first, without updates.
        entropy_steps: Then steps that maximise the entropy of states (pebble).
        entropy_neighbours: k of the distance to the k-th nearest state.
        reset_updates: Updates after the critic was drawn anew (pebble).
        capacity: Transitions kept; none keeps all.
        evaluate_every: Steps between evaluations.
        evaluation_episodes: Deterministic episodes in one.
        checkpoint_every: Steps between checkpoints.
        log_every: Steps between rows of losses.
        device: Of torch; numbers are the same to the last bit on the CPU only.
        sac: Actor, critic, temperature.
        reward: Reward networks (pebble).
        feedback: Queries (pebble).
        teacher: Who answers (pebble).
        kl_coef: Of KL(π_ref‖π_θ) in the actor's loss (pebble-revkl, sail-revkl).
        reference: π_ref (pebble-revkl, sail, sail-revkl).
        sail: SAIL (sail, sail-revkl).
    """

    task: str
    method: str
    seed: int = setting(at_least=0)
    steps: int = setting(400_000, at_least=1)
    random_steps: int = setting(1000, at_least=1)
    entropy_steps: int = setting(900, at_least=0)
    entropy_neighbours: int = setting(5, at_least=1)
    reset_updates: int = setting(100, at_least=0)
    capacity: int | None = setting(None, at_least=2)
    evaluate_every: int = setting(10_000, at_least=1)
    evaluation_episodes: int = setting(10, at_least=1)
    checkpoint_every: int = setting(10_000, at_least=1)
    log_every: int = setting(1000, at_least=1)
    device: str = "cpu"
    sac: SACSettings = field(default_factory=SACSettings)
    reward: RewardSettings = field(default_factory=RewardSettings)
    feedback: FeedbackSettings = field(default_factory=FeedbackSettings)
    teacher: TeacherSettings = field(default_factory=TeacherSettings)
    kl_coef: float = setting(1e-4, at_least=0)
    reference: ReferenceSettings = field(default_factory=ReferenceSettings)
    sail: SAILSettings = field(default_factory=SAILSettings)


PAPER: dict[str, dict[str, Any]] = {
    "walker-walk": {"feedback.maximum": 250},
    "walker-stand": {"feedback.maximum": 250},
    "cheetah-run": {"feedback.maximum": 250},
    "door-open": {
        "feedback.maximum": 900, "feedback.every": 500, "feedback.recent": 50_000,
        "reward.epochs": 10, "sac.actor_rate": 3e-4, "sac.critic_rate": 3e-4,
    },
}  # fmt: skip
"""Where the paper's tasks differ from the defaults (its PEBBLE arm's feedback)."""

METHODS_OWN: dict[str, dict[str, Any]] = {
    "sail": {"reference.every": 2000},
    "sail-revkl": {"reference.every": 2000},
}
"""Where methods differ from the defaults: margins are small while π_ref is recent."""

PAPER_SEEDS = {
    "walker-walk": (4, 5, 6), "walker-stand": (7, 8, 9), "cheetah-run": (4, 5, 6),
    "door-open": (10, 11, 12),
}  # fmt: skip
"""The seeds of the paper's runs."""


def settings_of(task: str, method: str, seed: int, *given: Mapping[str, Any]) -> Settings:
    """The paper's settings for a task, changed by what the method needs and by what is given.

    Raises:
        InputError: An unknown key, or a value outside its domain.
    """
    return resolve(
        Settings,
        PAPER.get(task, {}),
        METHODS_OWN.get(method, {}),
        *given,
        {"task": task, "method": method, "seed": seed},
    )
