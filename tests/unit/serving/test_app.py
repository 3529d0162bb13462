"""The HTTP interface over models in this process: what it answers, and what it refuses and how."""

import asyncio
import json
import shlex
import tracemalloc

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import Page
from serving_fakes import FakeModel

from raybio.bio_output import Malformed
from raybio.config import LimitsSection
from raybio.corpora import format_named
from raybio.errors import OverloadedError, ServingError, TaggingError
from raybio.serving.app import create_app
from raybio.serving.refusal import RequestError
from raybio.serving.requests import read_body
from raybio.taggers import Effort, Tags

TEXT = "Naloxone reverses β-blockers 😀 in Rats. Clonidine does not."
INFO = {
    "kind": "encoder",
    "labels": ["X"],
    "model": "m",
    "precision": "fp32",
    "mode": None,
    "replicas": 1,
}


def capitals(sentence):
    """An entity is a capitalised word."""
    tags = tuple("B-X" if word[0].isupper() else "O" for word in sentence.words)
    return Tags(tags, tuple(0.9 if tag == "O" else 0.75 for tag in tags))


def llm(sentence):
    count = len(sentence)
    return Tags(
        ("O",) * count,
        (0.0,) * count,
        Effort(2, 30, 1, 0.1),
        (Malformed("missing word", None, "", range(1)),),
    )


class Model(FakeModel):
    """The fake model, with what `/models` says of it."""

    def __init__(self, name, raises=None, **options):
        super().__init__(**options)
        self.info = {"name": name, **INFO}
        self._raises = raises

    async def tag(self, sentences):
        if self._raises:
            raise self._raises
        return await super().tag(sentences)


def client_of(*models, states=None, **limits):
    app = create_app({model.info["name"]: model for model in models}, LimitsSection(**limits), states)
    return TestClient(app, "http://localhost", raise_server_exceptions=False)


@pytest.fixture
def client():
    return client_of(Model("one", tags=capitals))


def tag(client, accept="*/*", **body):
    return client.post("/tag", json=body, headers={"Accept": accept})


def error(response, status):
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    (body,) = response.json().values()
    assert set(body) == {"message", "remedy"}
    return f"{body['message']} | {body['remedy']}"


def test_a_fault_of_the_program_is_logged_with_the_run(caplog):
    model = Model("one", raises=TypeError("a bug"))
    client = TestClient(
        create_app({"one": model}, LimitsSection(), run_id="r1"),
        "http://localhost",
        raise_server_exceptions=False,
    )
    with caplog.at_level("ERROR", "ray.serve"):
        assert "something went wrong here" in error(tag(client, text="a"), 500)
    assert [record.run_id for record in caplog.records] == ["r1"]


def test_text_becomes_mentions_with_offsets_in_code_points(client):
    answer = tag(client, text=TEXT).json()
    (document,) = answer["documents"]
    assert (answer["model"], document["id"], document["text"]) == ("one", "1", TEXT)
    assert [m["text"] for m in document["mentions"]] == ["Naloxone", "Rats", "Clonidine"]
    assert all(TEXT[m["start"] : m["end"]] == m["text"] for m in document["mentions"])
    assert {(m["label"], m["score"]) for m in document["mentions"]} == {("X", 0.75)}
    assert [sentence["words"][0] for sentence in document["sentences"]] == ["Naloxone", "Clonidine"]
    assert set(answer["seconds"]) == {"model", "replica", "client"}
    assert (answer["passes"], answer["tokens_fed"], answer["malformed"], answer["retries"]) == (
        None,
        None,
        0,
        0,
    )


APP = client_of(Model("one", tags=capitals))


@settings(deadline=None)
@given(st.text())
def test_whatever_the_text_every_mention_is_where_it_says(text):
    # What no UTF-8 can hold is no JSON either.
    body = json.dumps({"text": text}).encode()
    response = APP.post("/tag", content=body)
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        error(response, 400)
    else:
        (document,) = response.json()["documents"]
        assert document["text"] == text
        assert all(text[m["start"] : m["end"]] == m["text"] for m in document["mentions"])
        for sentence in document["sentences"]:
            for word, start in zip(sentence["words"], sentence["starts"], strict=True):
                assert text[start : start + len(word)] == word


def test_a_request_chooses_its_entities(client):
    def mentions(**more):
        answer = client.post("/tag", json={"text": "Naloxone works.", **more})
        return answer.json()["documents"][0]["mentions"] if answer.status_code == 200 else answer

    assert [each["label"] for each in mentions(rename={"X": "Drug"}, labels=["X"], min_score=0.75)] == [
        "Drug"
    ]
    assert mentions(min_score=0.76) == mentions(min_score={"X": 0.8}) == []
    refused = mentions(labels=["Y"])
    assert refused.status_code == 422 and "no label 'Y'. Its labels: X" in refused.text
    assert mentions(min_score=2).status_code == 422


