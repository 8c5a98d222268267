"""The trainer's own loss terms under the audit: each follows what it is named after."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("transformers", reason="the extra llm is not installed")

from sailtheory.auditing import Kind, Sampling, audit_loss, library
from sailtheory.cli import main
from sailtheory.run_audit.audit import audit
from sailtheory.run_audit.read import read_run
from sailtheory.run_audit.standing import Standing
from sailtheory.training.llm import divergence, losses
from sailtheory.training.pairs import Pairs
from tests.support.llm_models import train

BETA = 0.5


def log_probs(batch):
    return [(log * batch.mask).sum(-1) for log in (batch.log_probs, batch.ref_log_probs)]


def mixture(**weights):
    """The trainer's loss on the pairs of a batch, which are the policy's or the data's."""

    def loss(batch):
        log, ref = log_probs(batch)
        pairs = Pairs(log[::2], log[1::2], ref[::2], ref[1::2])
        # Labelled pairs: the first is preferred, so that q = ½.
        q = torch.full_like(pairs.ref_first, 0.5)
        given = losses.Weights(beta=BETA, **weights)
        kl = divergence.kl_importance(log, ref).reshape(-1, 2).mean(-1)
        terms = losses.mixture(given, offline=pairs, on_policy=pairs, preference=q, kl=kl)
        return losses.total(terms)

    return loss


LABELLED = Sampling(labelled=True)
CASES = {
    "dpo": ({}, Sampling(source="ref", labelled=True), {"dpo": -1}),
    "sail-dpr": ({"g": 1.0}, LABELLED, {"sail": -1}),
    "online-dpo": ({"g": 1.0, "score_weight": 0.0}, LABELLED, {"sail_frozen": -1}),
    # J = J without its score term + the score term, of which a fifth is left.
    "a fifth of the score term": (
        {"g": 1.0, "score_weight": 0.2}, LABELLED, {"sail": -0.2, "sail_frozen": -0.8}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_methods(name):
    weights, sampling, expected = CASES[name]
    found = audit_loss(mixture(**weights), sampling=sampling, objectives=library(BETA)).finding
    assert found.kind is Kind.COMBINATION
    assert found.coefficients == pytest.approx(expected, rel=1e-8)


def test_both_divergences():
    """Without labels, whose draws are not the policy's: γ KL(π_ref‖π_θ) and ½ KL(π_θ‖π_ref)."""

    def loss(batch):
        log, ref = log_probs(batch)
        pairs = Pairs(log[::2], log[1::2], ref[::2], ref[1::2])
        kl = divergence.kl_importance(log, ref).reshape(-1, 2).mean(-1)
        weights = losses.Weights(kl_coef=0.3, policy_kl_coef=0.5)
        return losses.total(losses.divergences(weights, on_policy=pairs, kl=kl))

    found = audit_loss(loss).finding
    assert found.kind is Kind.COMBINATION
    assert found.coefficients == pytest.approx({"kl_ref_policy": 0.3, "kl_policy_ref": 0.5})


def test_the_published_term_is_no_divergence():
    def loss(batch):
        return divergence.kl_token_proxy(
            batch.logits, batch.ref_logits, batch.tokens, batch.mask
        ).mean()

    found = audit_loss(loss)
    assert found.finding.kind is Kind.NONE
    assert found.against("kl_ref_policy").bias > 0.5


def test_the_command_reads_a_run(tmp_path, capsys):
    """What the trainer records is what ``sailtheory audit`` asks for, presets resolved."""
    train(tmp_path, "online-dpo", max_steps=1, kl_coef=0.3)
    found = audit(read_run(tmp_path))
    assert [line.key for line in found.violated] == ["step"] and "adamw" in found["step"].why
    assert found["threshold"].standing is Standing.HOLDS
    assert found["score"].why.startswith("absent")
    assert main(["audit", str(tmp_path)]) == 1 and "π_ref is fixed" in capsys.readouterr().out
