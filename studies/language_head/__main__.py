"""How fast ascent contracts on the head of a language model, against four predictions.

``python -m studies.language_head [--out FILE]`` runs what FILE lacks of design.md, which was
written down before. Needs ``sailtheory fetch smollm2-135m``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

import sailtheory
from sailtheory import SAIL, BradleyTerry, PreferenceProblem, SAILRevKL
from sailtheory.analysis.check import theorem_threshold
from sailtheory.analysis.ladder import ladder
from sailtheory.ascent import bregman_divergence, constants, field_constants, mirror_ascent
from sailtheory.landscape import Domain, Search, largest_relative_curvature_on, maximise
from sailtheory.landscape.pencil import largest_relative_curvature
from sailtheory.landscape.solution import solve
from sailtheory.objectives.fields import OnlineDPO, OnlineDPORevKL
from sailtheory.storage.files import write_text
from studies.language_head.plan import OF_2_BETA, OF_K_B

OUT = "studies/language_head/evidence.json"
PROMPTS, TOKENS, BETA, RADIUS, SEED = 48, 6, 0.1, 4.0, 0
STEPS, RESOLVED = 150, 1e-10

Record = dict[str, Any]


def head_problem() -> tuple[PreferenceProblem, Record]:
    """The problem of the head on the candidate tokens, in coordinates of its span."""
    import torch

    from sailtheory.training.llm.prompts import prompts
    from studies import smollm

    torch.set_num_threads(1)
    tokenizer, model = smollm.tokenizer(), smollm.model().eval()
    states, tokens, log_base, rewards = [], [], [], []
    for text in prompts("train")[:PROMPTS]:
        ids = smollm.prompt_ids(tokenizer, [{"role": "user", "content": text}])
        with torch.no_grad():
            hidden = model.model(torch.tensor([ids])).last_hidden_state[0, -1]
            logits = model.lm_head(hidden).double()
        chosen = logits.topk(TOKENS).indices
        states.append(hidden.double().numpy())
        tokens.append(chosen.tolist())
        log_base.append(torch.log_softmax(logits[chosen], 0).numpy())
        words = [tokenizer.decode([token]) for token in chosen.tolist()]
        rewards.append([sum(c.isalpha() for c in word) / 4 for word in words])
    features = coordinates(np.array(states), np.array(tokens))
    problem = PreferenceProblem(
        features=features, preferences=[BradleyTerry(r) for r in rewards], beta=BETA,
        radius=RADIUS, base=list(np.exp(log_base)),
    )  # fmt: skip
    return problem, {"first_tokens": tokens[:3], "first_rewards": rewards[:3]}


def coordinates(states: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Rows with the inner products of e_y ⊗ h(x), less each prompt's first: (n, m, ≤ n(m − 1)).

    A policy sees θ through differences within prompts alone, and those keep every inner
    product, so balls, curvatures and steps are those of the whole weight matrix.
    """
    n, m = tokens.shape
    same = (tokens.reshape(-1, 1) == tokens.reshape(1, -1)).reshape(n, m, n, m)
    gram = same * (states @ states.T)[:, None, :, None]
    gaps = gram - gram[:, :1]
    gaps = gaps - gaps[:, :, :, :1]
    values, vectors = np.linalg.eigh(gaps.reshape(n * m, n * m))
    kept = values > 1e-12 * values[-1]
    rows = (vectors[:, kept] * np.sqrt(values[kept])).reshape(n, m, -1)
    distances = np.linalg.norm(rows[:, :, None] - rows[:, None], axis=-1)
    return np.asarray(rows / (distances.sum() / (n * m * (m - 1))))


def observed(problem: PreferenceProblem, best: np.ndarray, path: np.ndarray) -> Record:
    """The contraction of D_A(θ*, ·) along a path (k, d), over its resolved second half."""
    distance = np.array([float(bregman_divergence(problem, best, theta)) for theta in path])
    fine = np.flatnonzero(distance > RESOLVED * distance[0])
    last = int(fine[-1]) if len(fine) else 0
    first = last // 2
    if last - first < 1:
        return {"steps": last, "contraction": None}
    rate = (distance[last] / distance[first]) ** (1 / (last - first))
    return {"steps": last, "contraction": float(rate)}


