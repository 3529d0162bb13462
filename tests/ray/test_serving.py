"""Models on a real Ray Serve: answers, batches, back pressure, a replica that dies, and HTTP."""

import asyncio
import json
import re
import signal
import socket
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from browsing import headless, opened
from exported_metrics import wait_for_metrics
from playwright.sync_api import expect
from ray import serve
from ray.serve._private.logging_utils import get_serve_logs_dir
from samples import sentence_of_words
from tiny_llama import write_tiny_llama

from raybio.config import ServeConfig, ServedModelSection, job_of
from raybio.corpora import read_corpus
from raybio.corpora.sample import SampleFiles
from raybio.corpora.sentences import split_document
from raybio.entities import Sentence
from raybio.errors import ModelError, OverloadedError
from raybio.prompts import PromptStyle
from raybio.serving.client import Client
from raybio.serving.deployment import deploy, described, handle_of, states, undeploy
from raybio.serving.ingress import served
from raybio.taggers import load_tagger
from raybio.taggers.cascade import Cascade
from raybio.taggers.decoder import DecoderCard
from raybio.training.encoder import TrainedEncoder

pytestmark = pytest.mark.ray

TEXT = "Naloxone reverses the effect of α-methyldopa 😀 in rats."


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return []


@pytest.fixture(scope="module")
def config(trained: TrainedEncoder) -> ServeConfig:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shared = {"model": str(trained.run.model), "precision": "fp32", "cpus": 0.5, "threads": 1}
    models = [
        {"name": "encoder", **shared, "max_batch_words": 200},
        {"name": "narrow", **shared, "max_ongoing_requests": 2},
    ]
    return job_of(ServeConfig, {"port": port, "models": models}, "a test")


@pytest.fixture(scope="module")
def address(config: ServeConfig, lines: list[str]) -> Iterator[str]:
    with served(config, lines.append) as address:
        yield address
    assert serve.status().applications == {}


@pytest.fixture(scope="module")
def sentences(sample: SampleFiles) -> list[Sentence]:
    return [s for document in read_corpus(str(sample.test)) for s in split_document(document)][:60]


