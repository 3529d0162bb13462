"""How many subwords a model reads at once."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoModel

from raybio.taggers.hugging_face import one_line


def positions_of(config: Any, name: object) -> int | None:
    """Return the most subwords, special tokens included, that a model of this Hugging Face config reads.

    None stands for a model that names no bound. RoBERTa and its family count positions from behind that of
    padding: of the rows in their table, 514 say, the first two are never a token's.

    Raises:
        ModelError: no model can be made by this config of the model called `name`.
    """
    longest = getattr(config, "max_position_embeddings", None)
    if not isinstance(longest, int) or longest <= 0:
        return None
    with one_line(name, "no model can be made by its config.json"), torch.device("meta"):
        model = AutoModel.from_config(config, trust_remote_code=False)
    skipped = (
        module.padding_idx + 1
        for name, module in model.named_modules()
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None
    )
    return longest - max(skipped, default=0)
