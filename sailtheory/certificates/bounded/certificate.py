"""What was shown of an objective by its own bounds, as a file that can be checked again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from sailtheory.certificates.certificate import digest, require_unaltered
from sailtheory.errors import InputError
from sailtheory.numeric.exact import to_fraction
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.shown import Shown
from sailtheory.storage.files import write_text

__all__ = ["SCHEMA", "BoundCertificate", "data_digest", "parse"]

SCHEMA = "sailtheory.bound-certificate/1"
_KEYS = {
    "schema", "verdict", "property", "objective", "title", "options", "gamma", "prompts", "lower",
    "witness", "note", "version", "problem", "data", "seconds", "digest",
}  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class BoundCertificate(Shown):
    """What was shown.

    Attributes:
        verdict: ``certified``, ``refuted`` or ``undecided``.
        kind: ``gamma`` (γ* lies between ``lower`` and ``gamma``) or ``concave`` (at ``gamma``).
        objective: Its name.
        title: What it is called.
        options: Its options.
        gamma: Above γ*, or the γ that was asked about; exact.
        prompts: The bound of each prompt alone, (n,); None where there is none.
        lower: A γ at which the witness shows convexity, exact; None without a witness.
        witness: θ in C and a direction along which it is seen.
        data: SHA-256 of the problem.
        problem: Its path; empty where it was none.
        note: What a reader should know, one line.
        seconds: Time that it took.
    """

    verdict: str
    kind: str
    objective: str
    title: str
    options: Mapping[str, Any]
    gamma: Fraction | None
    prompts: np.ndarray | None
    lower: Fraction | None
    witness: tuple[np.ndarray, np.ndarray] | None
    data: str
    problem: str = ""
    note: str = ""
    seconds: float = field(default=0.0, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """JSON form, with a digest of everything else in it."""
        from sailtheory import __version__

        out: dict[str, Any] = {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "property": self.kind,
            "objective": self.objective,
            "title": self.title,
            "options": dict(self.options),
            "gamma": None if self.gamma is None else str(self.gamma),
            "prompts": None if self.prompts is None else [float(b) for b in self.prompts],
            "lower": None if self.lower is None else str(self.lower),
            "witness": None if self.witness is None else [v.tolist() for v in self.witness],
            "note": self.note,
            "version": __version__,
            "problem": self.problem,
            "data": self.data,
            "seconds": round(self.seconds, 3),
        }
        return out | {"digest": digest(out)}

    def save(self, path: str | Path) -> None:
        """Write JSON, atomically."""
        text = json.dumps(self.as_dict(), ensure_ascii=False, allow_nan=False)
        write_text(text + "\n", path, "out")


def data_digest(problem: PreferenceProblem) -> str:
    """SHA-256 of everything that an objective can see of a problem."""
    found = sha256()

    def add(values: Any) -> None:
        array = np.asarray(values)
        exact = array.dtype == object
        found.update(f"{array.shape}{array.dtype}".encode())
        found.update(repr(array.tolist()).encode() if exact else np.ascontiguousarray(array).data)

    for part in (problem.center, problem.given_ref_params, problem.weights):
        add(part)
    add(np.array([str(problem.radius), str(problem.beta)]))
    for x, features in enumerate(problem.features):
        add(features)
        base = problem.base[x]
        add([] if base is None else base)
        if problem.response_rewards is not None:
            add(problem.response_rewards[x])
        if problem.states_preferences:
            add(np.array([repr(problem.preferences[x])]))
    return found.hexdigest()


def parse(data: dict[str, Any]) -> BoundCertificate:
    """A certificate from its JSON form.

    Raises:
        InputError: Keys are unknown or missing, values malformed, or the digest differs.
    """
    require_unaltered(data, _KEYS)
    allowed = {"verdict": ("certified", "refuted", "undecided"), "property": ("gamma", "concave")}
    for key, values in allowed.items():
        if data[key] not in values:
            raise InputError(key, data[key], f"one of {', '.join(values)} is expected")
    for key in ("objective", "title", "note", "problem", "data"):
        if not isinstance(data[key], str):
            raise InputError(key, data[key], "text is expected")
    if not isinstance(data["options"], dict):
        raise InputError("options", data["options"], "a mapping is expected")
    witness = data["witness"]
    if witness is not None and not (isinstance(witness, list) and len(witness) == 2):
        raise InputError("witness", witness, "a point and a direction are expected")
    return BoundCertificate(
        data["verdict"], data["property"], data["objective"], data["title"], data["options"],
        _exact(data, "gamma"),
        None if data["prompts"] is None else _numbers(data["prompts"], "prompts"),
        _exact(data, "lower"),
        None if witness is None
        else (_numbers(witness[0], "witness"), _numbers(witness[1], "witness")),
        data["data"], data["problem"], data["note"],
        float(_numbers([data["seconds"]], "seconds")[0]),
    )  # fmt: skip


def _exact(data: dict[str, Any], key: str) -> Fraction | None:
    return None if data[key] is None else to_fraction(data[key], key)


def _numbers(values: Any, key: str) -> np.ndarray:
    """A list of finite numbers."""
    good = isinstance(values, list) and all(
        isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) < 1e300 for v in values
    )
    if not good:
        raise InputError(key, "malformed", "a list of finite numbers is expected")
    return np.array(values, dtype=float)
