"""What recording a run for its audit costs: TRL's online DPO with and without AuditCallback.

``python -m benchmarks.run_audit [--updates N] [--rounds N] [--out FILE]``. A Llama of half a
million parameters, 4 prompts an update, the callback at its defaults. Runs with and without it
take turns in one process; a ratio is that of a pair of turns, in CPU seconds, and the largest
counts. Weights and random numbers at the end are compared to the last bit.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import os
import platform
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers.utils import logging

import sailtheory
from benchmarks.results import save
from sailtheory.run_audit import AuditCallback

GOAL = 1.05
THINGS = ("river", "garden", "winter", "sea", "tree", "cat", "road", "house")


def reward(completions: list[str], **_: Any) -> list[float]:
    """The length, so that judging costs nothing."""
    return [-len(text) / 10 for text in completions]


def run(folder: str, updates: int, audited: bool) -> tuple[float, str]:
    """CPU seconds of ``train()``, and a digest of what it ends with."""
    from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

    from tests.support.llm_models import new_model, tokenizer

    torch.manual_seed(0)
    model = new_model(2)
    rows = [{"prompt": f"Say something about the {thing}."} for thing in THINGS]
    trainer = OnlineDPOTrainer(
        model=model, ref_model=copy.deepcopy(model), reward_funcs=reward,
        args=OnlineDPOConfig(
            folder, per_device_train_batch_size=4, max_new_tokens=8, max_length=64, beta=0.1,
            learning_rate=1e-4, max_steps=updates, logging_steps=100, report_to="none",
            activation_checkpointing=False, use_cpu=True, save_strategy="no", disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(rows), processing_class=tokenizer(),
    )  # fmt: skip
    if audited:
        trainer.add_callback(AuditCallback(trainer))
    began = time.process_time()
    trainer.train()
    seconds = time.process_time() - began
    digest = hashlib.sha256(torch.get_rng_state().numpy().tobytes())
    for weights in trainer.model.parameters():
        digest.update(weights.detach().numpy().tobytes())
    return seconds, digest.hexdigest()


def cost(updates: int, rounds: int) -> dict[str, Any]:
    """Pairs of turns."""
    pairs, measured, shares = [], [], []
    with tempfile.TemporaryDirectory() as place:
        run(f"{place}/warm", 5, False)
        for k in range(rounds):
            folder = f"{place}/{k}"
            with_it, alone = run(folder, updates, True), run(f"{place}/none", updates, False)
            if with_it[1] != alone[1]:
                raise SystemExit("the callback changed the run")
            lines = (Path(folder) / "audit" / "log.jsonl").read_text("utf-8").splitlines()
            measured.append(len(lines) - 2)
            shares.append(json.loads(lines[-1])["share"])
            pairs.append((with_it[0], alone[0]))
            said = f"{measured[-1]} updates measured in {shares[-1]:.2%} of the time"
            print(f"{with_it[0]:.2f} s with, {alone[0]:.2f} s without: {said}", flush=True)
    ratios = sorted(a / b for a, b in pairs)
    return {
        "peer": "the same run without the callback", "goal": GOAL, "updates": updates,
        "updates_measured": measured, "share_of_wall_time": shares,
        "seconds": statistics.median(a for a, _ in pairs),
        "peer_seconds": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(ratios), "ratio_range": [ratios[0], ratios[-1]],
        "rounds": rounds, "same_bits": True,
    }  # fmt: skip


def main() -> None:
    """Run it and print, optionally save, the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=2, help="pairs of turns")
    parser.add_argument("--out", help="JSON file to write")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.set_verbosity_error()
    results: dict[str, Any] = {
        "version": sailtheory.__version__, "torch": torch.__version__,
        "machine": platform.machine(), "threads": 1, "load_before": os.getloadavg()[0],
        "callback": cost(arguments.updates, arguments.rounds),
        "load_after": os.getloadavg()[0],
    }  # fmt: skip
    print(json.dumps(results, indent=1), flush=True)
    save(results, arguments.out)


if __name__ == "__main__":
    main()
