"""SFT, DPO, SAIL and SAIL-RevKL on SmolLM2-135M-Instruct, arms at equal budgets.

``python -m studies.llm_arms --runs FOLDER [--seeds N] [--out FILE]`` trains and evaluates the
arms of design.md, which was written down before the runs. Needs ``sailtheory fetch
smollm2-135m``. One folder a run; a run that is done is kept, one that was stopped begins anew.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

import torch

import sailtheory
from sailtheory.runs.read import read_record
from sailtheory.storage.files import write_text
from sailtheory.training.llm import SAILConfig, SAILTrainer, models
from sailtheory.training.llm.generate import Completions, sample, uniform
from sailtheory.training.llm.logprobs import sequence_log_probs
from sailtheory.training.llm.oracles import kind_and_brief
from sailtheory.training.llm.preferences import bradley_terry, sampled
from sailtheory.training.llm.prompts import conversations
from sailtheory.training.llm.rows import join
from studies import smollm

OUT = "studies/llm_arms/evidence.json"
TEMPERATURE, TOKENS, SCALE, BETA = 0.7, 16, 4.0, 0.1
UPDATES, BATCH, RATE = 16, 6, 5e-4
KL_COEFS = (1e-3, 0.1)
SEEDS, DRAWS = 3, 2
ARMS: dict[str, dict[str, Any]] = {
    "sft": {"method": "sft"},
    "dpo": {"method": "dpo"},
    "sail-dpr": {"method": "sail-dpr"},
} | {f"sail-dpr kl {k:g}": {"method": "sail-dpr", "kl_coef": k} for k in KL_COEFS}

Record = dict[str, Any]


class CachedReference(SAILTrainer):
    """Draws from π_ref are functions of seed and prompt alone: they are looked up."""

    drawn_before: dict[int, tuple[tuple[int, ...], float]]

    def _sample(self, model: Any, items: list[Any], keys: list[Any]) -> Completions:
        if keys[0][0] != "ref":
            return super()._sample(model, items, keys)
        found = [self.drawn_before[item["index"]] for item in items]
        return Completions(
            tuple(tuple(item["prompt_ids"]) for item in items), tuple(t for t, _ in found),
            torch.tensor([log for _, log in found], dtype=torch.float64), TEMPERATURE,
            int(self.state.global_step),
        )  # fmt: skip


class Bench:
    """The model, its tokenizer, and what is drawn from it once for each seed."""

    def __init__(self) -> None:
        self.tokenizer = smollm.tokenizer()
        self.reference = smollm.model().requires_grad_(False).eval()
        self.end = models.end_ids(self.reference, self.tokenizer)
        self.oracle = kind_and_brief()
        train = [row for i, row in enumerate(conversations("train")) if i % 3 < 2]
        self.rows = {"train": train, "held-out": conversations("held-out")}
        self.ids = {
            part: [smollm.prompt_ids(self.tokenizer, row["prompt"]) for row in rows]
            for part, rows in self.rows.items()
        }

    def draw(self, model: Any, part: str, draws: int, *key: Any) -> Completions:
        """``draws`` completions a prompt, all of the first draw and then all of the next."""
        keys = [(*key, i, d) for d in range(draws) for i in range(len(self.ids[part]))]
        return sample(
            model, self.ids[part] * draws, keys, max_new_tokens=TOKENS, end=self.end,
            temperature=TEMPERATURE, pad=self.end[0],
        )  # fmt: skip

    def log_probs(self, model: Any, drawn: Completions) -> torch.Tensor:
        """log π(y|x) of completions: (n,)."""
        found = []
        with torch.no_grad():
            for k in range(0, len(drawn.tokens), 36):
                rows = join(drawn.prompts[k : k + 36], drawn.tokens[k : k + 36])
                found.append(sequence_log_probs(model, rows, TEMPERATURE).double())
        return torch.cat(found)

    def texts(self, drawn: Completions) -> list[str]:
        return [self.tokenizer.decode(list(t), skip_special_tokens=True) for t in drawn.tokens]

    def once(self, seed: int) -> dict[str, Any]:
        """Of π_ref with one seed: pairs with labels, KL draws, and the held-out draws."""
        pairs = self.draw(self.reference, "train", 2, seed, "pairs")
        texts = self.texts(pairs)
        rewards = torch.tensor(self.oracle(completions=texts), dtype=torch.float64)
        first, second = rewards.chunk(2)
        q = bradley_terry(SCALE * first, SCALE * second)
        n = len(first)
        uniforms = torch.cat([uniform((seed, "label", i), 1) for i in range(n)])
        won = (sampled(q, uniforms) > 0).tolist()
        rows = []
        for i, row in enumerate(self.rows["train"]):
            said = [
                [{"role": "assistant", "content": texts[k]}]
                for k in ((i, n + i) if won[i] else (n + i, i))
            ]
            rows.append(row | {"chosen": said[0], "rejected": said[1]})
        kl = self.draw(self.reference, "train", 1, seed, "kl")
        held_out = self.draw(self.reference, "held-out", DRAWS, seed, "ref")
        return {"rows": rows, "kl": kl, "held-out": held_out,
                "ties": float((first == second).double().mean()), "agree": sum(
                    w == bool(a > b) for w, a, b in zip(won, first, second, strict=True)) / n,
                }  # fmt: skip


def run(bench: Bench, arm: str, tuning: str, seed: int, folder: Path, once: Any) -> Record:
    """Train one arm and evaluate it."""
    shutil.rmtree(folder, ignore_errors=True)
    began = time.process_time()
    args = SAILConfig(
        str(folder), seed=seed, tune=tuning, beta=BETA, learning_rate=RATE, max_steps=UPDATES,
        lr_scheduler_type="constant", per_device_train_batch_size=BATCH,
        max_new_tokens=TOKENS, temperature=TEMPERATURE, reward_scale=SCALE,
        preference="sampled", log_kl_steps=0, logging_steps=1, report_to=[],
        save_strategy="no", disable_tqdm=True, use_cpu=True, **ARMS[arm],
    )  # fmt: skip
    reference = None if tuning == "lora" else bench.reference
    trainer = CachedReference(
        smollm.model(), ref_model=reference, reward_funcs=bench.oracle, args=args,
        train_dataset=once["rows"], processing_class=bench.tokenizer,
    )  # fmt: skip
    kl = once["kl"]
    trainer.drawn_before = {
        i: (tokens, float(log))
        for i, (tokens, log) in enumerate(zip(kl.tokens, kl.log_probs, strict=True))
    }
    trainer.train()
    norms = [row["grad_norm"] for row in trainer.state.log_history if "grad_norm" in row]
    record = read_record(folder / "record")
    curves = {
        name: [series.tolist() for series in record.series(name)]
        for name in record.names()
        if name.startswith(("rewards/", "kl_", "spent/", "loss/", "completions/"))
    }
    trained = time.process_time() - began
    model = trainer.model.eval()
    found = evaluate(bench, model, bench.draw(model, "held-out", DRAWS, seed, arm, tuning), once)
    return found | {
        "arm": arm, "tuning": tuning, "seed": seed, "largest_grad_norm": max(norms),
        "curves": curves, "cpu_seconds": [trained, time.process_time() - began],
        "examples": bench.texts(Completions((), found.pop("tokens"), torch.zeros(0), 1.0, 0))[:6],
    }  # fmt: skip


def evaluate(bench: Bench, model: Any, drawn: Completions, once: Any) -> Record:
    """What the held-out prompts say of a policy."""
    texts = bench.texts(drawn)
    mine, theirs = first_draw(drawn), first_draw(once["held-out"])
    ratio = mine.log_probs - bench.log_probs(bench.reference, mine)
    ratio_ref = bench.log_probs(model, theirs) - theirs.log_probs
    return {
        "rewards": [round(r, 6) for r in bench.oracle(completions=texts)],
        "words": [len(text.split()) for text in texts],
        "tokens": drawn.tokens,
        "ended": sum(t[-1] in bench.end for t in drawn.tokens) / len(drawn.tokens),
        "log_ratio": [round(v, 6) for v in ratio.tolist()],
        "log_ratio_ref": [round(v, 6) for v in ratio_ref.tolist()],
    }


def first_draw(drawn: Completions) -> Completions:
    """One completion for two prompts in three."""
    chosen = [i for i in range(len(drawn.tokens) // DRAWS) if i % 3 < 2]
    return Completions(
        tuple(drawn.prompts[i] for i in chosen), tuple(drawn.tokens[i] for i in chosen),
        drawn.log_probs[chosen], drawn.temperature, drawn.version,
    )  # fmt: skip


def base(bench: Bench, seed: int, once: Any) -> Record:
    """π_ref itself, as an arm that nothing trained."""
    texts = bench.texts(once["held-out"])
    return {
        "arm": "reference", "tuning": "none", "seed": seed,
        "rewards": [round(r, 6) for r in bench.oracle(completions=texts)],
        "words": [len(text.split()) for text in texts], "examples": texts[:6],
        "pairs_tied": once["ties"], "labels_agree": once["agree"],
    }  # fmt: skip


def plan(seeds: int) -> list[tuple[str, str, int]]:
    """Whole seeds first, LoRA after them."""
    found = [(arm, "last-block", seed) for seed in range(seeds) for arm in ARMS]
    return found + [(arm, "lora", 0) for arm in ARMS]


def settings() -> Record:
    """What the page tells of the design."""
    return {
        "version": sailtheory.__version__, "model": smollm.NAME, "temperature": TEMPERATURE,
        "tokens": TOKENS, "beta": BETA, "scale": SCALE, "updates": UPDATES, "batch": BATCH,
        "rate": RATE, "kl_coefs": KL_COEFS, "draws": DRAWS,
    }  # fmt: skip


def save(folder: Path, out: str) -> Record:
    """Gather the runs that are done into one file."""
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*/result.json")]
    order = {arm: place for place, arm in enumerate(["reference", *ARMS])}
    runs.sort(key=lambda r: (r["tuning"] == "lora", r["seed"], order[r["arm"]]))
    data = settings() | {"runs": runs}
    lines = ",\n".join(json.dumps(r, ensure_ascii=False) for r in runs)
    head = json.dumps(settings(), indent=2)[:-2]
    write_text(f'{head},\n  "runs": [\n{lines}\n]\n}}\n', out, "out")
    return data


def main() -> None:
    """Run what is missing, one run after another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", required=True, help="folder of the runs")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--out", default=OUT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    folder, bench, known = Path(arguments.runs), Bench(), {}
    for arm, tuning, seed in plan(arguments.seeds):
        done = folder / f"{arm.replace(' ', '-')}-{tuning}-{seed}" / "result.json"
        if done.exists():
            continue
        if seed not in known:
            known = {seed: bench.once(seed)}
            first = folder / f"reference-{seed}" / "result.json"
            first.parent.mkdir(parents=True, exist_ok=True)
            write_text(json.dumps(base(bench, seed, known[seed])), first)
        found = run(bench, arm, tuning, seed, done.parent, known[seed])
        write_text(json.dumps(found, ensure_ascii=False), done)
        save(folder, arguments.out)
        mean = sum(found["rewards"]) / len(found["rewards"])
        kls = [sum(found[k]) / len(found[k]) for k in ("log_ratio", "log_ratio_ref")]
        print(arm, tuning, seed, f"reward {mean:.3f} KL {kls[0]:.3f} {-kls[1]:.3f}",
              found["cpu_seconds"], flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
