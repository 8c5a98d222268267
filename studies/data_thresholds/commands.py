"""One cell of a table: a problem through the four commands, each in a process of its own."""

from __future__ import annotations

import json
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from sailtheory.storage.files import write_text

SEED = 0
NAMES = {"instance": "gamma_star", "data": "k_data", "relative": "k_b", "closed_form": "closed"}


def cell(folder: Path, data: list[str], settings: dict[str, float], **limits: float) -> Any:
    """The thresholds of one problem; what ``folder`` has already is taken from there.

    Args:
        folder: Of this cell.
        data: The arguments of ``sailtheory problem`` for the data.
        settings: Further options of it by name: beta, radius, confidence or temperature.
        limits: ``time_limit`` of the certificate, in seconds.
    """
    done = folder / "cell.json"
    if done.exists():
        return json.loads(done.read_text(encoding="utf-8"))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    problem, certificate = str(folder / "problem"), folder / "certificate.json"
    paths = {name: folder / f"{name}.json" for name in ("import", "check")}
    spent = {
        "problem": run("problem", *data, *_options(settings), "--out", problem,
                       "--json", str(paths["import"]))[1],
        "check": run("check", problem, "--seed", str(SEED), "--json", str(paths["check"]))[1],
        "certify": run("certify", problem, "--property", "gamma", "--out", str(certificate),
                       *_options(limits), accept=(0, 3))[1],
    }  # fmt: skip
    said, spent["replay"] = run("replay", str(certificate), accept=(0, 1, 3))
    read = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in paths.items()}
    found = settings | summary(read["check"], json.loads(certificate.read_text(encoding="utf-8")))
    found |= {"import": read["import"], "cpu_seconds": spent,
              "replay": re.split(r"[:\s]", said.strip())[0]}  # fmt: skip
    found["differences"] = differences(folder / "problem")
    shutil.rmtree(problem)
    write_text(json.dumps(found, ensure_ascii=False), done)
    return found


def summary(check: dict[str, Any], certificate: dict[str, Any]) -> dict[str, Any]:
    """The thresholds, from the JSON that ``check`` and ``certify`` write."""
    thresholds, levels = check["thresholds"], certificate["levels"]
    return {name: thresholds[key] for key, name in NAMES.items()} | {
        "z_max": check["problem"]["z_max"],
        "diameter": check["problem"]["feature_diameter"],
        "search": check["relative_curvature"]["search"],
        "sail": check["concavity"]["sail"] | {"theta": None},
        "g_low": certificate["lower"], "g_high": levels[0]["gamma"],
        "g_most": levels[-1]["gamma"], "dropped": len(levels[-1]["dropped"]),
        "prompts": certificate["prompts"], "verdict": certificate["verdict"],
        "note": certificate["note"], "worst": certificate["worst"][:10],
    }  # fmt: skip


def differences(problem: Path) -> list[float]:
    """Quantiles 0, ½, .99 and 1 of ‖φ_k − φ_l‖ within prompts, the largest of each prompt."""
    from sailtheory.problem.folder import ProblemFolder

    largest: list[float] = []
    for chunk in ProblemFolder.open(str(problem)).chunks(1 << 26):
        phi = np.asarray(chunk.features, float)
        apart = np.linalg.norm(phi[:, :, None] - phi[:, None], axis=-1)
        largest += apart.max((1, 2)).tolist()
    return [float(v) for v in np.quantile(largest, [0, 0.5, 0.99, 1])]


def run(command: str, *arguments: str, accept: tuple[int, ...] = (0,)) -> tuple[str, float]:
    """What a command prints, and the CPU seconds it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "sailtheory", command, *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in accept:
        raise RuntimeError(f"{command} {' '.join(arguments)}: {done.stderr}")
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _options(values: dict[str, float]) -> list[str]:
    return [
        part for k, v in values.items() for part in (f"--{k.replace('_', '-')}", format(v, "g"))
    ]
