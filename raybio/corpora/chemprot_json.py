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

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from pydantic_core import from_json

from raybio.corpora.json_text import parsed
from raybio.corpora.opening import no_records, read_lines
from raybio.corpora.word_layout import gold_mentions, lay_out
from raybio.entities import Document, Mention, Passage, Record, Rejected, Relation, Sentence, Span
from raybio.errors import UsageError
from raybio.iob2 import flatten_spans

PROTOCOLS = ("corrected", "study")


def read(stream: BinaryIO, source: str, protocol: str = "corrected") -> Iterator[Record]:
    """Yield a Document for each line, or a Rejected where the line is not such an object.

    Raises:
        UsageError: `protocol` is not one of `PROTOCOLS`.
        FormatError: the file is empty, or cannot be read on.
    """
    if protocol not in PROTOCOLS:
        raise UsageError(f"unknown protocol {protocol!r}. Protocols: {', '.join(PROTOCOLS)}")
    document_of = _corrected if protocol == "corrected" else _as_the_study
    seen = False
    for number, line in read_lines(stream, source):
        if not line.strip():
            continue
        seen = True
        try:
            parsed(line)  # refuses a name that stands twice
            fields = from_json(line)  # refuses half a surrogate pair
            _check(fields)
        except (ValueError, TypeError) as error:
            remedy = "Compare the line with the corpus's public release"
            yield Rejected(source, f"line {number}", f"not a ChemProt document ({error})", remedy, raw=line)
        else:
            yield document_of(fields)
    if not seen:
        raise no_records(source, "document")


def _corrected(fields: dict[str, Any]) -> Document:
    text, starts = lay_out(fields["sentences"])
    first_words = _first_words(fields["sentences"])
    mentions = _mentions(fields, text, [start for line in starts for start in line])
    entities = [entity for line in fields["ner"] for entity in line]
    gold: list[tuple[Span, ...]] = []
    dropped = 0
    for first, words in zip(first_words, fields["sentences"], strict=True):
        inside = [
            Span(start - first, end + 1 - first, label)
            for start, end, label in entities
            if first <= start and end < first + len(words)
        ]
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
    for start, end, label in entities:
        covered = range(start, min(end + 1, length))
        for word in covered:
            heads.pop(word, None)
            inside.add(word)
        if covered:
            heads[start] = label
            inside.discard(start)
    spans = []
    for start in sorted(heads):
        end = start + 1
        while end in inside:
            end += 1
        spans.append(Span(start, end, heads[start]))
    return tuple(spans)


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


def _check(fields: Any) -> None:
    """Raise ValueError unless `fields` is a ChemProt document with offsets inside its sentences."""
    if not isinstance(fields, dict) or not isinstance(fields.get("doc_key"), str):
        raise ValueError('no object with a "doc_key"')
    sentences, ner = fields.get("sentences"), fields.get("ner")
    if not isinstance(sentences, list) or not isinstance(ner, list) or len(sentences) != len(ner):
        raise ValueError('"sentences" and "ner" are not two lists of one length')
    if not sentences or not all(
        isinstance(words, list) and words and all(map(_is_word, words)) for words in sentences
    ):
        raise ValueError("a sentence is not a list of words")
    lasts = [first + len(words) for first, words in zip(_first_words(sentences), sentences, strict=True)]
    sentence_of = [i for i, words in enumerate(sentences) for _ in words]
    for entity in (entity for line in ner for entity in line):
        if not _is_entity(entity) or not 0 <= entity[0] <= entity[1] < lasts[-1]:
            raise ValueError(f"{entity!r} is not a [start, end, TYPE] inside the document")
        if sentence_of[entity[0]] != sentence_of[entity[1]]:
            raise ValueError(f"{entity!r} reaches over the end of a sentence")
    known = {(entity[0], entity[1]) for line in ner for entity in line}
    for relation in (relation for line in fields.get("relations", ()) for relation in line):
        if len(relation) != 5 or not {tuple(relation[:2]), tuple(relation[2:4])} <= known:
            raise ValueError(f"relation {relation!r} does not join two entities")


def _is_word(word: Any) -> bool:
    return isinstance(word, str) and bool(word)


def _is_entity(entity: Any) -> bool:
    return isinstance(entity, list) and [type(part) for part in entity] == [int, int, str]