def of_objective(problem: PreferenceProblem, share: float, k_b: float, g: float) -> Record:
    """Mirror ascent on J_γ at γ = share · K_B."""
    gamma = share * k_b
    objective, domain = SAILRevKL(problem, gamma), Domain(problem)
    search = Search(domain, "light", SEED)
    theory = constants(objective)
    scale = gamma + theory.lower
    run = mirror_ascent(objective, problem.ref_params[None], steps=STEPS)
    best = maximise(objective, search, run.theta)
    turned = float(largest_relative_curvature(SAIL(problem), domain, best.theta)[0])
    return {
        "share": share, "gamma": gamma, "on_boundary": best.on_boundary,
        "stationarity": best.stationarity, "win_rate": best.win_rate,
        "by_k_b": 1 - (gamma - k_b) / scale if gamma > k_b else None,
        "by_g": 1 - (gamma - g) / scale if gamma > g else None,
        "local": None if best.on_boundary else (1 - (gamma - turned) / scale) ** 2,
        "curvature_there": turned,
    } | observed(problem, best.theta, run.path[:, 0])  # fmt: skip


def of_field(problem: PreferenceProblem, share: float) -> Record:
    """Mirror steps along online DPO's field with KL at γ = share · 2β."""
    gamma = share * 2 * float(problem.beta)
    field, domain = OnlineDPORevKL(problem, gamma), Domain(problem)
    found = solve(field, domain)
    theory = field_constants(problem, gamma)
    scale = theory.relative_smooth
    run = mirror_ascent(field, problem.ref_params[None], steps=STEPS)
    return {
        "share": share, "gamma": gamma, "gap": found.gap, "found": found.found,
        "by_2_beta": 1 - (gamma - 2 * BETA) / scale if gamma > 2 * BETA else None,
        "by_k_v": 1 - margin / scale if (margin := theory.relative_modulus) > 0 else None,
    } | observed(problem, found.theta, run.path[:, 0])  # fmt: skip


def thresholds(problem: PreferenceProblem, k_b: float) -> Record:
    """Of J, and of online DPO's field."""
    rungs = ladder(problem, k_b)
    assert rungs is not None
    search = Search(Domain(problem), "quick", SEED)
    star = largest_relative_curvature_on(SAIL(problem), search)
    online = largest_relative_curvature_on(OnlineDPO(problem), search)
    return {
        "k_b": k_b, "k_data": rungs.data, "g": rungs.per_prompt,
        "g_lower": rungs.per_prompt_lower, "gamma_star": star.value,
        "gamma_star_trusted": star.search is not None and star.search.trusted,
        "two_beta": 2 * BETA, "k_v": field_constants(problem, 1.0).relative,
        "online": online.value,
    }  # fmt: skip


def begun(out: Path) -> Record:
    """What is in the file already; nothing if it is of another version."""
    found: Record = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    return found if found.get("version") == sailtheory.__version__ else {}


def main() -> None:
    """Run the design and write the evidence, a setting at a time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default=OUT)
    out = Path(parser.parse_args().out)
    problem, about = head_problem()
    k_b = theorem_threshold(problem)
    data = begun(out) or {
        "version": sailtheory.__version__, "prompts": PROMPTS, "tokens": TOKENS,
        "beta": BETA, "radius": RADIUS, "seed": SEED, "steps": STEPS,
        "dimension": problem.span.dimension, "diameter": problem.feature_diameter,
        "z_max": problem.z_max, **about,
        "thresholds": thresholds(problem, k_b), "sail": [], "online": [],
    }  # fmt: skip
    jobs = [(share, "sail") for share in OF_K_B] + [(share, "online") for share in OF_2_BETA]
    for share, name in sorted(jobs, reverse=True):  # steps inside the ball are the cheap ones
        if any(each["share"] == share for each in data[name]):
            continue
        if name == "sail":
            found = of_objective(problem, share, k_b, data["thresholds"]["g"])
        else:
            found = of_field(problem, share)
        data[name] = sorted([*data[name], found], key=lambda each: each["share"])
        print(found, flush=True)
        write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", out)


if __name__ == "__main__":
    main()
