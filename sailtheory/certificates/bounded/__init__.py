"""Certified bounds of γ* in closed form, prompt by prompt, for any objective that has them."""

from sailtheory.certificates.bounded.certificate import BoundCertificate
from sailtheory.certificates.bounded.certify import certify_bound
from sailtheory.certificates.bounded.replay import replay_bound

__all__ = ["BoundCertificate", "certify_bound", "replay_bound"]
