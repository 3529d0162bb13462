"""The encoder tagger's int8 path on CPUs: OpenVINO, quantized after training with nncf.

The model is quantized once, on the sentences that came with it, and kept in its folder as
`int8/FINGERPRINT`: where the folder holds another model since, it is quantized again. Measured against
fp32 on the same sentences it is more than twice as fast at equal F1 (see
benchmarks/encoder_throughput.py). It is used where a config says `precision: int8`, and nowhere else.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray

from raybio.alignment import SubwordEncoder, windows
from raybio.errors import ModelError, first_line
from raybio.model_identity import cache_folder, fingerprint
from raybio.storage import replace_folder
from raybio.taggers.calibration import read_calibration
from raybio.taggers.company import reads_padding
from raybio.taggers.encoder import EncoderTagger, Forward, load_classifier, torch_forward
from raybio.taggers.encoder_card import EncoderCard, description_of
from raybio.taggers.hugging_face import read_tokenizer
from raybio.taggers.special_tokens import special_tokens

_BATCH_TOKENS = 1024
_LENGTH_STEP = 8
_QUANTIZED = "int8"
logger = logging.getLogger(__name__)


def load_int8(
    folder: Path,
    *,
    threads: int | None = None,
    max_batch_tokens: int | None = None,
    labels: Mapping[str, str | None] | None = None,
    **card_changes: Any,
) -> EncoderTagger:
    """Load a model folder's int8 form, quantizing it first where nobody has yet.

    Raises:
        ModelError: OpenVINO or nncf is not installed, or the folder cannot be quantized.
    """
    openvino = _openvino()
    scheme, card = description_of(folder, labels)
    quantized = _quantize_once(folder, card)
    core = openvino.Core()
    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        # Without it, OpenVINO computes what is not quantized in bf16 on processors that have it: 0.5 F1
        # points lower on BC5CDR, and not what int8 says.
        "INFERENCE_PRECISION_HINT": "f32",
        # It binds its threads to the first cores, whoever else does: two taggers would share one core.
        "ENABLE_CPU_PINNING": False,
        # It keeps what it compiled for each shape of input, of 5,000 if let, and grows by megabytes for each.
        # With this many it tags as fast, and stays at a quarter of that.
        "CPU_RUNTIME_CACHE_CAPACITY": 400,
    }
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    compiled = core.compile_model(quantized / "model.xml", "CPU", settings)
    card = card.but(**card_changes)
    return EncoderTagger(folder, scheme, card, _forward(compiled), max_batch_tokens or _BATCH_TOKENS)


def check_int8(folder: Path, labels: Mapping[str, str | None] | None = None) -> None:
    """Refuse a model folder that cannot be quantized. Its weights are read, which takes seconds.

    Raises:
        ModelError: it has no calibration sentences, or is of an architecture without an int8 form.
    """
    _, card = description_of(folder, labels)
    _converted(folder, load_classifier(folder), _samples(folder, card)[0])


def _openvino() -> Any:
    try:
        import nncf
        import openvino
    except ImportError as error:
        raise ModelError(f"precision int8 needs {error.name}. Run `pip install 'raybio[int8]'`") from None
    # Its own set_log_level would change whatever handlers others have put on its logger.
    logging.getLogger(nncf.__name__).setLevel(logging.ERROR)
    return openvino


def _forward(compiled: Any) -> Forward:
    request = compiled.create_infer_request()

    def forward(ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        length = ids.shape[1]
        # OpenVINO compiles new kernels for each shape that it has not seen: offer it few.
        wider = ((0, 0), (0, -length % _LENGTH_STEP))
        request.infer(
            {"input_ids": np.pad(ids, wider), "attention_mask": np.pad(mask, wider)}, share_inputs=True
        )
        logits: NDArray[np.float32] = request.get_output_tensor(0).data[:, :length]
        return logits

    return forward


def _quantize_once(folder: Path, card: EncoderCard) -> Path:
    """Return the folder of a model's int8 form: beside its weights, or in the cache where it cannot be."""
    place = folder if os.access(folder, os.W_OK) else cache_folder()
    target = place / _QUANTIZED / fingerprint(folder)
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(place / f"{_QUANTIZED}.lock"):
        if not target.is_dir():
            logger.warning("quantizing %s to int8 (once)", folder)
            if place == folder:
                shutil.rmtree(target.parent, ignore_errors=True)  # of what the folder held before
            with replace_folder(target) as draft:
                _quantize(folder, draft / "model.xml", card)
    return target


def _quantize(folder: Path, path: Path, card: EncoderCard) -> None:
    import nncf
    import openvino

    samples = _samples(folder, card)
    quantized = nncf.quantize(
        _converted(folder, load_classifier(folder), samples[0]),
        nncf.Dataset(samples),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(samples),
    )
    openvino.save_model(quantized, path)


def _converted(folder: Path, model: Any, sample: Mapping[str, NDArray[np.int64]]) -> Any:
    """Return a torch classifier as OpenVINO has it."""
    import openvino

    if reads_padding(torch_forward(model), read_tokenizer(folder)):
        raise ModelError(
            f"{folder} is a {type(model).__name__}, which reads padding too: it has no int8 form, since that "
            f"pads to lengths of {_LENGTH_STEP}. Leave precision out"
        )
    example = {name: torch.from_numpy(value) for name, value in sample.items()}
    everything = logging.getLogger()
    level = everything.level
    try:
        with torch.inference_mode():
            return openvino.convert_model(model, example_input=example)
    except Exception as error:  # each architecture fails in its own way
        raise ModelError(
            f"{folder} is a {type(model).__name__}, which OpenVINO cannot convert: {first_line(error)}. "
            "Leave precision out"
        ) from error
    finally:
        everything.setLevel(level)  # a conversion that fails leaves all logging at errors alone


def _samples(folder: Path, card: EncoderCard) -> list[dict[str, NDArray[np.int64]]]:
    """Return the calibration sentences as the model will read them: one window each."""
    sentences = read_calibration(folder)
    tokenizer = read_tokenizer(folder)
    prefix, suffix = special_tokens(tokenizer)
    size = card.max_length - len(prefix) - len(suffix)
    samples = []
    for i, subwords in enumerate(SubwordEncoder(tokenizer, card.spacing).encode(sentences)):
        for window in windows(subwords, i, size, card.stride):
            ids = np.array([[*prefix, *window.ids, *suffix]], dtype=np.int64)
            samples.append({"input_ids": ids, "attention_mask": np.ones_like(ids)})
    return samples
