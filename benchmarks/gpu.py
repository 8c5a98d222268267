"""Every check of the project that wants a GPU, in one script of at most eight minutes.

``python -m benchmarks.gpu --out FILE [--seconds S] [--device cuda|cpu] [--small] [--only NAME …]``

``hessians``: batched closed-form Hessians against the CPU's; ``curvature``: Hessian products of
networks of a million parameters against the CPU's, and their time against gradients; ``sac``: ten
seeds at 2×1024 in one stack against ten agents of stable-baselines3, one update each;
``language_model``: steps of ``SAILTrainer`` against TRL's. Each tells whether the device's numbers
are the CPU's (``passed``; None where there is none to compare) and how fast it is. The file is
written whole after each check, so a run that is stopped leaves what is done; a check that fails
or exceeds its time says so, and the others go on. The exit status is 1 if one has failed.

Studies that need hours are scripts of their own, which resume: ``python -m studies.smollm_online``
and ``sailtheory train control --paper --device cuda --resume``.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

import sailtheory
from benchmarks.__main__ import problem
from benchmarks.results import save
from sailtheory import SAIL
from sailtheory.runs.machine import hardware, libraries

Result = dict[str, Any]


def wall() -> float:
    """Seconds, once the device has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def seconds(work: Callable[[], Any], rounds: int) -> float:
    """Median wall time of a call, after one that is not counted."""
    work()
    found = []
    for _ in range(rounds):
        began = wall()
        work()
        found.append(wall() - began)
    return float(np.median(found))


def apart(mine: torch.Tensor, wanted: torch.Tensor) -> float:
    """‖mine − wanted‖ / ‖wanted‖."""
    return float((mine.cpu().double() - wanted.double()).norm() / wanted.double().norm())


def hessians(device: str, small: bool) -> Result:
    """∇²J at many θ in one call, in float64."""
    count, rounds = (50, 1) if small else (100_000, 10)
    objective = SAIL(problem(1, 4, 3))
    theta = np.random.default_rng(0).normal(size=(count, 3))
    on_device = torch.tensor(theta, device=device)
    error = apart(objective.hessian(on_device), torch.tensor(objective.hessian(theta)))
    spent = seconds(lambda: objective.hessian(on_device), rounds)
    cpu = seconds(lambda: objective.hessian(theta), rounds)
    return {
        "passed": error < 1e-12, "relative_error": error, "hessians": count, "seconds": spent,
        "cpu_seconds": cpu,
    }  # fmt: skip


def curvature(device: str, small: bool) -> Result:
    """Products with the Hessian of J, in float32: 1e-3 is rounding of a sum of 10⁶ terms."""
    from benchmarks.curvature import KINDS, objective, product_against_gradient
    from sailtheory.curvature import HessianOperator

    found: Result = {"passed": True}
    for kind in KINDS[:1] if small else KINDS:
        targets = [objective(kind, d, width=8 if small else 680) for d in (device, "cpu")]
        operators = [HessianOperator(target, check=False) for target in targets]
        size = operators[0].subset.size
        vector = torch.randn(size, generator=torch.Generator().manual_seed(1))
        error = apart(operators[0](vector.to(device)), operators[1](vector))
        found[kind] = {"relative_error": error}
        if not small:
            found[kind] |= product_against_gradient(kind, device)
        found["passed"] = found["passed"] and error < 1e-3
    return found


