"""What a union finds in its corpora: what each annotates, what is left out, and all that is wrong."""

import pytest
from unions import DRUGS, GENES, LONG, OTHER, corpus, sentence

from raybio.config import MemberSection
from raybio.errors import ConfigError
from raybio.training.union import left_out_lines, members_of


def test_a_corpus_annotates_the_labels_that_it_has(tmp_path):
    drugs = corpus(tmp_path / "drugs", DRUGS, labels={"Drug": "Chemical"}, weight=2.0)
    genes = corpus(tmp_path / "genes", GENES)
    members = members_of((drugs, genes))
    assert [(m.title, m.annotates, m.weight) for m in members] == [
        ("drugs", {"Chemical"}, 2.0),
        ("genes", {"Gene"}, 1.0),
    ]
    stated = corpus(tmp_path / "stated", DRUGS, annotates=["Drug", "Gene"])
    assert members_of((stated, genes))[0].annotates == {"Drug", "Gene"}


def test_a_label_that_only_dev_has_is_annotated_too(tmp_path):
    both = sentence(OTHER, "morphine", "leptin", ("B-Drug", "B-Gene"))
    drugs = corpus(tmp_path / "drugs", DRUGS, dev=both)
    assert members_of((drugs, corpus(tmp_path / "genes", GENES)))[0].annotates == {"Drug", "Gene"}


@pytest.mark.parametrize("split", ["dev", "test"])
def test_text_that_another_corpus_is_scored_on_is_left_out_of_train(split, tmp_path):
    scored = sentence(LONG, "naloxone", "insulin", ("O", "B-Gene"))
    drugs = corpus(tmp_path / "drugs", f"{GENES.replace('Gene', 'Drug')}\n{DRUGS}", **{split: DRUGS})
    genes = corpus(tmp_path / "genes", GENES, **{split: scored})
    first, second = members_of((drugs, genes))
    assert (first.left_out, second.left_out) == ({1: f"genes {split}"}, {})
    assert [s.words[0] for s in first.read("train")] == ["in"]
    assert list(left_out_lines([first, second])) == [
        f"left out of drugs's train, since other corpora are scored on them: 1 documents (1 in genes {split})"
    ]


def faults_of(*sections: MemberSection) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        members_of(sections)
    assert caught.value.exit_code == 2
    return caught.value.faults


def test_all_faults_of_labels_are_in_one_message(tmp_path):
    drugs = corpus(tmp_path / "drugs", DRUGS, labels={"Drgu": "Chemical"}, annotates=["Drug", "Gne"])
    genes = corpus(tmp_path / "genes", GENES)
    nothing = corpus(tmp_path / "nothing", GENES.replace("given", "added"), labels={"Gene": None})
    assert faults_of(drugs, genes, nothing) == [
        "corpus[0].labels: drugs has no label 'Drgu'; did you mean 'Drug'? There are Drug",
        "corpus[0].annotates: no corpus of the list has the label 'Gne'; did you mean 'Gene'? There are "
        "Drug, Gene",
        "corpus[2].labels: nothing of nothing is left to learn: all are null of Gene",
    ]


def both_have(first: str, second: str, count: int = 2) -> tuple[str, str]:
    """Return two trains with the same sentences, in which names have other labels."""
    names = [("naloxone", "insulin"), ("morphine", "leptin"), ("aspirin", "ghrelin")][:count]
    return tuple(
        "\n".join(sentence(LONG, drug, gene, ("O", f"B-{label}")) for drug, gene in names)
        for label in (first, second)
    )


def test_two_names_for_one_thing_are_a_fault(tmp_path):
    one, other = both_have("protein", "Gene")
    proteins = corpus(tmp_path / "proteins", one)
    (fault,) = faults_of(proteins, corpus(tmp_path / "genes", other))
    assert fault == (
        "proteins calls protein what genes calls Gene: most such words of documents that both have, "
        "'insulin' of train:1 for one; give them one name in labels, or drop one with null"
    )
    for name in ("Gene", None):
        drug = f"\n{sentence(OTHER, 'naloxone', 'insulin', ('B-Drug', 'O'))}"
        mapped = corpus(tmp_path / str(name), one + drug, labels={"protein": name})
        assert len(members_of((mapped, corpus(tmp_path / f"genes{name}", other)))) == 2


def test_a_word_that_guidelines_see_in_two_ways_is_none(tmp_path):
    """One document alone, or fewer than agree."""
    one, other = both_have("protein", "Gene", count=1)
    assert members_of((corpus(tmp_path / "one", one), corpus(tmp_path / "other", other)))
    same, _ = both_have("Gene", "", count=3)
    seen = same.replace("insulin\tB-Gene", "insulin\tB-Drug", 1)
    assert members_of((corpus(tmp_path / "same", same), corpus(tmp_path / "seen", seen)))