def test_many_texts_are_many_documents(client):
    documents = tag(client, texts=["Aspirin helps.", "", "no"]).json()["documents"]
    assert [(d["id"], len(d["mentions"])) for d in documents] == [("1", 1), ("2", 0), ("3", 0)]


def test_words_keep_their_cut_and_stand_a_space_apart(client):
    (one,) = tag(client, words=["IL-2", "rises"]).json()["documents"]
    assert (one["text"], one["sentences"][0]["words"]) == ("IL-2 rises", ["IL-2", "rises"])
    (two,) = tag(client, sentences=[["a", "B"], ["C"]]).json()["documents"]
    assert (two["text"], [s["starts"] for s in two["sentences"]]) == ("a B C", [[0, 2], [4]])
    assert [(m["start"], m["text"]) for m in two["mentions"]] == [(2, "B"), (4, "C")]


def test_an_llm_says_its_passes_and_what_it_could_not_write():
    answer = tag(client_of(Model("llm", tags=llm)), texts=["a.", "b."]).json()
    assert (answer["passes"], answer["tokens_fed"], answer["malformed"]) == (4, 60, 2)


@pytest.mark.parametrize(
    ("accept", "media", "format"),
    [
        ("application/x-pubtator", "application/x-pubtator", "pubtator"),
        ("text/plain", "text/plain; charset=utf-8", "pubtator"),
        ("text/*", "text/plain; charset=utf-8", "pubtator"),
        ("application/bioc+json", "application/bioc+json", "bioc-json"),
        ("application/bioc+xml", "application/bioc+xml", "bioc-xml"),
        ("application/json;q=0.2, application/xml", "application/xml", "bioc-xml"),
        ("application/json;q=0, */*", "application/x-pubtator", "pubtator"),
    ],
)
def test_other_formats_read_back_to_the_same_mentions(client, tmp_path, accept, media, format):
    response = tag(client, accept, texts=[TEXT, "Aspirin"])
    assert (response.status_code, response.headers["content-type"]) == (200, media)
    (tmp_path / "answer").write_bytes(response.content)
    documents = list(format_named(format).read_path(str(tmp_path / "answer")))
    assert [document.text for document in documents] == [TEXT, "Aspirin"]
    assert [[m.text for m in d.mentions] for d in documents] == [
        ["Naloxone", "Rats", "Clonidine"],
        ["Aspirin"],
    ]


@pytest.mark.parametrize(
    "accept", ["*/*", "application/*", "image/png, */*;q=0.1", "text/html,*/*;q=x,application/json"]
)
def test_json_is_what_one_gets_who_does_not_mind(client, accept):
    assert tag(client, accept, text="a").headers["content-type"] == "application/json"


@pytest.mark.parametrize("accept", ["image/png", "application/json;q=0", "*/*;q=0"])
def test_an_unknown_format_is_refused_with_those_there_are(client, accept):
    assert "application/x-pubtator" in error(tag(client, accept, text="a"), 406)


def test_a_format_that_cannot_hold_the_text_says_so(client):
    assert "control character" in error(tag(client, "application/bioc+xml", text="a\x07b"), 422)
    assert tag(client, text="a\x07b").status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"{nope", 400, "Invalid JSON"),
        (b"", 400, "Invalid JSON"),
        (b"\xff", 400, "Invalid JSON"),
        (b'{"text": "\\ud800"}', 400, "Invalid JSON"),
        (b"{}", 400, "the request has nothing to tag"),
        (b'{"text": null}', 400, "nothing to tag | Give exactly one of text, texts, words and sentences"),
        (b'{"text": "a", "words": ["b"]}', 400, "the request has text and words"),
        (b'{"texts": []}', 400, "there are no texts"),
        (b'{"model": "on", "text": "a"}', 404, "Did you mean 'one'? Served here: one"),
        (b'"a"', 422, "the body: Input should be an object"),
        (b'{"text": 5}', 422, "text: Input should be a valid string"),
        (b'{"texts": ["a", 5]}', 422, "texts[1]: Input should be a valid string"),
        (b'{"words": ["a b"]}', 422, "words[0]: String should match"),
        (b'{"sentences": [["a"], []]}', 422, "sentences[1]: List should have at least 1 item"),
        (b'{"txt": "a"}', 422, "txt: Extra inputs"),
        (b'{"words": [1, 2, 3, 4, 5, 6, 7]}', 422, "words[0]: Input should be a valid string |"),
    ],
)
def test_a_bad_body_is_refused_in_words(client, body, status, says):
    assert says in error(client.post("/tag", content=body), status)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"text": "x" * 11}, "a text of 11 characters; 10 are allowed"),
        ({"words": ["x" * 6, "x" * 6]}, "a text of 13 characters"),
        ({"texts": ["a"] * 4}, "4 texts; 3 are allowed"),
        ({"sentences": [["a"]] * 4}, "4 sentences; 3 are allowed"),
        ({"texts": ["x" * 9] * 3}, "27 characters in all; 20 are allowed"),
        ({"text": "x" * 200}, "the body has more than 100 bytes"),
    ],
)
def test_too_much_at_once_is_refused(body, says):
    small = client_of(Model("one"), characters=10, total_characters=20, texts=3, body_bytes=100)
    assert says in error(small.post("/tag", json=body), 413)


