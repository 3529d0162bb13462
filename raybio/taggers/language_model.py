"""LLMs from a model folder: a base model, with the folder's adapter where it holds one."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from raybio.errors import ModelError
from raybio.model_files import ADAPTER, inspect_model, is_adapter, read_object
from raybio.model_identity import are_weights_of, weights_fingerprint
from raybio.taggers.decoding.readable import check_readable
from raybio.taggers.hugging_face import (
    architecture_of,
    check_model,
    check_vocabulary,
    read_config,
    read_model,
    writes_text,
)
from raybio.taggers.prepacked import prepack

_BASE = "adapter_base.json"
_FINGERPRINT = "fingerprint"


@dataclass(frozen=True, slots=True)
class FourBit:
    """How weights are rounded to 4 bits: to which values, from which number format.

    `double` says that the scales are rounded too. An adapter's folder says how its base was
    rounded when it learned (see `describe_base`).
    """

    kind: str = "nf4"
    double: bool = True
    weights: str = "bfloat16"

    @classmethod
    def read(cls, adapter: Path) -> FourBit | None:
        """Return how the base of an adapter was rounded, or None where it was not.

        Raises:
            ModelError: the file cannot be read.
        """
        rounded = {key: value for key, value in _described(adapter).items() if key != _FINGERPRINT}
        try:
            return cls(**rounded) if rounded else None
        except TypeError as error:
            raise ModelError(f"{adapter / _BASE} does not say how weights are rounded: {error}") from error


def describe_base(adapter: Path, base: Path, rounded: FourBit | None) -> None:
    """Write into the folder of an adapter which weights it learned on, and how they were `rounded`."""
    record = {_FINGERPRINT: weights_fingerprint(base), **(asdict(rounded) if rounded else {})}
    (adapter / _BASE).write_text(json.dumps(record) + "\n", encoding="utf-8")


def check_base(adapter: Path, base: Path) -> None:
    """Refuse a base whose weights are not those that an adapter learned on, where its folder tells them.

    A base of the same shape would load, and silently give other tags.

    Raises:
        ModelError: names both bases and what to change.
    """
    known = str(_described(adapter).get(_FINGERPRINT, ""))
    if not are_weights_of(known, base):
        settings = read_object(adapter / ADAPTER)
        raise ModelError(
            f"the adapter in {adapter} was trained on {settings.get('base_model_name_or_path')} (weights "
            f"{known}), and {base} has other weights ({weights_fingerprint(base)}). Give the model that "
            "it was "
            f"trained on as `base_model` in its raybio.json, or train it on this one"
        )


def _described(adapter: Path) -> dict[str, Any]:
    """Return what an adapter's folder says of its base: nothing where it was trained elsewhere."""
    path = adapter / _BASE
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ModelError(f"{path} does not describe a base model: {error}") from error


def load_language_model(
    folder: Path,
    find_base: Callable[[], Path],
    tokenizer: Any,
    *,
    dtype: torch.dtype,
    device: torch.device,
    packed: bool = False,
    prepacked: bool = True,
) -> Any:
    """Return the causal model in `folder`: whole, or the base that `find_base` gives with the adapter in it.

    The base's weights are as the adapter knew them. An adapter is merged into the base, which makes it
    as fast as a whole model, except into one that is `packed` in 4 bits: rounding the sum again
    would change what it computes. Its linear layers are `prepacked` where that makes them faster.

    Raises:
        ModelError: it is no causal language model, or the adapter is not of this base.
    """
    adapted = is_adapter(folder)
    source = find_base() if adapted else folder
    check_causal(source)
    if adapted:
        check_base(folder, source)
    rounded = FourBit.read(folder) or (FourBit() if packed else None)
    model = load_base(
        AutoModelForCausalLM, source, dtype=dtype, device=device, rounded=rounded, packed=packed
    )
    check_vocabulary(tokenizer, model, folder)
    ready = _prepacked if prepacked else type(model).eval
    if not adapted:
        return ready(model)
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    wrapped = attach_adapter(model, folder, str(source))
    return wrapped.eval() if packed else ready(wrapped.merge_and_unload())


