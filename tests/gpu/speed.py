"""An encoder, a tag head, `generate` and the decode modes side by side: at batch 1, and saturated.

With trained models (`--encoder`, `--decoder`, `--tag-head`) all ways are compared. Without, weights are
random at Llama-3.1-8B's shape: then verified tags are measured with right drafts (one pass, the best there
is) and with a draft without entities, which random weights hardly ever agree with (the worst).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from decoding_figures import figures, in_batches, one_by_one
from decoding_ways import Llm, Way, classified, decoded, generated, ways
from transformers import AutoModelForTokenClassification

from gpu.checks import Figures
from gpu.models import llm_shape, random_encoder, random_llm
from gpu.setting import Setting
from raybio.entities import Sentence
from raybio.iob2 import tags_from_spans
from raybio.label_schemes import LabelScheme
from raybio.taggers import Tagger, load_tagger
from raybio.taggers.decoding.drafts import outside
from raybio.taggers.devices import pick_dtype
from raybio.taggers.encoder import EncoderTagger, torch_forward
from raybio.taggers.encoder_card import EncoderCard
from raybio.taggers.hugging_face import read_config, tag_options

_BUDGET = 32768
"""Tokens of one batch where the device is saturated."""


def in_bf16(setting: Setting) -> list[Figures]:
    """Compare in bf16 (on a CPU, in what it multiplies)."""
    return _compared(setting, "bf16" if setting.device.type == "cuda" else "fp32")


def in_fp32(setting: Setting) -> list[Figures]:
    """Compare in fp32; only trained models of a small size are worth it."""
    return _compared(setting, "fp32") if setting.decoder else []


def in_four_bits(setting: Setting) -> list[Figures]:
    """Compare with the LLM in 4 bits."""
    return _compared(setting, "4bit")


def _compared(setting: Setting, precision: str) -> list[Figures]:
    alone = setting.test_sentences(small=2, full=12 if setting.decoder else 6)
    many = setting.test_sentences(small=2, full=256 if setting.decoder else 64)
    folder = setting.decoder or random_llm(setting, "llm-at-size", llm_shape(setting))
    llm = Llm.load(folder, precision, setting.device.type)
    encoder = load_tagger(setting.encoder or random_encoder(setting), device=setting.device.type)
    tag_head = _tag_head(setting, llm)

    def anew() -> list[Way]:
        if setting.decoder:
            return [way for way in ways(llm, encoder, tag_head) if way.draft != "prompt lookup"]
        return list(_ways_of_random_weights(llm, encoder, tag_head, [*alone, *many]))

    for way in anew():
        way.tag(alone[:1])  # what is done once is not a sentence's cost
    one, rows = anew(), []
    one_by_one(one, alone, slow=min(3, len(alone)))
    batched = [in_batches(way, llm, many, 2048 if setting.small else _BUDGET) for way in anew()]
    for load, sentences, compared in (("batch 1", alone, one), ("saturated", many, batched)):
        gold = [tags_from_spans(sentence.gold or (), len(sentence)) for sentence in sentences]
        rows += [
            {"load": load, "precision": precision, "weights": "trained" if setting.decoder else "random"}
            | figures(way, compared, compared, gold)
            for way in compared
        ]
    return rows if setting.decoder else [_without_scores(row) for row in rows]


def _ways_of_random_weights(
    llm: Llm, encoder: Tagger, tag_head: Tagger, sentences: Sequence[Sentence]
) -> list[Way]:
    """Return the ways whose speed does not depend on what a model knows."""
    known = {
        sentence.words: answer.tags
        for sentence, answer in zip(
            sentences,
            decoded(llm, "forced-tags", sentences, [outside(s.words) for s in sentences]),
            strict=True,
        )
    }
    return [
        Way("encoder", "", lambda batch: classified(encoder, batch)),
        Way("tag-head", "", lambda batch: classified(tag_head, batch)),
        Way("generate", "", lambda batch: generated(llm, batch)),
        Way(
            "verified-tags",
            "right",
            lambda batch: decoded(llm, "verified-tags", batch, [known[s.words] for s in batch]),
        ),
        Way(
            "verified-tags",
            "outside",
            lambda batch: decoded(llm, "verified-tags", batch, [outside(s.words) for s in batch]),
        ),
    ]


def _tag_head(setting: Setting, llm: Llm) -> Tagger:
    """Return the given tag head, or a random one on an LLM of the same shape."""
    if setting.tag_head:
        return load_tagger(setting.tag_head, device=setting.device.type)
    folder = setting.decoder or random_llm(setting, "llm-at-size", llm_shape(setting))
    config = llm.plain.config if setting.decoder else read_config(folder)
    config = type(config).from_dict({**config.to_dict(), **tag_options(setting.labels)})
    config.quantization_config = None
    with torch.device(setting.device):
        dtype = pick_dtype("auto", setting.device)
        model = AutoModelForTokenClassification.from_config(config, dtype=dtype).eval()
    card = EncoderCard(list(setting.labels), 512, 64, "all", "mean", spacing="blank")
    scheme = LabelScheme.iob2(setting.labels)
    return EncoderTagger(folder, scheme, card, torch_forward(model), 2048 if setting.small else _BUDGET)


def _without_scores(row: Figures) -> Figures:
    """Leave out what random weights say nothing of."""
    return {name: value for name, value in row.items() if name not in ("strict_f1", "malformed")}
