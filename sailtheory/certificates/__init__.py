"""Certificates: verdicts over the whole of C that another machine can check."""

from sailtheory.certificates.certificate import Certificate, load
from sailtheory.certificates.certify import certify_concave, certify_gamma, certify_pl
from sailtheory.certificates.refine import Budget
from sailtheory.certificates.replay import Replay, replay

__all__ = [
    "Budget",
    "Certificate",
    "Replay",
    "certify_concave",
    "certify_gamma",
    "certify_pl",
    "load",
    "replay",
]
