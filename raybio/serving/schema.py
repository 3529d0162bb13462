"""What requests and answers of the HTTP interface look like: checked on the way in, described to OpenAPI."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Word = Annotated[str, StringConstraints(min_length=1, pattern=r"^\S+$")]
Words = Annotated[list[Word], Field(min_length=1, fail_fast=True)]


class TagRequest(BaseModel):
    """A body of `POST /tag`: exactly one of `text`, `texts`, `words` and `sentences`."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"text": "Naloxone reverses the effect of clonidine in rats."}]},
    )

    model: str | None = Field(
        default=None, max_length=200, description="which model; needless where one is served"
    )
    text: str | None = Field(default=None, description="one raw text")
    texts: Annotated[list[str], Field(fail_fast=True)] | None = Field(
        default=None, description="raw texts, each a document of its own"
    )
    words: Words | None = Field(default=None, description="the words of one sentence")
    sentences: Annotated[list[Words], Field(fail_fast=True)] | None = Field(
        default=None, description="sentences of words, one document"
    )
    labels: Annotated[list[str], Field(max_length=100)] | None = Field(
        default=None, description="which of the model's entities are mentions; null: all"
    )
    min_score: Annotated[float, Field(ge=0, le=1)] | dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default=0.0, description="least score of a mention, one for all or one by label"
    )
    rename: Annotated[dict[str, str], Field(max_length=100)] | None = Field(
        default=None, description="what labels of the model are called in the mentions"
    )


class MentionOut(BaseModel):
    """An entity: characters `[start, end)` of the document's text, counted in Unicode code points."""

    start: int
    end: int
    text: str
    label: str
    score: float = Field(description="probability of the least certain word")


class SentenceOut(BaseModel):
    """Words, the characters at which they start, the model's IOB2 tags, and their probabilities."""

    words: list[str]
    starts: list[int]
    tags: list[str]
    scores: list[float]


class DocumentOut(BaseModel):
    """One text and what was found in it; the text of words is the words with one space between."""

    id: str
    text: str
    mentions: list[MentionOut]
    sentences: list[SentenceOut]


class SecondsOut(BaseModel):
    """Wall time of the model on the request's batch, of its stay at the replica, and of its client."""

    model: float
    replica: float
    client: float


class TagResponse(BaseModel):
    """The answer of `POST /tag` as JSON."""

    model: str
    documents: list[DocumentOut]
    seconds: SecondsOut
    passes: int | None = Field(description="forward passes, summed over sentences; null for an encoder")
    tokens_fed: int | None = Field(description="tokens that an LLM was fed; null for an encoder")
    malformed: int = Field(description="lines of an LLM that give no word its tag, and words without a line")
    retries: int = Field(description="how often the request was sent again inside")


class ModelOut(BaseModel):
    """A model that is served."""

    name: str
    kind: str = Field(description="encoder, decoder or cascade")
    labels: list[str]
    model: str
    precision: str
    mode: str | None = Field(description="decode mode; null for an encoder")
    replicas: int


class ModelsResponse(BaseModel):
    """The answer of `GET /models`."""

    models: list[ModelOut]


class HealthResponse(BaseModel):
    """The answer of `GET /health`: "ok" where every model is running."""

    status: str
    models: dict[str, str]


class ErrorOut(BaseModel):
    """What was wrong, and what to do."""

    message: str
    remedy: str


class ErrorResponse(BaseModel):
    """The body of every answer that is no success."""

    error: ErrorOut
