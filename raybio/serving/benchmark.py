"""The serving benchmark: every model on every corpus, deployed, warmed up, driven and scored.

A run folder holds, besides what every run's has, benchmark.json (all figures), requests.parquet (one
row a request) and the served answers in predictions/MODEL/CORPUS.tsv. All are written anew after each
model and corpus, so that a run that is stopped keeps what it has measured. A model that cannot be
measured on a corpus does not end the run: why is in benchmark.json.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray
from ray.exceptions import RayError

from raybio.cluster import connected
from raybio.config import AutoscalingSection, BenchmarkServeConfig, CorpusSection, ServedModelSection, to_yaml
from raybio.config.benchmark_serve import corpus_name, served_on
from raybio.entities import Sentence
from raybio.errors import InputError, RaybioError, ServingError, UsageError
from raybio.evaluation.latency import CONFIDENCE
from raybio.model_sources import model_folder
from raybio.run_folder import RunFolder, timestamp
from raybio.sentence_stream import gold_tags, read_sentences
from raybio.serving.accuracy import Accuracy, judge_answers, served_tags
from raybio.serving.bare_tagger import Bare, tag_alone
from raybio.serving.benchmark_table import unequal_work
from raybio.serving.client import Client
from raybio.serving.deployment import deploy, undeploy
from raybio.serving.request_table import table_of, write_requests
from raybio.serving.scenarios import Measured, offline, paper, scaling, server, single_stream
from raybio.stopping import resume_hint
from raybio.taggers import check_tagger

VERSION = 1
"""Of benchmark.json's form."""

_WAY_ON = "What was measured is in its run folder; another run measures anew"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BenchmarkedServing:
    """A finished run: its folder, and what is in its benchmark.json."""

    run: RunFolder
    report: Mapping[str, Any]

    def check(self) -> None:
        """Make sure that everything was measured.

        Raises:
            ServingError: a model could not be measured on a corpus.
        """
        failed, measured = self.report["failed"], self.report["results"]
        if failed:
            places = "; ".join(f"{each['model']} on {each['corpus']}: {each['error']}" for each in failed)
            total = len(failed) + len(measured)
            raise ServingError(f"{len(failed)} of {total} measurements failed: {places}")


def benchmark_serve(
    config: BenchmarkServeConfig, progress: Callable[[str], None] = print
) -> BenchmarkedServing:
    """Measure every model on every corpus's test split; say how it goes to `progress`, a line at a time.

    Where served answers were not the tagger's own, the first line of the log says so. What fails on one
    model and corpus is noted, and the others are measured: see `BenchmarkedServing.check`.

    Raises:
        UsageError: a run of that name exists, or the cluster has no room for the replicas.
        InputError: a corpus cannot be read.
        ModelError: there is no such model.
    """
    _check_models(config)
    name = config.name or f"benchmark-serve-{timestamp()}"
    run = RunFolder.create(Path(config.output) / name, to_yaml(config))
    book = _Book(run)
    try:
        with resume_hint(_WAY_ON), run.shown(progress), connected():
            run.say(f"run folder {run.path}")
            _check_room(config)
            # All are read first: a faulty one should not end a long run.
            for corpus, sentences in [(corpus, _annotated(corpus)) for corpus in config.corpora]:
                for model in config.models:
                    with book.noting_failure(model.name, corpus_name(corpus)):
                        book.add(
                            _measure(served_on(model, corpus), corpus_name(corpus), sentences, config, run)
                        )
    finally:
        book.warn()
    return BenchmarkedServing(run, book.report)


@dataclass(frozen=True, slots=True)
class _Result:
    """One model on one corpus."""

    model: ServedModelSection
    corpus: str
    sentences: Sequence[Sentence]
    alone: Bare
    scenarios: Sequence[Measured]
    scored: Measured
    accuracy: Accuracy


class _Book:
    """What has been measured so far, in memory and in the run folder."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._requests: list[pa.Table] = []
        self.report: dict[str, Any] = {
            "version": VERSION,
            "confidence": CONFIDENCE,
            "models": {},
            "results": [],
            "failed": [],
        }

    def add(self, result: _Result) -> None:
        """Take a result in, and write all files anew."""
        name = result.model.name
        self.report["models"].setdefault(name, _described(result.model, result.alone))
        self.report["results"].append(
            {
                "model": name,
                "model_source": result.model.model,
                "corpus": result.corpus,
                "split": "test",
                "sentences": len(result.sentences),
                "words": sum(map(len, result.sentences)),
                "accuracy": result.accuracy.to_dict(),
                "scenarios": [measured.figures.to_dict() for measured in result.scenarios],
            }
        )
        self._run.write_json("benchmark.json", self.report)
        self._requests.append(table_of(name, result.corpus, result.scenarios))
        write_requests(self._run.path / "requests.parquet", self._requests)
        served = served_tags(result.sentences, result.scored.outcomes)
        self._run.write_predictions(
            f"{name}/{result.corpus}",
            (
                (list(sentence.words), gold_tags(sentence), list(tags or ["O"] * len(sentence)))
                for sentence, tags in zip(result.sentences, served, strict=True)
            ),
        )

    @contextmanager
    def noting_failure(self, model: str, corpus: str) -> Iterator[None]:
        """Note why a model could not be measured on a corpus, where a `with` block fails to."""
        try:
            yield
        except (RaybioError, RayError) as error:
            reason = _reason(error)
            self.report["failed"].append({"model": model, "corpus": corpus, "error": reason})
            self._run.write_json("benchmark.json", self.report)
            self._run.say(f"{model} on {corpus} FAILED: {reason}")

    def warn(self) -> None:
        """Put it above the log where served answers were not the tagger's own."""
        if unequal := unequal_work(self.report):
            log = (self._run.path / "log.txt").read_text(encoding="utf-8")
            self._run.write_text("log.txt", f"{unequal}\n{log}")


