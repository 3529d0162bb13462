"""What a tokenizer puts around a text: special tokens, their token types, and padding."""

from __future__ import annotations

from typing import Any

import torch


def special_tokens(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Return the ids a tokenizer puts before and after a text ([CLS] and [SEP])."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    at = next(i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
    return whole[:at], whole[at + len(bare) :]


def padding_of(tokenizer: Any) -> int:
    """Return the id that fills a batch up: GPT-2 and Llama have none of their own, and any is masked."""
    return next((i for i in (tokenizer.pad_token_id, tokenizer.eos_token_id) if i is not None), 0)


def add_token_types(model: Any, tokenizer: Any) -> Any:
    """Return `model`, which from now on reads the token types of its tokenizer's special tokens.

    XLNet and Funnel were trained with a type of its own for [CLS]. Where all types are 0, as a model takes
    them to be that is not given any, nothing changes. Windows are padded behind their end.
    """
    types = tokenizer("a").get("token_type_ids") or []
    if not any(types):
        return model
    prefix, suffix = special_tokens(tokenizer)
    before, after = types[: len(prefix)], types[len(types) - len(suffix) :]

    def with_types(_: Any, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        mask = options["attention_mask"]
        places = torch.arange(mask.shape[1], device=mask.device)
        found = torch.zeros_like(mask)
        for place, kind in enumerate(before):
            found = torch.where(places == place, kind, found)
        for place, kind in enumerate(reversed(after), start=1):
            found = torch.where(places == mask.sum(dim=1, keepdim=True) - place, kind, found)
        return args, {**options, "token_type_ids": found}

    model.register_forward_pre_hook(with_types, with_kwargs=True)
    return model
