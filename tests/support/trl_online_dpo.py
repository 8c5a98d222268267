"""An online DPO script as TRL's users write it; ``python trl_online_dpo.py MODEL OUT``."""

import sys

from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
ref_model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
things = ["river", "garden", "winter", "sea"]
dataset = Dataset.from_list([{"prompt": f"Say something about the {t}."} for t in things])


def reward_func(completions, **kwargs):
    return [-len(completion) / 10 for completion in completions]


training_args = OnlineDPOConfig(
    output_dir=sys.argv[2],
    per_device_train_batch_size=2,
    gradient_accumulation_steps=2,
    max_new_tokens=8,
    max_length=64,
    temperature=0.9,
    beta=0.1,
    missing_eos_penalty=1.0,
    learning_rate=1e-3,
    max_steps=2,
    logging_steps=1,
    activation_checkpointing=False,
    report_to="none",
    use_cpu=True,
)
trainer = OnlineDPOTrainer(
    model=model,
    ref_model=ref_model,
    reward_funcs=reward_func,
    args=training_args,
    train_dataset=dataset,
    processing_class=tokenizer,
)
trainer.train()