@pytest.fixture(scope="module")
def decoder(sample: SampleFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An LLM that writes tags: tiny, with random weights."""
    texts = sample.train.read_text(encoding="utf-8").replace("\t", ":").splitlines()
    folder = write_tiny_llama(tmp_path_factory.mktemp("decoder"), texts)
    labels = ["Chemical", "Disease"]
    DecoderCard(labels, str(folder), PromptStyle(tuple(labels)), max_length=512).write(folder)
    return folder


@pytest.fixture(scope="module")
def cascade(trained: TrainedEncoder, decoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The encoder and the LLM, which reads everything again."""
    folder = tmp_path_factory.mktemp("cascade")
    Cascade.of(str(trained.run.model), str(decoder), 1.1, 1.0, "nothing").write(folder)
    return folder


# Whatever proxy this machine's user has, it is not for this machine.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def processes(*names: str) -> list[psutil.Process]:
    """Return the processes of this session's cluster whose command lines match all of `names`."""
    children = psutil.Process().children(recursive=True)
    titles = [(child, " ".join(child.cmdline())) for child in children]
    return [child for child, title in titles if all(re.search(name, title) for name in names)]


def post(address: str, body: dict[str, Any], **headers: str) -> tuple[int, Any, str]:
    request = urllib.request.Request(f"{address}/tag", json.dumps(body).encode(), headers=headers)
    try:
        with OPENER.open(request, timeout=120) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def test_answers_are_the_taggers_own_and_batches_form(
    address: str, trained: TrainedEncoder, sentences: list[Sentence]
) -> None:
    alone = load_tagger(trained.run.model, precision="fp32", threads=1).tag(sentences)

    async def ask() -> list[Any]:
        client = Client(handle_of("encoder"))
        return await asyncio.gather(*(client.tag([sentence]) for sentence in sentences))

    found = run(ask())
    assert [one.answer.tags[0].tags for one in found] == [tags.tags for tags in alone]
    assert any(len(set(tags.tags)) > 1 for tags in alone)
    answers = [one.answer for one in found]
    assert max(answer.batch_requests for answer in answers) > 3
    longest = max(map(len, sentences))
    assert max(answer.batch_size for answer in answers) * min(map(len, sentences)) <= 200 + longest
    assert all(0 < one.answer.model_seconds < one.answer.replica_seconds < one.seconds for one in found)
    assert len({answer.replica for answer in answers}) == 1


def test_a_request_longer_than_a_batch_is_cut(
    address: str, trained: TrainedEncoder, sentences: list[Sentence]
) -> None:
    assert sum(map(len, sentences)) > 200
    alone = load_tagger(trained.run.model, precision="fp32", threads=1).tag(sentences)
    answer = run(Client(handle_of("encoder")).tag(sentences)).answer
    assert [tags.tags for tags in answer.tags] == [tags.tags for tags in alone]
    assert answer.batch_size < len(sentences)


def test_requests_that_are_given_up_hold_up_no_other(address: str, sentences: list[Sentence]) -> None:
    """Given up by their client or over HTTP, they are not tagged, and one that was begun no further."""
    body = {"model": "encoder", "sentences": [list(sentence.words) * 100 for sentence in sentences]}
    much = [sentence_of_words(*words) for words in body["sentences"]]

    async def tag(sentences: list[Sentence], seconds: float = 120.0) -> float:
        started = time.perf_counter()
        with suppress(TimeoutError):
            await asyncio.wait_for(Client(handle_of("encoder")).tag(sentences), seconds)
        return time.perf_counter() - started

    async def give_up_five() -> float:
        await asyncio.gather(*(tag(much, 0.4) for _ in range(5)))
        return await tag(sentences[:1])

    async def leave_five() -> float:
        host, port = address.removeprefix("http://").split(":")
        content = json.dumps(body).encode()
        head = f"POST /tag HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(content)}\r\n\r\n"
        for _ in range(5):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(head.encode() + content)
            await writer.drain()
            await asyncio.sleep(0.2)
            writer.close()
        return await tag(sentences[:1])

    whole = run(tag(much))
    assert whole > 2
    assert run(give_up_five()) < whole / 2
    assert run(leave_five()) < whole / 2


def test_too_many_requests_are_refused_and_a_patient_client_waits(
    address: str, sentences: list[Sentence]
) -> None:
    async def flood(**options: Any) -> list[Any]:
        client = Client(handle_of("narrow"), **options)
        return await asyncio.gather(*(client.tag(sentences) for _ in range(6)), return_exceptions=True)

    refused = run(flood(patient=False))
    assert any(isinstance(outcome, OverloadedError) for outcome in refused)
    assert any(not isinstance(outcome, Exception) for outcome in refused)
    waited = run(flood(retries=8, backoff_seconds=0.5))
    assert not [outcome for outcome in waited if isinstance(outcome, Exception)]
    assert sum(outcome.retries for outcome in waited) > 0


@pytest.mark.parametrize("kind", ["decoder", "cascade"])
def test_an_llm_and_a_cascade_answer_as_they_do_alone(
    address: str, kind: str, sentences: list[Sentence], request: pytest.FixtureRequest
) -> None:
    folder, some = request.getfixturevalue(kind), sentences[:3]
    tagger = load_tagger(folder, precision="fp32", threads=1)
    alone = tagger.tag(some)
    section = ServedModelSection(name=kind, model=str(folder), precision="fp32", cpus=0.0, threads=1)
    try:
        handle = deploy(section)
        info = described(kind)
        found = run(Client(handle).tag(some)).answer.tags
    finally:
        undeploy(kind)
    assert (info["kind"], info["mode"], info["labels"]) == (kind, "verified-tags", list(tagger.labels))
    assert [tags.tags for tags in found] == [tags.tags for tags in alone]
    assert all(tags.effort is not None and tags.effort.passes > 0 for tags in found)


def test_a_replica_that_is_removed_answers_what_it_has_in_flight(
    address: str, trained: TrainedEncoder, sentences: list[Sentence]
) -> None:
    many = sentences * 40
    section = ServedModelSection(
        name="leaving", model=str(trained.run.model), cpus=0.0, threads=1, graceful_shutdown_timeout_s=120.0
    )
    client = Client(deploy(section), retries=0)

    async def stop_in_the_middle() -> Any:
        asked = asyncio.create_task(client.tag(many))
        await asyncio.sleep(0.5)
        assert not asked.done()
        await asyncio.to_thread(undeploy, "leaving")
        return await asked

    assert len(run(stop_in_the_middle()).answer.tags) == len(many)
    assert states(["leaving"]) == {"leaving": "absent"}


def test_http_says_503_and_when_to_come_again(address: str, sentences: list[Sentence]) -> None:
    body = {"model": "narrow", "sentences": [list(sentence.words) for sentence in sentences]}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(address, body), range(8)))
    assert {status for status, _, _ in answers} == {200, 503}
    _, headers, text = next(answer for answer in answers if answer[0] == 503)
    assert int(headers["Retry-After"]) >= 1
    assert json.loads(text)["error"]["remedy"] == "Send less at once, or come again later"


