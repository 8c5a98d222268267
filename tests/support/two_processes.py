"""One update of a small model, on as many processes as launch this: ``two_processes.py OUT N``.

N prompts in all; the weights after it and the logged means go to OUT. Launched by itself it is
one process.
"""

import json
import os
import sys
from pathlib import Path

import torch

from sailtheory.runs.read import read_record
from sailtheory.training.llm import SAILTrainer
from tests.support.llm_models import PAIRS, config, few_letters, new_model, tokenizer


def main(out: Path, prompts: int) -> None:
    processes = int(os.environ.get("WORLD_SIZE", 1))
    trainer = SAILTrainer(
        new_model(2).double(), reward_funcs=few_letters, processing_class=tokenizer(),
        train_dataset=PAIRS[:prompts],
        args=config(
            out, max_steps=1, per_device_train_batch_size=prompts // processes, kl_coef=0.1,
            optim="sgd", learning_rate=0.1, max_grad_norm=0.0, lr_scheduler_type="constant",
            ddp_backend="gloo" if processes > 1 else None,
        ),
    )  # fmt: skip
    trainer.train()
    if trainer.accelerator.is_main_process:
        flat = torch.cat([p.detach().reshape(-1) for p in trainer.model.parameters()])
        torch.save(flat, out / "weights.pt")
        rows = {name: float(value) for _, name, value in read_record(out / "record").rows}
        rows["processes"] = trainer.accelerator.num_processes
        (out / "rows.json").write_text(json.dumps(rows))
    trainer.accelerator.end_training()  # gloo's threads must not outlive what they hold


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
