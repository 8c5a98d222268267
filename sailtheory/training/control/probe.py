"""What the theory says at an actor: a candidate-set problem built from its own segments.

A prompt has m segments of the actor as candidates y, with π_θ(y) ∝ ν(y) Π_t π_θ(a_t|s_t).
The base measure ν is one over the density with which the segments were drawn, so the policy
they were drawn from is uniform on them, as draws are. Then z is formed as in ``sail``, of
recorded actions. The set is finite and fixed, so J, its curvature and the PL ratio are exact on
it; and its linearisation at π_ref is a log-linear problem with thresholds in closed form.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sailtheory.curvature.monitor import CurvatureMonitor
from sailtheory.errors import InputError
from sailtheory.policies.data import CandidateData
from sailtheory.policies.gaussian import TanhGaussianPolicy
from sailtheory.policies.objectives import CandidateObjective
from sailtheory.problem.preferences import BradleyTerry
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.training.control.learner import generator_of
from sailtheory.training.control.reference import Referenced
from sailtheory.training.control.train import Trainer

__all__ = ["ActorProbe", "SegmentPolicy"]


class SegmentPolicy(torch.nn.Module):
    """Logits Σ_t (log π_θ(a_t|s_t) − log q_t) of candidate segments.

    Inputs (n, m, L, o + a + 1) hold state, action and log q_t side by side.

    Args:
        actor: π_θ.
    """

    def __init__(self, actor: TanhGaussianPolicy) -> None:
        super().__init__()
        self.actor = actor

    def forward(self, inputs: Tensor) -> Tensor:
        """(n, m, L, o + a + 1) to (n, m)."""
        actions = self.actor.actions
        flat = inputs.reshape(-1, inputs.shape[-1])
        each = self.actor.log_prob(flat[:, : -actions - 1], flat[:, -actions - 1 : -1])
        return (each - flat[:, -1]).view(inputs.shape[:-1]).sum(-1)


class ActorProbe:
    """A :class:`CurvatureMonitor` attached to a run's actor; call it after every step.

    Actors are ReLU networks: the Hessian is the one that exists almost everywhere.

    Its candidates are the actor's last segments at construction, its π_ref the run's
    reference, its preferences Bradley–Terry with the reward learned by then.

    Args:
        trainer: Runs of a method with a reference, which must have been taken.
        run: Which of them.
        prompts: n.
        candidates: m of each prompt.
        length: L of a candidate; ``feedback.segment`` by default. Log-ratios grow with L,
            and when they reach tens the policy on the candidates has no Fisher matrix left.
        recent: They come from the last so many steps.
        gamma: Of −γ KL(π_ref‖π_θ) over the candidates.
        share: Largest share of time.

    Attributes:
        objective: J_γ on the candidates, in float64.
        monitor: Its records.

    Raises:
        InputError: A method without a reference, or before it is taken.
    """

    def __init__(
        self, trainer: Trainer, run: int = 0, *, prompts: int = 4, candidates: int = 4,
        length: int | None = None, recent: int = 200, gamma: float = 0.0, share: float = 0.1,
    ) -> None:  # fmt: skip
        agent = trainer.agent
        if not isinstance(agent, Referenced) or agent.taken is None:
            raise InputError("method", trainer.method.name, "one whose reference is taken")
        self._agent, self._run = agent, run
        settings, learner = trainer.settings, trainer.learners[run]
        found = learner.buffer.segments(
            generator_of(learner.seed, 6, trainer.step), prompts * candidates,
            settings.feedback.segment if length is None else length, recent,
        )  # fmt: skip
        pairs = torch.tensor(found.pairs, dtype=torch.float64)
        drawn, width = agent.policy(run).double().cpu(), agent.widths[0]
        with torch.no_grad():
            density = drawn.log_prob(pairs[..., :width], pairs[..., width:])
        inputs = torch.cat([pairs, density[..., None]], -1)
        inputs = inputs.view(prompts, candidates, *inputs.shape[1:])
        reference = SegmentPolicy(agent.reference_policy(run).double().cpu())
        rewards = torch.tensor(found.learned.sum(1, dtype=np.float64)).view(prompts, candidates)
        with torch.no_grad():
            data = CandidateData(inputs, reference(inputs), rewards=rewards)
        self.rewards, self._reference = rewards, reference
        mine = SegmentPolicy(agent.reference_policy(run).double().cpu())  # the monitor's start
        self.objective = CandidateObjective(mine, data, beta=settings.sail.beta, gamma=gamma)
        self.monitor = CurvatureMonitor(self.objective, share=share, check=False)

    def __call__(self, step: int) -> dict[str, Any] | None:
        """Measure at the actor as it is, if the share of time allows; see the monitor."""
        self.follow()
        return self.monitor(step)

    def follow(self) -> None:
        """Let the objective's policy be the run's actor as it is now."""
        actor = self._agent.policy(self._run)
        with torch.no_grad():
            for mine, theirs in zip(
                self.objective.policy.parameters(), actor.parameters(), strict=True
            ):
                mine.copy_(theirs)

    def linearised(self, radius: float) -> PreferenceProblem:
        """The log-linear problem of the same candidates, linearised at π_ref.

        Features are ∇_θ Σ_t log π_θ(a_t|s_t) at θ_ref over all parameters, in an
        orthonormal basis of the span S of their differences; θ_ref is the centre.

        Args:
            radius: B, such as ‖θ − θ_ref‖ as it was measured.
        """
        batch = self.objective.data.all
        logits = self._reference(batch.inputs)
        wanted = list(self._reference.parameters())
        rows = [
            torch.cat([g.reshape(-1) for g in torch.autograd.grad(v, wanted, retain_graph=True)])
            for v in logits.reshape(-1)
        ]
        stacked = torch.stack(rows).view(*logits.shape, -1)
        scores = (stacked - stacked[:, :1]).numpy()
        flat = scores.reshape(-1, scores.shape[-1])
        _, sizes, basis = np.linalg.svd(flat, full_matrices=False)
        spanning = basis[sizes > sizes[0] * len(flat) * np.finfo(float).eps]
        return PreferenceProblem(
            features=scores @ spanning.T,
            preferences=[BradleyTerry(r) for r in self.rewards.numpy()],
            base=batch.log_ref.exp().numpy(),
            beta=self.objective.beta, radius=radius,
        )  # fmt: skip