def test_http_answers_what_the_tagger_says(address: str, trained: TrainedEncoder) -> None:
    status, _, text = post(address, {"model": "encoder", "text": TEXT})
    assert status == 200
    (document,) = json.loads(text)["documents"]
    words = sentence_of_words(*document["sentences"][0]["words"])
    alone = load_tagger(trained.run.model, precision="fp32", threads=1).tag([words])
    assert document["sentences"][0]["tags"] == list(alone[0].tags)
    assert all(TEXT[m["start"] : m["end"]] == m["text"] for m in document["mentions"])
    status, headers, text = post(address, {"model": "encoder", "text": TEXT}, Accept="application/x-pubtator")
    assert (status, headers["Content-Type"]) == (200, "application/x-pubtator")
    assert text.startswith(f"1|t|{TEXT}\n")


def test_http_lists_what_is_served_and_its_health(address: str, trained: TrainedEncoder) -> None:
    with OPENER.open(f"{address}/models") as answer:
        models = json.load(answer)["models"]
    assert [(model["name"], model["kind"], model["mode"]) for model in models] == [
        ("encoder", "encoder", None),
        ("narrow", "encoder", None),
    ]
    assert models[0]["labels"] == list(load_tagger(trained.run.model).labels)
    with OPENER.open(f"{address}/health") as answer:
        assert json.load(answer) == {"status": "ok", "models": {"encoder": "running", "narrow": "running"}}
    assert states(["encoder", "gone"]) == {"encoder": "running", "gone": "absent"}


def test_requests_whose_replica_dies_are_sent_again_and_counted(
    address: str, trained: TrainedEncoder, sentences: list[Sentence]
) -> None:
    alone = load_tagger(trained.run.model, precision="fp32", threads=1).tag(sentences)

    async def kill_in_the_middle() -> list[Any]:
        client = Client(handle_of("encoder"))
        asked = [asyncio.create_task(client.tag(sentences)) for _ in range(12)]
        await asyncio.sleep(0.5)
        assert not all(task.done() for task in asked)
        (victim,) = processes("ray::ServeReplica:encoder")
        victim.send_signal(signal.SIGKILL)
        # More come while there is no replica at all.
        return await asyncio.gather(*asked, *(client.tag(sentences) for _ in range(12)))

    found = run(kill_in_the_middle())
    assert sum(one.retries for one in found) >= 1
    for one in found:
        assert [tags.tags for tags in one.answer.tags] == [tags.tags for tags in alone]


def flood(address: str, body: dict[str, Any], requests: int) -> Counter[int]:
    """Send requests as fast as they go, 32 at a time; return how many were answered with which status."""
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: post(address, body), range(requests)))
    assert all("Retry-After" in headers for status, headers, _ in answers if status == 503)
    return Counter(status for status, _, _ in answers)


