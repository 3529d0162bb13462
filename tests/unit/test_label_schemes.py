"""Names of tags from elsewhere -> schemes; spans -> tags of each scheme -> the same spans."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import TokenClassificationPipeline

from raybio.entities import Span
from raybio.iob2 import spans_from_tags
from raybio.label_schemes import LabelScheme, UnknownSchemeError, recognise, spans_of, told_apart

SCHEMES = ("IOB2", "IOB1", "IO", "BIOES", "BILOU")
LABELS = ("Disease", "cell_line", "B-cell")


def written(scheme, spans, length):
    """Write spans as tags of a scheme."""
    tags = ["O"] * length
    end, before = 0, ""
    for span in spans:
        touches = span.start == end and span.label == before
        first = "I" if scheme == "IO" or (scheme == "IOB1" and not touches) else "B"
        parts = [first, *"I" * (len(span) - 1)]
        if scheme in ("BIOES", "BILOU"):
            parts[-1] = ("E" if scheme == "BIOES" else "L") if len(span) > 1 else "SU"[scheme == "BILOU"]
        tags[span.start : span.end] = [f"{part}-{span.label}" for part in parts]
        end, before = span.end, span.label
    return tags


@st.composite
def spans(draw, labels=LABELS):
    """Spans in order that do not overlap, and a number of words."""
    found, end, length = [], 0, draw(st.integers(0, 12))
    while end < length and draw(st.booleans()):
        start = draw(st.integers(end, length - 1))
        end = draw(st.integers(start + 1, length))
        found.append(Span(start, end, draw(st.sampled_from(labels))))
    return found, length


def names_of(scheme, label=LABELS):
    parts = {"IOB2": "BI", "IOB1": "BI", "IO": "I", "BIOES": "BIES", "BILOU": "BILU"}[scheme]
    return ["O", *(f"{part}-{one}" for one in label for part in parts)]


SPELLINGS = {
    "as they are": lambda tag: tag,
    "lower case": lambda tag: tag if tag == "O" else tag[0].lower() + tag[1:],
    "with underscores": lambda tag: tag.replace("-", "_", 1),
    "behind": lambda tag: tag if tag == "O" else f"{tag[2:]}-{tag[0]}",
    "another O": lambda tag: "OUT" if tag == "O" else tag,
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("scheme", SCHEMES)
@given(drawn=spans())
def test_spans_written_in_any_scheme_are_read_as_they_were(scheme, spelling, drawn):
    wanted, length = drawn
    if scheme == "IO" and any(a.end == b.start and a.label == b.label for a, b in pairwise(wanted)):
        return  # of two that touch, it has one
    names = [spelling(tag) for tag in names_of(scheme)]
    found = recognise(names)
    tag_of = dict(zip(names, found.tags, strict=True))
    tags = [tag_of[spelling(tag)] for tag in written(scheme, wanted, length)]
    assert spans_of(tags) == wanted
    around = ["", *tags, ""]
    # By names alone IOB1 is taken for IOB2, which reads it alike but allows less.
    own = LabelScheme(scheme, found.tags)
    assert all(own.may_follow(tag, before) for before, tag in pairwise(around))


@given(st.lists(st.sampled_from(names_of("IOB2")), max_size=12))
def test_iob2_is_read_as_everywhere_in_raybio_orphans_too(tags):
    assert spans_of(tags) == spans_from_tags(tags)


@given(st.lists(st.sampled_from(["O", "B-x", "I-x", "B-y", "I-y"]), max_size=12))
def test_iob2_and_iob1_are_read_as_the_pipeline_groups_them(tags):
    assert spans_of(tags) == grouped(tags)


@given(st.lists(st.sampled_from(["O", "x", "y"]), max_size=12))
def test_io_is_read_as_the_pipeline_groups_it(names):
    tag_of = dict(zip(("O", "x", "y"), recognise(["O", "x", "y"]).tags, strict=True))
    assert spans_of([tag_of[name] for name in names]) == grouped(names)


class Words(TokenClassificationPipeline):
    """A pipeline without a model, for its grouping alone."""

    def __init__(self):
        self.tokenizer = self

    def convert_tokens_to_string(self, tokens):
        return " ".join(tokens)


def grouped(names):
    entities = [
        {"entity": name, "word": "w", "score": np.float32(1), "start": i, "end": i + 1}
        for i, name in enumerate(names)
    ]
    groups = Words().group_entities(entities) if entities else []
    return [Span(g["start"], g["end"], g["entity_group"]) for g in groups if g["entity_group"] != "O"]


@pytest.mark.parametrize(
    ("names", "scheme", "tags"),
    [
        ("O Disease Chemical", "IO", "O I-Disease I-Chemical"),
        ("O I-PER I-LOC", "IO", "O I-PER I-LOC"),
        ("B I O", "IOB2", "B-Entity I-Entity O"),
        ("i o s b e", "BIOES", "I-Entity O S-Entity B-Entity E-Entity"),
        ("B-x M-x E-x W-x O", "BIOES", "B-x I-x E-x S-x O"),
        ("O B-x I-x B-y", "IOB2", "O B-x I-x B-y"),
        ("O I-x B-x I-y", "IOB1", "O I-x B-x I-y"),
        ("0 B-x I-x", "IOB2", "O B-x I-x"),
        ("[PAD] O B-x I-x [CLS] [SEP]", "IOB2", "O O B-x I-x O O"),
        ("B-x I-x", "IOB2", "B-x I-x"),
        ("O B_cell_type I_cell_type", "IOB2", "O B-cell_type I-cell_type"),
        ("O B-DNA B-B", "IOB2", "O B-DNA B-B"),
        ("Outside B:x I:x", "IOB2", "O B-x I-x"),
    ],
)
def test_schemes_are_recognised(names, scheme, tags):
    assert recognise(names.split()) == LabelScheme(scheme, tuple(tags.split()))


def test_no_disease_is_outside_beside_a_disease():
    assert recognise(["No Disease", "Disease"]).tags == ("O", "I-Disease")
    assert recognise(["No Disease", "B-Disease", "I-Disease"]).tags == ("O", "B-Disease", "I-Disease")
    assert recognise(["O", "NO synthase"]).tags == ("O", "I-NO synthase")


def test_a_label_without_its_inside_as_of_107_outputs_of_a_clinical_model():
    begun = [f"B-L{i}" for i in range(43)]
    found = recognise(["O", *begun, *(f"I-L{i}" for i in range(40))])
    assert found.name == "IOB2" and len(found.labels) == 43


@pytest.mark.parametrize(
    ("names", "given", "problem", "misfits"),
    [
        ("LABEL_0 LABEL_1", {}, "nothing of what they stand for", "LABEL_0 LABEL_1"),
        ("0 1 2", {}, "nothing of what they stand for", "1 2"),
        ("LABEL_0 LABEL_1 O", {"LABEL_0": "B-x"}, "nothing of what they stand for", "LABEL_1"),
        ("O B-x I-x y T-cell", {}, "these do not", "y T-cell"),
        ("NOUN VERB", {}, "none of them is outside", "NOUN VERB"),
        ("O [PAD]", {}, "no name of an entity", "O [PAD]"),
        ("O B-x I-x", {"B-z": "O", "x": None}, "no such names", "B-z"),
    ],
)
def test_what_is_of_no_scheme_is_named(names, given, problem, misfits):
    with pytest.raises(UnknownSchemeError, match=re.escape(problem)) as caught:
        recognise(names.split(), given)
    assert caught.value.misfits == tuple(misfits.split())


def test_what_names_or_labels_stand_for_may_be_given():
    numbered = {"LABEL_0": "O", "LABEL_1": "B-x", "LABEL_2": "I-x"}
    assert recognise(list(numbered), numbered).tags == ("O", "B-x", "I-x")
    assert recognise(["N", "V"], {"N": "O"}).tags == ("O", "I-V")
    assert recognise(["O", "B-x", "I-x", "y"], {"y": None}).tags == ("O", "B-x", "I-x", "O")
    assert recognise(["O", "B-x", "I-x", "B-y", "I-y"], {"x": "Gene", "y": None}).tags == (
        *("O", "B-Gene", "I-Gene", "O", "O"),
    )
    assert recognise(["B", "I", "O"], {"Entity": "Disease"}).labels == ("Disease",)


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        ("O B-x I-x O B-x B-x", "IOB2"),
        ("O I-x I-x O I-x B-x", "IOB1"),
        ("O I-x I-y", "IOB1"),
        ("O B-x I-x O I-x", "IOB2"),
        ("O O", "IOB2"),
    ],
)
def test_iob2_and_iob1_are_told_apart_by_rule(tags, scheme):
    assert told_apart(pairwise(["O", *tags.split()])) == scheme
