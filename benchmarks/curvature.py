"""Hessian products against gradients: time, memory, and products to λ_max.

``python -m benchmarks.curvature [--out FILE]``: a multilayer perceptron and, where
transformers is installed, a Llama of about a million parameters, float32, one thread.
Every ratio compares medians of one run on one device; it says which. curvlinops, where
installed, multiplies the same Hessian beside it. Memory is the growth of a fresh
process's peak over its peak before the call, on a larger batch so that it shows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

import sailtheory
from benchmarks.__main__ import median_seconds
from benchmarks.results import save
from sailtheory.curvature import HessianOperator, extremal, random_vector
from sailtheory.policies import CandidateData, CandidateObjective, MLPPolicy, TokenPolicy

SEED = 0
KINDS = ("mlp", "lm")


def objective(kind: str, device: str, copies: int = 1) -> CandidateObjective:
    """A policy of about a million parameters with preference data, π_ref uniform."""
    generator = torch.Generator().manual_seed(SEED)
    policy: torch.nn.Module
    if kind == "mlp":
        policy = MLPPolicy(64, [680, 680, 680], generator=generator, dtype=torch.float32)
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

    def product() -> None:
        operator(vector)
        wait()

    slope, ours = median_seconds(gradient, 15), median_seconds(product, 15)
    result = {
        "parameters": operator.subset.size, "gradient_seconds": slope, "product_seconds": ours,
        "ratio": ours / slope, "goal_ratio": 3,
    }  # fmt: skip
    try:
        peer = _curvlinops(target)
        difference = peer @ vector - operator(vector)
        theirs = median_seconds(lambda: (peer @ vector, wait()), 7)
    except ImportError:
        return result | {"curvlinops": "not installed"}
    except NotImplementedError as error:  # its forward mode lacks some backward formulas
        return result | {"curvlinops": str(error)}
    return result | {
        "curvlinops_seconds": theirs,
        "curvlinops_ratio": theirs / slope,
        "relative_difference": float(difference.norm() / operator(vector).norm()),
    }


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


def memory(kind: str) -> dict[str, Any]:
    """Peak growth of one gradient and of one product, each in a fresh process."""
    found = {}
    for what in ("gradient", "product"):
        command = [sys.executable, "-m", "benchmarks.curvature", "--memory", kind, what]
        out = subprocess.run(command, capture_output=True, text=True, check=True)
        found[what] = json.loads(out.stdout)
    return {
        "gradient_megabytes": found["gradient"], "product_megabytes": found["product"],
        "ratio": found["product"] / found["gradient"], "goal_ratio": 3,
    }  # fmt: skip


def peak(kind: str, what: str) -> float:
    """Megabytes by which the peak grows during one call."""
    target = objective(kind, "cpu", copies=16 if kind == "mlp" else 4)
    operator = HessianOperator(target, check=False)
    vector = torch.randn(operator.subset.size)
    before = _high_water()
    if what == "gradient":
        torch.autograd.grad(target.value(), list(target.policy.parameters()))
    else:
        operator(vector)
    return (_high_water() - before) / 1024


def _high_water() -> int:
    """This program's peak in kB (Linux); getrusage would inherit that of the parent."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    raise OSError("no VmHWM in /proc/self/status")


def main() -> None:
    """Run everything and print, optionally save, the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", help="JSON file to write")
    parser.add_argument("--memory", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.memory:
        print(json.dumps(peak(*arguments.memory)))
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
                "memory": memory(kind),
            }
        except ModuleNotFoundError as error:
            results[kind] = f"left out: {error}"
        print(kind, json.dumps(results[kind], indent=1), flush=True)
    save(results, arguments.out)


if __name__ == "__main__":
    main()
