"""What a job server's answers come to; the server itself is real in tests/cluster."""

import logging
from types import SimpleNamespace

import pytest
from ray._private.runtime_env import packaging
from ray.job_submission import JobStatus

from raybio.errors import STOPPED, ClusterError
from raybio.submission import job_server
from raybio.submission.job_server import JobServer, running


def details(name="a", state="SUCCEEDED", code=0, started=2000, ended=5000, **more):
    return SimpleNamespace(
        submission_id=name,
        status=JobStatus(state),
        driver_exit_code=code,
        start_time=started,
        end_time=ended,
        **{"metadata": {"job": "tag-corpus"}, "entrypoint": "python x.py", "message": None, **more},
    )


@pytest.fixture
def server(monkeypatch):
    """Return a job server that knows the jobs given."""

    def make(*jobs):
        class Client:
            def __init__(self, address):
                self.address = address

            def list_jobs(self):
                return list(jobs)

            def get_job_info(self, name):
                for job in jobs:
                    if job.submission_id == name:
                        return job
                raise RuntimeError(f"Request failed with status code 404: {name} does not exist")

            async def tail_job_logs(self, name):
                for line in ("one\n", "two\n"):
                    yield line

        monkeypatch.setattr(job_server, "JobSubmissionClient", Client)
        monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://elsewhere")
        return JobServer("http://here")

    return make


def test_what_ray_logs_of_packing_a_folder_stays_off_the_terminal(server, tmp_path, monkeypatch):
    """Ray says, as INFO, that it packs the folder; its warnings and errors still show."""
    logged = []
    monkeypatch.setattr(packaging.default_logger, "level", logging.INFO)
    monkeypatch.setattr(packaging.default_logger, "handlers", [Kept(logged)])
    packaging.default_logger.manager._clear_cache()
    folder = tmp_path / "folder"
    folder.mkdir()
    packaging.create_package(str(folder), tmp_path / "first.zip", include_gitignore=False)
    assert logged == [f"Creating a file package for local module '{folder}'."], "unless it is set otherwise"
    server()
    packaging.create_package(str(folder), tmp_path / "second.zip", include_gitignore=False)
    packaging.default_logger.warning("no space left")
    assert logged[1:] == ["no space left"]


class Kept(logging.Handler):
    """Keeps messages in a list."""

    def __init__(self, messages):
        super().__init__()
        self._messages = messages

    def emit(self, record):
        self._messages.append(record.getMessage())


def test_only_submitted_jobs_are_listed_the_oldest_first(server):
    later, driver, first = details("later", started=9000), details(None), details("first", metadata=None)
    jobs = server(later, driver, first).jobs()
    assert [(job.id, job.job, job.started, job.ended) for job in jobs] == [
        ("first", "python x.py", 2.0, 5.0),
        ("later", "tag-corpus", 9.0, 5.0),
    ]


@pytest.mark.parametrize(
    ("state", "code", "expected"), [("SUCCEEDED", 0, 0), ("FAILED", 3, 3), ("STOPPED", None, STOPPED)]
)
def test_who_follows_a_job_sees_its_log_and_has_its_exit_code(server, state, code, expected):
    lines = []
    assert server(details(state=state, code=code)).follow("a", lines.append) == expected
    assert lines == ["one\n", "two\n"]


class Dropping:
    """A client whose log drops each time after the lines given; the job is over after the last."""

    def __init__(self, *logs, ended=True):
        self.logs = list(logs)
        self.ended = ended

    def get_job_info(self, name):
        over = self.ended and not self.logs
        return details(state="FAILED" if over else "RUNNING", code=3 if over else None)

    async def tail_job_logs(self, name):
        lines = self.logs.pop(0) if self.logs else ()
        for line in lines:
            yield line
        if self.logs or not self.ended:
            raise RuntimeError("WebSocket connection closed unexpectedly with close code 1006")


@pytest.fixture
def waits(monkeypatch):
    """How long is waited between tries, without waiting."""
    waited = []
    monkeypatch.setattr(job_server.time, "sleep", waited.append)
    return waited


