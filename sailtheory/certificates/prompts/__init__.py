"""Certificates by prompt: ḡ and K_data for any dimension and many prompts (C23, C25)."""

from sailtheory.certificates.prompts.certificate import Level, PromptCertificate
from sailtheory.certificates.prompts.certify import Plan, certify_prompts
from sailtheory.certificates.prompts.parallel import Workers
from sailtheory.certificates.prompts.replay import replay_prompts

__all__ = [
    "Level",
    "Plan",
    "PromptCertificate",
    "Workers",
    "certify_prompts",
    "replay_prompts",
]
