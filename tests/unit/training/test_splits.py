"""How often an epoch draws a sentence of a corpus."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from raybio.config import CorpusSection
from raybio.members import Member
from raybio.training.splits import drawn_rows

FILES = CorpusSection(train="train.tsv", dev="dev.tsv", test="test.tsv")
COUNTS = st.tuples(st.integers(1, 20), st.integers(0, 70))


@given(st.lists(COUNTS, min_size=1, max_size=4), st.integers(0, 99), st.randoms(use_true_random=False))
def test_of_each_member_exactly_its_draws_and_no_sentence_twice_more_than_another(counts, seed, random):
    members = [Member(FILES, str(i), sentences=n, draws=k) for i, (n, k) in enumerate(counts)]
    rows = [{"id": f"{i}-{j}", "member": i} for i, (n, _) in enumerate(counts) for j in range(n)]
    rows += [{"id": "text", "member": None}]
    random.shuffle(rows)
    drawn = list(drawn_rows(iter(rows), members, seed))
    assert drawn == list(drawn_rows(iter(rows), members, seed))
    times = Counter(row["id"] for row in drawn)
    assert times["text"] == 1
    for i, (sentences, draws) in enumerate(counts):
        of_member = [times[f"{i}-{j}"] for j in range(sentences)]
        assert sum(of_member) == draws and max(of_member) - min(of_member) <= 1


def test_one_corpus_is_read_as_it_stands():
    rows = [{"id": str(i), "member": 0} for i in range(50)]
    member = Member(FILES, "a", sentences=50, draws=50)
    assert list(drawn_rows(iter(rows), [member], 1)) == rows
    assert list(drawn_rows(iter([{"id": "of a run of before"}]), [member], 1)) == [
        {"id": "of a run of before"}
    ]


def test_another_seed_leaves_out_others():
    rows = [{"id": str(i), "member": 0} for i in range(50)]
    members = [Member(FILES, "a", sentences=50, draws=25)]
    assert list(drawn_rows(rows, members, 1)) != list(drawn_rows(rows, members, 2))
