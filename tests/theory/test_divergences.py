"""c(R) against brute force typed afresh, and the parts of each divergence against 50 digits."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest

from sailtheory.errors import InputError
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.theory.divergences import DIVERGENCES, divergence, divergence_threshold

AFRESH = {
    "kl-ref": lambda w: -mp.log(w),
    "chi2-ref": lambda w: 1 / w - 1,
    "kl-policy": lambda w: w * mp.log(w),
    "chi2": lambda w: (w - 1) ** 2,
    "chipo": lambda w: (w - 1) ** 2 / 2 + w * mp.log(w),
    "js": lambda w: (w * mp.log(w) - (1 + w) * mp.log((1 + w) / 2)) / 2,
    "alpha=-0.5": lambda w: w ** mp.mpf("-0.5") * 4 / 3,
    "alpha=3": lambda w: w**3 / 6,
}


@pytest.mark.parametrize("name", AFRESH)
def test_parts_against_fifty_digits(name):
    """f' up to a constant, which changes nothing: k − E f' is compared."""
    w = np.array([0.2, 0.9, 3.0])
    _, slope, bend, third = divergence(name).parts(FLOAT64, np.log(w))
    with mp.workdps(50):
        f = AFRESH[name]
        exact = [(mp.diff(f, x), mp.diff(lambda t: t * mp.diff(f, t), x)) for x in map(mp.mpf, w)]
        for i in range(3):
            shift = exact[0][0] - slope[0]
            assert abs(slope[i] + shift - exact[i][0]) < 1e-12 * (1 + abs(exact[i][0]))
            assert abs(bend[i] + shift - exact[i][1]) < 1e-12 * (1 + abs(exact[i][1]))
        _, _, up, _ = divergence(name).parts(FLOAT64, np.log(w) + 1e-6)
    np.testing.assert_allclose((up - bend) / 1e-6, third, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [*AFRESH, "alpha=0.5"])
@pytest.mark.parametrize("reach", [0.4, 1.0])
def test_no_law_is_less_convex(name, reach):
    """Random laws of w with E_θ[1/w] = 1, a rare direction anywhere: two-point laws reach c."""
    made = divergence(name)
    if reach > made.up_to:
        return
    rng, found = np.random.default_rng(0), []
    for q in [1 - 1e-9, 1 - 1e-6, *rng.random(400)]:
        logits = np.array([0.0, reach])
        for chance in (np.array([1 - q, q]), np.array([q, 1 - q])):
            w = np.exp(logits) * (chance * np.exp(-logits)).sum()  # E_θ[1/w] = 1
            _, slope, bend, _ = made.parts(FLOAT64, np.log(w))
            found.append((bend - chance @ slope).min())
    c = float(made.convexity(FLOAT64, np.float64(reach)))
    assert c - 1e-12 <= min(found) <= c + 1e-3


def test_radii_are_where_c_vanishes():
    for name in ("kl-policy", "chi2", "chipo", "js", "alpha=0.5", "alpha=3"):
        made = divergence(name)
        assert abs(float(made.convexity(FLOAT64, np.float64(made.radius)))) < 1e-9
    assert DIVERGENCES["chipo"].radius == pytest.approx(float(mp.lambertw(2)))
    assert DIVERGENCES["js"].radius == pytest.approx(1.1973, abs=5e-5)


def test_thresholds_and_refusals():
    assert divergence_threshold(3.0, 0.5) == 6 and divergence_threshold(3.0, -1.0) == np.inf
    assert divergence_threshold(-1.0, 0.5) == 0
    for wrong in ("chi", "alpha=1", "alpha=0", "alpha=x", "alpha=inf"):
        with pytest.raises(InputError):
            divergence(wrong)
