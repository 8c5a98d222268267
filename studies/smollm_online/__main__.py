"""Online DPO, SAIL and online DPO + KL on SmolLM2-135M-Instruct: for a GPU, with a pilot for a CPU.

``python -m studies.smollm_online --runs FOLDER [--device cuda] [--pilot] [--out FILE]`` trains and
evaluates what is missing of design.md, which was written down before any run. Needs ``sailtheory
fetch smollm2-135m``. A run that is done is kept; one that was stopped goes on from its last
checkpoint, with the same numbers.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

import sailtheory
from sailtheory.runs.read import read_record
from sailtheory.storage.files import write_text
from sailtheory.training.llm import SAILConfig, SAILTrainer, models
from sailtheory.training.llm.generate import Completions, sample
from sailtheory.training.llm.logprobs import sequence_log_probs
from sailtheory.training.llm.oracles import kind_and_brief
from sailtheory.training.llm.prompts import conversations
from sailtheory.training.llm.rows import join
from studies import smollm
from studies.smollm_online.tuned import tuned_rates

OUT = "studies/smollm_online/evidence.json"
TEMPERATURE, SCALE, BETA, DRAWS, TUNING_SEED, CHUNK = 0.7, 4.0, 0.1, 2, 100, 36
ARMS: dict[str, dict[str, Any]] = {
    "online-dpo": {"method": "online-dpo"},
    "sail-dpr": {"method": "sail-dpr"},
    "online-dpo kl 0.001": {"method": "online-dpo", "kl_coef": 1e-3},
}

Record = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How much is run."""

    updates: int
    batch: int
    tokens: int
    rates: tuple[float, ...]
    seeds: int


WHOLE = Size(updates=120, batch=16, tokens=24, rates=(1e-4, 3e-4, 1e-3), seeds=5)
PILOT = Size(updates=20, batch=6, tokens=16, rates=(3e-4,), seeds=2)


class Bench:
    """The model, its tokenizer and the prompts, on one device."""

    def __init__(self, device: str, size: Size) -> None:
        self.device, self.size = device, size
        self.tokenizer, self.oracle = smollm.tokenizer(), kind_and_brief()
        self.reference = smollm.model(device).requires_grad_(False).eval()
        self.end = models.end_ids(self.reference, self.tokenizer)
        self.train = [row for i, row in enumerate(conversations("train")) if i % 3 < 2]
        rows = conversations("held-out")
        self.held_out = [smollm.prompt_ids(self.tokenizer, row["prompt"]) for row in rows]

    def draw(self, model: Any, *key: Any) -> Completions:
        """Completions of the held-out prompts, ``DRAWS`` of each."""
        count = len(self.held_out)
        keys = [(*key, i, d) for d in range(DRAWS) for i in range(count)]
        return sample(
            model, self.held_out * DRAWS, keys, max_new_tokens=self.size.tokens, end=self.end,
            temperature=TEMPERATURE, pad=self.end[0],
        )  # fmt: skip

    def log_probs(self, model: Any, drawn: Completions) -> torch.Tensor:
        """log π(y|x) of completions: (n,)."""
        found = []
        with torch.no_grad():
            for k in range(0, len(drawn.tokens), CHUNK):
                rows = join(drawn.prompts[k : k + CHUNK], drawn.tokens[k : k + CHUNK])
                rows = rows.to(self.device)
                found.append(sequence_log_probs(model, rows, TEMPERATURE).double().cpu())
        return torch.cat(found)

    def rewards(self, drawn: Completions) -> list[float]:
        texts = [self.tokenizer.decode(list(t), skip_special_tokens=True) for t in drawn.tokens]
        return [round(r, 6) for r in self.oracle(completions=texts)]


def run(bench: Bench, arm: str, rate: float, seed: int, folder: Path) -> Record:
    """Train one arm, from its last checkpoint where there is one, and evaluate it."""
    size, began = bench.size, time.perf_counter()
    args = SAILConfig(
        str(folder), seed=seed, tune="last-block", beta=BETA, learning_rate=rate,
        max_steps=size.updates, lr_scheduler_type="constant",
        per_device_train_batch_size=size.batch, max_new_tokens=size.tokens,
        temperature=TEMPERATURE, reward_scale=SCALE, preference="sampled", log_kl_steps=0,
        logging_steps=1, report_to=[], save_strategy="steps", save_steps=10, save_total_limit=1,
        disable_tqdm=True, use_cpu=bench.device == "cpu", **ARMS[arm],
    )  # fmt: skip
    trainer = SAILTrainer(
        smollm.model(bench.device), ref_model=bench.reference, reward_funcs=bench.oracle,
        args=args, train_dataset=bench.train, processing_class=bench.tokenizer,
    )  # fmt: skip
    started = any(folder.glob("checkpoint-*"))
    trainer.train(resume_from_checkpoint=started or None)
    spent = time.perf_counter() - began
    record = read_record(folder / "record")
    curve = [series.tolist() for series in record.series("rewards/mean")]
    model = trainer.model.eval()
    drawn = bench.draw(model, seed, arm)
    theirs = bench.draw(bench.reference, seed, "ref")
    ratio = drawn.log_probs - bench.log_probs(bench.reference, drawn)
    ratio_ref = bench.log_probs(model, theirs) - theirs.log_probs
    return {
        "arm": arm, "rate": rate, "seed": seed, "rewards": bench.rewards(drawn),
        "reference_rewards": bench.rewards(theirs), "curve": curve,
        "kl_policy_ref": float(ratio.mean()), "kl_ref_policy": float(-ratio_ref.mean()),
        "resumed": started, "seconds": round(spent, 1),
    }  # fmt: skip


def settings(device: str, size: Size) -> Record:
    """What the runs have in common."""
    name = torch.cuda.get_device_name() if device.startswith("cuda") else "CPU, one thread"
    return asdict(size) | {
        "version": sailtheory.__version__, "torch": torch.__version__, "model": smollm.NAME,
        "device": name, "pilot": size == PILOT, "temperature": TEMPERATURE, "scale": SCALE,
        "beta": BETA, "draws": DRAWS,
    }  # fmt: skip


def main() -> None:
    """Run what is missing: the tuning of every arm, then the seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", required=True, help="folder of the runs")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--pilot", action="store_true", help="a small run, to see that it works")
    parser.add_argument("--out", default=OUT)
    given = parser.parse_args()
    torch.set_num_threads(1)
    size = PILOT if given.pilot else WHOLE
    bench, folder, runs = Bench(given.device, size), Path(given.runs), []

    def done(arm: str, rate: float, seed: int) -> Record:
        path = folder / f"{arm.replace(' ', '-')}-{rate:g}-{seed}" / "result.json"
        if not path.exists():
            write_text(json.dumps(run(bench, arm, rate, seed, path.parent)), path)
        found: Record = json.loads(path.read_text(encoding="utf-8"))
        runs.append(found)
        data = settings(given.device, size) | {"runs": runs}
        write_text(json.dumps(data, indent=1) + "\n", Path(given.out))
        mean = sum(found["rewards"]) / len(found["rewards"])
        print(arm, rate, seed, f"reward {mean:.3f}", f"{found['seconds']} s", flush=True)
        return found

    tuned = dict.fromkeys(ARMS, size.rates[0])
    if len(size.rates) > 1:
        tried = [done(arm, rate, TUNING_SEED) for arm in ARMS for rate in size.rates]
        tuned = tuned_rates(tried, size.updates // 4)
    for seed in range(size.seeds):
        for arm in ARMS:
            done(arm, tuned[arm], seed)


if __name__ == "__main__":
    main()
