"""An online DPO script as TRL's examples are: settings from the command line, a reward model."""

import json
import sys
from pathlib import Path

from datasets import Dataset
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GenerationConfig,
)
from trl import LogCompletionsCallback, ModelConfig, ScriptArguments, TrlParser, get_peft_config
from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

parser = TrlParser((ScriptArguments, OnlineDPOConfig, ModelConfig))
script_args, training_args, model_args = parser.parse_args_and_config(sys.argv[1:])
training_args.gradient_checkpointing_kwargs = {"use_reentrant": True}
options = {
    "revision": model_args.model_revision,
    "attn_implementation": model_args.attn_implementation,
    "dtype": model_args.dtype,
    "use_cache": not training_args.gradient_checkpointing,
}
model = AutoModelForCausalLM.from_pretrained(model_args.model_name_or_path, **options)
reward_model = AutoModelForSequenceClassification.from_pretrained(
    training_args.reward_model_path, num_labels=1, **options
)
reward_tokenizer = AutoTokenizer.from_pretrained(
    training_args.reward_model_path, truncation=True, truncation_side="left"
)
tokenizer = AutoTokenizer.from_pretrained(model_args.model_name_or_path, padding_side="left")
lines = Path(script_args.dataset_name).read_text(encoding="utf-8").splitlines()
dataset = Dataset.from_list([json.loads(line) for line in lines]).train_test_split(2, shuffle=False)

trainer = OnlineDPOTrainer(
    model=model,
    reward_funcs=reward_model,
    args=training_args,
    train_dataset=dataset[script_args.dataset_train_split],
    eval_dataset=dataset[script_args.dataset_test_split],
    processing_class=tokenizer,
    reward_processing_classes=reward_tokenizer,
    peft_config=get_peft_config(model_args),
)
draws = GenerationConfig(
    max_new_tokens=training_args.max_new_tokens,
    do_sample=True,
    temperature=training_args.temperature,
)
trainer.add_callback(LogCompletionsCallback(trainer, draws, num_prompts=2, freq=2))
trainer.train()
trainer.save_model(training_args.output_dir)