def _reason(error: RaybioError | RayError) -> str:
    """Return what went wrong: what a task of Ray raised has a cause, and for its own text a traceback."""
    cause = getattr(error, "cause", None) or error
    return str(cause) if isinstance(cause, RaybioError) else f"{type(cause).__name__}: {cause}"


def _described(model: ServedModelSection, alone: Bare) -> dict[str, Any]:
    return {
        "model": model.model,
        "kind": alone.kind,
        "precision": model.precision,
        "mode": None if alone.kind == "encoder" else model.decoding.mode,
        "cpus": model.cpus,
        "gpus": model.gpus,
        "accelerator": alone.accelerator,
        "threads": model.computing_threads,
        # With autoscaling fewer may have been up for a while; none are priced as fewer than there were.
        "replicas": model.max_replicas,
    }


def _check_models(config: BenchmarkServeConfig) -> None:
    """Find all models before any is measured: a missing one should not end a long run."""
    for corpus in config.corpora:
        for model in config.models:
            found = served_on(model, corpus)
            folder = model_folder(found.model, allow_pickle=model.allow_pickle)
            check_tagger(
                folder,
                precision=found.precision,
                decoding=found.decoding.asked(),
                labels=found.model_labels,
            )


def _annotated(corpus: CorpusSection) -> list[Sentence]:
    sentences = list(read_sentences(corpus, "test"))
    if not sentences:
        raise InputError(
            corpus_name(corpus), "test split", "it holds no sentence", "Check its file and format"
        )
    return sentences


def _check_room(config: BenchmarkServeConfig) -> None:
    """Refuse what would wait for ever for room: a benchmark's cluster should not grow under it."""
    resources = ray.cluster_resources()
    for model in config.models:
        most = config.replicas_at_once(model)
        for kind, each in (("CPU", model.cpus), ("GPU", model.gpus)):
            have = resources.get(kind, 0.0)
            if most * each > have:
                raise UsageError(
                    f"model {model.name}: {most} replicas with {each:g} {kind}s each need {most * each:g}, "
                    f"and the cluster has {have:g}. Ask for fewer or smaller replicas, or start more nodes"
                )


def _measure(
    model: ServedModelSection,
    corpus: str,
    sentences: Sequence[Sentence],
    config: BenchmarkServeConfig,
    run: RunFolder,
) -> _Result:
    """Run every scenario of one model on one corpus; compare all its answers with the tagger's own."""
    run.say(f"{model.name} on {corpus}: {len(sentences):,} sentences, the tagger alone")
    alone = tag_alone(model, sentences, config.paper.batch_size)
    try:
        client = Client(deploy(model, run_id=run.path.name))
        scored, *others = asyncio.run(_drive(client, model, sentences, config, run.say))
        others += _more_replicas(model, sentences, config, run)
    finally:
        undeploy(model.name)
    accuracy = judge_answers(
        sentences,
        alone.tags,
        scored.outcomes,
        [outcome for measured in others for outcome in measured.outcomes],
        config.bootstrap,
        config.seed,
    )
    same = "as" if accuracy.equal else "NOT as"
    run.say(f"strict F1 {100 * accuracy.served_strict_f1:.2f}, {same} the tagger alone")
    timed_alone = [paper(sentences, alone.seconds)] if config.paper.batch_size else []
    scenarios = [*timed_alone, scored, *others]
    return _Result(model, corpus, sentences, alone, scenarios, scored, accuracy)


async def _drive(
    client: Client,
    model: ServedModelSection,
    sentences: Sequence[Sentence],
    config: BenchmarkServeConfig,
    say: Say,
) -> list[Measured]:
    """Run the scenarios of a deployed model; the first is offline, whose answers are all there are."""
    scored = await offline(client.tag, sentences, config, model.max_replicas)
    _say_speed(scored, say)
    done = [scored]
    if config.single_stream.requests:
        done.append(await single_stream(client.tag, sentences, config))
        _say_speed(done[-1], say)
    reached = scored.figures.sentences_per_second
    for rate in [*config.server.rates, *(load * reached for load in config.server.loads if reached)]:
        done.append(await server(client.tag, sentences, config, rate))
        _say_speed(done[-1], say)
    return done


def _more_replicas(
    model: ServedModelSection,
    sentences: Sequence[Sentence],
    config: BenchmarkServeConfig,
    run: RunFolder,
) -> list[Measured]:
    """Run the scenario "scaling": offline with each fixed number of replicas."""
    done: list[Measured] = []
    for replicas in config.scaling.replicas:
        fixed = model.model_copy(update={"replicas": replicas, "autoscaling": AutoscalingSection()})
        client = Client(deploy(fixed, run_id=run.path.name))
        measured = asyncio.run(offline(client.tag, sentences, config, replicas))
        done.append(scaling(measured, replicas, done[0] if done else None))
        _say_speed(done[-1], run.say)
    return done


def _say_speed(measured: Measured, say: Say) -> None:
    figures = measured.figures
    median = f", p50 {1000 * figures.latency.p50.value:.1f} ms" if figures.latency else ""
    name = " ".join(filter(None, [figures.scenario, figures.point_in_words]))
    say(f"{name}: {figures.sentences_per_second:,.1f} sentences/s{median}, {figures.errors} errors")
