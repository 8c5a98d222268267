"""Checking a certificate by prompt again: every prompt once, in the order of the data."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import numpy as np

from sailtheory.certificates.prompts.certificate import Level, PromptCertificate
from sailtheory.certificates.prompts.check import all_below
from sailtheory.certificates.prompts.parallel import Workers
from sailtheory.certificates.prompts.survey import Digest, chunks
from sailtheory.certificates.prompts.witness import lower_bound
from sailtheory.certificates.replay import Replay
from sailtheory.numeric.exact import to_fraction
from sailtheory.problem.reduced import BUDGET, ROUNDING, Chunk, PromptSource, reduce_chunk

__all__ = ["replay_prompts"]

_TASK = 250


def replay_prompts(
    certificate: PromptCertificate,
    source: PromptSource,
    workers: Workers | None = None,
    progress: Callable[[str], None] = lambda line: None,
    memory: int = BUDGET,
) -> Replay:
    """Show again what a certificate claims of a source of prompts.

    Args:
        certificate: The claim.
        source: The data.
        workers: Who does the work.
        progress: Receives one line at a time.
        memory: Bytes that the features in memory at one time may take.
    """
    began = time.monotonic()
    checked = _Check(certificate, source, workers or Workers(), progress)
    reason = _malformed(certificate) or checked.stream(memory)
    said = f"gamma {certificate.verdict}: {checked.shown()}"
    return Replay(not reason, reason or said, checked.proved, time.monotonic() - began)


def _malformed(certificate: PromptCertificate) -> str:
    """What a claim needs and the certificate does not contain."""
    levels, lower, witness = certificate.levels, certificate.lower, certificate.witness
    if certificate.verdict == "certified" and certificate.moving and not levels:
        return "a certified verdict needs its γ"
    if (lower is None) != (witness is None):
        return "a lower bound of ḡ needs a witness, and a witness its bound"
    if levels and levels[0].dropped:
        return "the first level holds for every prompt"
    if any(b.gamma > a.gamma for a, b in pairwise(levels)):
        return "a later level is no higher than the one before"
    if lower is not None and levels and lower > levels[0].gamma:
        return "the lower bound of ḡ exceeds the upper one"
    return ""


class _Check:
    """One pass over the data."""

    def __init__(
        self, certificate: PromptCertificate, source: PromptSource, workers: Workers,
        progress: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.certificate, self.source, self.workers = certificate, source, workers
        self.progress = progress
        exact = to_fraction(source.beta, "beta")
        beta = float(exact)
        off = 0.0 if Fraction(beta) == exact else 2 * ROUNDING * beta
        self.beta = (beta, off)
        self.proved = self.moving = 0
        self.dropped = [set(level.dropped) for level in certificate.levels]
        self.weight, self.lost = 0.0, 0.0
        self.witnessed = certificate.witness is None

    def stream(self, memory: int) -> str:
        """The first thing that is wrong, or ""."""
        digest = Digest(self.source)
        for chunk in chunks(self.source, memory):
            digest.add(chunk)
            wrong = self._chunk(chunk)
            if wrong:
                return wrong
            self.progress(f"{len(digest)} of {self.certificate.prompts} prompts")
        if digest.hex() != self.certificate.data:
            return "the data are others than those of the certificate"
        if (len(digest), self.moving) != (self.certificate.prompts, self.certificate.moving):
            return "the data have another number of prompts"
        return "" if self.witnessed else "the witness is of no prompt of the data"

    def _chunk(self, chunk: Chunk) -> str:
        prompts, weights = np.asarray(chunk.prompts), np.asarray(chunk.weights, dtype=float)
        self.weight += float(weights.sum())
        if self.dropped:
            out = np.isin(prompts, list(self.dropped[-1]))
            self.lost += float(weights[out].sum())
        witness = self.certificate.witness
        if witness is not None and (prompts == witness.prompt).any():
            one = Chunk(*(np.asarray(values)[prompts == witness.prompt] for values in chunk))
            if not self._witness_shows(one):
                return "the witness does not show the lower bound of ḡ"
            self.witnessed = True
        data = reduce_chunk(self.source, chunk)
        data = data.take(data.moves)
        self.moving += len(data.prompts)
        if not self.certificate.levels or not len(data.prompts):
            return ""
        gamma = _levels_of(data.prompts, self.certificate.levels)
        parts = [slice(i, i + _TASK) for i in range(0, len(gamma), _TASK)]
        tasks = [(data.take(part), self.beta, gamma[part]) for part in parts]
        for i, shown in self.workers.run(all_below, tasks):
            if not shown.all():
                prompt = data.prompts[parts[i]][~shown][0]
                level = gamma[parts[i]][~shown][0]
                return f"γ*_x ≤ {level:.9g} is not shown for prompt {prompt}"
            self.proved += len(shown)
        return ""

    def _witness_shows(self, chunk: Chunk) -> bool:
        witness, lower = self.certificate.witness, self.certificate.lower
        m = chunk.features.shape[1]
        assert witness is not None and lower is not None
        if witness.point.shape != (m - 1,) or witness.direction.shape != (m - 1,):
            return False
        return lower_bound(self.source, chunk, witness) >= lower

    def shown(self) -> str:
        """What an acceptance rests on."""
        if not self.moving:
            return "no policy depends on θ"
        said = f"{self.proved} prompts hold in ball arithmetic"
        if len(self.dropped) > 1:
            said += f", all but {self.lost / self.weight:.2%} of the weight at the second level"
        return said


def _levels_of(prompts: np.ndarray, levels: tuple[Level, ...]) -> np.ndarray:
    """The lowest γ that is claimed of each prompt."""
    gamma = np.full(len(prompts), levels[0].gamma)
    for level in levels[1:]:
        gamma[~np.isin(prompts, level.dropped)] = level.gamma
    return gamma
