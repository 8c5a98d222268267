"""Is tuning the last block, or the head, of a language model log-linear? Measured.

``python -m studies.log_linear --model DIR [--out FILE]`` compares the Hessian of KL(π_ref‖π_θ)
with the Fisher matrix F̄; design.md has what was expected, written down before the runs.

All in float32 on what stands above the second-last block, whose states are computed once.
The head is untied from the embedding.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from transformers import AutoModelForCausalLM, AutoTokenizer

import sailtheory
from benchmarks.results import save
from sailtheory import BradleyTerry, PreferenceProblem
from sailtheory.curvature import (
    CurvatureMonitor,
    FisherRange,
    HessianOperator,
    Subset,
    curvature_split,
    relative_curvature,
)
from sailtheory.curvature.operators import derivative
from sailtheory.curvature.parameters import flatten
from sailtheory.landscape.concavity import gamma_star
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.policies import CandidateData, CandidateObjective, TokenPolicy
from sailtheory.theory import bounds
from sailtheory.training.llm.generate import sample

PROMPTS = ("The best thing about winter is", "The best thing about summer is")
CANDIDATES, TOKENS = 4, 4
BETA, GAMMAS, UPDATES, RATE, SEED = 0.1, (0.01, 0.0, 0.1), 20, {"block": 1e-5, "head": 2e-5}, 0
CUT = 1e-2  # of the scores' singular values: float32 says nothing of directions far below
MEASURED = (0, UPDATES, 5, 10, 15)  # of UPDATES; the ends have the first random numbers
SELECT: dict[str, Callable[[str], bool]] = {
    "block": lambda name: ".layers.0." in name,
    "head": lambda name: "lm_head" in name,
}


class Tail(torch.nn.Module):
    """The last block, the norm and the head, on states of the rest that are computed once."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        settings = copy.deepcopy(model.config)
        settings.num_hidden_layers, settings.tie_word_embeddings = 1, False
        settings._attn_implementation = "eager"  # can be differentiated twice
        self.tail = type(model)(settings).float()
        self.tail.model.embed_tokens = torch.nn.Identity()
        self.tail.model.layers[0].load_state_dict(model.model.layers[-1].state_dict())
        self.tail.model.norm.load_state_dict(model.model.norm.state_dict())
        with torch.no_grad():
            self.tail.lm_head.weight.copy_(model.lm_head.weight)
        self._rest = [model]  # in a list: no part of this module
        self._states: dict[bytes, torch.Tensor] = {}

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        key = tokens.numpy().tobytes()
        if key not in self._states:
            with torch.no_grad():
                out = self._rest[0](input_ids=tokens, output_hidden_states=True)
            self._states[key] = out.hidden_states[-2]
        logits: torch.Tensor = self.tail(inputs_embeds=self._states[key], use_cache=False).logits
        return logits


def candidate_sets(model: Any, words: Any, prompts: list[list[int]]) -> dict[str, torch.Tensor]:
    """Token ids (n, m, P + T) of both kinds of candidate sets."""
    sequences = []
    for x, prompt in enumerate(prompts):
        drawn = sample(model, [prompt] * 16, [(SEED, x, k) for k in range(16)],
                       max_new_tokens=TOKENS, end=[words.eos_token_id])  # fmt: skip
        whole = [t for t in dict.fromkeys(drawn.tokens) if len(t) == TOKENS]
        sequences.append([[*prompt, *t] for t in whole[:CANDIDATES]])
    with torch.no_grad():
        logits = model(input_ids=torch.tensor(prompts)).logits[:, -1]
    top = logits.topk(CANDIDATES).indices.tolist()
    following = [[[*p, t] for t in row] for p, row in zip(prompts, top, strict=True)]
    return {"sequences": torch.tensor(sequences), "next tokens": torch.tensor(following)}


