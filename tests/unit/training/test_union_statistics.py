"""What is in a union, counted."""

from unions import DRUGS, GENES, LONG, OTHER, corpus, sentence

from raybio.training.union_statistics import union_statistics, union_tables


def test_a_union_is_counted_by_corpus_and_common_label(tmp_path):
    both = sentence(LONG, "naloxone", "insulin", ("B-Drug", "B-Gene"))
    seen = sentence(OTHER, "naloxone", "insulin", ("O", "B-Drug"))
    drugs = corpus(tmp_path / "drugs", f"{DRUGS}\n{seen}", labels={"Drug": "Chemical"})
    genes = corpus(
        tmp_path / "genes", f"{GENES}\n{sentence(LONG, 'aspirin', 'leptin', ('O', 'B-Gene'))}", test=both
    )
    found = union_statistics((drugs, genes))
    first, second = found.members
    assert (first.corpus, first.annotates, dict(first.left_out)) == (
        "drugs",
        ("Chemical",),
        {"genes test": 1},
    )
    assert (first.splits["train"].mentions, first.splits["train"].documents) == ({"Chemical": 1}, 1)
    # Nobody trains on Drug, under this name.
    assert (second.annotates, second.splits["test"].mentions) == (("Gene",), {"Drug": 1, "Gene": 1})
    (shared,) = found.shared
    assert (shared.label, shared.other, shared.words, shared.documents) == ("Chemical", "Gene", 1, 1)
    assert shared.most_frequent == ("insulin",)

    lines = union_tables(found).splitlines()
    assert lines[1].split()[4:] == ["Chemical", "Gene", "flattened"]
    assert lines[2].split() == ["drugs", "train", "1", "1", "1", "-", "0"]
    assert ["drugs", "genes", "test", "1"] in [line.split() for line in lines]
    assert lines[-1].split() == ["drugs:", "Chemical", "genes:", "Gene", "insulin", "1", "1"]
