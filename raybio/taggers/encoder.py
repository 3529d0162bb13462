"""The encoder tagger: a token classifier read in full windows, one tag per word.

Speed comes from three things: words are encoded once, windows are batched by token budget
(hardly any padding), and what follows the model is one pass of array arithmetic.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForTokenClassification

from raybio.alignment import SubwordEncoder, Subwords, Window, windows
from raybio.entities import Sentence
from raybio.errors import ModelError
from raybio.label_schemes import LabelScheme
from raybio.taggers.aggregation import AggregationStrategy, Reading
from raybio.taggers.base import Tags
from raybio.taggers.batching import cheapest_batches, equal_batches, token_budget_batches
from raybio.taggers.both_ways import read_both_ways
from raybio.taggers.company import reads_padding
from raybio.taggers.devices import pick_device, pick_dtype
from raybio.taggers.encoder_card import EncoderCard, description_of
from raybio.taggers.hugging_face import check_vocabulary, read_model, read_tokenizer
from raybio.taggers.out_of_memory import tell_out_of_memory
from raybio.taggers.prepacked import prepack
from raybio.taggers.special_tokens import add_token_types, padding_of, special_tokens

logger = logging.getLogger(__name__)

Precision = Literal["auto", "fp32", "bf16", "fp16"]

Forward = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]]
"""Token ids and attention mask, each (windows, tokens) -> logits (windows, tokens, tags)."""

# On CPU cores a forward pass of 1024 tokens costs about a twentieth less per token than one of 384, so a
# pass costs some 40 tokens beyond its own, and padding soon costs more. A GPU wants much more work.
_CPU_BATCH_TOKENS = 1024
_CPU_PASS_TOKENS = 40
_GPU_BATCH_TOKENS = 32768


class EncoderTagger:
    """Tags sentences with a fine-tuned token classifier.

    `forward` replaces the model's forward pass (the int8 path gives its own). A model that `reads_padding`,
    though it is masked, gets batches of one length. `counts` says how many subwords were read in how many
    windows, and how many no window owned: always 0.
    """

    def __init__(
        self,
        folder: Path,
        scheme: LabelScheme,
        card: EncoderCard,
        forward: Forward,
        max_batch_tokens: int,
        reads_padding: bool = False,
    ) -> None:
        self._scheme = scheme
        self._card = card
        self._forward = forward
        self._budget = max_batch_tokens
        self._reads_padding = reads_padding
        tokenizer = read_tokenizer(folder)
        self._tokenizer = tokenizer
        self._encoder = SubwordEncoder(tokenizer, card.spacing)
        if card.spacing == "glued" and self._encoder.sees_blanks:
            logger.warning(
                "%s was trained, and is read, without the blanks between words, by a raybio that left them "
                "out. Retrained, it would read text as written, and better",
                folder,
            )
        self._prefix, self._suffix = special_tokens(tokenizer)
        self._padding = padding_of(tokenizer)
        self.counts: Counter[str] = Counter()

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        precision: Precision = "auto",
        device: str = "auto",
        max_batch_tokens: int | None = None,
        max_length: int | None = None,
        stride: int | None = None,
        aggregation_strategy: AggregationStrategy | None = None,
        constrained_decoding: bool | None = None,
        labels: Mapping[str, str | None] | None = None,
    ) -> EncoderTagger:
        """Load a model folder onto `device` ("auto": the GPU where there is one).

        What is left None is as the model's card says. `labels` says of the model's outputs, or of
        its labels, what they stand for (see `label_schemes.recognise`).

        Raises:
            ModelError: the folder holds no token classifier, or one of tags that are of no scheme.
        """
        where = torch.device(pick_device(device))
        scheme, card = description_of(folder, labels)
        model = load_classifier(folder, pick_dtype(precision, where))
        card = card.but(
            max_length=max_length,
            stride=stride,
            aggregation_strategy=aggregation_strategy,
            constrained_decoding=constrained_decoding,
        )
        budget = max_batch_tokens or default_budget(where)
        model = model.to(where)
        prepack(model, torch.float32, torch.bfloat16)
        return cls.of_model(folder, scheme, card, model, budget)

    @classmethod
    def of_model(
        cls, folder: Path, scheme: LabelScheme, card: EncoderCard, model: Any, max_batch_tokens: int
    ) -> EncoderTagger:
        """Return the tagger of a torch token classifier with the tokenizer in a folder.

        Raises:
            ModelError: the tokenizer is another model's.
        """
        forward, tokenizer = torch_forward(model), read_tokenizer(folder)
        check_vocabulary(tokenizer, model, folder)
        SubwordEncoder(tokenizer, card.spacing)  # refuses what it cannot use, before a model reads its tokens
        alone = reads_padding(forward, tokenizer, coarse=model.dtype != torch.float32)
        return cls(folder, scheme, card, forward, max_batch_tokens, alone)

    @property
    def labels(self) -> tuple[str, ...]:
        """The entity labels that this tagger gives, sorted."""
        return self._scheme.labels

    def tag(self, sentences: Sequence[Sentence]) -> list[Tags]:
        """Return the tags of each sentence, in order.

        Raises:
            ModelError: a batch does not fit in memory.
        """
        return self.read(sentences).tags(self._card.temperature)

    def read(self, sentences: Sequence[Sentence]) -> Reading:
        """Return what the model says of sentences, from which their tags follow.

        Raises:
            ModelError: a batch does not fit in memory.
        """
        encoded = self._encoder.encode(
            [sentence.words for sentence in sentences], [sentence.starts for sentence in sentences]
        )
        card = self._card
        return Reading(
            encoded, self._logits(encoded), self._scheme, card.aggregation_strategy, card.constrained_decoding
        )

    def _logits(self, encoded: Sequence[Subwords]) -> NDArray[np.float32]:
        """Run the model over all windows; return (subwords of all sentences, tags) logits."""
        firsts = np.cumsum([0, *(len(one.ids) for one in encoded)])
        special = len(self._prefix) + len(self._suffix)
        size = self._card.max_length - special
        cut = [window for i, one in enumerate(encoded) for window in windows(one, i, size, self._card.stride)]
        logits = np.empty((int(firsts[-1]), len(self._scheme.tags)), dtype=np.float32)
        owned = 0
        for batch in self._batches([len(window.ids) + special for window in cut]):
            members = [cut[i] for i in batch]
            output = self._pass(members)
            for row, window in zip(output, members, strict=True):
                where = len(self._prefix) - window.start
                target = firsts[window.sentence]
                logits[target + window.own_start : target + window.own_end] = row[
                    where + window.own_start : where + window.own_end
                ]
                owned += window.own_end - window.own_start
        self.counts.update(subwords=len(logits), subwords_dropped=len(logits) - owned, windows=len(cut))
        return logits

    def _batches(self, lengths: Sequence[int]) -> list[list[int]]:
        if self._reads_padding:
            return equal_batches(lengths, self._budget)
        if self._budget <= _CPU_BATCH_TOKENS:
            return cheapest_batches(lengths, self._budget, _CPU_PASS_TOKENS)
        return token_budget_batches(lengths, self._budget)

    def _pass(self, members: Sequence[Window]) -> NDArray[np.float32]:
        ids, mask = self._pad(members)

        def advice() -> str:
            return (
                f"{len(ids)} windows of up to {ids.shape[1]} tokens do not fit in the device's memory. "
                f"Lower max_batch_tokens (now {self._budget})"
            )

        with tell_out_of_memory(ModelError, advice):
            return self._forward(ids, mask)

    def _pad(self, members: Sequence[Window]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        longest = max(len(window.ids) for window in members) + len(self._prefix) + len(self._suffix)
        ids = np.full((len(members), longest), self._padding, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, window in enumerate(members):
            tokens = [*self._prefix, *window.ids, *self._suffix]
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        return ids, mask


def load_classifier(folder: Path, dtype: torch.dtype = torch.float32) -> Any:
    """Return the Hugging Face token classifier in a model folder, ready for inference.

    Raises:
        ModelError: there is none, or its weights are missing or damaged, or its card is not of it.
    """
    model = read_model(AutoModelForTokenClassification, folder, dtype=dtype)
    kept = getattr(model, "_keep_in_fp32_modules", None) or ()
    for name, parameter in model.named_parameters():
        # DeBERTa and XLNet make some of theirs in fp32 whatever is asked for, and then compute with neither.
        if not any(part in name for part in kept):
            parameter.data = parameter.data.to(dtype)
    model.config.use_cache = False  # an LLM would keep keys and values that no later token reads
    if card := EncoderCard.read(folder):
        read_both_ways(model, card.blocks_both_ways)
    return add_token_types(model, read_tokenizer(folder)).eval()


def torch_forward(model: Any) -> Forward:
    """Return the forward pass of a torch token classifier as a function of arrays."""
    device = model.device

    @torch.inference_mode()
    def forward(ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        output = model(
            input_ids=torch.from_numpy(ids).to(device), attention_mask=torch.from_numpy(mask).to(device)
        )
        logits: NDArray[np.float32] = output.logits.float().cpu().numpy()
        return logits

    return forward


def default_budget(device: torch.device) -> int:
    """Return how many subwords, padding included, suit one forward pass on `device`."""
    return _CPU_BATCH_TOKENS if device.type == "cpu" else _GPU_BATCH_TOKENS
