"""The options of `job: serve`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from raybio.config.demand import Together
from raybio.config.section import JobConfig, Section, Text
from raybio.config.serving import ServedModels, ServedModelSection


class LimitsSection(Section):
    """What one HTTP request may ask for."""

    texts: int = Field(default=64, ge=1, description="texts, or sentences, of one request")
    characters: int = Field(default=100_000, ge=1, description="characters of one text")
    total_characters: int = Field(default=100_000, ge=1, description="characters of all texts of one request")
    body_bytes: int = Field(default=2 * 2**20, ge=1, description="bytes of a request's body")
    request_timeout_s: float = Field(
        default=120.0, gt=0, description="time for an answer; after it the answer is 503 with Retry-After"
    )
    body_timeout_s: float = Field(default=10.0, gt=0, description="time for a request's body to arrive")
    slow_bodies: int = Field(
        default=32, ge=1, description="bodies of one client that may take longer than a second to arrive"
    )


class ServeConfig(JobConfig):
    """Serve models over HTTP, with a page to try them, until it is stopped."""

    starts_anew: ClassVar[bool] = True

    job: Literal["serve"] = Field(description="which job this file configures")
    host: Text = Field(
        default="127.0.0.1", description="address to listen on; 0.0.0.0 = every address of the machine"
    )
    allowed_hosts: tuple[Text, ...] = Field(
        default=(),
        strict=False,
        description="names by which clients may call this server, besides localhost, host and IP addresses; "
        "*.example.org = every name under example.org, * = any name",
    )
    port: int = Field(default=8000, ge=1, le=65535, description="port to listen on")
    models: ServedModels = Field(description="models to serve")
    ingress_replicas: int = Field(
        default=1,
        ge=1,
        description="processes that take HTTP requests in, split texts and pass them to the models",
    )
    limits: LimitsSection = Field(default=LimitsSection(), description="what one HTTP request may ask for")

    @field_validator("models")
    @classmethod
    def _at_least_one(cls, models: tuple[ServedModelSection, ...]) -> tuple[ServedModelSection, ...]:
        if not models:
            raise ValueError("found an empty list; give at least one model")
        return models

    def demands(self) -> Sequence[Together]:
        """Return what all of its models ask of a cluster, together."""
        return [tuple(model.demand(model.replicas) for model in self.models)]
