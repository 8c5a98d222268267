"""Every sequence of a small vocabulary: the policies' exact objectives where draws are usual.

A response is a sequence that ends, or one that is cut at the longest length; ``Sequences``
lists all m of them, so that a policy over sequences is a table log π(y|x), (n, m), with a
gradient. :class:`SequenceObjectives` has what can be asked of such a table.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from sailtheory.errors import InputError, require
from sailtheory.numeric.numbers import numbers_of
from sailtheory.policies.autoregressive import TokenPolicy
from sailtheory.policies.protocol import finite
from sailtheory.theory import formulas

__all__ = ["MOST_PAIRS", "LogLinearSequences", "SequenceObjectives", "Sequences"]

MOST_PAIRS = 2**28
"""Pairs of responses over which a sum is taken; :meth:`SequenceObjectives.drawn` has no limit."""


_Payoff = Callable[[Tensor, Tensor], Tensor]


class Sequences:
    """All responses of at most T tokens over v tokens, one of which may end a response.

    They are ordered by length, those that end before those that are cut, and within a length
    as numbers are, the first token counting most.

    Args:
        vocabulary: v ≥ 2.
        longest: T ≥ 1.
        end: Id of the end token, or None where every response has T tokens.

    Attributes:
        letters: Ids of the tokens that do not end a response.
        tokens: Responses, filled with the end token: (m, T).

    Raises:
        InputError: A number outside its domain.
    """

    def __init__(self, vocabulary: int, longest: int, end: int | None = None) -> None:
        if vocabulary < 2 or longest < 1:
            raise InputError("vocabulary, longest", (vocabulary, longest), "≥ 2 and ≥ 1")
        if end is not None and not 0 <= end < vocabulary:
            raise InputError("end", end, f"an id below {vocabulary}, or None")
        self.vocabulary, self.longest, self.end = vocabulary, longest, end
        self.letters = torch.tensor([k for k in range(vocabulary) if k != end])
        rows = [self._words(t) for t in range(longest)] if end is not None else []
        self.tokens = torch.cat([*rows, self._words(longest)])

    def __len__(self) -> int:
        return len(self.tokens)

    def _words(self, length: int) -> Tensor:
        """All texts of so many letters, filled with the end token."""
        count = len(self.letters)
        place = torch.arange(count**length)
        digits = [place // count ** (length - 1 - t) % count for t in range(length)]
        filled = torch.full((len(place), self.longest), self.end or 0)
        if length:
            filled[:, :length] = self.letters[torch.stack(digits, -1)]
        return filled

    def places(self, responses: Tensor) -> Tensor:
        """The number of each response, (n, T) to (n,); what follows an end token is ignored.

        Raises:
            InputError: Ids that are no token.
        """
        if responses.shape[-1:] != (self.longest,) or responses.numel() == 0:
            raise InputError("responses", tuple(responses.shape), f"(n, {self.longest})")
        if not bool(((responses >= 0) & (responses < self.vocabulary)).all()):
            raise InputError("responses", responses.tolist()[0], f"ids below {self.vocabulary}")
        count = len(self.letters)
        digit = torch.full((self.vocabulary,), -1)
        digit[self.letters] = torch.arange(count)
        found = torch.zeros(len(responses), dtype=torch.long)
        going = torch.ones(len(responses), dtype=torch.bool)
        for t in range(self.longest):
            going = going & (responses[:, t] != self.end) if self.end is not None else going
            before = 1 + count * found if self.end is not None else count * found
            found = torch.where(going, before + digit[responses[:, t]], found)
        return found

    def log_probs(self, policy: TokenPolicy, prompts: Tensor, chunk: int | None = None) -> Tensor:
        """log π_θ of every response, prefix by prefix: prompts (n, P) to (n, m).

        The model is run once over the texts of T − 1 letters, whose logits hold those of all
        their prefixes.

        Args:
            policy: A policy over these tokens.
            prompts: Token ids.
            chunk: Rows of the model at a time; default all.

        Raises:
            InputError: A policy of other lengths or of another end token.
        """
        if (policy.response_length, policy.end) != (self.longest, self.end):
            found = (policy.response_length, policy.end)
            raise InputError("policy", found, f"length and end {(self.longest, self.end)}")
        each = self._next_token(policy, prompts, chunk)
        count, n = len(self.letters), len(prompts)
        log_prefix, ended = each.new_zeros(n, 1), []
        for t in range(self.longest):
            log_next = each[:, :: count ** (self.longest - 1 - t), t]
            if self.end is not None:
                ended.append(log_prefix + log_next[..., self.end])
            letters = log_next[..., self.letters.to(each.device)]
            log_prefix = (log_prefix[..., None] + letters).reshape(n, -1)
        return finite("log_probs", torch.cat([*ended, log_prefix], -1))

    def log_prefix_ratio(self, log_policy: Tensor, log_ref: Tensor) -> Tensor:
        """log ρ of each prompt, ρ = max over prefixes s of d_θ(s)/d_ref(s) (C30).

        A prefix is a text after which another token is drawn, the empty one included, so ρ ≥ 1;
        d(s) is the probability that a response begins with it. For a policy that is log-linear
        token by token, γ > (range of the reward)·ρ is enough for the curvature at θ.

        Args:
            log_policy: log π_θ of every response, (n, m).
            log_ref: log π_ref, (n, m).

        Returns:
            (n,).

        Raises:
            InputError: Tables of other shapes.
        """
        for name, table in (("log_policy", log_policy), ("log_ref", log_ref)):
            if table.ndim != 2 or table.shape[1] != len(self) or len(table) != len(log_ref):
                accepted = f"(n, {len(self)}), the same for both"
                raise InputError(name, tuple(table.shape), accepted)
        mine, theirs = self._log_prefixes(log_policy), self._log_prefixes(log_ref)
        each = [(a - b).amax(-1) for a, b in zip(mine, theirs, strict=True)]
        return torch.stack(each).amax(0)

    def _log_prefixes(self, log_policy: Tensor) -> list[Tensor]:
        """log d(s) of the prefixes of T − 1, …, 1, 0 letters: (n, letters ** t) each."""
        count, n = len(self.letters), len(log_policy)
        log_prefix, found = log_policy[:, len(self) - count**self.longest :], []
        for t in reversed(range(self.longest)):
            log_next = log_prefix.reshape(n, -1, count)
            if self.end is not None:
                start = sum(count**k for k in range(t))
                ended = log_policy[:, start : start + count**t]
                log_next = torch.cat([log_next, ended[:, :, None]], -1)
            log_prefix = log_next.logsumexp(-1)
            found.append(log_prefix)
        return found

    def _next_token(self, policy: TokenPolicy, prompts: Tensor, chunk: int | None) -> Tensor:
        """log π_θ of the next token after each prefix of the longest texts: (n, ·, T, v)."""
        words = self._words(self.longest - 1)[:, : self.longest - 1].to(prompts.device)
        n, k = len(prompts), len(words)
        rows = torch.cat(
            [prompts.repeat_interleave(k, 0), words.repeat(n, 1)], -1
        )  # prompt by prompt
        parts = torch.split(rows, len(rows) if chunk is None else chunk)
        log = torch.cat([policy.next_token_log_probs(part) for part in parts])
        return log.reshape(n, k, self.longest, self.vocabulary)


class LogLinearSequences(torch.nn.Module):
    """π_θ(y|x) ∝ π_ref(y|x) exp(θᵀφ(x, y)), φ features of whole sequences.

    Normalised over sequences and not token by token, it is the policy of the theory (section 1)
    with π_ref as its base measure; θ = 0 is π_ref.

    Args:
        features: (n, m, d).
        log_ref: log π_ref, (n, m).

    Attributes:
        theta: θ, (d,), 0 at first.
    """

    def __init__(self, features: Tensor, log_ref: Tensor) -> None:
        super().__init__()
        if features.ndim != 3 or features.shape[:2] != log_ref.shape:
            raise InputError("log_ref", tuple(log_ref.shape), f"(n, m) of {tuple(features.shape)}")
        self.features = finite("features", features)
        self.log_ref = finite("log_ref", log_ref)
        self.theta = torch.nn.Parameter(features.new_zeros(features.shape[-1]))

    def forward(self) -> Tensor:
        """log π_θ of every response: (n, m)."""
        xp = numbers_of(self.theta)
        found: Tensor = formulas.log_policy(xp, self.theta, self.features, self.log_ref)
        return found


class SequenceObjectives:
    """What a table log π_θ, (n, m), is worth: each a mean over equally weighted prompts.

    All of it has exact gradients by autograd.

    Args:
        reward: r(x, y), (n, m), by which the preference is Bradley–Terry's σ(r₁ − r₂).
        log_ref: log π_ref, (n, m).
        beta: β > 0.

    Raises:
        InputError: β ≤ 0, shapes that differ, numbers that are not finite.
    """

    def __init__(self, reward: Tensor, log_ref: Tensor, beta: float) -> None:
        require(">", beta=beta)
        if reward.shape != log_ref.shape or reward.ndim != 2:
            raise InputError("reward", tuple(reward.shape), f"(n, m) of {tuple(log_ref.shape)}")
        self.rewards = finite("reward", reward.to(log_ref))
        self.log_ref = finite("log_ref", log_ref.detach())
        self.beta = beta

    def reward(self, log_policy: Tensor) -> Tensor:
        """E r(x, y)."""
        return _mean(log_policy.exp(), self.rewards)

    def gain(self, log_policy: Tensor) -> Tensor:
        """(E_θ r − E_ref r) / (E_x max r − E_ref r): 0 at π_ref, 1 for the best response."""
        base = self.reward(self.log_ref)
        return (self.reward(log_policy) - base) / (self.rewards.amax(-1).mean() - base)

    def kl_ref_policy(self, log_policy: Tensor) -> Tensor:
        """KL(π_ref‖π_θ)."""
        each: Tensor = formulas.kl_ref_policy(self.log_ref.exp(), log_policy - self.log_ref)
        return each.mean()

    def kl_policy_ref(self, log_policy: Tensor) -> Tensor:
        """KL(π_θ‖π_ref)."""
        each: Tensor = formulas.kl_policy_ref(log_policy.exp(), log_policy - self.log_ref)
        return each.mean()

    def entropy(self, log_policy: Tensor) -> Tensor:
        """−E log π_θ."""
        return -_mean(log_policy.exp(), log_policy)

    def sail(self, log_policy: Tensor, *, frozen: bool = False, block: int = 512) -> Tensor:
        """J = E_{π⊗π}[p₁₂ log σ(z) + p₂₁ log σ(−z)] over all pairs, in blocks.

        Args:
            log_policy: (n, m).
            frozen: Pairs are weighed without a gradient: what is left is that of online DPO,
                which is no gradient of J (C29).
            block: Responses y₁ at a time.

        Raises:
            InputError: More pairs than ``MOST_PAIRS``.
        """
        weights = log_policy.exp().detach() if frozen else log_policy.exp()
        return self._over_pairs(weights, weights, log_policy, block, self._payoff)

    def win_rate(self, log_policy: Tensor, block: int = 512) -> Tensor:
        """P(y ≻ y′), y ~ π_θ and y′ ~ π_ref, over all pairs.

        Raises:
            InputError: As :meth:`sail`.
        """
        ref = self.log_ref.exp()
        return self._over_pairs(log_policy.exp(), ref, log_policy, block, self._chance)

    @torch.no_grad()
    def drawn(self, log_policy: Tensor, count: int, generator: torch.Generator) -> dict[str, float]:
        """J and the win rate by ``count`` pairs a prompt, for m too large to sum over pairs.

        Returns:
            ``sail`` and ``win_rate``, and the standard error of each under ``sail_error`` and
            ``win_rate_error``.
        """

        def of(log: Tensor) -> Tensor:
            return torch.multinomial(log.exp(), count, replacement=True, generator=generator)

        first, second, other = of(log_policy), of(log_policy), of(self.log_ref)
        ratio = log_policy - self.log_ref
        taken = [(self.rewards.gather(-1, k), ratio.gather(-1, k)) for k in (first, second, other)]
        found: dict[str, float] = {}
        for name, payoff, k in (("sail", self._payoff, 1), ("win_rate", self._chance, 2)):
            values = payoff(taken[0][0] - taken[k][0], taken[0][1] - taken[k][1])
            error = values.var(-1).mean() / values.numel()
            found |= {name: float(values.mean()), f"{name}_error": float(error.sqrt())}
        return found

    def summary(self, log_policy: Tensor) -> dict[str, float]:
        """All that is a sum over responses, by name."""
        parts = (self.reward, self.gain, self.kl_ref_policy, self.kl_policy_ref, self.entropy)
        with torch.no_grad():
            return {part.__name__: float(part(log_policy)) for part in parts}

    def _payoff(self, apart: Tensor, ratios: Tensor) -> Tensor:
        """g of pairs, by the differences of their rewards and log-ratios."""
        xp = numbers_of(apart)
        q = xp.tanh(apart / 2) / 2
        value: Tensor = formulas.log_likelihood_value(xp, q, self.beta * ratios)
        return value - float(xp.log_2())

    def _chance(self, apart: Tensor, ratios: Tensor) -> Tensor:
        return torch.sigmoid(apart)

    def _over_pairs(
        self, first: Tensor, second: Tensor, log_policy: Tensor, block: int, payoff: _Payoff
    ) -> Tensor:
        n, m = log_policy.shape
        if n * m * m > MOST_PAIRS:
            accepted = f"at most {MOST_PAIRS}; drawn() takes some of them"
            raise InputError("pairs", n * m * m, accepted)
        ratio = log_policy - self.log_ref

        def part(start: int, first: Tensor, second: Tensor, ratio: Tensor) -> Tensor:
            rows = slice(start, start + block)
            apart = self.rewards[:, rows, None] - self.rewards[:, None, :]
            values = payoff(apart, ratio[:, rows, None] - ratio[:, None, :])
            return _mean(first[:, rows], formulas.expectation(second[:, None, :], values))

        parts = [
            checkpoint(part, start, first, second, ratio, use_reentrant=False)
            if torch.is_grad_enabled()
            else part(start, first, second, ratio)
            for start in range(0, m, block)
        ]
        return torch.stack(parts).sum()


def _mean(weights: Tensor, values: Tensor) -> Tensor:
    """Σ_k weights_k values_k, a mean over prompts."""
    each: Tensor = formulas.expectation(weights, values)
    return each.mean()
