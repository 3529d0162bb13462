"""What an HTTP request asks for -> documents; and documents with mentions -> what it accepts.

Everything that can be wrong with a request is a `RequestError`, which gives its status and a remedy.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import accumulate

from pydantic import ValidationError
from pydantic_core import from_json

from raybio.config import LimitsSection
from raybio.config.faults import closest, dotted
from raybio.corpora import format_named
from raybio.corpora.sentences import split_document
from raybio.entities import Document, Passage, Sentence
from raybio.errors import InputError, UsageError
from raybio.serving.answers import Served
from raybio.serving.refusal import RequestError, shortened
from raybio.serving.schema import TagRequest
from raybio.taggers import Tags, place_mentions
from raybio.taggers.selection import ALL, Selection

_INPUTS = ("text", "texts", "words", "sentences")
_MAX_FAULTS = 5


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """Documents to tag, each with its sentences, and which of their entities are wanted."""

    documents: tuple[Document, ...]
    sentences: tuple[tuple[Sentence, ...], ...]
    selection: Selection = ALL

    @property
    def all_sentences(self) -> tuple[Sentence, ...]:
        """The sentences of all documents, in order."""
        return tuple(sentence for sentences in self.sentences for sentence in sentences)


def read_body(body: bytes, limits: LimitsSection) -> TagRequest:
    """Return the request in a body of JSON; what media type its sender called it does not matter.

    What has more items than any request within `limits` is refused before they are looked at, and each
    list is checked up to its first fault: millions of small faults cost no more than one.

    Raises:
        RequestError: 400 where it is not JSON, 413 where it has too many items, 422 where a value is of
            the wrong type or name.
    """
    try:
        data = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        remedy = 'Send JSON such as {"text": "..."}'
        raise RequestError(400, f"the body: Invalid JSON: {error}", remedy) from error
    remedy = "See /openapi.json for the form of a request"
    if not isinstance(data, dict):
        raise RequestError(422, "the body: Input should be an object", remedy)
    _check_counts(data, limits)
    unknown = [name for name in data if name not in TagRequest.model_fields]
    checked = [name for name in TagRequest.model_fields if name in data] + unknown[:_MAX_FAULTS]
    try:
        return TagRequest.model_validate({name: data[name] for name in checked})
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
    said = [f"{shortened(dotted(fault['loc']) or 'the body')}: {fault['msg']}" for fault in faults]
    more = max(len(unknown) - _MAX_FAULTS, 0) + max(len(said) - _MAX_FAULTS, 0)
    listed = said[:_MAX_FAULTS] + ([f"and {more:,} more"] if more else [])
    raise RequestError(422, "; ".join(listed), remedy)


def _check_counts(data: Mapping[str, object], limits: LimitsSection) -> None:
    """Refuse more texts, sentences or words than `limits` allow, whatever they are."""
    sentences = data.get("sentences")
    words = data.get("words")
    for what in "texts", "sentences":
        items = data.get(what)
        if isinstance(items, list) and len(items) > limits.texts:
            raise RequestError(
                413, f"{len(items):,} {what}; {limits.texts:,} are allowed", "Send them in parts"
            )
    lists = [words, *(sentences if isinstance(sentences, list) else [])]
    count = sum(len(each) for each in lists if isinstance(each, list))
    # A word has a character at least, and a space after it.
    allowed = (limits.total_characters + 1) // 2
    if count > allowed:
        raise RequestError(
            413, f"{count:,} words; {allowed:,} are allowed in one request", "Send them in parts"
        )


def read_request(request: TagRequest, limits: LimitsSection) -> ParsedRequest:
    """Return what to tag.

    Raises:
        RequestError: 400 where there is not exactly one input, 413 where it is more than `limits` allow.
    """
    given = [name for name in _INPUTS if getattr(request, name) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "nothing to tag"
        remedy = f"Give exactly one of {', '.join(_INPUTS[:-1])} and {_INPUTS[-1]}"
        raise RequestError(400, f"the request has {found}", remedy)
    if request.words is not None or request.sentences is not None:
        documents = [_of_words(request.sentences if request.words is None else [request.words], limits)]
    else:
        texts = request.texts if request.text is None else [request.text]
        _check_size(len(texts or ()), "texts", texts or (), limits)
        documents = [
            Document(str(number), text, _whole(text)) for number, text in enumerate(texts or (), start=1)
        ]
    selection = Selection(tuple(request.labels or ()), request.min_score, request.rename or {})
    return ParsedRequest(
        tuple(documents), tuple(split_document(document) for document in documents), selection
    )


def check_labels(work: ParsedRequest, known: Collection[str]) -> None:
    """Refuse labels that the model does not have.

    Raises:
        RequestError: 422, with the labels that there are.
    """
    try:
        work.selection.check(known)
    except UsageError as error:
        raise RequestError(422, str(error), "Ask for labels that /models lists") from error


def choose_model(asked: str | None, served: Iterable[str]) -> str:
    """Return the name of the model that is meant.

    Raises:
        RequestError: 404 where there is none of that name, 400 where none is named and there are several.
    """
    names = list(served)
    if asked in names:
        return str(asked)
    known = f"Served here: {', '.join(names)}"
    if asked is None:
        if len(names) == 1:
            return names[0]
        raise RequestError(400, "no model is named, and several are served", f'Say "model". {known}')
    near = closest(asked, names)
    hint = f"Did you mean {near!r}? " if near else ""
    raise RequestError(404, f"no model {asked!r} is served", f"{hint}{known}")


def as_json(model: str, work: ParsedRequest, served: Served) -> dict[str, object]:
    """Return the answer as plain data: a `schema.TagResponse`."""
    answer = served.answer
    efforts = [tags.effort for tags in answer.tags if tags.effort]
    return {
        "model": model,
        "documents": [
            _document_out(document, sentences, tags, work.selection)
            for document, sentences, tags in _by_document(work, answer.tags)
        ],
        "seconds": {
            "model": answer.model_seconds,
            "replica": answer.replica_seconds,
            "client": served.seconds,
        },
        "passes": sum(effort.passes for effort in efforts) if efforts else None,
        "tokens_fed": sum(effort.tokens_fed for effort in efforts) if efforts else None,
        "malformed": sum(len(tags.malformed) for tags in answer.tags),
        "retries": served.retries,
    }


def as_format(format: str, work: ParsedRequest, tagged: Sequence[Tags]) -> bytes:
    """Return the documents with their mentions in a format of `raybio.corpora`.

    Raises:
        RequestError: 422 where the format cannot hold such a text.
    """
    documents = [
        replace(
            document,
            mentions=tuple(work.selection.of(place_mentions(document, sentences, tags))),
            sentences=(),
        )
        for document, sentences, tags in _by_document(work, tagged)
    ]
    stream = BytesIO()
    try:
        format_named(format).write_stream(documents, stream)
    except InputError as error:
        message = f"{error.place}: {error.problem}"
        raise RequestError(422, message, f"{error.remedy}, or accept JSON") from error
    return stream.getvalue()


def _of_words(sentences: Sequence[Sequence[str]] | None, limits: LimitsSection) -> Document:
    lines = [" ".join(words) for words in sentences or ()]
    _check_size(len(lines), "sentences", lines, limits)
    made = []
    at = 0
    for number, words in enumerate(sentences or ()):
        # A word and the space after it, in this sentence and to the next.
        starts = tuple(accumulate((len(word) + 1 for word in words[:-1]), initial=at))
        made.append(Sentence(f"1:{number}", tuple(words), starts, "1"))
        at = starts[-1] + len(words[-1]) + 1
    text = " ".join(lines)
    return Document("1", text, _whole(text), sentences=tuple(made))


def _whole(text: str) -> tuple[Passage, ...]:
    return (Passage(0, len(text), "text"),) if text else ()


def _check_size(count: int, what: str, texts: Sequence[str], limits: LimitsSection) -> None:
    if not count:
        raise RequestError(400, f"there are no {what}", "Give at least one")
    longest, total = max(map(len, texts)), sum(map(len, texts))
    if longest > limits.characters:
        raise RequestError(
            413, f"a text of {longest:,} characters; {limits.characters:,} are allowed", "Cut it in parts"
        )
    if total > limits.total_characters:
        raise RequestError(
            413,
            f"{total:,} characters in all; {limits.total_characters:,} are allowed in one request",
            "Send them in parts",
        )


def _by_document(
    work: ParsedRequest, tagged: Sequence[Tags]
) -> Iterable[tuple[Document, tuple[Sentence, ...], list[Tags]]]:
    left = iter(tagged)
    for document, sentences in zip(work.documents, work.sentences, strict=True):
        yield document, sentences, [next(left) for _ in sentences]


def _document_out(
    document: Document, sentences: Sequence[Sentence], tagged: Sequence[Tags], selection: Selection
) -> dict[str, object]:
    return {
        "id": document.id,
        "text": document.text,
        "mentions": [
            {"start": m.start, "end": m.end, "text": m.text, "label": m.label, "score": m.score}
            for m in selection.of(place_mentions(document, sentences, tagged))
        ],
        "sentences": [
            {
                "words": list(sentence.words),
                "starts": list(sentence.starts),
                "tags": list(tags.tags),
                "scores": list(tags.scores),
            }
            for sentence, tags in zip(sentences, tagged, strict=True)
        ],
    }
