"""What a benchmark leaves: benchmark.json, requests.parquet, the served answers; and its figures as text.

requests.parquet has one row for each request. Times are seconds since its drive began. `seconds` is the
latency from the scheduled time, so the request was answered at `scheduled + seconds`. One that failed has
an `error` and no answer's columns; one that was answered has no `error`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from ray.exceptions import RayError

from raybio.config import ServedModelSection
from raybio.entities import Sentence
from raybio.errors import RaybioError
from raybio.evaluation.latency import CONFIDENCE, fewest_for
from raybio.evaluation.tables import UNEQUAL, align, describe_difference
from raybio.members import Member
from raybio.run_folder import RunFolder
from raybio.serving.equal_work import Accuracy, Bare, served_tags
from raybio.serving.load_generator import Outcome
from raybio.serving.scenarios import Measured
from raybio.storage import write_whole

VERSION = 1
"""Of benchmark.json's form."""

_OF_AN_ANSWER = [
    ("replica_seconds", pa.float64()),
    ("model_seconds", pa.float64()),
    ("batch_requests", pa.int32()),
    ("batch_size", pa.int32()),
]
SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("corpus", pa.string()),
        ("scenario", pa.string()),
        ("point", pa.string()),
        ("scheduled", pa.float64()),
        ("started", pa.float64()),
        ("seconds", pa.float64()),
        *_OF_AN_ANSWER,
        ("sentences", pa.int32()),
        ("words", pa.int32()),
        ("replica", pa.string()),
        ("retries", pa.int32()),
        ("error", pa.string()),
    ]
)
_HEADER = ("model", "corpus", "scenario", "point", "requests", "errors", "retries", "sentences/s",
           "p50 ms", "p90 ms", "p99 ms", "good %", "efficiency %")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    """One model on one corpus; `scored` is the scenario whose answers were scored."""

    model: ServedModelSection
    corpus: Member
    sentences: Sequence[Sentence]
    alone: Bare
    scenarios: Sequence[Measured]
    scored: Measured
    accuracy: Accuracy


class BenchmarkRecord:
    """What has been measured so far, in memory and in the run folder."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._requests = [SCHEMA.empty_table()]
        self.report: dict[str, Any] = {
            "version": VERSION,
            "confidence": CONFIDENCE,
            "models": {},
            "results": [],
            "failed": [],
        }

    def add(self, result: Result) -> None:
        """Take a result in, and rewrite all files, each whole."""
        model, name = result.model, result.model.name
        self.report["models"].setdefault(
            name,
            {
                "model": model.model,
                "kind": result.alone.kind,
                "precision": model.precision,
                "mode": None if result.alone.kind == "encoder" else model.decoding.mode,
                "cpus": model.cpus,
                "gpus": model.gpus,
                "accelerator": result.alone.accelerator,
                "threads": model.computing_threads,
                # With autoscaling fewer may have been up for a while; none are priced as fewer.
                "replicas": model.max_replicas,
            },
        )
        self.report["results"].append(
            {
                "model": name,
                "model_source": model.model,
                "corpus": result.corpus.title,
                "split": "test",
                "sentences": len(result.sentences),
                "words": sum(map(len, result.sentences)),
                "accuracy": result.accuracy.to_dict(),
                "scenarios": [measured.figures.to_dict() for measured in result.scenarios],
            }
        )
        self._run.write_json("benchmark.json", self.report)
        self._requests.append(table_of(name, result.corpus.title, result.scenarios))
        with write_whole(self._run.path / "requests.parquet") as stream:
            pq.write_table(pa.concat_tables(self._requests), stream, compression="zstd")
        own, served = result.corpus.own, served_tags(result.sentences, result.scored.outcomes)
        self._run.write_predictions(
            f"{name}/{result.corpus.title}",
            (
                (list(sentence.words), result.corpus.gold(sentence), own(tags or ["O"] * len(sentence)))
                for sentence, tags in zip(result.sentences, served, strict=True)
            ),
        )

    @contextmanager
    def noting_failure(self, model: str, corpus: str) -> Iterator[None]:
        """Note why a model could not be measured on a corpus, where a `with` block fails to."""
        try:
            yield
        except (RaybioError, RayError) as error:
            # What a task of Ray raised has a cause, and for its own text a traceback.
            cause = getattr(error, "cause", None) or error
            reason = str(cause) if isinstance(cause, RaybioError) else f"{type(cause).__name__}: {cause}"
            self.report["failed"].append({"model": model, "corpus": corpus, "error": reason})
            self._run.write_json("benchmark.json", self.report)
            self._run.say(f"{model} on {corpus} FAILED: {reason}")

    def warn(self) -> None:
        """Put it above the log where served answers were not the tagger's own."""
        if unequal := unequal_work(self.report):
            log = (self._run.path / "log.txt").read_text(encoding="utf-8")
            self._run.write_text("log.txt", f"{unequal}\n{log}")


