"""How often a bucket is asked: what `docs/scale.md` reckons with."""

import uuid
from collections import Counter

import pytest
import s3fs

from raybio.bulk_tagging.attempts import Attempt
from raybio.bulk_tagging.commit import ShardFiles
from raybio.bulk_tagging.inputs import InputFile
from raybio.bulk_tagging.ledger import Ledger, ShardEntry
from raybio.bulk_tagging.shards import Shard
from raybio.bulk_tagging.tagging import TaggedDocuments
from raybio.entities import Document

FILE = InputFile("in/a.jsonl", "a", "jsonl", "f")


@pytest.fixture
def asked(bucket, monkeypatch):
    """What buckets were asked for."""
    counted = Counter()
    call = s3fs.S3FileSystem._call_s3

    async def counting(self, method, *arguments, **options):
        counted[method] += 1
        return await call(self, method, *arguments, **options)

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", counting)
    return counted


def commit_shard(ledger, number):
    """Do what a worker does for a shard."""
    shard = Shard(FILE, number, (Document(str(number), "Text."),), (), ())
    ledger.committed(FILE, number)
    attempt = Attempt(ledger, shard, "run")
    with attempt.holding((0, 1)):
        pass
    attempt.tagged()
    tagged = TaggedDocuments(list(shard.documents), [], 1, 1)
    files = ShardFiles(ledger.output, ("parquet",), "m", "c").write(shard, tagged).files
    ledger.commit(FILE, number, ShardEntry(shard.name, 1, *[0] * 3, 1, 1, {}, {}, files, 0.0, 0.0))


def test_a_shard_takes_eight_requests_and_a_file_one_for_each_shard_and_five(bucket, asked):
    ledger = Ledger(f"{bucket}/out-{uuid.uuid4().hex}")
    for number in range(3):
        asked.clear()
        commit_shard(ledger, number)
        assert asked == {"get_object": 2, "put_object": 4, "delete_object": 2}
    asked.clear()
    assert ledger.finish(FILE, 3, broken=False)
    assert asked["get_object"] == 3 and sum(asked.values()) == 3 + 5
    asked.clear()
    assert ledger.todo([FILE]) == []
    assert sum(asked.values()) == 1
