"""The commands as functions: what a command prints, a function returns.

They are those of the root: ``sailtheory.check(problem, gamma=0.1)`` is ``sailtheory check problem
--gamma 0.1``. A problem is a :class:`~sailtheory.PreferenceProblem`, a file or folder, or a mapping
with the keys of a problem file. Results are shown by ``print`` and by notebooks, become tables by
``to_pandas()``, and are drawn by ``plot(ax)``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sailtheory.errors import InputError
from sailtheory.problem.problem import PreferenceProblem

if TYPE_CHECKING:
    from sailtheory.analysis.check import Report
    from sailtheory.analysis.field_check import FieldReport
    from sailtheory.analysis.frontier import Frontier
    from sailtheory.analysis.sweep import Sweep
    from sailtheory.analysis.target_check import TargetReport
    from sailtheory.analysis.trade_off import TradeOff
    from sailtheory.certificates.bounded import BoundCertificate
    from sailtheory.certificates.certificate import Certificate
    from sailtheory.certificates.kinds import AnyCertificate
    from sailtheory.certificates.prompts import PromptCertificate
    from sailtheory.certificates.replay import Replay
    from sailtheory.convergence.fit import RateFit
    from sailtheory.convergence.prediction import Prediction
    from sailtheory.objectives.target import Target
    from sailtheory.rewards.assess import Assessment
    from sailtheory.run_audit.audit import Audit

__all__ = [
    "audit",
    "certify",
    "check",
    "frontier",
    "problem_from",
    "rates",
    "replay",
    "reward_thresholds",
    "sweep",
]

Source = PreferenceProblem | Mapping[str, Any] | str | Path
"""What is taken for a problem."""

_Progress = Callable[[str], None]


def _silent(stage: str) -> None: ...


def problem_from(source: Source, *, out: str | None = None, **options: Any) -> PreferenceProblem:
    """A problem from a problem file or folder, from its keys, or from preference data.

    Args:
        source: A problem, file, folder or mapping; or, with ``out``, preference data as
            ``sailtheory problem`` takes them.
        out: The folder to write, for preference data.
        options: For preference data: fields of
            :class:`~sailtheory.preference_data.build.Request` and of its ``rule``, such as
            ``beta=0.1, radius=2, embedder="minilm", temperature=2``.

    Raises:
        InputError: Bad data, or options that do not belong to the source.
    """
    from sailtheory.problem.problem_file import of_folder

    if out is None:
        if options:
            raise InputError(next(iter(options)), next(iter(options.values())), "out= beside it")
        return _read(source, preferences=True)
    from dataclasses import fields

    from sailtheory.preference_data.build import Request, build
    from sailtheory.preference_data.preferences import Rule

    if not isinstance(source, (str, Path)):
        raise InputError("source", type(source).__name__, "with out: a file or data set by name")
    rule = {f.name: options.pop(f.name) for f in fields(Rule) if f.name in options}
    known = {f.name for f in fields(Request)} - {"source", "out", "rule"}
    for name in options:
        if name not in known:
            raise InputError(name, options[name], f"one of {', '.join(sorted(known))}")
    if options.get("response_rewards"):  # which no β sees
        if "beta" in options:
            raise InputError("beta", options["beta"], "none with response_rewards")
        options["beta"] = 1.0
    for name in ("beta", "radius"):
        if options.get(name) is None:
            raise InputError(name, "not given", "a number is expected for preference data")
    return of_folder(build(Request(str(source), out, rule=Rule(**rule), **options)))


def _target(problem: Source, objective: str, options: dict[str, Any]) -> Target:
    """An objective of a problem, which has to state what it needs."""
    from sailtheory.objectives.registry import kind, target

    return target(_read(problem, kind(objective).preferences), objective, **options)


def _read(source: Source, preferences: bool) -> PreferenceProblem:
    from sailtheory.problem.problem_file import from_mapping, load

    if isinstance(source, PreferenceProblem):
        return source
    if isinstance(source, Mapping):
        return from_mapping(source, preferences=preferences)
    return load(source, preferences=preferences)


def check(
    problem: Source,
    gamma: float | None = None,
    *,
    objective: str = "sail",
    effort: str = "quick",
    seed: int = 0,
    progress: _Progress = _silent,
    jobs: int = 1,
    **options: Any,
) -> Report | TargetReport | FieldReport:
    """What holds on a problem; see :func:`sailtheory.analysis.check.check`.

    Args:
        problem: The problem.
        gamma: γ.
        objective: One of :func:`~sailtheory.objectives.registry.names`; some follow a field (C32).
        effort: ``quick`` or ``full``.
        seed: Seed of the search.
        progress: Receives the stage.
        jobs: Processes, for the thresholds prompt by prompt; of ``sail`` alone.
        options: Of the objective, such as ``group=8``.
    """
    from sailtheory.analysis.check import check as run
    from sailtheory.analysis.field_check import check_field
    from sailtheory.analysis.target_check import check_target
    from sailtheory.objectives.registry import followed, kind
    from sailtheory.objectives.rewards import GroupField

    found = followed(_read(problem, kind(objective).preferences), objective, **options)
    if objective == "sail":
        return run(found.problem, gamma, effort, seed, progress, jobs)
    if jobs > 1:
        raise InputError("jobs", jobs, f"1 with the objective {objective}: it has one process")
    if isinstance(found, GroupField):
        return check_field(found, gamma, effort, seed, progress)
    return check_target(found, gamma, effort, seed, progress)


def frontier(
    problem: Source,
    *,
    tolerance: float = 0.01,
    points: int = 25,
    objective: str = "sail",
    effort: str = "quick",
    seed: int = 0,
    progress: _Progress = _silent,
    **options: Any,
) -> Frontier | TradeOff:
    """Win rate, or what else an objective is measured by, and KL against γ.

    See :func:`sailtheory.analysis.frontier.frontier`, and
    :func:`sailtheory.analysis.trade_off.trade_off` for any objective but SAIL.
    """
    from sailtheory.analysis.frontier import frontier as run
    from sailtheory.analysis.trade_off import trade_off

    found = _target(problem, objective, options)
    if objective == "sail":
        return run(found.problem, tolerance, points, effort, seed, progress)
    return trade_off(found, tolerance, points, effort, seed, progress)


def sweep(
    problem: Source,
    *,
    beta: Sequence[float] = (),
    radius: Sequence[float] = (),
    temperature: Sequence[float] = (1.0,),
    held_out: float = 0.0,
    bootstrap: int = 0,
    effort: str = "light",
    seed: int = 0,
    progress: _Progress = _silent,
) -> Sweep:
    """Thresholds over β, B and temperature; see :func:`sailtheory.analysis.sweep.sweep`.

    ``bootstrap`` problems are drawn again for γ*'s interval, from the counts of a problem folder.

    Raises:
        InputError: As there, or ``bootstrap`` for what is no folder.
    """
    from sailtheory.analysis.bootstrap import comparisons_of
    from sailtheory.analysis.sweep import sweep as run
    from sailtheory.problem.folder import ProblemFolder, is_folder

    comparisons = None
    if bootstrap:
        if not (isinstance(problem, (str, Path)) and is_folder(problem)):
            raise InputError("bootstrap", bootstrap, "the path of a folder with counts.npy")
        comparisons = comparisons_of(ProblemFolder.open(problem))
    return run(
        problem_from(problem), beta, radius, temperature, held_out, effort, seed, progress,
        comparisons, bootstrap,
    )  # fmt: skip


def rates(
    source: Source | Sequence[float], gamma: float | None = None, *, objective: str = "sail",
    seed: int = 0, progress: _Progress = _silent, **options: Any,
) -> RateFit | Prediction:  # fmt: skip
    """The rate of a series of gaps, or of ascent on a problem at γ.

    Args:
        source: Gaps, or a CSV file of them; with ``gamma``, a problem.
        gamma: γ ≥ 0, for a problem.
        objective: Of the problem, as for :func:`check`.
        seed: Seed of everything random.
        progress: Receives the stage.
        options: Of the objective.

    Raises:
        InputError: As :func:`sailtheory.convergence.fit_rate` and
            :func:`sailtheory.convergence.prediction.predict`.
    """
    from sailtheory.convergence import fit_rate, read_series
    from sailtheory.convergence.prediction import predict

    if gamma is not None:
        if isinstance(source, Sequence) and not isinstance(source, str):
            raise InputError("source", type(source).__name__, "with gamma: a problem")
        return predict(_target(source, objective, options), gamma, seed, progress)
    if objective != "sail" or options:
        raise InputError("objective", objective, "none is expected with a series of gaps")
    if isinstance(source, (PreferenceProblem, Mapping)):
        raise InputError("gamma", None, "a number is expected for a problem")
    if isinstance(source, (str, Path)):
        series = read_series(source)
        return fit_rate(series.gaps, series.iterations, seed=seed)
    return fit_rate(source, seed=seed)


def certify(
    problem: Source,
    property: Literal["gamma", "concave", "pl"] = "gamma",
    gamma: float | Fraction | None = None,
    *,
    tolerance: float | None = None,
    method: Literal["auto", "whole", "per-prompt"] = "auto",
    jobs: int = 1,
    time_limit: float = math.inf,
    objective: str = "sail",
    progress: _Progress = _silent,
    **options: Any,
) -> Certificate | PromptCertificate | BoundCertificate:
    """A proof over all of C, which ``save`` writes and :func:`replay` checks.

    Args:
        problem: The problem.
        property: ``gamma`` encloses γ*, or ḡ where that is out of reach; ``concave`` and ``pl``
            decide at ``gamma``.
        gamma: γ ≥ 0, for ``concave`` and ``pl``; floats are taken as their decimals.
        tolerance: Relative width, for ``gamma`` and ``pl``.
        method: For ``gamma``: γ* on all of C, or ḡ prompt by prompt.
        jobs: Processes.
        time_limit: Seconds, > 0.
        objective: ``sail``, or another by its own bounds: ``gamma`` and ``concave`` only, and
            neither tolerance, method, jobs nor time_limit.
        progress: Receives a line.
        options: Of the objective.

    Returns:
        A certificate, whose ``verdict`` is ``certified``, ``refuted`` or ``undecided``.

    Raises:
        InputError: γ where none is taken, none where one is, or numbers outside their domain.
    """
    from sailtheory.certificates import Budget, certify_concave, certify_gamma, certify_pl
    from sailtheory.certificates.bounded import certify_bound
    from sailtheory.certificates.kinds import by_prompt, require_closed_form
    from sailtheory.certificates.prompts import Plan, Workers, certify_prompts
    from sailtheory.numeric.exact import to_fraction
    from sailtheory.problem.reduced import ProblemPrompts

    if (gamma is None) != (property == "gamma"):
        raise InputError("gamma", gamma, "a number, unless property is 'gamma'")
    if property not in ("gamma", "concave", "pl"):
        raise InputError("property", property, "gamma, concave or pl")
    if not time_limit > 0:
        raise InputError("time_limit", time_limit, "a positive number of seconds is expected")
    if objective != "sail":
        require_closed_form(objective, property, tol=tolerance, method=method,
                            jobs=jobs, time_limit=time_limit)  # fmt: skip
        level = None if gamma is None else to_fraction(gamma, "gamma")
        return certify_bound(_target(problem, objective, options), level, progress)
    found = _target(problem, objective, options).problem
    budget = Budget(time.monotonic() + time_limit, jobs, progress)
    if gamma is None and by_prompt(found, method):
        return certify_prompts(ProblemPrompts(found), Plan(tolerance, budget, Workers(jobs)))
    width = 0.01 if tolerance is None else tolerance
    if gamma is None:
        return certify_gamma(found, width, budget)
    if property == "concave":
        return certify_concave(found, gamma, budget)
    return certify_pl(found, gamma, width, budget)


def replay(
    certificate: AnyCertificate | str | Path,
    problem: Source | None = None,
    *,
    progress: _Progress = _silent,
) -> Replay:
    """Check a certificate again, without the search.

    Args:
        certificate: A certificate, or its file.
        problem: The problem, for a certificate by prompt that does not name its file.
        progress: Receives a line.

    Raises:
        InputError: Not a certificate, or no problem where one is needed.
    """
    from sailtheory.certificates import kinds
    from sailtheory.certificates.prompts.sources import open_source
    from sailtheory.objectives.registry import kind
    from sailtheory.problem.reduced import ProblemPrompts, PromptSource

    def source(named: str) -> PromptSource:
        if problem is None and not named:
            raise InputError("problem", None, "the problem of this certificate is expected")
        return open_source(named) if problem is None else ProblemPrompts(problem_from(problem))

    def whole(objective: str, named: str) -> PreferenceProblem:
        if problem is None and not named:
            raise InputError("problem", None, "the problem of this certificate is expected")
        return _read(named if problem is None else problem, kind(objective).preferences)

    made = kinds.read(certificate) if isinstance(certificate, (str, Path)) else certificate
    return kinds.replay(made, source, whole, progress=progress)


def audit(run: str | Path, arms: Sequence[str | Path] = (), *, accuracy: float = 0.1) -> Audit:
    """Which assumptions of the theory hold along a training run.

    Args:
        run: Its folder, as ``sailtheory audit`` takes it.
        arms: Runs whose budgets should be its own.
        accuracy: The share of the first gap that noise may leave, in (0, 1).

    Raises:
        InputError: No run, or an accuracy outside (0, 1).
    """
    from sailtheory.run_audit.audit import audit as run_audit
    from sailtheory.run_audit.read import read_run

    others = [(str(each), read_run(each)) for each in arms]
    return run_audit(read_run(run), others, accuracy=accuracy)


def reward_thresholds(
    source: str | Path,
    *,
    prompt: str | None = None,
    reward: str | None = None,
    steps: tuple[int, int] | None = None,
    **settings: Any,
) -> Assessment:
    """How large the KL of GRPO, RLOO and others must be, from measured pass rates.

    Args:
        source: A table, a log or a run, as ``sailtheory rewards`` takes it.
        prompt: The column that names the prompt.
        reward: The column of rewards.
        steps: Only samples drawn at these steps.
        settings: Fields of :class:`~sailtheory.rewards.assess.Settings`, such as
            ``method="grpo", group=8, std="sample", gamma=0.04``.

    Raises:
        InputError: Data or settings outside their domain.
    """
    from dataclasses import fields

    from sailtheory.rewards.assess import Settings, assess
    from sailtheory.rewards.read import read_pass_rates

    known = [f.name for f in fields(Settings)]
    for name in settings:
        if name not in known:
            raise InputError(name, settings[name], f"one of {', '.join(known)}")
    return assess(read_pass_rates(source, prompt, reward, steps), Settings(**settings))
