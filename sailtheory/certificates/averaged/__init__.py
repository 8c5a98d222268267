"""Certificates of averages over prompts of two responses: γ* below ḡ (C26)."""

from sailtheory.certificates.averaged.certificate import AveragedCertificate
from sailtheory.certificates.averaged.certify import certify_averaged
from sailtheory.certificates.averaged.replay import replay_averaged

__all__ = ["AveragedCertificate", "certify_averaged", "replay_averaged"]
