"""Actors that know a reference policy π_ref: KL(π_ref‖π_θ) in the loss, and a bounded domain.

π_ref is a copy of the actor, taken at a stated step and, where asked for, anew every so many
steps; the step of the copy in use is logged. Before the first copy there is no term.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

from sailtheory.errors import InputError
from sailtheory.policies.gaussian import TanhGaussianPolicy
from sailtheory.training.control.networks import StackedMLP
from sailtheory.training.control.sac import SAC, Batch, Tree
from sailtheory.training.control.settings import ReferenceSettings, SACSettings, Settings

__all__ = ["Referenced", "RevKLAgent"]


class Referenced(SAC):
    """SAC with a reference policy and, where asked for, ‖θ − c‖ ≤ B, θ the actor's parameters.

    Args:
        observations: Width o.
        actions: Width a.
        settings: Of SAC.
        generators: One a run.
        rules: When the reference is taken, and B; c is the first reference.
        kind: ``device`` and ``dtype``, as :class:`SAC` takes them.

    Attributes:
        reference: π_ref of each run.
        taken: The step at which it was taken; None as long as there is none.
    """

    def __init__(
        self, observations: int, actions: int, settings: SACSettings,
        generators: Sequence[torch.Generator], *, rules: ReferenceSettings, **kind: Any,
    ) -> None:  # fmt: skip
        super().__init__(observations, actions, settings, generators, **kind)
        self.rules = rules
        self.taken: int | None = None
        own = self.actor_network
        network = StackedMLP(own.widths, [torch.Generator() for _ in generators], **kind)
        self._reference = network.requires_grad_(False)
        self.reference = TanhGaussianPolicy(network, actions)
        self._centre = own.flat.detach().clone()

    @classmethod
    def of(
        cls, settings: Settings, sizes: tuple[int, int], generators: Sequence[torch.Generator]
    ) -> Self:
        """For runs of these settings, observations and actions being of these widths."""
        return cls(*sizes, settings.sac, generators, device=settings.device, **cls.extras(settings))

    @classmethod
    def extras(cls, settings: Settings) -> dict[str, Any]:
        """What the constructor takes besides SAC's settings."""
        return {"rules": settings.reference}

    @classmethod
    def check(cls, settings: Settings) -> None:
        """A reference that is never used makes the method another one."""
        if settings.reference.since >= settings.steps:
            accepted = f"below steps = {settings.steps}: without a reference there is no term"
            raise InputError("reference.since", settings.reference.since, accepted)

    def begin(self, step: int) -> None:
        """Take the reference when it is time."""
        past, every = step - self.rules.since, self.rules.every
        if past == 0 or (every is not None and past > 0 and past % every == 0):
            self._reference.flat.copy_(self.actor_network.flat)
            if past == 0:
                self._centre.copy_(self.actor_network.flat)
            self.taken = step

    def reference_policy(self, run: int) -> TanhGaussianPolicy:
        """A copy of a run's reference as a policy over states (n, o)."""
        return self.copy_of(self._reference, run)

    def distance(self) -> Tensor:
        """‖θ − c‖, (K,)."""
        apart: Tensor = (self.actor_network.flat - self._centre).norm(dim=1)
        return apart

    def constrain(self) -> None:
        """Project the actor onto ‖θ − c‖ ≤ B, once there is a c."""
        radius = self.rules.radius
        if radius is not None and self.taken is not None:
            share = (radius / self.distance().clamp_min(radius))[:, None]
            flat = self.actor_network.flat
            flat.copy_(torch.where(share < 1, self._centre + share * (flat - self._centre), flat))

    def observed(self) -> dict[str, Tensor]:
        """As of SAC; the step of the reference in use, 0 for none, and ‖θ − c‖."""
        taken = torch.full((self.runs,), float(self.taken or 0))
        found = super().observed() | {"reference/step": taken}
        return found if self.taken is None else found | {"reference/distance": self.distance()}

    def state(self, run: int) -> Tree:
        """As of SAC, with the reference."""
        return super().state(run) | {
            "reference": self._reference.flat[run].clone(),
            "centre": self._centre[run].clone(),
            "taken": self.taken,
        }

    def restore(self, run: int, tree: Tree) -> None:
        """Go back to a state."""
        super().restore(run, tree)
        self._reference.flat[run].copy_(tree["reference"])
        self._centre[run].copy_(tree["centre"])
        self.taken = tree["taken"]


class RevKLAgent(Referenced):
    """``actor/kl_ref_policy``: kl_coef · KL(π_ref‖π_θ), mean over the minibatch's states.

    Closed form: tanh is a bijection, so the divergence of the squashed policies is that
    of their Gaussians. What the published SAIL-RevKL code adds to PEBBLE.

    Args:
        kl_coef: γ ≥ 0.
    """

    def __init__(self, *args: Any, kl_coef: float, **kind: Any) -> None:
        super().__init__(*args, **kind)
        self.kl_coef = kl_coef

    @classmethod
    def extras(cls, settings: Settings) -> dict[str, Any]:
        """What the constructor takes besides SAC's settings."""
        return super().extras(settings) | {"kl_coef": settings.kl_coef}

    def actor_terms(self, batch: Batch, noise: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """As of SAC, and the divergence once there is a reference."""
        terms, log_prob = super().actor_terms(batch, noise)
        if self.taken is not None:
            divergence = self.reference.exact_kl(self.actor, batch.observations)
            assert divergence is not None
            terms["actor/kl_ref_policy"] = self.kl_coef * divergence.mean(-1)
        return terms, log_prob
