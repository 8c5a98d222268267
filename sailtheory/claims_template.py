"""``sailtheory new-claims NAME``: a package with claims of one's own, to be edited."""

from __future__ import annotations

import keyword
from pathlib import Path

from sailtheory.errors import InputError
from sailtheory.storage.files import write_text

__all__ = ["new_claims"]

_FILES = {
    "pyproject.toml": """[build-system]
requires = ["setuptools>=68"]
build-backend = "setuptools.build_meta"

[project]
name = "NAME"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["sailtheory"]

[project.optional-dependencies]
dev = ["pytest"]

[project.entry-points."sailtheory.claims"]
NAME = "NAME.claims:all_claims"

[tool.setuptools.package-data]
NAME = ["expected.toml"]
""",
    "NAME/__init__.py": '"""Claims of a paper, checked by `sailtheory verify`."""\n',
    "NAME/expected.toml": """# Written before any check: the verdict that an honest check must end
# with, and the highest strength that its evidence can have.

[TAG01]
verdict = "holds"
strength = "supported"
""",
    "NAME/claims.py": '''"""TAG01, to be replaced by your claims: DPO is convex."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from sailtheory import DPO, SAIL, Objective, PreferenceProblem, examples
from sailtheory.claims import Claim, Context, Falsehood, expectations
from sailtheory.landscape import Domain, largest_curvature
from sailtheory.objectives.curvature_sign import curvature_sign
from sailtheory.objectives.payoff import PayoffObjective
from sailtheory.theory.payoffs import named_payoff
from sailtheory.verdict import Evidence, Outcome, Strength, Witness

PROBLEMS = ("bradley-terry", "tabular")
_POINTS = {"quick": 50, "full": 2000}


def concave(
    make: Callable[[PreferenceProblem], Objective], says: str, context: Context
) -> Iterator[Evidence]:
    """Is the objective concave at random points? A curvature > 0 is confirmed in balls."""
    tried = 0
    for name in PROBLEMS:
        problem = examples.load(name)
        objective, domain = make(problem), Domain(problem)
        spread = domain.starts(_POINTS[context.effort], context.rng(f"TAG01 {name}"))
        theta = domain.embed(spread)
        values, directions = largest_curvature(objective, domain, theta)
        tried += len(theta)
        worst = int(np.argmax(values))
        at, v = theta[worst], directions[worst]

        def replay(at: np.ndarray = at, v: np.ndarray = v, made: Objective = objective) -> bool:
            return curvature_sign(made, at, v) > 0

        if values[worst] > 0 and replay():
            witness = Witness(problem, at, f"{says}: curvature > 0", float(values[worst]), replay)
            found = f"{says}: curvature {values[worst]:.3g} on {name}"
            yield Evidence("exact", found, Outcome.REFUTED, Strength.PROVED, witness)
            return
    yield Evidence("sampled", f"{says}: {tried} points", Outcome.HOLDS, Strength.SUPPORTED)


def _false(name: str, says: str, make: Callable[[PreferenceProblem], Objective]) -> Falsehood:
    """A statement close to the claim, which the same check has to refute."""
    return Falsehood(name, says, lambda context: concave(make, says, context))


PLANTED = (
    _false("on-policy", "J with pairs from the policy itself is concave too", SAIL),
    _false("squares", "with squares for the logistic loss it is, on-policy",
           lambda p: PayoffObjective(p, named_payoff("ipo"))),
    _false("sign", "DPO's loss is concave", lambda p: -DPO(p)),
)


def all_claims() -> list[Claim]:
    """What the entry point registers."""
    return [Claim(
        id="TAG01",
        title="DPO's population objective is concave in log-linear policies",
        statement=r"\\nabla^2 \\mathbb{E}_{\\pi_{ref}}[\\log\\sigma(z)] \\preceq 0",
        source="Rafailov et al., 2305.18290: logistic regression on log-ratios",
        hypotheses=("log-linear policies", "pairs from a fixed law"),
        check=lambda context: concave(DPO, "DPO is concave", context),
        planted=PLANTED,
        **expectations(__package__)["TAG01"],
    )]
''',
    "tests/test_claims.py": '''"""Each claim ends as expected; each planted falsehood is refuted."""

import pytest

from NAME.claims import all_claims
from sailtheory.claims import Context, run
from sailtheory.verdict import Outcome, conclude

CLAIMS = all_claims()
PLANTED = [wrong for claim in CLAIMS for wrong in claim.planted]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda c: c.id)
def test_it_ends_as_expected(claim):
    verdict = run(claim, Context()).verdict
    assert verdict.outcome is claim.expected
    assert verdict.strength.rank <= claim.reachable.rank
    assert len(claim.planted) >= 2


@pytest.mark.parametrize("wrong", PLANTED, ids=lambda w: w.name)
def test_a_falsehood_is_refuted_and_replays(wrong):
    verdict = conclude(wrong.check(Context()))
    assert verdict.outcome is Outcome.REFUTED
    assert verdict.witness.replay()
''',
    "README.md": """# NAME

Claims for `sailtheory verify`. Install with `pip install -e .[dev]`, then

    pytest
    sailtheory verify --claims TAG01

1. Write the expected verdict into `NAME/expected.toml` before the check.
2. Write the check in `NAME/claims.py`. Evidence says what it rests on: proved, certified or
   supported.
3. Plant false variants that the same check must refute. One that is never refuted is no check.
""",
}


def new_claims(name: str, folder: str | Path | None = None) -> Path:
    """Write the package.

    Args:
        name: Of the package, an identifier in lower case.
        folder: Where; by default a new folder of that name.

    Returns:
        The folder.

    Raises:
        InputError: A name that is no package's, or a folder that exists and is not empty.
    """
    if not (name.isidentifier() and name.islower() and name.isascii()) or keyword.iskeyword(name):
        raise InputError("name", name, "a name of small letters, digits and _, as a package has")
    if name in ("sailtheory", "proofs_check"):
        raise InputError("name", name, "a name that is not taken")
    root = Path(folder or name)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise InputError("out", root, "a folder that does not exist, or is empty")
    tag = name.replace("_", "").upper()[:12]
    for path, text in _FILES.items():
        place = root / path.replace("NAME", name)
        place.parent.mkdir(parents=True, exist_ok=True)
        write_text(text.replace("NAME", name).replace("TAG", tag), place, "out")
    return root
