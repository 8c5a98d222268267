"""A plain torch loop on a small preference problem, log-linear or not, that records itself."""

from __future__ import annotations

import itertools

import torch

from sailtheory.run_audit import AuditLog

PROMPTS, RESPONSES, WIDTH, BETA = 3, 4, 2, 0.1


class Head(torch.nn.Module):
    """Logits θᵀφ; with ``hidden`` units, those of a small network."""

    def __init__(self, hidden: int = 0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inputs = torch.randn(PROMPTS, RESPONSES, WIDTH, dtype=torch.float64)
        sizes = [WIDTH, hidden, 1] if hidden else [WIDTH, 1]
        layers = [
            torch.nn.Linear(a, b, bias=False, dtype=torch.float64)
            for a, b in itertools.pairwise(sizes)
        ]
        parts = [layers[0], *(part for each in layers[1:] for part in (torch.nn.Tanh(), each))]
        self.network = torch.nn.Sequential(*parts)

    def forward(self):
        return torch.log_softmax(self.network(self.inputs).squeeze(-1), -1)


def rewards():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(PROMPTS, RESPONSES, generator=generator, dtype=torch.float64)


def loss_of(log_policy, log_ref, p, beta, gamma, score=0.0, other=0.0):
    """−(J without, or with so many times, its score term) + γKL(π_ref‖π_θ) + otherKL(π_θ‖π_ref)."""
    policy, ratio = log_policy.exp(), log_policy - log_ref
    z = beta * (ratio[:, :, None] - ratio[:, None, :])
    g = p * torch.nn.functional.logsigmoid(z) + (1 - p) * torch.nn.functional.logsigmoid(-z)
    pairs = policy[:, :, None] * policy[:, None, :]
    dpo = (pairs.detach() * g).sum((1, 2)).mean()
    drawn = (pairs * g.detach()).sum((1, 2)).mean()
    kl = (log_ref.exp() * -ratio).sum(1).mean()
    back = (policy * ratio).sum(1).mean()
    return -(dpo + score * drawn) + gamma * kl + other * back


def run(
    folder, *, gamma=0.25, score=0.0, other=0.0, rate=0.5, steps=60, hidden=0, radius=None,
    stated=None, optimizer=None, reference=None, preferences=None, noise=0.0, batch=None,
    mask=None, audit=True, before=lambda step, policy: None, noise_seed=2, sized=1.0,
    rewards_given=True, loss_of=loss_of, **options,
):  # fmt: skip
    """Train, and return the policy."""
    policy = Head(hidden)
    with torch.no_grad():
        log_ref = policy()
    reference = (lambda: log_ref) if reference is None else reference(log_ref)
    r = rewards()
    p = torch.sigmoid(r[:, :, None] - r[:, None, :])
    judged = {"rewards": r} if preferences is None else {"preferences": preferences}
    judged = judged if rewards_given else {}
    steer = optimizer or (lambda parameters: torch.optim.SGD(parameters, lr=rate))
    made = steer(policy.parameters())
    generator = torch.Generator().manual_seed(noise_seed)
    start = [w.detach().clone() for w in policy.parameters()]
    log = None
    if audit:
        options = {"share": 1.0, "gamma": gamma, "radius": radius} | options | (stated or {})
        log = AuditLog(
            folder, policy, policy.forward, beta=BETA, reference=reference, **judged, **options
        )
    for step in range(steps):
        before(step, policy)
        made.zero_grad()
        loss = loss_of(policy(), reference(), p, BETA, gamma, score, other)
        (sized * loss).backward()
        for w in policy.parameters():
            w.grad += noise * torch.randn(w.shape, generator=generator, dtype=w.dtype)
            w.grad *= 1.0 if mask is None else mask
        if log is not None:
            log(step, batch=batch, loss=loss)
        made.step()
        if radius is not None:
            project(policy, start, radius)
    if log is not None:
        log.finish()
    return policy


@torch.no_grad()
def project(policy, start, radius):
    """The nearest θ with ‖θ − θ_start‖ ≤ B."""
    pairs = list(zip(policy.parameters(), start, strict=True))
    length = torch.stack([(w - c).square().sum() for w, c in pairs]).sum().sqrt()
    if length > radius:
        for w, c in pairs:
            w.copy_(c + (w - c) * (radius / length))