def objective_of(tail: Tail, ids: torch.Tensor, prompt: int, rewards: torch.Tensor, gamma: float):
    policy = TokenPolicy(copy.deepcopy(tail), prompt, ids.shape[-1] - prompt)
    policy.model._rest, policy.model._states = tail._rest, tail._states
    with torch.no_grad():
        log_ref = policy(ids)
    data = CandidateData(ids, log_ref, rewards=rewards)
    return CandidateObjective(policy, data, beta=BETA, gamma=gamma)


def gap(objective: CandidateObjective, select: Any) -> dict[str, Any]:
    """‖∇²KL − F̄‖_F/‖F̄‖_F; generalised eigenvalues where F̄ exceeds CUT² of its trace."""
    kl, generator = objective.fisher_potential(), torch.Generator().manual_seed(SEED)
    split = curvature_split(kl, generator, probes=4, select=select, check=False)
    hessian = HessianOperator(kl, select=select, check=False)
    fisher = FisherRange(objective, select=select, cut=CUT)
    pair = relative_curvature(hessian, fisher, generator, dampings=(), products=20)
    at = objective.summary()
    return {
        "relative_gap": split.network / split.gauss_newton,
        "smallest": pair.bottom.value, "largest": pair.top.value, "rank": pair.rank,
    } | {name: at[name] for name in ("kl_ref_policy", "win_rate", "sail")}  # fmt: skip


def run(objective: CandidateObjective, which: str, at: tuple[int, ...]) -> dict[str, Any]:
    """Adam on J − γKL, and the gap at the steps named."""
    select = SELECT[which]
    trained = [p for n, p in objective.policy.named_parameters() if select(n)]
    optimizer = torch.optim.Adam(trained, lr=RATE[which])
    points = {}
    for step in range(max(at) + 1):
        if step in at:
            points[str(step)] = gap(objective, select)
        optimizer.zero_grad()
        (-objective.value()).backward(inputs=trained)
        optimizer.step()
    return points


def best_value(objective: CandidateObjective) -> float:
    """The largest J − γKL over all tables of logits, by search: an upper end for the PL ratio."""
    [batch] = objective.batches()
    best = -float("inf")
    for seed in range(8):
        generator = torch.Generator().manual_seed(seed)
        noise = 2 * torch.randn(batch.log_ref.shape, generator=generator)
        logits = (batch.log_ref + noise).requires_grad_(True)
        optimizer = torch.optim.Adam([logits], lr=0.1)
        for _ in range(600):
            optimizer.zero_grad()
            value = objective.of_logits(logits, batch)
            (-value).backward()
            optimizer.step()
        best = max(best, float(value))
    return best


def along_training(make: Callable[[float], CandidateObjective], gamma: float) -> dict[str, Any]:
    """PL ratio and curvature of the last block along training, thresholds beside.

    All updates first, then the measurements, so that measuring can change no update.
    """
    objective, select = make(gamma), SELECT["block"]
    monitor = CurvatureMonitor(
        objective, best=best_value(objective), products=8, select=select, seed=SEED
    )
    trained = [p for n, p in objective.policy.named_parameters() if select(n)]
    optimizer = torch.optim.Adam(trained, lr=RATE["block"])
    passed = [parameters_to_vector(trained).detach()]
    for _ in range(UPDATES):
        optimizer.zero_grad()
        (-objective.value()).backward(inputs=trained)
        optimizer.step()
        passed.append(parameters_to_vector(trained).detach())
    rows = []
    for step in MEASURED:
        vector_to_parameters(passed[step].clone(), trained)
        rows.append({"step": step} | monitor.measure())
    rows.sort(key=lambda row: row["step"])
    moved = passed[-1] - passed[0]
    return {"best": monitor.best, "records": rows} | thresholds(make(gamma), moved)


