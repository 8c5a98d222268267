"""A small network with preference data, its dense curvature by definition, and products."""

from __future__ import annotations

import torch

from sailtheory.policies import CandidateData, CandidateObjective, MLPPolicy

F64 = torch.float64
OPERATOR, EIGENVALUE, GENERALISED = 1e-9, 1e-6, 1e-5  # relative; the tolerances
BETA = 0.4


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


class Case:
    """A small net, its data, and J_γ as a plain function of the flat parameters."""

    def __init__(self, seed=0, gamma=0.0, divergence="kl_ref_policy", activation="tanh", chunk=4):
        g = generator(seed)
        n, m, k = 6, 4, 3
        self.inputs = torch.randn(n, m, k, generator=g, dtype=F64)
        self.ref = torch.log_softmax(torch.randn(n, m, generator=g, dtype=F64), -1)
        self.rewards = torch.randn(n, m, generator=g, dtype=F64)
        self.weights = torch.rand(n, generator=g, dtype=F64) + 0.2
        self.policy = MLPPolicy(k, [6, 5], generator=g, activation=activation)
        with torch.no_grad():
            for p in self.policy.parameters():
                p += 0.3 * torch.randn(p.shape, generator=g, dtype=F64)
        self.gamma, self.divergence = gamma, divergence
        data = CandidateData(self.inputs, self.ref, rewards=self.rewards, weights=self.weights)
        self.objective = CandidateObjective(
            self.policy, data, beta=BETA, gamma=gamma, divergence=divergence, chunk=chunk
        )
        self.flat = torch.cat([p.detach().reshape(-1) for p in self.policy.parameters()])
        self.size = len(self.flat)

    def log_policy(self, flat):
        return torch.log_softmax(self.logits(flat), -1)

    def logits(self, flat):
        parts, start = {}, 0
        for name, p in self.policy.named_parameters():
            parts[name] = flat[start : start + p.numel()].reshape(p.shape)
            start += p.numel()
        return torch.func.functional_call(self.policy, parts, (self.inputs,))

    def value(self, flat):
        """J_γ by its definition."""
        log_p = self.log_policy(flat)
        p, r = log_p.exp(), self.ref.exp()
        total = 0
        for a in range(4):
            for b in range(4):
                ratio = log_p - self.ref
                z = BETA * (ratio[:, a] - ratio[:, b])
                win = torch.sigmoid(self.rewards[:, a] - self.rewards[:, b])
                g = win * torch.log(torch.sigmoid(z)) + (1 - win) * torch.log(torch.sigmoid(-z))
                total = total + p[:, a] * p[:, b] * g
        if self.divergence == "kl_ref_policy":
            kl = (r * (self.ref - log_p)).sum(-1)
        else:
            kl = (p * (log_p - self.ref)).sum(-1)
        w = self.weights / self.weights.sum()
        return (w * (total - self.gamma * kl)).sum()

    def hessian(self):
        return torch.func.hessian(self.value)(self.flat)

    def fisher(self):
        """E_x Σ_y π(y|x) s sᵀ."""
        s = torch.func.jacrev(self.log_policy)(self.flat)
        w = self.weights / self.weights.sum()
        return torch.einsum("nm,nmi,nmj->ij", w[:, None] * self.log_policy(self.flat).exp(), s, s)


def dense(operator):
    return torch.stack([operator(row) for row in torch.eye(operator.subset.size, dtype=F64)])


def close(found, wanted, tolerance):
    return float((found - wanted).abs().max()) <= tolerance * float(wanted.abs().max())
