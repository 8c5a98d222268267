"""Theorems with one constant, sign or hypothesis changed, and by how much each is false."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from proofs_check.formal import witnesses as w


@dataclass(frozen=True)
class Mutant:
    """One falsehood.

    Attributes:
        file: The source that states it, without the suffix.
        old: Text of a statement or definition, found once.
        new: What replaces it.
        excess: By how much the mutated statement fails at its witness; > 0 shows it false.
    """

    file: str
    old: str
    new: str
    excess: Callable[[], float]


def _m(file: str, old: str, new: str, excess: Callable[..., float], *arguments: float) -> Mutant:
    return Mutant(file, old, new, partial(excess, *arguments))


_TWO = "C23_two_responses"
_C11 = "C11_relative_curvature"
_C11_TEXT = "J'' Q v v x <= (2 * (b - J Q x) + 2 * b_^2 * h) * fisher Q x v."
_C36_TEXT = "dpo' v v x <= (2 * b_ * sigma Z - 2 * b_^2 * sigma' Z) * fisher Q x v."
_C35_TEXT = "value'' Q G G1 G2 b b x <= (2 * (c - value Q G x) + 2 * b_^2 * h) * fisher Q x b."

MUTANTS = (
    _m("Prompt", "fisher x b <= w^2 / 4.", "fisher x b <= w^2 / 8.", lambda: 1 / 4 - 1 / 8),
    _m(
        "Problem",
        "fisher_form P th v <= (diameter P)^2 / 4 * norm2 d v.",
        "fisher_form P th v <= (diameter P)^2 / 8 * norm2 d v.",
        lambda: 1 / 4 - 1 / 8,
    ),
    _m(
        "Problem",
        "+ radius P * norm (dim P) (difference P x k l)).",
        "+ radius P / 2 * norm (dim P) (difference P x k l)).",
        lambda: abs(0.1 * 1.0) - 0.1 * 0.5,
    ),
    _m(
        "Problem",
        "  exp (- (diameter P * radius P)) * fisher_form P (center P) v <= fisher_form P th v.",
        "  exp (- (diameter P * radius P) / 2) * fisher_form P (center P) v <= fisher_form P th v.",
        w.fisher_decay,
        0.5,
    ),
    _m(
        "C01_gradient",
        "+ beta Q * u Q x k l * minus_score b k l).",
        "+ 2 * beta Q * u Q x k l * minus_score b k l).",
        w.gradient_term,
        1.0,
    ),
    _m(
        "C02_hessian",
        "  - 2 * J Q x * fisher2 Q x b c.",
        "  - J Q x * fisher2 Q x b c.",
        w.hessian_term,
        1.0,
    ),
    _m("C02_hessian", "- 6 * E x (effect x)", "- 5 * E x (effect x)", w.pair_form, 5.0),
    _m(
        "C03_reference_hessian",
        "(pbar k - / 2 - beta Q / 8) * (score Q r b k)^2).\nProof.",
        "(pbar k - / 2 - beta Q / 4) * (score Q r b k)^2).\nProof.",
        w.at_reference,
        1 / 4,
    ),
    _m(
        "C04_concavity",
        "first first (fun _ => 0) = 57/3200.",
        "first first (fun _ => 0) = 58/3200.",
        w.exact_difference,
        0.25,
        58 / 3200,
    ),
    _m(
        "C04_concavity",
        "beta_ / 9 * (4/3 - beta_).",
        "beta_ / 9 * (5/3 - beta_).",
        w.one_winner,
        5 / 3,
    ),
    _m(
        "C05_at_reference",
        "pbar Q k < / 2 + beta Q / 8) ->",
        "pbar Q k < / 2 + beta Q / 4) ->",
        w.positive_at_reference,
        3.9,
    ),
    _m("C05_at_reference", "4 <= beta Q ->", "3 <= beta Q ->", w.positive_at_reference, 3.0),
    _m("C05_at_reference", "0 < beta_ < 4 ->", "0 < beta_ < 5 ->", w.negative_at_reference, 4.5),
    _m(
        "C07_kl_hessian",
        "E Q x b - E Q (ref Q) b.\n\nTheorem",
        "E Q x b + E Q (ref Q) b.\n\nTheorem",
        w.kl_gradient,
        1.0,
    ),
    _m(
        "C08_other_kl",
        "shift_from_ref x l <= 1) ->",
        "shift_from_ref x l <= 2) ->",
        lambda: -w.other_kl(1.0),
    ),
    _m(
        "C08_other_kl", "<= - 2197 / 10000.", "<= - 2198 / 10000.", lambda: w.other_kl(1.0) + 0.2198
    ),
    _m(
        "C09_fisher_floor",
        "  exp (- r) * fisher Q x' b <= fisher Q x b.",
        "  exp (- r / 2) * fisher Q x' b <= fisher Q x b.",
        w.fisher_decay,
        0.5,
    ),
    _m(_C11, _C11_TEXT, _C11_TEXT.replace("2 * b_^2", "1 * b_^2"), w.relative_constant, 2.0, 1.0),
    _m(_C11, _C11_TEXT, _C11_TEXT.replace("(2 * (b", "(1 * (b"), w.relative_constant, 1.0, 2.0),
    _m(_C11, "- J Q x <= / 2 * (ln 2", "- J Q x <= / 3 * (ln 2", w.value_floor, 1 / 3),
    _m(_C11, "J Q x <= log_sigma (Z / 2).", "J Q x <= log_sigma (Z / 8).", w.value_ceiling, 1 / 8),
    _m(
        _C11,
        "Z + ln (2 * sigma Z) + 4 * beta * sigma Z",
        "Z + ln (2 * sigma Z) + 3 * beta * sigma Z",
        w.closed_form,
        3.0,
    ),
    _m(
        _C11,
        "+ 4 * beta * sigma Z + beta^2 / 2.",
        "+ 3 * beta * sigma Z + beta^2 / 2.",
        w.lower_side,
        3.0,
    ),
    _m(
        _C11,
        "K_closed beta Z <= 3 / 2 * Z + 4 * beta.",
        "K_closed beta Z <= 3 / 2 * Z + beta.",
        lambda: 2 * 0.1 - 0.01 / 2 - 0.1,
    ),
    _m(
        "C11_c_zero",
        "(-2 * J Q x + 2 * (26202/100000) * (beta Q)^2)",
        "(-2 * J Q x + 1 * (26202/100000) * (beta Q)^2)",
        w.pointwise,
        0.26202,
    ),
    _m(
        "C11_c_zero",
        "s * (1 - s) <= 26202/100000.\nProof.\n  intros s [H0",
        "s * (1 - s) <= 26201/100000.\nProof.\n  intros s [H0",
        w.c_zero,
        0.26201,
    ),
    _m(
        "C12_strong_concavity",
        "(gamma + Km) * (diameter P)^2 / 4.",
        "(gamma + Km) * (diameter P)^2 / 8.",
        lambda: w.smooth_modulus(8.0),
    ),
    _m(
        "C12_strong_concavity",
        "(gamma - K) * exp (- (diameter P * radius P)) * lambda_min P.",
        "(gamma - K) * exp (- (diameter P * radius P) / 2) * lambda_min P.",
        lambda: w.strong_modulus(0.5),
    ),
    _m(
        "C12_strong_concavity",
        "(3 / 2 * (diameter P *",
        "(1 / 2 * (diameter P *",
        lambda: w.closed_threshold(0.5),
    ),
    _m(
        "Ascent",
        "2 * mu * (f y - f a) <= norm2 (grad a).",
        "4 * mu * (f y - f a) <= norm2 (grad a).",
        lambda: 4 * 0.5 - 1.0,
    ),
    _m(
        "Ascent",
        "exists y, C y /\\ mu / Lam * (f q - f a) <=",
        "exists y, C y /\\ 2 * (mu / Lam) * (f q - f a) <=",
        lambda: 2 * 0.5 - 0.5,
    ),
    _m(
        "Ascent",
        "  forall k, f q - f (th k) <= (1 - mu / Lam)^k",
        "  forall k, f q - f (th k) <= (1 - 2 * (mu / Lam))^k",
        w.smooth_quadratic,
        2.0,
        1.0,
        4.0,
    ),
    _m("Ascent", "f 1 <= f 0 + f1 0 + M / 2.", "f 1 <= f 0 + f1 0 + M / 4.", lambda: 1 - 2 / 4),
    _m(
        "C16_stochastic_ascent",
        "* norm2 (vsub th best) + V / mu.\nProof.",
        "* norm2 (vsub th best) + V / (4 * mu).\nProof.",
        lambda: 1 / 2 - 1 / 4,
    ),
    _m(
        "C19_bias",
        "ln ((exp r - 1) / r) - 1 + r",
        "ln ((exp r - 1) / r) - 2 + r",
        w.range_constant,
        1.0,
        1.0,
    ),
    _m("C19_bias", "KL Q x <= r^2 / 8.", "KL Q x <= r^2 / 9.", w.hoeffding, 1 / 9),
    _m(
        "C19_bias",
        "K_range r <= r^2 / 8 /\\",
        "K_range r <= r^2 / 9 /\\",
        lambda: w.range_constant(0.1, 0.0, 0.0) - 0.01 / 9,
    ),
    _m(
        "C20_price",
        "mean_KL P th <= ln 2 / gamma.",
        "mean_KL P th <= ln 2 / (2 * gamma).",
        w.price_of_kl,
        0.5,
    ),
    _m(
        "C20_price",
        "J_gamma P gamma (reference P) <= 4 * (temperature P)^2 / c",
        "J_gamma P gamma (reference P) <= (temperature P)^2 / c",
        w.gain,
        1.0,
    ),
    _m(
        "C23_reduction",
        "  (forall v, in_S_of P x v -> span d (other_differences x) v"
        " -> same d v (fun _ => 0)) ->\n",
        "",
        w.opposite_prompts,
    ),
    _m(_TWO, "* (1 - 6 * (s * (1 - s)))", "* (1 - 5 * (s * (1 - s)))", w.two_responses, 5.0, 4.0),
    _m(_TWO, "+ 4 * beta * pair_slope p", "+ 2 * beta * pair_slope p", w.two_responses, 6.0, 2.0),
    _m(
        "C25_data_dependent",
        "- (J Q x + ln 2) <= / 2 * (ln",
        "- (J Q x + ln 2) <= / 3 * (ln",
        w.data_value,
        1 / 3,
    ),
    _m(
        "C25_data_dependent",
        "(1 - / INR m) * g.",
        "(1 - 3 / 2 * / INR m) * g.",
        w.data_value_max,
        1 / 4,
    ),
    _m(
        "C30_reward",
        "reward'' v v x <= (high - reward x) * fisher Q x v.",
        "reward'' v v x <= (high - reward x) / 2 * fisher Q x v.",
        w.rare_reward,
        0.5,
    ),
    _m(
        "C31_pass_rate",
        "rate'' v v x <= (1 - reward Q r x) * g (reward Q r x) * fisher Q x v.",
        "rate'' v v x <= (1 - reward Q r x) / 2 * g (reward Q r x) * fisher Q x v.",
        w.rare_reward,
        0.5,
    ),
    _m(
        "C31_pass_rate",
        "Hypothesis upper_falls : forall v, 0 <= v <= 1 -> (1 - v) * g1 v <= g v.",
        "Hypothesis upper_falls : forall v, 0 <= v <= 1 -> (1 - v) * g1 v <= 2 * g v.",
        w.steep_slope,
    ),
    _m(
        "C32_group_advantage",
        "Rabs (group' v v x) <= sqrt (INR G - 1) * fisher Q x v.",
        "Rabs (group' v v x) <= sqrt (INR G - 1) / 2 * fisher Q x v.",
        w.group_of_two,
        0.5,
    ),
    _m(
        "C35_any_payoff",
        _C35_TEXT,
        _C35_TEXT.replace("(2 * (c", "(1 * (c"),
        w.relative_constant,
        1.0,
        2.0,
    ),
    _m(
        "C35_any_payoff",
        _C35_TEXT,
        _C35_TEXT.replace("2 * b_^2", "1 * b_^2"),
        w.relative_constant,
        2.0,
        1.0,
    ),
    _m(
        "C36_no_score_term",
        _C36_TEXT,
        _C36_TEXT.replace("(2 * b_ *", "(b_ *"),
        w.no_score,
        1.0,
    ),
    _m(
        "C36_no_score_term",
        "dpo' v v x <= 2 * b_ * fisher Q x v.",
        "dpo' v v x <= b_ * fisher Q x v.",
        w.no_score,
        1.0,
    ),
)