def test_a_log_whose_connection_drops_is_followed_again_and_nothing_is_shown_twice(server, waits):
    following, lines = server(), []
    following._client = Dropping(["one\n", "tw"], [], ["one\ntwo\n"], ["one\n", "two\nthree\n"])
    assert following.follow("a", lines.append) == 3
    assert "".join(lines) == "one\ntwo\nthree\n"
    assert len(waits) == 3


def test_a_log_that_is_closed_in_order_is_waited_for_as_long_as_the_job_runs(server, waits):
    class Silent(Dropping):
        async def tail_job_logs(self, name):
            for line in self.logs.pop(0):
                yield line

    following, lines = server(), []
    following._client = Silent(*[[]] * (2 * job_server._FRUITLESS), ["at last\n"])
    assert following.follow("a", lines.append) == 3
    assert lines == ["at last\n"] and max(waits) == job_server._LONGEST_WAIT


def test_a_log_that_comes_no_more_is_not_waited_for_without_end(server, waits):
    following, lines = server(), []
    following._client = Dropping(["one\n"], ended=False)
    with pytest.raises(ClusterError, match=r"a runs on, but its log comes no more \(.* code 1006\)"):
        following.follow("a", lines.append)
    assert lines == ["one\n"]
    assert 50 < sum(waits) < 120


def test_a_job_that_was_lost_is_said_at_once_with_its_reason(server, waits):
    with pytest.raises(ClusterError, match=r"^a did not end by itself: the node died"):
        server(details(state="FAILED", code=None, message="the node died")).follow("a", print)
    with pytest.raises(ClusterError, match=r"http://here: .* none does not exist"):
        server().follow("none", print)
    assert not waits


def test_work_is_running_whatever_the_code_and_however_often_it_was_submitted(server):
    jobs = server(details("w-1a", "FAILED"), details("w-1b-2", "PENDING"), details("wx-1", "RUNNING")).jobs()
    assert running(jobs, "w").id == "w-1b-2"
    assert running(jobs, "none") is None


def test_a_head_whose_node_is_not_there_yet_is_asked_again(server, monkeypatch):
    def node(state, head, **resources):
        return SimpleNamespace(state=state, is_head_node=head, resources_total=resources)

    nodes = [node("DEAD", False, CPU=8.0), node("ALIVE", False, CPU=4.0, GPU=1.0), node("ALIVE", True)]
    answers = [[], nodes]
    monkeypatch.setattr(job_server, "list_nodes", lambda address, detail: answers.pop(0))
    monkeypatch.setattr(job_server, "_POLL_SECONDS", 0.0)
    found, head_takes_tasks = server().nodes()
    assert [(each.count, each.cpus, each.gpus) for each in found] == [(1, 4.0, 1.0), (1, 0.0, 0.0)]
    assert not head_takes_tasks


def test_a_pending_job_is_said_to_wait_and_for_what(server, monkeypatch):
    waiting = server()
    states = ["PENDING"] * 70 + ["RUNNING"]
    waiting._client.get_job_info = lambda name: details(state=states.pop(0), message="It needs 1 GPU.")
    clock, lines = iter(range(1000)), []
    monkeypatch.setattr(job_server.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(job_server.time, "sleep", lambda _: None)
    monkeypatch.setattr(JobServer, "nodes", lambda self: ([], True))
    waiting.wait_for_start("a", lines.append)
    assert lines[0] == "a is pending for 31 s: It needs 1 GPU. The cluster has no node"
    assert 2 <= len(lines) <= 3 and states == []


def test_variables_are_in_the_environment_of_the_jobs_processes(server, tmp_path):
    sent, sending = {}, server()
    sending._client.submit_job = lambda **options: sent.update(options)
    sending.send("a", "python x.py", tmp_path, {}, 1.0, {"HF_TOKEN": "hf_secret"})
    assert sent.pop("runtime_env") == {"working_dir": str(tmp_path), "env_vars": {"HF_TOKEN": "hf_secret"}}
    assert "hf_secret" not in str(sent)