def check_language_model(folder: Path, source: Path, tokenizer: Any) -> None:
    """Refuse what `load_language_model` would refuse of `folder` and its base `source`, or `folder` again.

    Raises:
        ModelError: as there.
    """
    check_causal(source)
    model = check_model(AutoModelForCausalLM, source)
    check_vocabulary(tokenizer, model, folder)
    if is_adapter(folder):
        check_base(folder, source)
        FourBit.read(folder)
        if len(tokenizer) > model.get_input_embeddings().num_embeddings:
            model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        attach_adapter(model, folder, str(source))


def _prepacked(model: Any) -> Any:
    prepack(model.get_decoder(), torch.bfloat16)
    return model.eval()


def load_base(
    make: Any,
    source: Path,
    *,
    dtype: torch.dtype,
    device: torch.device,
    rounded: FourBit | None = None,
    packed: bool = False,
    **options: Any,
) -> Any:
    """Return a model of the kind that `make` makes, in `dtype`, its weights as `rounded` says.

    An adapter that was trained on rounded weights makes up for their rounding; on others it is another
    model, and of a small one a much worse. Weights that are not to stay `packed` are unpacked after
    they were rounded, and compute at full speed.
    """
    options["device_map"] = {"": device}
    if rounded is None:
        return read_model(make, source, dtype=dtype, **options)
    computed = dtype if packed else getattr(torch, rounded.weights)
    options["quantization_config"] = quantization(computed, rounded.kind, rounded.double)
    model = read_model(make, source, dtype=computed, **options)
    if packed:
        return model
    # It would say that the model is not the original any more, which is what is wanted.
    logging.getLogger("transformers.integrations.bitsandbytes").setLevel(logging.ERROR)
    return model.dequantize(computed).to(dtype)


def end_tokens(model: Any) -> list[int]:
    """Return the tokens that end a text by the model's own generation settings, which may name several."""
    ends = getattr(model.generation_config, "eos_token_id", None)
    return ends if isinstance(ends, list) else [] if ends is None else [ends]


def check_causal(folder: Path) -> None:
    """Refuse a model that cannot write text, or that the decode modes cannot read in parts.

    Raises:
        ModelError: names the architecture and what to take instead.
    """
    architecture = read_config(folder)
    check_writer(architecture, str(folder))
    check_readable(architecture, str(folder))


def check_writer(config: Any, name: str) -> None:
    """Refuse a model called `name` whose Hugging Face config is of one that cannot write text.

    Raises:
        ModelError: names the architecture and what to take instead.
    """
    if not writes_text(config):
        raise ModelError(
            f"{name} is a {architecture_of(config)}, which does not write text from left to right. Name "
            "a causal language "
            "model (such as Llama or Mistral), or train an encoder with `raybio train-encoder`"
        )


def quantization(
    dtype: torch.dtype, kind: str = "nf4", double: bool = True, storage: torch.dtype | None = None
) -> BitsAndBytesConfig:
    """Return the 4-bit quantization of QLoRA (Dettmers et al., 2023): computed in `dtype`.

    Heads are left as they are; `storage` is the format that weights are packed in (`dtype` for None).
    """
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=kind,
        bnb_4bit_use_double_quant=double,
        bnb_4bit_compute_dtype=dtype,
        bnb_4bit_quant_storage=storage or dtype,
        llm_int8_skip_modules=["lm_head", "score"],
    )


def attach_adapter(model: Any, adapter: Path, base: str) -> Any:
    """Return `model` with the adapter of a folder on it, as a PEFT model.

    A head that shares the embedding's weights gets its own where the adapter changes it: merging
    would change the embedding too.

    Raises:
        ModelError: the adapter is of another model than `base`.
    """
    from peft import LoraConfig, PeftModel

    inspect_model(adapter)
    settings = LoraConfig.from_pretrained(str(adapter))
    if model.config.tie_word_embeddings and "lm_head" in settings.target_modules:
        head = model.get_output_embeddings()
        head.weight = torch.nn.Parameter(head.weight.detach().clone(), requires_grad=False)
        model.config.tie_word_embeddings = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice on tied heads, which was just followed
            return PeftModel.from_pretrained(model, adapter)
    except (RuntimeError, ValueError) as error:
        problem = str(error).strip().splitlines()[-1].strip()
        raise ModelError(
            f"the adapter in {adapter}, which was trained on {settings.base_model_name_or_path}, does not "
            f"fit the base model {base}: {problem}. Name the base model that it was trained on"
        ) from error
