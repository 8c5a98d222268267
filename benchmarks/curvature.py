"""Hessian products against gradients: time, memory, and products to λ_max.

``python -m benchmarks.curvature [--out FILE]``: a multilayer perceptron and, where
transformers is installed, a Llama of about a million parameters, float32, one thread.
Every ratio compares medians of one run on one device; it says which; what is compared
takes turns. The first product of an operator differentiates twice, every further one
only once more. curvlinops, where installed, multiplies the same Hessian beside it.
Memory is the growth of a warm process's resident peak during the call, on a larger batch
so that it shows; there a gradient takes all data at once, as a product does too ("whole")
or it takes a quarter at a time ("pieces"), which keeps nothing between products.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import sailtheory
from benchmarks.results import save
from sailtheory.curvature import HessianOperator, extremal, random_vector
from sailtheory.policies import CandidateData, CandidateObjective, MLPPolicy, TokenPolicy

SEED = 0
KINDS = ("mlp", "lm")


def objective(kind: str, device: str, copies: int = 1, width: int = 680) -> CandidateObjective:
    """A policy of about a million parameters with preference data, π_ref uniform.

    ``width`` is that of the perceptron's layers.
    """
    generator = torch.Generator().manual_seed(SEED)
    policy: torch.nn.Module
    if kind == "mlp":
        policy = MLPPolicy(64, [width] * 3, generator=generator, dtype=torch.float32)
        inputs = torch.randn(64 * copies, 4, 64, generator=generator)
    else:
        import transformers

        config = transformers.LlamaConfig(
            vocab_size=256, hidden_size=128, intermediate_size=384, num_hidden_layers=4,
            num_attention_heads=4, max_position_embeddings=64, attn_implementation="eager",
        )  # fmt: skip
        torch.manual_seed(SEED)
        policy = TokenPolicy(transformers.LlamaForCausalLM(config).eval(), 8, 24)
        inputs = torch.randint(0, 256, (16 * copies, 4, 32), generator=generator)
    policy, inputs = policy.to(device), inputs.to(device)
    n, m = inputs.shape[:2]
    rewards = torch.randn(n, m, generator=generator).to(device)
    data = CandidateData(inputs, torch.zeros_like(rewards), rewards=rewards)
    return CandidateObjective(policy, data, beta=0.1)


def product_against_gradient(kind: str, device: str) -> dict[str, Any]:
    """One product against one gradient as a training loop takes it, and curvlinops'."""
    target = objective(kind, device)
    parameters = list(target.policy.parameters())
    operator = HessianOperator(target)
    vector = torch.randn(operator.subset.size).to(device)

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    def gradient() -> None:
        torch.autograd.grad(target.value(), parameters)
        wait()

    def first() -> None:
        HessianOperator(target, check=False)(vector)
        wait()

    def further() -> None:
        operator(vector)
        wait()

    actions = {"gradient": gradient, "first": first, "further": further}
    result: dict[str, Any] = {"parameters": operator.subset.size, "goal_ratio": 3}
    try:
        peer = _curvlinops(target)
        difference = peer @ vector - operator(vector)
        result["relative_difference"] = float(difference.norm() / operator(vector).norm())
        actions["curvlinops"] = lambda: (peer @ vector, wait())
    except ImportError:
        result["curvlinops"] = "not installed"
    except NotImplementedError as error:  # its forward mode lacks some backward formulas
        result["curvlinops"] = str(error)
    seconds = median_seconds_in_turn(actions, 15)
    result["seconds"] = seconds
    result["ratio"] = {k: t / seconds["gradient"] for k, t in seconds.items() if k != "gradient"}
    return result


