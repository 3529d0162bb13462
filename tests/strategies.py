"""Hypothesis strategies for raybio's nouns: `texts()`, `documents()`, `tagged_sentences()`.

What a strategy draws from is made once: to make it again for each draw takes far longer than to draw.
"""

from functools import cache

from hypothesis import strategies as st

from raybio.entities import Document, Mention, Passage, Relation, Sentence, Span

# What breaks careless readers: non-BMP, combining marks, separators `splitlines` cuts at, a BOM inside.
AWKWARD = "a B,.-:|\t\n\r\"'\\<&é\u0301\u0085\u00a0\u2028\u2029\u200b\ufeffβ字😀𝔻\x0b\x0c\x1c"
LABELS = ("Chemical", "Disease", "cell_line")
_LABELS = st.sampled_from(LABELS)


@cache
def texts(min_size: int = 0, max_size: int = 60, alphabet: str = "") -> st.SearchStrategy[str]:
    """Text without lone surrogates: of awkward characters, or of any (or from `alphabet` only)."""
    if alphabet:
        return st.text(alphabet, min_size=min_size, max_size=max_size)
    # One alphabet for a whole text: hypothesis draws that many times faster than a mixture.
    anything = st.characters(codec="utf-8")
    return st.text(AWKWARD, min_size=min_size, max_size=max_size) | st.text(
        anything, min_size=min_size, max_size=max_size
    )


@cache
def ids() -> st.SearchStrategy[str]:
    """Identifiers as corpora have them."""
    return st.from_regex(r"[A-Za-z0-9_.-]{1,12}", fullmatch=True)


@st.composite
def spans_of_text(draw: st.DrawFn, text: str) -> tuple[int, int]:
    """A non-empty `[start, end)` of `text`, which must not be empty."""
    start = draw(st.integers(0, len(text) - 1))
    return start, draw(st.integers(start + 1, len(text)))


@cache
def infons() -> st.SearchStrategy[dict[str, str]]:
    """What a format says of a mention besides its fields: often nothing."""
    return st.sampled_from(({}, {}, {"MESH": "D003693"}, {"column 7": "x", "a\nb": " 😀<"}))


@st.composite
def mentions_of(draw: st.DrawFn, text: str) -> tuple[Mention, ...]:
    """Mentions of `text`: nested, overlapping and discontinuous (two with one id) all occur."""
    found = []
    for _ in range(draw(st.integers(0, 4)) if text else 0):
        start, end = draw(spans_of_text(text))
        concept = draw(st.sampled_from(("", "MESH:D003693", "OMIM:1|2")))
        # An infon that is a concept's is of a mention that has one.
        said = infons() if concept else infons().filter(lambda each: "MESH" not in each)
        found.append(
            Mention(
                start,
                end,
                draw(st.sampled_from(LABELS)),
                text[start:end],
                score=draw(st.none() | st.floats(0, 1)),
                concept=concept,
                id=draw(st.sampled_from(("", "T1", "T2"))),
                infons=draw(said),
            )
        )
    return tuple(found)


@st.composite
def passages_of(draw: st.DrawFn, text: str) -> tuple[Passage, ...]:
    """Passages of `text`, in order, with gaps."""
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6)))
    return tuple(
        Passage(
            start,
            end,
            draw(st.sampled_from(("title", "abstract", "text"))),
            draw(texts(max_size=8)),
            "eng",
            draw(infons()),
        )
        for start, end in zip(cuts[::2], cuts[1::2], strict=False)
    )


@st.composite
def sentences_of(draw: st.DrawFn, text: str, document_id: str) -> tuple[Sentence, ...]:
    """Sentences whose words are the whitespace-separated pieces of the lines of `text`."""
    found = []
    position = 0
    for line in text.split("\n"):
        words, starts = [], []
        cursor = position
        for word in line.split():
            cursor = text.index(word, cursor)
            words.append(word)
            starts.append(cursor)
            cursor += len(word)
        if words:
            gold = draw(st.none() | gold_spans(len(words)))
            name = f"{document_id}:{len(found)}"
            found.append(Sentence(name, tuple(words), tuple(starts), document_id, gold))
        position += len(line) + 1
    return tuple(found)


@st.composite
def gold_spans(draw: st.DrawFn, length: int) -> tuple[Span, ...]:
    """Spans in `[0, length)` that do not overlap, in order."""
    cuts = sorted(draw(_cuts(length)))
    pairs = zip(cuts[::2], cuts[1::2], strict=False)
    return tuple(Span(start, end, draw(_LABELS)) for start, end in pairs)


@cache
def _cuts(length: int) -> st.SearchStrategy[set[int]]:
    return st.sets(st.integers(0, length), max_size=6)


@st.composite
def relations(draw: st.DrawFn) -> tuple[Relation, ...]:
    """Relations between annotations and concepts."""
    one = st.builds(
        Relation,
        st.sampled_from(("CID", "INHIBITOR")),
        st.lists(st.tuples(st.sampled_from(("Arg1", "Arg2", "")), ids()), max_size=3).map(tuple),
        ids(),
        infons(),
    )
    return tuple(draw(st.lists(one, max_size=2)))


@st.composite
def documents(draw: st.DrawFn, alphabet: str = "", max_size: int = 60) -> Document:
    """Any Document: every field may be filled or not, and every mention covers its text.

    `alphabet` limits the text's characters, for formats that cannot hold all of them.
    """
    document_id = draw(ids())
    text = draw(texts(max_size=max_size, alphabet=alphabet))
    values = texts(max_size=8) | st.lists(texts(max_size=8), max_size=3).map(tuple)
    return Document(
        document_id,
        text,
        draw(passages_of(text)),
        draw(st.none() | mentions_of(text)),
        draw(st.just(()) | sentences_of(text, document_id)),
        draw(relations()),
        draw(st.integers(1, 3)),
        draw(st.dictionaries(texts(min_size=1, max_size=8), values, max_size=3)),
        draw(st.sampled_from(({}, {"other": {"a": [1, None, "é"]}}))),
    )


@cache
def words() -> st.SearchStrategy[str]:
    """Words an IOB2 file can hold: awkward, but without whitespace."""
    anything = st.characters(codec="utf-8", exclude_categories=["Z", "C"])
    return st.text("aB-,.:é\u0301\u200bβ字😀", min_size=1, max_size=6) | st.text(
        anything, min_size=1, max_size=6
    )


_SENTENCES = st.lists(words(), min_size=1, max_size=8)


@st.composite
def tagged_sentences(draw: st.DrawFn) -> tuple[list[str], tuple[Span, ...]]:
    """The words of one sentence and its gold spans."""
    found = draw(_SENTENCES)
    return found, draw(gold_spans(len(found)))