def sac(device: str, small: bool) -> Result:
    """Updates of ten seeds together against ten agents of the peer, minibatches of 512."""
    from stable_baselines3 import SAC as Peer

    from benchmarks.control import ACTIONS, STATES, Still, filled
    from sailtheory.training.control.sac import SAC, Batch
    from sailtheory.training.control.settings import SACSettings

    runs, width, size, rounds = (2, 16, 32, 1) if small else (10, 1024, 512, 20)
    settings = SACSettings(width=width, batch=size)

    def made(where: str) -> SAC:
        generators = [torch.Generator(where).manual_seed(k) for k in range(runs)]
        return SAC(STATES, ACTIONS, settings, generators, device=where)

    mine, cpu = made(device), made("cpu")
    for name in ("actor_network", "critic", "target"):
        getattr(mine, name).flat.copy_(getattr(cpu, name).flat)
    rows = torch.zeros(runs, size, 2 * STATES + ACTIONS + 2)
    for k in range(runs):
        filled(k).sample(np.random.default_rng(k), rows[k].numpy())
    noise = (cpu.noise(size), cpu.noise(size))
    batches = {where: Batch.of_rows(rows.to(where), STATES, ACTIONS) for where in {device, "cpu"}}
    wanted = cpu.losses(batches["cpu"], noise)
    seen = mine.losses(batches[device], (noise[0].to(device), noise[1].to(device)))
    error = max(apart(seen[name].detach(), wanted[name].detach()) for name in wanted)
    peers = [
        Peer("MlpPolicy", Still(), policy_kwargs={"net_arch": [width, width]}, batch_size=size,
             learning_starts=10**9, buffer_size=2000, device=device, seed=k)
        for k in range(runs)
    ]  # fmt: skip
    for peer in peers:
        peer.learn(2 * size)
    spent = seconds(lambda: mine.update(batches[device]), rounds)
    theirs = seconds(lambda: [peer.train(1, size) for peer in peers], rounds)
    return {
        "passed": error < 1e-3, "largest_relative_error": error, "seeds": runs, "width": width,
        "batch": size, "seconds": spent, "peer_seconds": theirs, "ratio": theirs / spent,
    }  # fmt: skip


def language_model(device: str, small: bool) -> Result:
    """Passes of 8 batches by SAILTrainer and TRL's trainer, a Llama of a million parameters."""
    from benchmarks.llm import steps

    with tempfile.TemporaryDirectory() as output:
        found = steps(None, 1 if small else 3, output, chat=True, device=device, clock=wall)
    return {"passed": None} | found


CHECKS: dict[str, tuple[Callable[[str, bool], Result], int]] = {
    "hessians": (hessians, 60),
    "curvature": (curvature, 120),
    "sac": (sac, 150),
    "language_model": (language_model, 150),
}
"""With the seconds that each may take; together 480."""


@contextmanager
def at_most(limit: float) -> Iterator[None]:
    """Raise TimeoutError when the time is up."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"more than {limit:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run(
    device: str, out: str | None, *, small: bool = False, limit: float = 480,
    only: Sequence[str] = tuple(CHECKS),
) -> Result:  # fmt: skip
    """All checks, or these; the file is written after each."""
    began = time.monotonic()
    results: Result = {
        "version": sailtheory.__version__, "device": device, "small": small,
        "hardware": hardware(), "versions": libraries(), "load_before": os.getloadavg()[0],
        "checks": {},
    }  # fmt: skip
    for name in only:
        check, most = CHECKS[name]
        left = limit - (time.monotonic() - began)
        start = time.monotonic()
        try:
            if left < 1:
                raise TimeoutError("no time is left")
            with at_most(min(most, left)):
                found = check(device, small)
        except Exception as error:  # one that fails keeps no other from running
            trace = traceback.format_exc().splitlines()[-6:]
            found = {"passed": False, "error": f"{type(error).__name__}: {error}", "trace": trace}
        results["checks"][name] = found | {"wall_seconds": round(time.monotonic() - start, 1)}
        print(name, json.dumps(results["checks"][name]), flush=True)
        save(results, out)
    return results


def main() -> None:
    """Run and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument("--device", default="cuda", help="of torch; cuda by default")
    parser.add_argument("--small", action="store_true", help="sizes for a CPU")
    parser.add_argument("--seconds", type=float, default=480, help="for all together")
    parser.add_argument("--only", nargs="+", choices=CHECKS, default=list(CHECKS))
    asked = parser.parse_args()
    if asked.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("error: device: cuda; torch sees no GPU here (--device cpu --small tries it out)")
    torch.set_num_threads(1)
    found = run(
        asked.device, asked.out, small=asked.small, limit=asked.seconds, only=asked.only
    )["checks"]  # fmt: skip
    sys.exit(0 if all(check["passed"] is not False for check in found.values()) else 1)


if __name__ == "__main__":
    main()
