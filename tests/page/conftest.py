"""A page to test: a real headless browser, and a server in this process that holds three tiny models."""

import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence

import pytest
import uvicorn
from browsing import headless, opened
from playwright.sync_api import Browser, Page

from raybio.config import LimitsSection
from raybio.corpora.sentences import split_document
from raybio.entities import Document, Sentence
from raybio.errors import ServingError
from raybio.serving.answers import Answer, Served
from raybio.serving.app import create_app
from raybio.taggers import Effort, Tags


class Lexicon:
    """A model that knows a few phrases: `effort` makes it look like an LLM."""

    def __init__(self, name: str, phrases: Mapping[str, str], effort: Effort | None = None) -> None:
        self.info = {
            "name": name,
            "kind": "decoder" if effort else "encoder",
            "labels": sorted({"Chemical", "Disease", "Gene"}),
            "model": f"models/{name}",
            "precision": "fp32",
            "mode": "verified-tags" if effort else None,
            "replicas": 1,
        }
        self._effort = effort
        self._phrases = {
            split_document(Document("", phrase))[0].words: label for phrase, label in phrases.items()
        }

    async def tag(self, sentences: Sequence[Sentence]) -> Served:
        tagged = tuple(self._tags(sentence.words) for sentence in sentences)
        return Served(Answer(tagged, 0.012, 0.023, 1, len(sentences), "replica"), 0.034, 0)

    def _tags(self, words: tuple[str, ...]) -> Tags:
        tags, scores = ["O"] * len(words), [0.99] * len(words)
        for phrase, label in self._phrases.items():
            size = len(phrase)
            for at in range(len(words) - size + 1):
                if words[at : at + size] == phrase:
                    tags[at : at + size] = [f"B-{label}", *[f"I-{label}"] * (size - 1)]
                    scores[at] = 0.875
        return Tags(tuple(tags), tuple(scores), self._effort)


class Broken(Lexicon):
    """A model whose replicas are gone."""

    async def tag(self, sentences: Sequence[Sentence]) -> Served:
        raise ServingError("no replica of this model is left")


MODELS = [
    Lexicon(
        "reader",
        {
            "naloxone": "Chemical",
            "clonidine": "Chemical",
            "hypotension": "Disease",
            "renal failure": "Disease",
            "TNF-α": "Gene",
            "β-catenin": "Gene",
            "script": "Gene",
        },
    ),
    Lexicon(
        "writer",
        {"naloxone": "Chemical", "clonidine": "Disease", "rats": "Disease", "failure": "Disease"},
        Effort(passes=2, tokens_fed=1234, tokens_emitted=0, seconds=0.01),
    ),
    Broken("broken", {}),
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the page is: a server of its own, in a thread, that takes texts of 2,000 characters."""
    app = create_app({model.info["name"]: model for model in MODELS}, LimitsSection(characters=2000))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    with socket.create_server(("127.0.0.1", 0)) as door:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield f"http://127.0.0.1:{door.getsockname()[1]}/"
        server.should_exit = True
        thread.join()


# Not for the whole session: the event loop that it runs in this thread would be in other tests' way.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless browser of this machine."""
    with headless() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page, open and with its models listed."""
    with opened(browser, address, "reader") as page:
        yield page
