import json

import pytest

from raybio.bulk_tagging.inputs import InputFile
from raybio.bulk_tagging.ledger import Ledger
from raybio.bulk_tagging.provenance import Provenance
from raybio.bulk_tagging.replay import check_inputs, recorded_job, rejected_shards
from raybio.errors import FormatError, InputError, UsageError


def test_the_shards_of_rejected_records_are_named(tmp_path):
    path = tmp_path / "rejected.jsonl"
    path.write_text("".join(json.dumps({"shard": f"a-0000{i}", "raw": "\u2028"}) + "\n" for i in (1, 3, 1)))
    assert rejected_shards(str(path)) == {"a-00001", "a-00003"}


def test_a_run_without_rejected_records_leaves_nothing_to_replay(tmp_path):
    (tmp_path / "rejected.jsonl").write_bytes(b"")
    assert rejected_shards(str(tmp_path / "rejected.jsonl")) == set()


@pytest.mark.parametrize("line", ["not json", "{}", "[]", "1", '{"source": "a"}'])
def test_another_file_is_refused(tmp_path, line):
    path = tmp_path / "rejected.jsonl"
    path.write_text(f'{{"shard": "a-00000"}}\n{line}\n')
    with pytest.raises(FormatError, match="line 2: the line is not a rejected record"):
        rejected_shards(str(path))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.jsonl: cannot be opened"):
        rejected_shards(str(tmp_path / "gone.jsonl"))


def test_every_file_that_is_replayed_must_be_in_the_input():
    files = [InputFile("in/a-1.xml", "a-1", "pubmed", "f"), InputFile("in/b.xml", "b", "pubmed", "f")]
    check_inputs({"a-1-00003", "b-00000", "b-00001"}, files)
    with pytest.raises(
        UsageError, match=r"not in the input: a, c\. Give all .* raybio tag INPUT \.\.\. --replay"
    ):
        check_inputs({"a-00001", "b-00000", "c-00007"}, files)
    with pytest.raises(UsageError, match=r"f0, f1, f2, f3, f4 and 2 more\. "):
        check_inputs({f"f{number}-00000" for number in range(7)}, files)


def test_the_job_is_the_one_that_made_the_output_wherever_that_is_now(tmp_path):
    ledger = Ledger(str(tmp_path))
    ledger.claim(Provenance("m", "f", "c", {"model": "m", "output": "before/it/was/moved"}))
    assert recorded_job(str(tmp_path)) == {"model": "m", "output": str(tmp_path)}


def test_a_folder_that_holds_no_output_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"is no tagged output.*--output"):
        recorded_job(str(tmp_path))