def test_a_body_in_pieces_is_counted_too():
    small = client_of(Model("one"), body_bytes=100)
    assert "100 bytes" in error(small.post("/tag", content=(b"x" * 60 for _ in range(2))), 413)
    assert small.post("/tag", content=iter([b'{"text"', b': "a"}'])).status_code == 200


HOSTILE = {
    "numbers": b'{"texts": [' + b"1," * 90_000 + b"1]}",
    "unknown names": b"{" + b",".join(b'"%x": 1' % number for number in range(15_000)) + b"}",
    "empty sentences": b'{"sentences": [' + b"[]," * 60_000 + b"[]]}",
    "sentences of numbers": b'{"sentences": [[' + b"1," * 40_000 + b"1]]}",
    "blank words": b'{"words": [' + b'" ",' * 40_000 + b'" "]}',
    "too many words": b'{"words": [' + b'"a",' * 60_000 + b'"a"]}',
    "depth": b'{"words": ' + b"[" * 190_000,
    "a long name": b'{"text": "a", "model": "' + b"x" * 190_000 + b'"}',
    "a long unknown name": b'{"' + b"x" * 190_000 + b'": 1}',
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_body_costs_little_memory_and_a_short_answer(what):
    body, limits = HOSTILE[what], LimitsSection()
    tracemalloc.start()
    try:
        with pytest.raises(RequestError) as raised:
            read_body(body, limits)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert raised.value.status in (400, 413, 422)
    assert len(raised.value.response().body) < 1500
    assert peak < 100_000 + 40 * len(body)


def test_faults_of_a_list_are_looked_for_up_to_the_first():
    with pytest.raises(RequestError) as raised:
        read_body(b'{"sentences": [["a", 1, 2], [3], []], "texts": [4, 5], "x": 6}', LimitsSection())
    assert raised.value.message.count(";") == 2


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/", {}, 200),
        ("GET", "/static/page.css", {}, 200),
        ("GET", "/static/index.html", {}, 200),
        ("GET", "/static/none", {}, 404),
        ("GET", "/models", {}, 200),
        ("GET", "/health", {}, 200),
        ("GET", "/openapi.json", {}, 200),
        ("POST", "/tag", {"json": {"text": "a"}}, 200),
        ("POST", "/tag", {"json": {"text": "a"}, "headers": {"Accept": "application/xml"}}, 200),
        ("POST", "/tag", {"json": {"text": 1}}, 422),
        ("POST", "/tag", {"content": b"x" * 3_000_000}, 413),
        ("GET", "/nope", {}, 404),
        ("DELETE", "/tag", {}, 405),
        ("GET", "/health", {"headers": {"Host": "evil.example"}}, 421),
        ("POST", "/tag", {"json": {"text": "a"}, "headers": {"Host": "evil.example"}}, 421),
        ("POST", "/tag", {"json": {"text": "a", "model": "broken"}}, 500),
    ],
)
def test_every_answer_keeps_browsers_to_what_is_sent(method, path, options, status):
    models = client_of(Model("one"), Model("broken", raises=KeyError("a bug")))
    if options.get("json") == {"text": "a"}:
        options = {**options, "json": {"text": "a", "model": "one"}}
    response = models.request(method, path, **options)
    assert response.status_code == status
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/" + "x" * 20_000, "/%00%ff%0d%0aX-A:b", "//evil.example/%2e%2e/etc"])
def test_an_odd_path_is_not_found_in_a_short_answer(client, path):
    response = client.get(path)
    assert (response.status_code, len(response.content) < 1500) == (404, True)


