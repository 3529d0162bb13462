"""Adapters of token classifiers that PEFT saved elsewhere -> whole model folders in raybio's cache, once.

Such a folder holds LoRA matrices and the classifier's own weights (`modules_to_save`), and names its base.
Merged, it is a token classifier as any other.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

from raybio.errors import ModelError
from raybio.model_conversion import made_once
from raybio.model_files import ADAPTER_WEIGHTS, READ, read_header, read_object
from raybio.model_identity import fingerprint

_HEADS = ("classifier", "score")
_CLOSED: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
_NO_TOKENIZERS_FILES = ("config.json", "generation_config.json", "adapter_config.json", "raybio.json")


def merged_classifier(adapter: Path, base: Path) -> Path:
    """Return the folder of a base model with a token classifier's adapter in it.

    Its outputs are called as the config.json beside the adapter says, else the base's, where that has as
    many; else `LABEL_0` and so on, as transformers calls them.

    Raises:
        ModelError: `peft` is missing, the adapter is another model's, or neither has a trained head.
    """
    key = hashlib.sha256(f"{fingerprint(adapter)} {fingerprint(base)}".encode()).hexdigest()[:16]
    return made_once(f"{adapter.name}-{key}", lambda folder: _merge(adapter, base, folder))


def _merge(adapter: Path, base: Path, folder: Path) -> None:
    try:
        import peft  # noqa: F401
    except ImportError:
        raise ModelError(
            f"{adapter} holds an adapter, which peft reads. Run `pip install 'raybio[llm]'`"
        ) from None
    try:
        model = _merged(adapter, base)
    except (ModelError, MemoryError):
        raise
    except Exception as error:  # somebody else's files lead to any error
        problem = str(error).strip().splitlines()[-1].strip().rstrip(".")
        raise _unfit(adapter, base, problem) from error
    model.save_pretrained(folder)
    source = adapter if (adapter / "tokenizer_config.json").is_file() else base
    for path in {path for pattern in READ for path in source.glob(pattern)}:
        if path.name not in _NO_TOKENIZERS_FILES and ".safetensors" not in path.name:
            shutil.copyfile(path, folder / path.name)


def _merged(adapter: Path, base: Path) -> Any:
    import torch
    from peft import PeftModel, get_peft_model_state_dict
    from transformers import AutoModelForTokenClassification

    given = set(read_header(adapter / ADAPTER_WEIGHTS))
    config = _config(adapter, base)
    dtype = config.dtype or torch.float32
    # Added up in fp32, and rounded once.
    model, found = AutoModelForTokenClassification.from_pretrained(
        base,
        config=config,
        dtype=torch.float32,
        use_safetensors=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
        **_CLOSED,
    )
    unread = {*found["missing_keys"], *(name for name, *_ in found["mismatched_keys"])}
    if lacking := sorted(name for name in unread if f"base_model.model.{name}" not in given):
        raise ModelError(
            f"neither {adapter} nor its base {base} has weights of {', '.join(lacking[:3])}: they were never "
            "trained, and would be drawn at random. Save the adapter with modules_to_save"
        )
    adapted = PeftModel.from_pretrained(model, adapter)
    if wrong := sorted(given ^ set(get_peft_model_state_dict(adapted))):
        raise _unfit(adapter, base, f"{wrong[0]} is in one of them alone")
    return adapted.merge_and_unload().to(dtype)


def _config(adapter: Path, base: Path) -> Any:
    """Return the base's config with the outputs of the adapter's head."""
    from transformers import AutoConfig

    heads = [
        shape[0]
        for name, (_, shape) in read_header(adapter / ADAPTER_WEIGHTS).items()
        if name.endswith(tuple(f".{head}.weight" for head in _HEADS)) and len(shape) == 2
    ]
    beside = read_object(adapter / "config.json") if (adapter / "config.json").is_file() else {}
    config = AutoConfig.from_pretrained(base, **_CLOSED)
    count = heads[0] if heads else config.num_labels
    named = beside.get("id2label") or config.id2label
    if len(named) != count:
        named = {i: f"LABEL_{i}" for i in range(count)}
    config.id2label = {int(i): name for i, name in named.items()}
    config.label2id = {name: int(i) for i, name in named.items()}
    return config


def _unfit(adapter: Path, base: Path, problem: str) -> ModelError:
    return ModelError(
        f"the adapter in {adapter} does not fit its base model {base}: {problem}. Name the base that it was "
        "trained on as base_model_name_or_path in its adapter_config.json"
    )
