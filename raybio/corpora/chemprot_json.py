"""The "chemprot" format: ChemProt as Ai & Kavuluru (2023) tokenized it, one JSON object a line.

    {"doc_key": "10076535", "sentences": [[word, ...], ...],
     "ner": [[[start, end, "CHEMICAL"], ...], ...], "relations": [[[s, e, s, e, "CPR:6"], ...], ...]}

`ner` and `relations` have a list for each sentence, but `start` and `end` (inclusive) count
words **from the start of the document**. (Source: the repository
bionlproc/end-to-end-ChemProt.) Two ways to read them:

"corrected"  offsets as they are meant. `Document.mentions` holds every entity, overlapping
             ones too; a sentence's gold spans are those that `iob2.flatten_spans` keeps, and
             the attribute "flattened_spans" says how many it dropped in the document.
"study"      offsets as the study's code takes them: as if they counted from the start of
             each **sentence**. They become tags word by word in file order, a later entity
             overwriting an earlier one; what lies past the sentence's end is cut off. An
             entity then is a `B-` with every `I-` after it, **whatever their labels**: where
             an entity overwrites the head of a longer one, the rest of that one is added to
             it. This gives the 2,984 test entities (1,348 / 613 / 1,023 of one, two, three
             and more words) of the study's Table II. Mentions are these spans; relations,
             whose arguments are lost, are left out.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, BinaryIO

from raybio.corpora.json_text import json_size, parsed
from raybio.corpora.limits import MAX_RECORD_BYTES, shown, too_large, too_large_problem
from raybio.corpora.lines import scan_lines
from raybio.corpora.opening import no_records
from raybio.corpora.word_layout import gold_mentions, lay_out
from raybio.entities import Document, Mention, Passage, Record, Rejected, Relation, Sentence, Span
from raybio.errors import UsageError
from raybio.iob2 import flatten_spans

PROTOCOLS = ("corrected", "study")


def read(
    stream: BinaryIO, source: str, protocol: str = "corrected", max_record_bytes: int = MAX_RECORD_BYTES
) -> Iterator[Record]:
    """Yield a Document for each line, or a Rejected where the line is not such an object, or too large.

    Raises:
        UsageError: `protocol` is not one of `PROTOCOLS`.
        FormatError: the file is empty, or cannot be read on.
    """
    if protocol not in PROTOCOLS:
        raise UsageError(f"unknown protocol {protocol!r}. Protocols: {', '.join(PROTOCOLS)}")
    document_of = _corrected if protocol == "corrected" else _as_the_study
    seen = False
    for number, line, _, fault in scan_lines(stream, source, max_record_bytes):
        if not line or line.isspace():
            continue
        seen = True
        place = f"line {number}"
        if fault is not None:
            yield fault
        elif json_size(line, max_record_bytes) > max_record_bytes:
            yield too_large(source, place, "the line with its values", max_record_bytes, line)
        else:
            try:
                fields = parsed(line)
                _check(fields, max_record_bytes)
                yield document_of(fields)
            except (ValueError, TypeError, KeyError) as error:
                remedy = "Compare the line with the corpus's public release"
                yield Rejected(source, place, f"not a ChemProt document ({error})", remedy, raw=line)
    if not seen:
        raise no_records(source, "document")


def _corrected(fields: dict[str, Any]) -> Document:
    text, starts = lay_out(fields["sentences"])
    first_words = _first_words(fields["sentences"])
    mentions = _mentions(fields, text, [start for line in starts for start in line])
    spans: list[list[Span]] = [[] for _ in first_words]
    for start, end, label in (entity for line in fields["ner"] for entity in line):
        number = bisect_right(first_words, start) - 1  # no entity reaches over the end of its sentence
        first = first_words[number]
        spans[number].append(Span(start - first, end + 1 - first, label))
    gold: list[tuple[Span, ...]] = []
    dropped = 0
    for inside in spans:
        kept, _ = flatten_spans(inside)
        dropped += len(inside) - len(kept)
        gold.append(tuple(kept))
    return Document(
        fields["doc_key"],
        text,
        passages=(Passage(0, len(text), "text"),),
        mentions=mentions,
        sentences=_sentences(fields, starts, gold),
        relations=_relations(fields, mentions),
        attributes={"flattened_spans": str(dropped)} if dropped else {},
    )


def _as_the_study(fields: dict[str, Any]) -> Document:
    text, starts = lay_out(fields["sentences"])
    gold = [
        _overwritten(entities, len(words))
        for words, entities in zip(fields["sentences"], fields["ner"], strict=True)
    ]
    sentences = _sentences(fields, starts, gold)
    passages = (Passage(0, len(text), "text"),)
    return Document(fields["doc_key"], text, passages, gold_mentions(text, sentences), sentences)


def _overwritten(entities: Sequence[tuple[int, int, str]], length: int) -> tuple[Span, ...]:
    """Return the study's spans of one sentence of `length` words (see the module's "study")."""
    heads: dict[int, str] = {}
    inside: set[int] = set()
    # Last entities first, each word taken once: `free[word]` leads to the first word from there on that
    # no later entity has overwritten. Word by word in file order would be entities times words.
    free = [*range(length + 1)]
    for start, end, label in reversed(entities):
        stop = min(end + 1, length)
        word = _first_free(free, start) if start < stop else stop
        while word < stop:
            if word == start:
                heads[word] = label
            else:
                inside.add(word)
            free[word] = word + 1
            word = _first_free(free, word)
    spans = []
    for start in sorted(heads):
        end = start + 1
        while end in inside:
            end += 1
        spans.append(Span(start, end, heads[start]))
    return tuple(spans)


def _first_free(free: list[int], word: int) -> int:
    """Follow `free` from `word` to a word that leads to itself, shortening the way for the next time."""
    while free[word] != word:
        free[word] = free[free[word]]
        word = free[word]
    return word


def _mentions(fields: dict[str, Any], text: str, starts: list[int]) -> tuple[Mention, ...]:
    words = [word for line in fields["sentences"] for word in line]
    mentions: list[Mention] = []
    for first, last, label in (entity for line in fields["ner"] for entity in line):
        start, end = starts[first], starts[last] + len(words[last])
        mentions.append(Mention(start, end, label, text[start:end], id=f"T{len(mentions) + 1}"))
    return tuple(mentions)


def _relations(fields: dict[str, Any], mentions: Sequence[Mention]) -> tuple[Relation, ...]:
    """Return relations between mentions' ids; of two mentions of the same words, the first."""
    ids: dict[tuple[int, int], str] = {}
    entities = (entity for line in fields["ner"] for entity in line)
    for (start, end, _), mention in zip(entities, mentions, strict=True):
        ids.setdefault((start, end), mention.id)
    return tuple(
        Relation(label, (("Arg1", ids[start1, end1]), ("Arg2", ids[start2, end2])))
        for line in fields.get("relations", ())
        for start1, end1, start2, end2, label in line
    )