def thresholds(objective: CandidateObjective, moved: torch.Tensor) -> dict[str, Any]:
    """K_B, its closed form, K_∞ and γ* of the problem linearised at θ_ref; B as far as it moved.

    Features are the gradients of the candidates' log-probabilities in the last block, in
    coordinates of the range of F̄; π_ref is the base measure.
    """
    select = SELECT["block"]
    fisher, subset = FisherRange(objective, select=select), Subset(objective.policy, select)
    [batch] = objective.batches()
    logits = objective.logits(subset.all, batch)
    rows = [flatten(derivative(value, subset.leaves, keep=True)) for value in logits.reshape(-1)]
    features = (torch.stack(rows) @ fisher.basis.mT).double().numpy()
    features = features.reshape(*logits.shape, -1)
    features -= features.mean(1, keepdims=True)
    radius = float((fisher.basis @ moved).norm())
    log_ref = batch.log_ref.double().numpy()
    problem = PreferenceProblem(
        features=features, preferences=[BradleyTerry(r) for r in REWARDS.double().numpy()],
        base=list(np.exp(log_ref)), beta=BETA, radius=radius,
    )  # fmt: skip
    diameter = float(problem.feature_diameter)
    return {"thresholds": {
        "radius": radius, "diameter": diameter, "z_max": float(problem.z_max),
        "gamma_star": gamma_star(problem, seed=SEED).value,
        "K_B": bounds.relative_bound(BETA, float(problem.z_max)),
        "closed_form": float(bounds.closed_form_threshold(BETA, diameter, radius, 0.0)),
        "K_infinity": float(bounds.limit_curvature(FLOAT64, BETA, -log_ref.min())),
    }}  # fmt: skip


REWARDS = torch.empty(0)


def main() -> None:
    """Run everything and print, optionally save, the results."""
    global REWARDS
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="folder of a Llama-like model")
    parser.add_argument("--out", help="JSON file to write")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    began = time.process_time()
    words = AutoTokenizer.from_pretrained(arguments.model)
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32).eval()
    model.requires_grad_(False)
    prompts = [words(text)["input_ids"] for text in PROMPTS]
    length = len(prompts[0])
    sets, tail = candidate_sets(model, words, prompts), Tail(model).eval()
    texts = [[words.decode(row[length:]) for row in rows] for rows in sets["sequences"].tolist()]
    # A quarter of the length in letters: preferences are then neither ties nor certain.
    REWARDS = torch.tensor([[len(text) / 4 for text in row] for row in texts])
    with torch.no_grad():
        one = sets["sequences"][0]
        difference = float((tail(one) - model(input_ids=one).logits).abs().max())
    results: dict[str, Any] = {
        "version": sailtheory.__version__, "torch": torch.__version__, "dtype": "float32",
        "model": "SmolLM2-135M-Instruct", "beta": BETA, "seed": SEED, "prompts": PROMPTS,
        "candidates": texts, "rewards": REWARDS.tolist(), "rates": RATE,
        "tail_against_whole_model": difference, "gaps": {}, "training": {},
    }  # fmt: skip
    print(json.dumps(results), flush=True)

    def done(part: str, key: str, found: dict[str, Any]) -> None:
        results[part][key] = found
        results["cpu_seconds"] = time.process_time() - began
        save(results, arguments.out)  # after each part: all of it takes a while
        print(f"{results['cpu_seconds']:.0f} s", part, key, json.dumps(found), flush=True)

    def make(gamma: float) -> CandidateObjective:
        return objective_of(tail, sets["sequences"], length, REWARDS, gamma)

    def train(gamma: float) -> None:
        done("training", f"{gamma:g}", along_training(make, gamma))

    train(GAMMAS[0])
    for which in ("head", "block"):
        for name, ids in sets.items():
            rewards = REWARDS if name == "sequences" else torch.linspace(0, 2, ids.shape[1])
            rewards = rewards.expand(ids.shape[:2])
            objective = objective_of(tail, ids, length, rewards, GAMMAS[0])
            done("gaps", f"{which}, {name}", run(objective, which, (0, UPDATES)))
    for gamma in GAMMAS[1:]:
        train(gamma)


if __name__ == "__main__":
    main()
