"""An encoder as an ONNX file: what onnxruntime answers with is what raybio does, and that is tried.

The file takes `input_ids` and `attention_mask` of any size and gives `logits`; its metadata hold the labels
(`id2label`) and the card. Cutting into windows, deciding words and calibrating scores are left to whoever
runs it: the card says how. torch's own exporter is used; optimum's holds transformers below 5.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from raybio.corpora import read_corpus
from raybio.corpora.sample import generate_sample
from raybio.corpora.sentences import split_document
from raybio.entities import Sentence
from raybio.errors import ModelError, first_line
from raybio.label_schemes import LabelScheme
from raybio.model_files import INDEX, READ
from raybio.storage import replace_folder
from raybio.taggers.checking import kind_for
from raybio.taggers.company import reads_padding
from raybio.taggers.encoder import EncoderTagger, Forward, default_budget, load_classifier
from raybio.taggers.encoder_card import EncoderCard, description_of
from raybio.taggers.hugging_face import read_tokenizer

FILE = "model.onnx"
TRIED = 300
"""Sentences of the sample corpus that both must tag alike."""

_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_CPU = torch.device("cpu")


def export_onnx(folder: Path, target: Path) -> None:
    """Write the encoder in a model folder as ONNX, in fp32, with its tokenizer, config and card around it.

    Whatever `target` held before is replaced, once onnxruntime tagged some hundred sentences as torch does.

    Raises:
        ModelError: a package is missing; the folder holds no encoder, or one that cannot be exported, or that
            onnxruntime answers otherwise with.
    """
    for name in _PACKAGES:
        try:
            __import__(name)
        except ImportError:
            raise ModelError(f"format onnx needs {name}. Run `pip install 'raybio[onnx]'`") from None
    if (kind := kind_for(folder, "auto", {}, None)) != "encoder":
        raise ModelError(f"{folder} is a {kind}, and only token classifiers have an ONNX form")
    scheme, card = description_of(folder)
    model = load_classifier(folder)
    with replace_folder(target) as draft:
        for path in (path for pattern in READ for path in folder.glob(pattern)):
            if path.suffix != ".safetensors" and path.name != INDEX:
                shutil.copyfile(path, draft / path.name)
        _write(folder, model, card, draft / FILE)
        _try(folder, scheme, card, model, draft / FILE)


def onnx_forward(file: Path, threads: int | None = None) -> Forward:
    """Return the forward pass of an exported token classifier, as onnxruntime computes it on CPUs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or torch.get_num_threads()
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def forward(ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0]
        return logits

    return forward


class _Logits(torch.nn.Module):
    """A token classifier of two inputs and one output."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits


def _write(folder: Path, model: Any, card: EncoderCard, file: Path) -> None:
    ids = torch.arange(16).reshape(2, 8) % model.config.vocab_size
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("sequence")}
    try:
        with _quiet(), torch.inference_mode():
            program = torch.onnx.export(
                _Logits(model).eval(),
                (ids, torch.ones_like(ids)),
                dynamo=True,
                input_names=["input_ids", "attention_mask"],
                output_names=["logits"],
                dynamic_shapes={"input_ids": axes, "attention_mask": axes},
                verbose=False,
            )
            assert program is not None, "it was exported"
            program.model.metadata_props["id2label"] = json.dumps(model.config.id2label)
            program.model.metadata_props["raybio"] = json.dumps(asdict(card))
            program.save(file)
    except Exception as error:  # each architecture fails in its own way
        raise ModelError(
            f"{folder} is a {type(model).__name__}, which torch cannot export: {first_line(error)}"
        ) from error


def _try(folder: Path, scheme: LabelScheme, card: EncoderCard, model: Any, file: Path) -> None:
    """See that onnxruntime tags as torch does.

    Raises:
        ModelError: it does not, in how many sentences.
    """
    sentences = sample_sentences(TRIED)
    forward, budget = onnx_forward(file), default_budget(_CPU)
    alone = reads_padding(forward, read_tokenizer(folder))
    exported = EncoderTagger(folder, scheme, card, forward, budget, alone).tag(sentences)
    own = EncoderTagger.of_model(folder, scheme, card, model, budget).tag(sentences)
    others = sum(one.tags != other.tags for one, other in zip(exported, own, strict=True))
    if others:
        raise ModelError(
            f"{folder}: of {len(sentences)} sentences onnxruntime tags {others} otherwise than torch: "
            "nothing is written. Report it with the model's name"
        )


def sample_sentences(count: int) -> Sequence[Sentence]:
    """Return sentences of the sample corpus that comes with raybio."""
    with tempfile.TemporaryDirectory() as name:
        files = generate_sample(name, train=0, dev=0, test=count, citations=1)
        return [
            sentence for document in read_corpus(str(files.test)) for sentence in split_document(document)
        ]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks on its own inside from the user."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
