"""Relative biases of the gradient's named variants, by enumeration of a tiny model.

``python -m studies.llm_arms.bias`` writes studies/llm_arms/bias.json: ‖mean gradient − exact
gradient‖ / ‖exact gradient‖ over every completion, for vocabularies of 3 and 4 and completions
of at most 3 tokens. tests/training/llm/test_gradient.py computes them anew.
"""

from __future__ import annotations

import json

from sailtheory.storage.files import write_text
from tests.support.llm_shipped import biases

OUT = "studies/llm_arms/bias.json"


def main() -> None:
    """Compute and write."""
    found = {str(vocabulary): biases(vocabulary) for vocabulary in (3, 4)}
    write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", OUT)


if __name__ == "__main__":
    main()