def median_seconds_in_turn(
    actions: dict[str, Callable[[], Any]], repetitions: int
) -> dict[str, float]:
    """Median wall time of each, one call of each after the other; the first round not counted."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(repetitions + 1):
        for name, action in actions.items():
            began = time.perf_counter()
            action()
            times[name].append(time.perf_counter() - began)
    return {name: statistics.median(spent[1:]) for name, spent in times.items()}


class Loss(torch.nn.Module):
    """The objective as curvlinops wants it."""

    reduction = "sum"

    def __init__(self, target: CandidateObjective) -> None:
        super().__init__()
        self.target = target
        (self.batch,) = target.batches()

    def forward(self, logits: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return self.target.of_logits(logits, self.batch)


def _curvlinops(target: CandidateObjective) -> Any:
    import curvlinops

    (batch,) = target.batches()
    n = len(batch.weights)
    return curvlinops.HessianLinearOperator(
        target.policy, Loss(target), list(target.policy.parameters()),
        [(batch.inputs, torch.zeros(n, device=batch.inputs.device))], num_data=n,
        check_deterministic=False,
    )  # fmt: skip


def products_to_the_largest(kind: str, device: str) -> dict[str, Any]:
    """Products until λ_max is within 1e-3 by its own bound, and its distance from a long run."""
    operator = HessianOperator(objective(kind, device))
    start = random_vector(operator.subset.flat(), torch.Generator().manual_seed(SEED))
    _, high = extremal(operator, start, tolerance=1e-3)
    _, exact = extremal(operator, start, tolerance=1e-6, products=120)
    return {
        "products": high.products, "goal": 60, "value": high.value,
        "relative_error": abs(high.value - exact.value) / abs(exact.value),
    }  # fmt: skip


WAYS = ("gradient", "whole", "pieces")


def large(kind: str) -> dict[str, Any]:
    """Peak memory and time on a larger batch: gradient, product at once and in four pieces."""
    found = {}
    for way in WAYS:
        command = [sys.executable, "-m", "benchmarks.curvature", "--large", kind, way]
        out = subprocess.run(command, capture_output=True, text=True, check=True)
        found[way] = json.loads(out.stdout)
    seconds = median_seconds_in_turn({way: _action(kind, way) for way in WAYS}, 7)
    return {
        "megabytes": found, "goal_ratio": 3, "seconds": seconds,
        "memory_ratio": {way: found[way] / found["gradient"] for way in WAYS[1:]},
        "time_ratio": {way: seconds[way] / seconds["gradient"] for way in WAYS[1:]},
    }  # fmt: skip


def _action(kind: str, way: str, copies: int | None = None) -> Callable[[], Any]:
    """One call on the CPU; an operator's first product, whose memory is the largest."""
    target = objective(kind, "cpu", copies=copies or (64 if kind == "mlp" else 4))
    if way == "gradient":
        parameters = list(target.policy.parameters())
        return lambda: torch.autograd.grad(target.value(), parameters)
    if way == "pieces":
        target.chunk = len(target.data.all.weights) // 4
    vector = torch.randn(sum(p.numel() for p in target.policy.parameters()))
    return lambda: HessianOperator(target, check=False)(vector)


def peak(kind: str, way: str) -> float:
    """Megabytes by which resident memory grows at most during one call, after a small one."""
    _action(kind, way, copies=1)()
    action = _action(kind, way)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
    before = _kilobytes("VmRSS")
    action()
    return (_kilobytes("VmHWM") - before) / 1024


def _kilobytes(name: str) -> int:
    """A field of this process's status (Linux)."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise OSError(f"no {name} in /proc/self/status")


def main() -> None:
    """Run everything and print, optionally save, the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", help="JSON file to write")
    parser.add_argument("--large", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.large:
        print(json.dumps(peak(*arguments.large)))
        return
    device = "cuda" if torch.cuda.is_available() else "cpu"
    results: dict[str, Any] = {
        "version": sailtheory.__version__, "torch": torch.__version__, "seed": SEED,
        "device": torch.cuda.get_device_name() if device == "cuda" else "CPU only, one thread",
        "dtype": "float32",
    }  # fmt: skip
    for kind in KINDS:
        try:
            results[kind] = {
                "time": product_against_gradient(kind, device),
                "largest": products_to_the_largest(kind, device),
                "large": large(kind),
            }
        except ModuleNotFoundError as error:
            results[kind] = f"left out: {error}"
        print(kind, json.dumps(results[kind], indent=1), flush=True)
    save(results, arguments.out)


if __name__ == "__main__":
    main()
