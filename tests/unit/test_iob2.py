import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import LABELS, gold_spans

from raybio.entities import Span
from raybio.errors import TagError
from raybio.iob2 import (
    check_tags,
    flatten_spans,
    is_tag,
    label_of,
    orphans,
    repair_tags,
    spans_from_tags,
    tag_set,
    tags_from_spans,
)

TAGS = tag_set(LABELS)
any_tags = st.lists(st.sampled_from(TAGS), max_size=12)
any_spans = st.lists(
    st.builds(
        lambda start, length, label: Span(start, start + length, label),
        st.integers(0, 8),
        st.integers(1, 5),
        st.sampled_from(LABELS),
    ),
    max_size=8,
)


def test_tag_set_is_outside_and_two_tags_a_label_in_sorted_order():
    assert tag_set(["b", "a", "b"]) == ["O", "B-a", "I-a", "B-b", "I-b"]
    assert tag_set([]) == ["O"]


@pytest.mark.parametrize(
    ("tag", "label"), [("O", ""), ("B-x", "x"), ("I-cell_line", "cell_line"), ("B-B-x", "B-x")]
)
def test_labels_of_tags(tag, label):
    assert is_tag(tag)
    assert label_of(tag) == label


@pytest.mark.parametrize("tag", ["", "B", "B-", "I-", "o", "E-x", "b-x", "Bx-y", " O", "O "])
def test_what_is_no_tag(tag):
    assert not is_tag(tag)


@given(st.integers(0, 12).flatmap(lambda n: st.tuples(st.just(n), gold_spans(n) if n else st.just(()))))
def test_spans_survive_tags(drawn):
    length, spans = drawn
    tags = tags_from_spans(spans, length)
    assert len(tags) == length
    assert orphans(tags) == []
    assert spans_from_tags(tags) == list(spans)


@given(any_tags)
def test_repaired_tags_are_legal_and_mean_the_same(tags):
    repaired, count = repair_tags(tags)
    assert count == len(orphans(tags)) == sum(a != b for a, b in zip(tags, repaired, strict=True))
    assert orphans(repaired) == []
    assert repair_tags(repaired) == (repaired, 0)
    assert spans_from_tags(repaired) == spans_from_tags(tags)
    assert tags_from_spans(spans_from_tags(tags), len(tags)) == repaired


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("", []),
        ("O O", []),
        ("B-x I-x O B-x", [(0, 2, "x"), (3, 4, "x")]),
        ("B-x B-x I-x", [(0, 1, "x"), (1, 3, "x")]),
        ("I-x I-x", [(0, 2, "x")]),
        ("B-x I-y I-y", [(0, 1, "x"), (1, 3, "y")]),
        ("B-x O I-x", [(0, 1, "x"), (2, 3, "x")]),
    ],
)
def test_spans_of_tags(tags, spans):
    assert spans_from_tags(tags.split()) == [Span(*span) for span in spans]


@pytest.mark.parametrize("span", [(0, 4, "x"), (-1, 1, "x"), (2, 2, "x"), (2, 1, "x")])
def test_a_span_outside_the_sentence_gives_no_tags(span):
    with pytest.raises(ValueError, match="is empty or outside a sentence of 3 words"):
        tags_from_spans([Span(*span)], 3)


def test_overlapping_spans_give_no_tags():
    with pytest.raises(ValueError, match=r"start=1.*overlaps another span; flatten the spans first"):
        tags_from_spans([Span(0, 2, "x"), Span(1, 3, "y")], 3)


@given(any_spans)
def test_flat_spans_overlap_nowhere_and_nothing_that_fits_is_dropped(spans):
    kept, dropped = flatten_spans(spans)
    assert sorted([*kept, *dropped]) == sorted(set(spans))
    assert kept == sorted(kept) and dropped == sorted(dropped)
    tags_from_spans(kept, 20)  # refuses spans that overlap
    for lost in dropped:
        rivals = [span for span in kept if span.start < lost.end and lost.start < span.end]
        assert any(
            (-len(span), span.start, span.label) < (-len(lost), lost.start, lost.label) for span in rivals
        )


@given(any_spans, st.randoms())
def test_flattening_does_not_depend_on_the_order_of_spans(spans, random):
    mixed = list(spans)
    random.shuffle(mixed)
    assert flatten_spans(mixed) == flatten_spans(spans)


@given(any_tags)
def test_tags_pass_the_check_when_they_are_legal_and_only_then(tags):
    check_tags(repair_tags(tags)[0], "f.tsv", 1, LABELS)
    if orphans(tags):
        with pytest.raises(TagError):
            check_tags(tags, "f.tsv", 1, LABELS)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ("O X O", "f.tsv, line 11: 'X' is not an IOB2 tag. Write O, B-LABEL or I-LABEL"),
        ("O O B-gene", "f.tsv, line 12: unknown label 'gene'. Known labels: a, b"),
        (
            "B-a O I-a",
            "f.tsv, line 12: 'I-a' continues no entity. "
            "Write B-a there, or have it repaired: raybio corpus convert --repair",
        ),
        ("I-gene", "f.tsv, line 10: unknown label 'gene'. Known labels: a, b"),
    ],
)
def test_a_bad_tag_is_refused_by_line(tags, message):
    with pytest.raises(TagError) as caught:
        check_tags(tags.split(), "f.tsv", 10, ["b", "a"])
    assert str(caught.value) == message


def test_the_first_bad_tag_is_named_whatever_is_wrong_with_it():
    with pytest.raises(TagError, match="line 2: 'I-a' continues no entity"):
        check_tags(["O", "I-a", "X"], "f.tsv", 1)


def test_without_labels_every_label_is_known():
    check_tags(["B-anything", "I-anything", "O"], "f.tsv", 1)
