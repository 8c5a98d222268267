"""Certificates: verdicts over the whole of C that another machine can check."""

from sailtheory.certify.certificate import Certificate, load
from sailtheory.certify.certify import certify_concave, certify_gamma, certify_pl
from sailtheory.certify.refine import Effort
from sailtheory.certify.replay import Replay, replay

__all__ = [
    "Certificate",
    "Effort",
    "Replay",
    "certify_concave",
    "certify_gamma",
    "certify_pl",
    "load",
    "replay",
]
