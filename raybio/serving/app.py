"""The HTTP interface over any models that can tag: it knows nothing of Ray.

    GET  /              the page, where one tries the models
    GET  /health        whether every model runs
    GET  /models        what is served
    POST /tag           text or words in; mentions out, as JSON, PubTator or BioC
    GET  /openapi.json  all of this, described

Every answer that is no success is `{"error": {"message": ..., "remedy": ...}}`.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeAlias

from fastapi import FastAPI, Header, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

import raybio
from raybio.config import LimitsSection
from raybio.entities import Sentence
from raybio.errors import OverloadedError, ServingError, TaggingError
from raybio.serving.answers import Answer, Served
from raybio.serving.body_limit import BodyLimit
from raybio.serving.guard import HEADERS, Guard
from raybio.serving.media_types import JSON, MEDIA_TYPES, accepted
from raybio.serving.refusal import RequestError, without_folders
from raybio.serving.requests import (
    ParsedRequest,
    as_format,
    as_json,
    check_labels,
    choose_model,
    read_body,
    read_request,
)
from raybio.serving.schema import ErrorResponse, HealthResponse, ModelsResponse, TagRequest, TagResponse

logger = logging.getLogger("ray.serve")

PAGE = Path(__file__).parent / "page"

_RETRY_LATER = {"Retry-After": "5"}
_NOTHING = Served(Answer((), 0.0, 0.0, 0, 0, ""), 0.0, 0)


class ServedModel(Protocol):
    """A model as the interface sees it."""

    @property
    def info(self) -> Mapping[str, Any]:
        """What `/models` says of it: a `schema.ModelOut` as plain data."""
        ...

    async def tag(self, sentences: Sequence[Sentence]) -> Served:
        """Return the tags of each sentence, in order.

        Raises:
            ServingError: there is no answer.
        """
        ...


States: TypeAlias = "Callable[[], Awaitable[Mapping[str, str]]]"
"""Says how each model is; "running" is well."""


def create_app(
    models: Mapping[str, ServedModel],
    limits: LimitsSection,
    states: States | None = None,
    run_id: str = "",
    allowed_hosts: Sequence[str] = (),
) -> FastAPI:
    """Return the interface to `models`, by the names that clients call them.

    Without `states` every model is taken to be running. `run_id` is in every line of the log. Requests
    for a host that is neither local, an IP address nor among `allowed_hosts` are refused.
    """
    # Python computes in one thread at a time: a second one keeps a long text from holding up short ones,
    # more would only slow the event loop down.
    workers = ThreadPoolExecutor(2, thread_name_prefix="requests")
    app = FastAPI(
        title="raybio",
        version=raybio.__version__,
        summary="Biomedical entities in text: which, where, and how sure",
        # FastAPI's pages for people load their scripts from elsewhere; nothing here does.
        docs_url=None,
        redoc_url=None,
        responses={"default": {"model": ErrorResponse, "description": "what was wrong, and what to do"}},
    )
    app.add_middleware(BodyLimit, limits=limits)
    app.add_middleware(Guard, allowed_hosts=allowed_hosts)
    _answer_errors(app, run_id)

    @app.get("/health", response_model=HealthResponse, summary="Whether every model is running")
    async def health() -> Response:
        found = await states() if states else dict.fromkeys(models, "running")
        well = all(found.get(name) == "running" for name in models)
        body = {"status": "ok" if well else "not ready", "models": dict(found)}
        return JSONResponse(body, 200 if well else 503, {} if well else _RETRY_LATER)

    @app.get("/models", response_model=ModelsResponse, summary="What is served")
    async def list_models() -> Response:
        return JSONResponse({"models": [_public(model.info) for model in models.values()]})

    @app.post(
        "/tag",
        response_model=TagResponse,
        summary="Find entities",
        responses=_TAG_RESPONSES,
        openapi_extra=_TAG_BODY,
    )
    async def tag(request: Request, accept: Annotated[str, Header()] = "*/*") -> Response:
        media = accepted(accept)
        body = await request.body()

        def understand() -> tuple[str, ParsedRequest]:
            asked = read_body(body, limits)
            return choose_model(asked.model, models), read_request(asked, limits)

        # Reading, splitting and writing a long text is work that others need not wait for.
        loop = asyncio.get_running_loop()
        name, work = await loop.run_in_executor(workers, understand)
        check_labels(work, models[name].info["labels"])
        served = await _ask(models[name], work.all_sentences, limits.request_timeout_s)
        return await loop.run_in_executor(workers, _response, media, name, work, served)

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(PAGE / "index.html")

    app.mount("/static", StaticFiles(directory=PAGE, check_dir=False))
    return app


_TAG_BODY = {"requestBody": {"required": True, "content": {JSON: {"schema": TagRequest.model_json_schema()}}}}
_TAG_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {media: {} for media in MEDIA_TYPES if media != JSON}},
    503: {
        "model": ErrorResponse,
        "description": "too many requests wait, or the model is down",
        "headers": {"Retry-After": {"description": "seconds to wait", "schema": {"type": "integer"}}},
    },
}


def _public(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return `info` without the folder that a model is in; a run's model has the run's name."""
    model = str(info["model"])
    if Path(model).is_absolute():
        path = Path(model)
        model = path.parent.name if path.name == "model" else path.name
    return {**info, "model": model}


async def _ask(model: ServedModel, sentences: Sequence[Sentence], max_seconds: float) -> Served:
    if not sentences:
        return _NOTHING
    try:
        return await asyncio.wait_for(model.tag(sentences), max_seconds)
    except TimeoutError as error:
        message = f"no answer within {max_seconds:g} s"
        raise RequestError(503, message, "Send less at once, or come again later", _RETRY_LATER) from error
    except OverloadedError as error:
        retry = {"Retry-After": str(max(1, math.ceil(error.retry_after)))}
        raise RequestError(503, str(error), "Send less at once, or come again later", retry) from error
    except TaggingError as error:
        raise RequestError(
            500, without_folders(str(error)), "Send other text; the log has the whole error"
        ) from error
    except ServingError as error:
        raise RequestError(503, without_folders(str(error)), "Come again later", _RETRY_LATER) from error


def _response(media: str, name: str, work: ParsedRequest, served: Served) -> Response:
    format = MEDIA_TYPES[media]
    if format == "json":
        return JSONResponse(as_json(name, work, served))
    charset = "; charset=utf-8" if media == "text/plain" else ""
    # Response adds a charset of its own to text.
    return Response(as_format(format, work, served.answer.tags), headers={"Content-Type": media + charset})


def _answer_errors(app: FastAPI, run_id: str) -> None:
    @app.exception_handler(RequestError)
    async def refused(_: Request, error: RequestError) -> Response:
        return error.response()

    @app.exception_handler(HTTPException)
    async def no_such_place(request: Request, error: HTTPException) -> Response:
        message = f"{request.method} {request.url.path}: {error.detail}"
        return RequestError(
            error.status_code, message, "See /openapi.json for what there is", error.headers
        ).response()

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        fields = {"run_id": run_id}
        logger.error(f"{request.method} {request.url.path} failed", exc_info=error, extra=fields)
        # This answer does not pass through Guard: it is outside of all middleware.
        remedy = "Report it to who runs this server; the log has the error"
        return RequestError(500, "something went wrong here", remedy, HEADERS).response()
