"""What transformers' own pipeline finds in raw text, and what a tagger of raybio finds in it."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer, TokenClassificationPipeline

from raybio.corpora.splitting import split_words
from raybio.entities import Sentence
from raybio.iob2 import spans_from_tags
from raybio.taggers import load_tagger

Entities = list[list[tuple[int, int, str]]]


def as_sentence(text: str) -> Sentence:
    """Return a text as one sentence of raybio's words."""
    spans = split_words(text)
    return Sentence("s", tuple(text[a:b] for a, b in spans), tuple(a for a, _ in spans))


class PipelineOfWords(TokenClassificationPipeline):
    """transformers' pipeline with raybio's words.

    For tokenizers without `##` it takes all between two blanks for one word: `(clonidine).` would be one.
    """

    def gather_pre_entities(self, sentence: str, *arguments: Any, **options: Any) -> Any:
        """Return the subwords with whether a word of raybio begins with each."""
        entities = super().gather_pre_entities(sentence, *arguments, **options)
        starts = set(as_sentence(sentence).starts)
        # A blank that is a token of its own would be a word too, with the place of the letter behind it.
        entities = [entity for entity in entities if entity["word"].strip("Ġ▁")]
        end = 0
        for entity in entities:
            part = sentence[entity["start"] : entity["end"]]
            start = entity["start"] + len(part) - len(part.lstrip())
            # A character may be cut in two, or a ligature be written out: then subwords share a place.
            entity["is_subword"] = start not in starts or start < end
            end = entity["end"]
        return entities


def pipeline_entities(make: Any, folder: Path, texts: Sequence[str]) -> Entities:
    """Return the (start, end, label) entities of texts; ends and starts without blanks, nothing of blanks.

    Texts are read one by one: what a batch does to them is another question.
    """
    model = AutoModelForTokenClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    pipe = make(model=model, tokenizer=tokenizer, aggregation_strategy="first", device=torch.device("cpu"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pipe(list(texts), batch_size=1)
    return [
        [
            (*_stripped(text, entity["start"], entity["end"]), entity["entity_group"])
            for entity in entities
            if text[entity["start"] : entity["end"]].strip()
        ]
        for text, entities in zip(texts, found, strict=True)
    ]


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())


def our_entities(folder: Path, texts: Sequence[str]) -> Entities:
    """Return the (start, end, label) entities that raybio finds in texts."""
    given = [as_sentence(text) for text in texts]
    tagged = load_tagger(folder, device="cpu").tag(given)
    return [
        [(*sentence.characters(span), span.label) for span in spans_from_tags(tags.tags)]
        for sentence, tags in zip(given, tagged, strict=True)
    ]
