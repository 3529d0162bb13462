"""Rows that a run keeps, and who reads them."""

import pytest

from raybio.entities import Sentence
from raybio.sentence_stream import SENTENCES, sentence_tables
from raybio.training.rows_file import read_share, write_rows


@pytest.mark.parametrize(("share", "first"), [(0.02, [49, 99]), (0.3, [3, 6, 9]), (0.9, [1, 2, 3])])
def test_a_share_of_the_sentences_is_held_out_and_none_is_both(share, first, tmp_path):
    sentences = [Sentence(str(i), ("word",), (0,)) for i in range(2500)]
    path = tmp_path / "text.parquet"
    assert write_rows(sentence_tables((None, each) for each in sentences), path, SENTENCES) == 2500
    learned, held_out = (
        [int(row["id"]) for table in read_share(path, share, held_out=held_out) for row in table.to_pylist()]
        for held_out in (False, True)
    )
    assert held_out[: len(first)] == first
    assert len(held_out) == 2500 * share
    assert sorted(learned + held_out) == list(range(2500))
