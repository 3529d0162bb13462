"""A job's name on a cluster: the same for the same work, another for other code."""

from pathlib import Path

from raybio.config import load_config
from raybio.submission.identity import code_version, first_id, next_id, work_name

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
PUBMED = CONFIGS / "tag_corpus" / "pubmed.yaml"
MINILM = CONFIGS / "train_encoder" / "minilm_bc5cdr.yaml"


def test_comments_and_the_order_of_overrides_do_not_count(tmp_path):
    lines = PUBMED.read_text("utf-8").splitlines()
    again = tmp_path / "again.yaml"
    again.write_text("\n".join(line for line in lines if not line.startswith("#")) + "\n")
    words = ["output=s3://b/t", "max_rejected=5"]
    assert work_name(load_config(again, words)) == work_name(load_config(PUBMED, words[::-1]))
    assert work_name(load_config(PUBMED)) != work_name(load_config(PUBMED, words))


def test_to_resume_a_training_run_is_the_same_work():
    first, again = (load_config(MINILM, ["name=a", word]) for word in ("resume=false", "resume=true"))
    assert work_name(first) == work_name(again) != work_name(load_config(MINILM, ["name=b"]))


def test_other_code_is_another_version(tmp_path):
    code = tmp_path / "raybio" / "a.py"
    code.parent.mkdir()
    code.write_text("1\n")
    before = code_version(tmp_path)
    (tmp_path / "raybio" / "notes.txt").write_text("not code")
    assert code_version(tmp_path) == before
    code.write_text("2\n")
    changed = code_version(tmp_path)
    code.rename(code.with_name("b.py"))
    assert len({before, changed, code_version(tmp_path)}) == 3
    assert first_id("tag-corpus-1f", tmp_path) == f"tag-corpus-1f-{code_version(tmp_path)}"


def test_the_next_id_counts_on_from_the_last():
    assert next_id("job-1a", ["job-1b", "other"]) == "job-1a"
    assert next_id("job-1a", ["job-1a"]) == "job-1a-2"
    assert next_id("job-1a", ["job-1a", "job-1a-2", "job-1a-11", "job-1a-x"]) == "job-1a-12"