def _sentences(
    fields: dict[str, Any], starts: Sequence[tuple[int, ...]], gold: Sequence[tuple[Span, ...]]
) -> tuple[Sentence, ...]:
    key = fields["doc_key"]
    rows = zip(fields["sentences"], starts, gold, strict=True)
    return tuple(Sentence(f"{key}:{i}", tuple(w), s, key, g) for i, (w, s, g) in enumerate(rows))


def _first_words(sentences: Sequence[Sequence[str]]) -> list[int]:
    """Return, for each sentence, how many words of the document stand before it."""
    firsts = [0]
    for words in sentences[:-1]:
        firsts.append(firsts[-1] + len(words))
    return firsts


def _check(fields: Any, max_record_bytes: int) -> None:
    """Raise ValueError unless `fields` is a ChemProt document with offsets inside its sentences.

    All mentions together may have `max_record_bytes` characters: a few bytes name a mention of any length.
    """
    if not isinstance(fields, dict) or not isinstance(fields.get("doc_key"), str):
        raise ValueError('no object with a "doc_key"')
    sentences, ner = fields.get("sentences"), fields.get("ner")
    if not isinstance(sentences, list) or not isinstance(ner, list) or len(sentences) != len(ner):
        raise ValueError('"sentences" and "ner" are not two lists of one length')
    if not sentences or not all(
        isinstance(words, list) and words and all(isinstance(word, str) and word for word in words)
        for words in sentences
    ):
        raise ValueError("a sentence is not a list of words")
    lasts = [first + len(words) for first, words in zip(_first_words(sentences), sentences, strict=True)]
    sentence_of = [i for i, words in enumerate(sentences) for _ in words]
    lengths = [*accumulate((len(word) + 1 for words in sentences for word in words), initial=0)]
    covered = 0
    for entity in (entity for line in ner for entity in line):
        typed = isinstance(entity, list) and [type(part) for part in entity] == [int, int, str]
        if not typed or not 0 <= entity[0] <= entity[1] < lasts[-1]:
            raise ValueError(f"{shown(entity)} is not a [start, end, TYPE] inside the document")
        if sentence_of[entity[0]] != sentence_of[entity[1]]:
            raise ValueError(f"{shown(entity)} reaches over the end of a sentence")
        covered += lengths[entity[1] + 1] - lengths[entity[0]]
        if covered > max_record_bytes:
            raise ValueError(too_large_problem("the text of all its mentions", max_record_bytes))
    known = {(entity[0], entity[1]) for line in ner for entity in line}
    for relation in (relation for line in fields.get("relations", ()) for relation in line):
        if (
            len(relation) != 5
            or not {tuple(relation[:2]), tuple(relation[2:4])} <= known
            or not isinstance(relation[4], str)
        ):
            raise ValueError(f"relation {shown(relation)} does not join two entities")