def memory() -> float:
    """Return the MiB that no other process has, of all that serves."""
    return sum(process.memory_full_info().uss for process in processes("ray::", "Serve|Proxy")) / 2**20


def check_floods(address: str, sentences: list[Sentence], requests: int, max_growth: float) -> None:
    """Flood a model three times; after the first, which fills what is kept, memory stays as it is.

    Were refused requests kept, each would be 0.25 MiB: 75 MiB of 300.
    """
    body = {"model": "narrow", "sentences": [list(sentence.words) * 5 for sentence in sentences]}
    before = {process.pid for process in processes("ray::ServeReplica")}
    reached = []
    for _ in range(3):
        found = flood(address, body, requests)
        assert set(found) == {200, 503} and found.total() == requests
        reached.append(memory())
    assert reached[2] - reached[1] < max_growth
    assert post(address, body)[0] == 200
    assert {process.pid for process in processes("ray::ServeReplica")} == before


def test_an_overload_takes_no_memory_and_passes(address: str, sentences: list[Sentence]) -> None:
    check_floods(address, sentences, requests=300, max_growth=40)


@pytest.mark.soak
def test_a_long_overload_takes_no_memory_and_passes(address: str, sentences: list[Sentence]) -> None:
    check_floods(address, sentences, requests=2000, max_growth=40)


def test_the_page_shows_what_is_served(address: str) -> None:
    (document,) = json.loads(post(address, {"model": "encoder", "text": TEXT})[2])["documents"]
    cells = [
        f"{found['text']} {found['label']} {found['score']:.2f} {found['start']}–{found['end']}"
        for found in document["mentions"]
    ]
    assert cells
    with headless() as browser, opened(browser, f"{address}/", "encoder") as page:
        page.get_by_label("Text", exact=True).fill(TEXT)
        page.get_by_label("Compare with").select_option("narrow")
        page.get_by_role("button", name="Tag").click()
        expect(page.get_by_role("status")).to_have_text(re.compile(r"^encoder: .* s\. narrow: .* s\.$"))
        rows = [row.locator("td").all_inner_texts() for row in page.locator("#mentions tbody tr").all()]
    assert [[" ".join(cell.split()) for cell in row] for row in rows] == [
        [cell, cell, "the same"] for cell in cells
    ]


def test_the_port_that_each_replica_opens_on_every_address_asks_for_the_token(address: str) -> None:
    ports = {
        connection.laddr.port
        for process in psutil.Process().children(recursive=True)
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.ip == "::"
    }
    assert len(ports) >= 3  # of two models and the interface
    for port in ports:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            for metadata in [(), (("authorization", f"Bearer {'0' * 64}"),)]:
                call = channel.unary_unary("/ray.serve.ASGIService/HandleRequest")
                with pytest.raises(grpc.RpcError) as refused:
                    call(b"", metadata=metadata, timeout=30)
                assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_logs_are_json_and_carry_the_run(address: str, lines: list[str]) -> None:
    (said,) = [line for line in lines if line.startswith("run ")]
    run_id = said.split()[1].rstrip(":")
    logs = sorted(Path(get_serve_logs_dir()).glob("replica_encoder*.log"))
    events = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    loaded = [event for event in events if event["message"] == "model encoder is loaded"]
    assert loaded
    assert {(event["run_id"], event["model"], event["kind"]) for event in loaded} == {
        (run_id, "encoder", "encoder")
    }


def test_metrics_reach_prometheus(address: str, sentences: list[Sentence]) -> None:
    run(Client(handle_of("encoder")).tag(sentences))
    wanted = {
        "ray_raybio_serving_sentences_total",
        "ray_raybio_serving_mentions_total",
        "ray_raybio_serving_seconds_bucket",
    }
    assert wanted <= wait_for_metrics(wanted, 'model="encoder"').keys()


def test_a_model_that_is_not_there_is_refused_before_anything_starts(address: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        deploy(ServedModelSection(name="none", model=str(tmp_path / "none")))
    assert states(["none"]) == {"none": "absent"}
