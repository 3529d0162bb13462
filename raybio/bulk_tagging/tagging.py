"""The worker's part: a shard's documents -> the same with mentions; culprits are rejected."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from raybio.corpora.sentences import split_document
from raybio.entities import Document, Rejected, Sentence
from raybio.taggers import Tagger, place_mentions

logger = logging.getLogger(__name__)

Split: TypeAlias = "tuple[Document, tuple[Sentence, ...]]"


@dataclass(frozen=True, slots=True)
class TaggedDocuments:
    """Documents with their mentions, those that no tagger could take, and the text that was read."""

    documents: list[Document]
    rejected: list[Rejected]
    sentences: int
    words: int


def tag_documents(
    documents: Sequence[Document], tagger: Tagger, kinds: Collection[str], source: str
) -> TaggedDocuments:
    """Tag the passages of `kinds` in each document; mentions that came with it are replaced.

    All sentences go to the tagger at once, so that it can batch them by length. When that
    fails, the documents are halved until the ones it fails on are found; they are rejected.
    """
    split = [(document, split_document(replace(document, mentions=None), kinds)) for document in documents]
    tagged: list[Document] = []
    rejected: list[Rejected] = []
    _tag(split, tagger, tagged.append, lambda document, error: rejected.append(_reject(document, error, source)))
    return TaggedDocuments(
        tagged,
        rejected,
        sum(len(sentences) for _, sentences in split),
        sum(len(sentence) for _, sentences in split for sentence in sentences),
    )


def _tag(
    split: Sequence[Split],
    tagger: Tagger,
    keep: Callable[[Document], None],
    reject: Callable[[Document, Exception], None],
) -> None:
    if not split:
        return
    try:
        results = iter(tagger.tag([sentence for _, sentences in split for sentence in sentences]))
    except Exception as error:  # a tagger may fail in any way; what it fails on is kept as rejected
        if len(split) == 1:
            logger.warning("document %s could not be tagged: %s", split[0][0].id, error)
            reject(split[0][0], error)
            return
        half = len(split) // 2
        _tag(split[:half], tagger, keep, reject)
        _tag(split[half:], tagger, keep, reject)
        return
    for document, sentences in split:
        mentions = place_mentions(document, sentences, [next(results) for _ in sentences])
        keep(replace(document, mentions=tuple(mentions), sentences=()))


def _reject(document: Document, error: Exception, source: str) -> Rejected:
    return Rejected(
        source=source,
        place=f"document {document.id}",
        reason=f"the tagger failed on it: {type(error).__name__}: {error}",
        remedy="Replay it alone to see the whole error",
        document_id=document.id,
        raw=document.text,
    )