def table_of(model: str, corpus: str, scenarios: Sequence[Measured]) -> pa.Table:
    """Return the rows of one model's scenarios on one corpus."""
    rows = [
        {
            "model": model,
            "corpus": corpus,
            "scenario": measured.figures.scenario,
            "point": measured.figures.point_in_words,
            "scheduled": outcome.scheduled,
            "started": outcome.started,
            "seconds": outcome.seconds,
            "sentences": len(outcome.request),
            "words": outcome.words,
            "retries": outcome.retries,
            "error": outcome.error or None,
            **_columns_of_answer(outcome),
        }
        for measured in scenarios
        for outcome in measured.outcomes
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _columns_of_answer(outcome: Outcome) -> dict[str, Any]:
    if outcome.served is None:
        return {}
    answer = outcome.served.answer
    return {"replica": answer.replica, **{name: getattr(answer, name) for name, _ in _OF_AN_ANSWER}}


def unequal_work(report: Mapping[str, Any]) -> str:
    """Return one line that says where served answers were not the tagger's own; "" where all were."""
    places = [
        f"{result['model']} on {result['corpus']} ({describe_difference(result['accuracy'])})"
        for result in report["results"]
        if not result["accuracy"]["equal"]
    ]
    return f"{UNEQUAL}: the served answers are not the tagger's own: {'; '.join(places)}" if places else ""


def render_benchmark(report: Mapping[str, Any]) -> str:
    """Return all of benchmark.json, or as much as a terminal has room for, as text.

    What comes first is whether the work was equal.
    """
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    if unequal := unequal_work(report):
        yield unequal
        yield ""
    for result in report["results"]:
        accuracy = result["accuracy"]
        same = "as the tagger alone" if accuracy["equal"] else "NOT as the tagger alone"
        yield (
            f"{result['model']} on {result['corpus']}: {result['sentences']:,} sentences, "
            f"strict F1 {100 * accuracy['served_strict_f1']:.2f}, {same}"
        )
    for failed in report["failed"]:
        yield f"{failed['model']} on {failed['corpus']}: FAILED: {failed['error']}"
    rows = [
        (result["model"], result["corpus"], *_cells(scenario))
        for result in report["results"]
        for scenario in result["scenarios"]
    ]
    yield ""
    yield from align(_HEADER, rows, words=4)
    yield (
        f"[ ] {CONFIDENCE:.0%} intervals; ? where the requests are too few for a bound: "
        f"{', '.join(f'p{percent} needs {fewest_for(percent)}' for percent in (50, 90, 99))}."
    )
    if any(row[2] == "paper" for row in rows):
        yield "paper: the study's way, one clock around all sentences in padded batches and their scoring."


def _cells(scenario: Mapping[str, Any]) -> list[str]:
    latency, goodput, efficiency = scenario["latency"], scenario["goodput"], scenario["efficiency"]
    return [
        scenario["scenario"],
        ", ".join(f"{name} {value:.4g}" for name, value in scenario["point"].items()),
        f"{scenario['requests']:,}",
        f"{scenario['errors']:,}",
        f"{scenario['retries']:,}",
        f"{scenario['sentences_per_second']:,.1f}",
        *(_milliseconds(latency[name]) if latency else "" for name in ("p50", "p90", "p99")),
        f"{100 * goodput['fraction']:.1f}" if goodput else "",
        f"{100 * efficiency:.2f}" if efficiency is not None else "",
    ]


def _milliseconds(found: Mapping[str, float | None]) -> str:
    value, low, high = (
        "?" if seconds is None else f"{1000 * seconds:,.1f}"
        for seconds in (found["value"], found["low"], found["high"])
    )
    return f"{value} [{low}, {high}]"