def test_a_long_accept_header_is_refused(client):
    assert "names more than 50 types" in error(tag(client, "a/b," * 60, text="a"), 406)


def test_among_several_models_one_must_be_named():
    both = client_of(Model("one", tags=capitals), Model("two"))
    assert "Served here: one, two" in error(tag(both, text="A b"), 400)
    assert tag(both, model="two", text="A b").json()["documents"][0]["mentions"][0]["text"] == "b"


@pytest.mark.parametrize(
    ("raised", "status", "seconds"),
    [
        (OverloadedError("full", retry_after=0.2), 503, "1"),
        (OverloadedError("full", retry_after=41.2), 503, "42"),
        (ServingError("the model is down"), 503, "5"),
        (TaggingError("the model failed on this text"), 500, None),
        (KeyError("a bug"), 500, None),
    ],
)
def test_a_model_that_does_not_answer(raised, status, seconds):
    response = tag(client_of(Model("one", raises=raised)), text="a")
    assert "bug" not in error(response, status)
    assert response.headers.get("Retry-After") == seconds


def test_an_answer_that_takes_too_long_is_not_waited_for():
    response = tag(client_of(Model("one", seconds=30), request_timeout_s=0.05), text="a")
    assert "no answer within 0.05 s" in error(response, 503)
    assert response.headers["Retry-After"] == "5"


def test_health_is_that_of_every_model():
    well = client_of(Model("one"), Model("two"))
    assert well.get("/health").json() == {"status": "ok", "models": {"one": "running", "two": "running"}}

    async def states():
        await asyncio.sleep(0)
        return {"one": "running", "two": "unhealthy"}

    ill = client_of(Model("one"), Model("two"), states=states).get("/health")
    assert (ill.status_code, ill.headers["Retry-After"]) == (503, "5")
    assert ill.json() == {"status": "not ready", "models": {"one": "running", "two": "unhealthy"}}


def test_what_is_served_and_described(client):
    assert client.get("/models").json() == {"models": [{"name": "one", **INFO}]}
    description = client.get("/openapi.json").json()
    post = description["paths"]["/tag"]["post"]
    assert "text" in post["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert {"application/json", "application/bioc+xml"} <= set(post["responses"]["200"]["content"])
    assert set(description["paths"]) == {"/health", "/models", "/tag"}


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        ("/home/ada/runs/minilm-bc5cdr/model", "minilm-bc5cdr"),
        ("/models/biomedbert", "biomedbert"),
        ("bundled:minilm", "bundled:minilm"),
        ("google-bert/bert-large-cased", "google-bert/bert-large-cased"),
    ],
)
def test_no_client_learns_where_a_model_is(model, shown):
    one = Model("one")
    one.info["model"] = model
    (info,) = client_of(one).get("/models").json()["models"]
    assert info == {"name": "one", **INFO, "model": shown}


@pytest.mark.parametrize("kind", [ServingError, TaggingError])
def test_no_client_learns_a_path_from_an_error(kind):
    raised = kind(
        "OSError: [Errno 2] no file '/home/ada/runs/x/model/config.json' (and/or https://a.org/b/c)"
    )
    response = tag(client_of(Model("one", raises=raised)), text="a")
    assert response.json()["error"]["message"] == (
        "OSError: [Errno 2] no file 'config.json' (and/or https://a.org/b/c)"
    )


def test_no_page_loads_its_scripts_from_elsewhere(client):
    for path in ("/docs", "/redoc"):
        assert "See /openapi.json" in error(client.get(path), 404)


def test_the_page_loads_nothing_from_elsewhere(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert client.get("/static/page.css").status_code == 200


def test_requests_that_the_documentation_shows_are_answered(client):
    asked = [shlex.split(command) for _, command in Page("docs/serving.md").commands() if "8000" in command]
    for _, address, *options in asked:
        given = dict(zip(options[::2], options[1::2], strict=True))
        headers = dict([given["-H"].split(": ")] if "-H" in given else [])
        path = address.removeprefix("http://127.0.0.1:8000")
        method = "POST" if "-d" in given else "GET"
        answer = client.request(method, path, content=given.get("-d"), headers=headers)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == headers.get("Accept", "application/json")
    assert len(asked) == 6


def test_other_places_and_methods_are_refused_alike(client):
    assert "GET /nope: Not Found" in error(client.get("/nope"), 404)
    refused = client.get("/tag")
    assert "Method Not Allowed" in error(refused, 405)
    assert refused.headers["Allow"] == "POST"
