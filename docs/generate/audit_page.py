"""``python -m docs.generate.audit_page``: renew the screenshot of docs/audit-a-run.md.

It trains a Llama of half a million parameters by TRL's online DPO, audits the run, and takes a
picture of the HTML page in a headless Chromium.
"""

from __future__ import annotations

import copy
import tempfile
import warnings
from pathlib import Path

from sailtheory.report.html_run_audit import audit_page
from sailtheory.run_audit import AuditCallback
from sailtheory.run_audit.audit import audit
from sailtheory.run_audit.read import read_run
from tests.support.browser import Browser

_PICTURE = Path(__file__).parents[2] / "figures" / "audit_page.png"
_SIZE = (1180, 1460)
_THINGS = ("river", "garden", "winter", "sea", "tree", "cat", "road", "house")


def reward(completions: list[str], **_: object) -> list[float]:
    """Short is better."""
    return [-len(text) / 10 for text in completions]


def train(folder: str) -> None:
    """The run of the page."""
    import torch
    from datasets import Dataset
    from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

    from tests.support.llm_models import new_model, tokenizer

    torch.manual_seed(0)
    model = new_model(2)
    rows = [{"prompt": f"Say something about the {thing}."} for thing in _THINGS]
    trainer = OnlineDPOTrainer(
        model=model, ref_model=copy.deepcopy(model), reward_funcs=reward,
        args=OnlineDPOConfig(
            folder, per_device_train_batch_size=4, max_new_tokens=8, max_length=64, beta=0.1,
            learning_rate=1e-4, max_steps=60, logging_steps=1, report_to="none",
            activation_checkpointing=False, use_cpu=True, save_strategy="no", disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(rows), processing_class=tokenizer(),
    )  # fmt: skip
    trainer.add_callback(AuditCallback(trainer, share=1))
    trainer.train()
    trainer.save_state()


def main() -> None:
    """Train, audit, take the picture."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as place:
        train(f"{place}/out")
        page = Path(place) / "page.html"
        text = audit_page(audit(read_run(f"{place}/out")), "out", 1.0)
        page.write_text(text, encoding="utf-8")
        browser = Browser(Path(place) / "profile")
        browser.appearance("light", *_SIZE)
        browser.open(page)
        _PICTURE.write_bytes(browser.screenshot())
        browser.close()


if __name__ == "__main__":
    main()
