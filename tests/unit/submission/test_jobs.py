"""What is sent, under which name, and what is refused; the job server is a stand-in."""

import shlex
from pathlib import Path

import pytest

from raybio.config import load_config
from raybio.errors import ClusterError, UsageError
from raybio.submission import jobs as room
from raybio.submission.identity import first_id, work_name
from raybio.submission.job_server import SubmittedJob
from raybio.submission.room import Nodes

ROOT = Path(__file__).resolve().parents[3]
CONFIG = str(ROOT / "configs" / "tag_corpus" / "pubmed.yaml")
TRAINING = str(ROOT / "configs" / "train_encoder" / "minilm_bc5cdr.yaml")
BENCHMARK = str(next((ROOT / "configs" / "benchmark_serve").glob("*.yaml")))
PLACES = ["model=bundled:minilm", "input=[s3://b/in]", "output=s3://b/t"]
WORDS = [*PLACES, "max_rejected=5"]
LOADED = load_config(CONFIG, WORDS)
GPU = Nodes("node", 1, 8, 1)


@pytest.fixture
def send(monkeypatch):
    """Submit the job to a cluster of such jobs and nodes; return what is sent and what is said."""

    def submit(
        jobs=(), nodes=(GPU,), head_takes_tasks=True, words=WORDS, config=CONFIG, kind="tag-corpus", **options
    ):
        sent, said = [], []

        class Server:
            def __init__(self, address):
                assert address == "http://here"

            def jobs(self):
                return list(jobs)

            def nodes(self):
                return list(nodes), head_takes_tasks

            def send(self, *what):
                sent.append(what)

        monkeypatch.setattr(room, "JobServer", Server)
        name = room.submit(kind, config, words, "http://here", folder=ROOT, progress=said.append, **options)
        ((*_, cpus, environment),) = sent
        assert environment == (options.get("environment") or {})
        assert sent[0][0] == name
        return sent[0][1:-2], name, cpus, said

    return submit


def job(name, state="SUCCEEDED"):
    return SubmittedJob(name, "tag-corpus", state, None, 1.0, None, "")


def test_the_checkout_is_sent_with_the_jobs_script_and_its_words(send):
    (entrypoint, folder, metadata), name, cpus, said = send()
    assert entrypoint == f"python jobs/tag_corpus.py configs/tag_corpus/pubmed.yaml {shlex.join(WORDS)}"
    assert (folder, cpus) == (ROOT, 0.0)
    assert metadata == {"job": "tag-corpus", "config": CONFIG}
    assert name == first_id(work_name(LOADED), ROOT)
    assert said == [f"submitted {name}: {entrypoint}"]


def test_words_with_blanks_and_stars_stay_words(send):
    (entrypoint, *_), *_ = send(words=[*PLACES, "input=[s3://a b/*.xml, s3://c]"])
    assert entrypoint.endswith(" output=s3://b/t 'input=[s3://a b/*.xml, s3://c]'")


def test_a_job_that_ended_resumes_under_the_next_name(send):
    first = first_id(work_name(LOADED), ROOT)
    _, name, _, said = send(jobs=[job(first, "FAILED"), job(f"{first}-2", "STOPPED")])
    assert name == f"{first}-3"
    assert said[0] == f"submitted before: {name} resumes where that ended"


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        (["name=mine"], "name=mine resume=if-begun"),
        (["name=mine", "resume=true"], "name=mine resume=true"),
        ([], "name={work} resume=if-begun"),
    ],
)
def test_a_training_job_is_asked_to_resume_what_it_began(send, words, sent):
    """Under one name each time: the name of the work, where the config gives none."""
    options = {"words": ["output=/shared/runs", *words], "config": TRAINING, "kind": "train-encoder"}
    (first, *_), name, *_ = send(**options)
    (again, *_), second, *_ = send(jobs=[job(name, "FAILED")], **options)
    work = work_name(load_config(TRAINING, options["words"]))
    assert (
        first
        == again
        == f"python jobs/train_encoder.py {_inside(TRAINING)} output=/shared/runs " + sent.format(work=work)
    )
    assert second == f"{name}-2"
    assert load_config(TRAINING, shlex.split(first)[3:]).name is not None


def test_what_cannot_continue_does_not_say_so(send):
    words = ["output=/shared/runs", "models=[{name: m, model: bundled:minilm}]"]
    options = {"words": words, "config": BENCHMARK, "kind": "benchmark-serve"}
    _, name, *_ = send(**options)
    _, second, _, said = send(jobs=[job(name)], **options)
    assert f"submitted before: {second} starts over" in said


def _inside(path):
    return Path(path).relative_to(ROOT)


@pytest.mark.parametrize("state", ["PENDING", "RUNNING"])
def test_work_under_way_is_refused_whatever_its_code(send, state):
    busy = f"{work_name(LOADED)}-0therc0de-2"
    with pytest.raises(
        UsageError, match=f"{busy} does this work and is {state.lower()}.*ray job stop {busy}"
    ):
        send(jobs=[job(busy, state)])


def test_a_head_that_takes_no_tasks_has_no_drivers_either(send):
    _, _, cpus, _ = send(head_takes_tasks=False)
    assert cpus == 1.0


def test_what_a_cluster_may_start_counts_when_its_file_is_given(send):
    with pytest.raises(UsageError, match="--cluster FILE"):
        send(nodes=[Nodes("node", 1, 0, 0)])
    send(nodes=[Nodes("node", 1, 0, 0)], cluster_file=str(ROOT / "cluster.yaml"))


def test_a_config_that_would_not_be_sent_is_refused(send, tmp_path):
    copy = tmp_path / "copy.yaml"
    copy.write_text(Path(CONFIG).read_text("utf-8"))
    with pytest.raises(UsageError, match=r"copy\.yaml is not in .*, and only that is sent"):
        send(config=str(copy))


def test_variables_go_along_and_stand_nowhere_else(send, monkeypatch):
    what, name, _, said = send(environment={"HF_TOKEN": "hf_secret"})
    assert "hf_secret" not in f"{what} {name} {said}"
    assert name == send()[1]  # the same work with another token


def test_what_the_cluster_answers_is_shown_without_values(monkeypatch):
    class Server:
        def __init__(self, address): ...

        def jobs(self):
            return []

        def nodes(self):
            return [GPU], True

        def send(self, *what):
            raise ClusterError(f"refused: {what[-1]}")

    monkeypatch.setattr(room, "JobServer", Server)
    with pytest.raises(ClusterError) as refused:
        room.submit("tag-corpus", CONFIG, WORDS, "", folder=ROOT, environment={"HF_TOKEN": "hf_secret"})
    assert str(refused.value) == "refused: {'HF_TOKEN': '***'}"


def test_paths_that_all_nodes_must_see_are_named(send):
    *_, said = send(words=[*WORDS, "input=[/efs/pubmed]"])
    assert said[0] == "must be on storage that every node sees: /efs/pubmed"
