"""What the KL does to a network's landscape, and whether the theorem's γ means anything there.

``python -m figures.neural_landscape [--seeds N] [--seconds S]`` trains multilayer
perceptrons of 1e5 parameters and more (three widths, two depths) by J and by J_γ with
KL(π_ref‖π_θ) and KL(π_θ‖π_ref), γ = 0.01, 0.1 and 1.1 times K_∞, the level above which
C11 (iii) makes J_γ concave on all of R^d for a log-linear policy. It writes
figures/neural_landscape.json after every run and goes on where it stopped.

Policies start at π_ref. Measured in float64 on the training prompts half-way and at the
end (for γ = 0 also at the start): λ_max and λ_min of the objective's Hessian (Lanczos,
with residuals), the generalised λ_max(∇²J, F̄) on range(F̄) and damped (of J alone, so that
γ can be set against it), the same of the Gauss–Newton part, max_x K_x and K_B at the range
reached, the network's share of the curvature. The damped value of the objective itself,
where positive, proves positive curvature that λ_max's few products may miss. Every few
steps: the curvature along the gradient, and the PL ratio ½‖∇‖²/(best − J_γ), the best being
the largest value known: over all tables of logits by search, or met in training.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from pathlib import Path
from typing import Any

import torch

from sailtheory.curvature import (
    FisherRange,
    GaussNewtonOperator,
    HessianOperator,
    curvature_split,
    extremal,
    pointwise_bound,
    random_vector,
    relative_curvature,
    witness,
)
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.policies import CandidateData, CandidateObjective, MLPPolicy
from sailtheory.storage.files import write_text
from sailtheory.theory.bounds import limit_curvature, relative_bound

OUT = Path(__file__).with_suffix(".json")
WIDTHS = (320, 400, 500)
DEPTHS = (2, 3)
FACTORS = (0.01, 0.1, 1.1)
PROMPTS, CANDIDATES, INPUTS, TESTS = 8, 4, 16, 256
BETA, STEPS, RATE, ALONG_EVERY = 0.1, 120, 3e-4, 10
PRODUCTS = 14
SETTINGS: list[tuple[str, float]] = [
    ("none", 0.0),
    *itertools.product(("kl_ref_policy", "kl_policy_ref"), FACTORS),
]


def task(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs of training and test candidates and their rewards, from a random teacher."""
    generator = torch.Generator().manual_seed(1000 + seed)
    inputs = torch.randn(
        PROMPTS + TESTS, CANDIDATES, INPUTS, generator=generator, dtype=torch.float64
    )
    teacher = MLPPolicy(INPUTS, [32], generator=generator)
    with torch.no_grad():
        rewards = teacher(inputs)
    return inputs, 2 * rewards / rewards.std()


def tabular_best(objective: CandidateObjective) -> float:
    """The largest value over all tables of logits that a search finds: not a proven supremum."""
    (batch,) = objective.batches()
    generator = torch.Generator().manual_seed(0)
    best = -float("inf")
    for start in range(3):
        noise = torch.randn(batch.log_ref.shape, generator=generator, dtype=torch.float64)
        logits = (batch.log_ref + start * noise).requires_grad_(True)
        solver = torch.optim.LBFGS([logits], max_iter=150, line_search_fn="strong_wolfe")

        def loss(solver: Any = solver, logits: torch.Tensor = logits) -> torch.Tensor:
            solver.zero_grad()
            value = -objective.of_logits(logits, batch)
            value.backward()
            return value

        solver.step(loss)
        best = max(best, float(objective.of_logits(logits.detach(), batch)))
    return best


def measure(objective: CandidateObjective, plain: CandidateObjective, seed: int) -> dict[str, Any]:
    """Curvature at the present parameters."""
    generator = torch.Generator().manual_seed(seed)
    hessian = HessianOperator(objective, check=False)
    like = hessian.subset.flat()
    low, high = extremal(hessian, random_vector(like, generator), tolerance=2e-2, products=PRODUCTS)
    fisher = FisherRange(plain)
    relative = relative_curvature(
        HessianOperator(plain, check=False), fisher, generator,
        tolerance=2e-2, products=PRODUCTS, dampings=(1e-3, 3e-2, 1.0),
    )  # fmt: skip
    inner = relative_curvature(
        GaussNewtonOperator(plain, check=False), fisher, generator,
        tolerance=2e-2, products=PRODUCTS, dampings=(),
    )  # fmt: skip
    own = relative_curvature(
        hessian, fisher, generator, tolerance=2e-2, products=PRODUCTS, dampings=(1e-3,)
    )
    split = curvature_split(plain, generator, probes=4, check=False)
    at = plain.summary()
    return {
        "lambda_max": high.value, "lambda_max_residual": high.residual,
        "lambda_min": low.value, "lambda_min_residual": low.residual,
        "second_difference_of_lambda_max": witness(hessian, high).replay(1e-3),
        "lambda_max_in_fisher_range": fisher.share(high.vector),
        "relative_of_J": relative.top.value, "relative_residual": relative.top.residual,
        "relative_damped_of_J": {str(k): v for k, v in relative.damped.items()},
        "relative_of_objective": own.top.value,
        "relative_damped_of_objective": own.damped[1e-3],
        "relative_of_gauss_newton": inner.top.value,
        "pointwise_bound": pointwise_bound(plain),
        "K_B_at_range": relative_bound(BETA, at["z_range"]),
        "fisher_rank": relative.rank,
        "fisher_largest": float(fisher.eigenvalues[0]),
        "fisher_smallest": float(fisher.eigenvalues[-1]),
        "network_share": split.network_share,
        "network_share_error": split.error,
    } | at  # fmt: skip


