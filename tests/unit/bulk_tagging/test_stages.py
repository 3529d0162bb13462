import gc
import pickle

import pyarrow as pa
import pytest

from raybio.bulk_tagging.inputs import InputFile
from raybio.bulk_tagging.shards import EndOfFile, Shard
from raybio.bulk_tagging.stages import _cut, _items, _rows, unpack
from raybio.entities import Deletion, Document, Passage


def test_a_shard_leaves_for_the_taggers_with_its_words_and_the_end_of_a_file_as_it_is():
    document = Document("1", "Alpha.\nBeta gamma.", (Passage(0, 6, "title"), Passage(7, 18, "abstract")))
    shard = Shard(InputFile("a.xml", "a", "pubmed", "f"), 3, (document,), (), (Deletion("9"),))
    end = EndOfFile("a", 4)
    done, same = _items(_cut(pa.Table.from_pylist(_rows([shard, end])), ("title",)))
    assert done.documents == (document,)
    [[sentence]] = done.cut
    assert (sentence.words, sentence.starts) == (("Beta", "gamma", "."), (7, 12, 17))
    assert (done.name, done.deletions, same) == (shard.name, shard.deletions, end)


def test_circles_are_looked_for_again_after_unpacking():
    assert unpack(pickle.dumps(("a", 1))) == ("a", 1)
    with pytest.raises(pickle.UnpicklingError):
        unpack(b"no pickle")
    assert gc.isenabled()
