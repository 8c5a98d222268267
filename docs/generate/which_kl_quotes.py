"""What TRL's documentation says of settings, beside what is computed of them.

A quotation is a part of the docstring of TRL's configuration, in its words; a test looks for it
there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["QUOTES", "Evidence", "told"]


class Evidence:
    """Rows of the evidence, by method and settings that differ from GRPO's plain ones."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data

    def row(self, method: str, **settings: Any) -> dict[str, Any]:
        """The first row with these settings.

        Raises:
            LookupError: There is none.
        """
        for row in self.data["rows"]:
            if row["method"] == method and settings.items() <= row["settings"].items():
                return dict(row)
        raise LookupError(f"{method} {settings}")

    def left(self, part: str, method: str = "grpo", **settings: Any) -> float:
        """What no combination explains of a part, on responses of different lengths, in %."""
        return 100 * float(self.row(method, **settings)["lengths"][part]["residual"])

    def distance(self, kl: str, method: str = "grpo", **settings: Any) -> float:
        """How far the KL's part is from one KL, on responses of different lengths, in %."""
        return 100 * float(self.row(method, **settings)["lengths"]["apart"][kl]["distance"])

    def gamma(self, method: str = "grpo", **settings: Any) -> float:
        """γ ÷ β, on responses of one length."""
        row = self.row(method, **settings)
        return float(row["one_length"]["gamma"]) / float(row["settings"]["beta"])


def _share(ratio: float) -> str:
    """A multiple of β."""
    told = f"{ratio:.3g}β"
    return "β" if told == "1β" else told


def _corrected(e: Evidence) -> str:
    found = e.distance("kl_policy_ref", loss_type="luspo", beta=0.04, use_bias_correction_kl=True)
    return (
        "∇KL(π_θ‖π_ref) by token, the states that are met held fixed; the sequence's KL(π_θ‖π_ref) "
        f"has another gradient: {found:.0f} % of the term is no multiple of it"
    )


def _token_level(e: Evidence) -> str:
    dapo, own = (e.left("kl", loss_type=name, beta=0.04) for name in ("dapo", "grpo"))
    return (
        "by token, yes, with `dr_grpo` and `luspo`; where responses have different lengths, no "
        f"combination of the KLs with `grpo` ({own:.2g} % is left), nor in a batch of four with "
        f"`dapo` ({dapo:.2g} %)"
    )


def _dapo(e: Evidence) -> str:
    return (
        "∇f(V) where responses are equally long; else, in a batch of four, no combination of ∇f(V) "
        f"with or without a division by length: {e.left('reward', loss_type='dapo'):.2g} % is left"
    )


def _batch(e: Evidence) -> str:
    low, high = sorted(e.data["two_prompts"][f"batch {rate}"] for rate in (0.1, 0.5))
    return (
        f"no f of one prompt: the factor of ∇V at V = .3 is {high:.3f} or {low:.3f}, as the "
        "other prompt of the batch has the pass rate .1 or .5 (G = 2)"
    )


def _cispo(e: Evidence) -> str:
    plain, wide = (e.gamma(loss_type="cispo", **more) for more in ({}, {"epsilon_high": 5.0}))
    return (
        "with the default .2 the weight of every token is .2 where the ratio is 1, so "
        f"γ = {_share(plain)}; with 5.0 γ = {_share(wide)}"
    )


def _normalised(e: Evidence) -> str:
    left = e.left("kl", "rloo", beta=0.05, normalize_advantages=True)
    return (
        "the KL is in the reward, and where all of a group are right or all wrong it alone is "
        f"scaled to deviation 1: its part is no combination of the KLs ({left:.0f} % is left)"
    )


def _online(e: Evidence) -> str:
    far = [
        e.distance("kl_policy_ref", "online-dpo", loss_type="sigmoid", beta=b) for b in (0.1, 1.0)
    ]
    ipo = _share(e.gamma("online-dpo", loss_type="ipo", beta=0.1))
    return (
        f"`ipo`: V − {ipo}·KL(π_θ‖π_ref), exactly; `sigmoid`: V − (β/2)·KL(π_θ‖π_ref), to "
        f"{far[0]:.1g} % at β = .1 and {far[1]:.0f} % at 1: one β, γ four times apart"
    )


QUOTES: tuple[tuple[str, str, str, Callable[[Evidence], str]], ...] = (
    ("GRPOConfig", "beta", "KL coefficient.", lambda e:
        "γ = β of E f(V) − γKL with every `loss_type` but `cispo`, on responses of one length; "
        "which KL, two other settings decide: see the first table"),
    ("GRPOConfig", "use_bias_correction_kl",
        "so that the KL gradient becomes the unbiased reverse-KL gradient", _corrected),
    ("GRPOConfig", "use_bias_correction_kl",
        'The unbiased reverse-KL property holds for `importance_sampling_level="token"`',
        _token_level),
    ("GRPOConfig", "loss_type, dapo", "to eliminate length bias.", _dapo),
    ("GRPOConfig", "loss_type, dr_grpo",
        "normalizing with a global constant", lambda _: "∇f(V), whatever the lengths"),
    ("GRPOConfig", "loss_type, grpo", "Not recommended due to length bias", lambda _:
        "E_θ f′(V)(r − V)/|y|, V held fixed: as said"),
    ("GRPOConfig", "scale_rewards, group", "ensuring unit variance within a group", lambda _:
        "f′ of the sample's deviation plus 1e-4, so (G − 1)/√G is its threshold and not √(G − 1)"),
    ("GRPOConfig", "scale_rewards, batch",
        "rewards are scaled by the standard deviation across the entire batch", _batch),
    ("GRPOConfig", "epsilon_high, with cispo",
        "If not specified, it defaults to the same value as the lower-bound", _cispo),
    ("RLOOConfig", "beta", "KL coefficient.", lambda e:
        f"V − {_share(e.gamma('rloo', beta=0.05))}·KL(π_θ‖π_ref) of whole responses, exactly"),
    ("RLOOConfig", "normalize_advantages",
        "to have mean `0.0` and standard deviation of `1.0`", _normalised),
    ("OnlineDPOConfig", "beta",
        "Higher β means less deviation from the reference model.", _online),
)  # fmt: skip


def told(data: dict[str, Any]) -> list[tuple[str, ...]]:
    """Rows of the table."""
    found = Evidence(data)
    return [
        (f"`{config}`: {option}", f"“{words}”", say(found)) for config, option, words, say in QUOTES
    ]