def run(width: int, depth: int, seed: int, divergence: str, factor: float) -> dict[str, Any]:
    """One training run."""
    began = time.perf_counter()
    inputs, rewards = task(seed)
    policy = MLPPolicy(INPUTS, [width] * depth, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        log_ref = policy.log_policy(inputs)
        start = torch.cat([p.reshape(-1) for p in policy.parameters()])
    train = CandidateData(inputs[:PROMPTS], log_ref[:PROMPTS], rewards=rewards[:PROMPTS])
    test = CandidateData(inputs[PROMPTS:], log_ref[PROMPTS:], rewards=rewards[PROMPTS:])
    limit = float(limit_curvature(FLOAT64, BETA, -float(log_ref[:PROMPTS].min())))
    gamma = factor * limit
    kind: Any = "kl_ref_policy" if divergence == "none" else divergence
    objective = CandidateObjective(policy, train, beta=BETA, gamma=gamma, divergence=kind)
    plain = CandidateObjective(policy, train, beta=BETA)
    best = tabular_best(objective)
    optimiser = torch.optim.Adam(policy.parameters(), lr=RATE)
    moments, path = {}, []
    for step in range(STEPS + 1):
        if step in (STEPS // 2, STEPS) or (step == 0 and factor == 0):
            moments[str(step)] = measure(objective, plain, seed)
        if step % ALONG_EVERY == 0:
            hessian = HessianOperator(objective, check=False)
            slope = hessian.gradient()
            square = float(slope.square().sum())
            with torch.no_grad():
                value = float(objective.value())
            path.append({
                "step": step, "value": value, "gradient_norm": square**0.5,
                "curvature_along_gradient": float(slope @ hessian(slope)) / square,
                "distance": float((hessian.subset.flat() - start).norm()),
            })  # fmt: skip
        optimiser.zero_grad()
        (-objective.value()).backward()
        optimiser.step()
    return {
        "width": width, "depth": depth, "seed": seed, "divergence": divergence,
        "factor": factor, "gamma": gamma, "K_infinity": limit,
        "parameters": len(start), "best": best, "moments": moments, "path": path,
        "win_rate": plain.summary()["win_rate"],
        "test_win_rate": CandidateObjective(policy, test, beta=BETA).summary()["win_rate"],
        "seconds": time.perf_counter() - began,
    }  # fmt: skip


def with_pl_ratios(result: dict[str, Any]) -> dict[str, Any]:
    """The run with PL ratios against the best value known; None where that is reached."""
    result["best"] = max(result["best"], *(p["value"] for p in result["path"]))
    for p in result["path"]:
        gap = result["best"] - p["value"]
        p["pl_ratio"] = p["gradient_norm"] ** 2 / (2 * gap) if gap > 0 else None
    return result


def save(data: dict[str, Any]) -> None:
    """Write the file in one move."""
    write_text(json.dumps(data, indent=1) + "\n", OUT)


def main() -> None:
    """Do the runs that the file lacks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after so many")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    began = time.perf_counter()
    data = json.loads(OUT.read_text()) if OUT.exists() else {"runs": []}
    data["design"] = {
        "prompts": PROMPTS, "candidates": CANDIDATES, "inputs": INPUTS, "beta": BETA,
        "steps": STEPS, "rate": RATE, "optimiser": "Adam", "activation": "tanh",
        "dtype": "float64", "widths": WIDTHS, "depths": DEPTHS, "factors": FACTORS,
        "torch": torch.__version__,
    }  # fmt: skip
    data["runs"] = [with_pl_ratios(result) for result in data["runs"]]
    save(data)
    keys = ("seed", "depth", "width", "divergence", "factor")
    done = {tuple(r[k] for k in keys) for r in data["runs"]}
    for depth, seed, width in itertools.product(DEPTHS, range(arguments.seeds), WIDTHS):
        for divergence, factor in SETTINGS:
            if (seed, depth, width, divergence, factor) in done:
                continue
            if time.perf_counter() - began > arguments.seconds:
                return
            result = run(width, depth, seed, divergence, factor)
            data["runs"].append(with_pl_ratios(result))
            save(data)
            end = result["moments"][str(STEPS)]
            print(
                f"{seed} {depth}x{width} {divergence} {factor}: λ_max {end['lambda_max']:.3g} "
                f"rel {end['relative_of_J']:.3g} win {result['win_rate']:.3f} "
                f"{result['seconds']:.1f} s", flush=True,
            )  # fmt: skip


if __name__ == "__main__":
    main()
