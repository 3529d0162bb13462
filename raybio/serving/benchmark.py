"""The serving benchmark: every model on every corpus, deployed, warmed up, driven and scored.

What `benchmark_record` says is rewritten after each model and corpus, so that a run that is stopped
keeps what it has measured. A model that cannot be measured on a corpus does not end the run: why is in
benchmark.json.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from raybio.cluster import connected
from raybio.config import (
    AutoscalingSection,
    BenchmarkServeConfig,
    MeasuredCorpusSection,
    ServedModelSection,
    to_yaml,
)
from raybio.config.benchmark_serve import served_on
from raybio.config.corpus import corpus_name
from raybio.entities import Sentence
from raybio.errors import InputError, ServingError, UsageError
from raybio.members import Member
from raybio.run_folder import RunFolder, timestamp
from raybio.serving.benchmark_record import BenchmarkRecord, Result
from raybio.serving.client import Client
from raybio.serving.deployment import check_model, deploy, undeploy
from raybio.serving.equal_work import judge_answers, tag_alone
from raybio.serving.scenarios import Measured, Scenarios, paper, scaling
from raybio.stopping import resume_hint


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
    # A missing model or a faulty corpus should not end a long run: all are looked at first.
    served = {
        corpus_name(corpus): [served_on(model, corpus) for model in config.models]
        for corpus in config.corpora
    }
    for models in served.values():
        for model in models:
            check_model(model)
    run = RunFolder.create(
        Path(config.output) / (config.name or f"benchmark-serve-{timestamp()}"), to_yaml(config)
    )
    bench = _Bench(
        run,
        Scenarios(config.single_stream, config.server, config.offline, config.warmup_seconds, config.seed),
        config.scaling.replicas,
        config.paper.batch_size,
        config.bootstrap,
    )
    record = BenchmarkRecord(run)
    hint = "What was measured is in its run folder; another run measures again"
    try:
        with resume_hint(hint), run.shown(progress), connected():
            run.say(f"run folder {run.path}")
            for model in config.models:
                _check_room(model, config.replicas_at_once(model))
            splits = [(corpus, _annotated(corpus)) for corpus in map(_member, config.corpora)]
            for corpus, sentences in splits:
                for model in served[corpus.title]:
                    with record.noting_failure(model.name, corpus.title):
                        record.add(bench.measure(model, corpus, sentences))
    finally:
        record.warn()
    return BenchmarkedServing(run, record.report)


def _member(section: MeasuredCorpusSection) -> Member:
    annotates = frozenset(section.annotates) if section.annotates else None
    return Member(section, corpus_name(section), section.labels, annotates)


def _annotated(corpus: Member) -> list[Sentence]:
    sentences = list(corpus.read("test"))
    if not sentences:
        raise InputError(corpus.title, "test split", "it holds no sentence", "Check its file and format")
    return sentences


def _check_room(model: ServedModelSection, replicas: int) -> None:
    """Refuse what would wait forever for room: a benchmark's cluster should not grow under it."""
    resources = ray.cluster_resources()
    for kind, each in (("CPU", model.cpus), ("GPU", model.gpus)):
        have = resources.get(kind, 0.0)
        if replicas * each > have:
            raise UsageError(
                f"model {model.name}: {replicas} replicas with {each:g} {kind}s each need "
                f"{replicas * each:g}, and the cluster has {have:g}. Ask for fewer or smaller replicas, "
                "or start more nodes"
            )


@dataclass(frozen=True, slots=True)
class _Bench:
    """How every model is measured on every corpus; `paper_batch` is 0 where that timing is left out."""

    run: RunFolder
    scenarios: Scenarios
    scaled_to: Sequence[int]
    paper_batch: int
    bootstrap: int

    def measure(self, model: ServedModelSection, corpus: Member, sentences: Sequence[Sentence]) -> Result:
        """Run every scenario of one model on one corpus; compare all its answers with the tagger's own."""
        self.run.say(f"{model.name} on {corpus.title}: {len(sentences):,} sentences, the tagger alone")
        alone = tag_alone(model, sentences, self.paper_batch)
        try:
            client = Client(deploy(model, run_id=self.run.path.name, progress=self.run.say))
            scored, *others = asyncio.run(self._drive(client, model, sentences))
            others += self._more_replicas(model, sentences)
        finally:
            undeploy(model.name)
        accuracy = judge_answers(
            sentences,
            alone.tags,
            scored.outcomes,
            [outcome for measured in others for outcome in measured.outcomes],
            self.bootstrap,
            self.scenarios.seed,
            corpus.own,
        )
        same = "as" if accuracy.equal else "NOT as"
        self.run.say(f"strict F1 {100 * accuracy.served_strict_f1:.2f}, {same} the tagger alone")
        timed_alone = [paper(sentences, alone.seconds)] if self.paper_batch else []
        return Result(model, corpus, sentences, alone, [*timed_alone, scored, *others], scored, accuracy)

    async def _drive(
        self, client: Client, model: ServedModelSection, sentences: Sequence[Sentence]
    ) -> list[Measured]:
        done = []
        async for measured in self.scenarios.run(client.tag, sentences, model.max_replicas):
            done.append(measured)
            self._say_speed(measured)
        return done

    def _more_replicas(self, model: ServedModelSection, sentences: Sequence[Sentence]) -> list[Measured]:
        """Run the scenario "scaling": offline with each fixed number of replicas."""
        done: list[Measured] = []
        for replicas in self.scaled_to:
            fixed = model.model_copy(update={"replicas": replicas, "autoscaling": AutoscalingSection()})
            client = Client(deploy(fixed, run_id=self.run.path.name, progress=self.run.say))
            measured = asyncio.run(self.scenarios.offline(client.tag, sentences, replicas))
            done.append(scaling(measured, replicas, done[0] if done else None))
            self._say_speed(done[-1])
        return done

    def _say_speed(self, measured: Measured) -> None:
        figures = measured.figures
        median = f", p50 {1000 * figures.latency.p50.value:.1f} ms" if figures.latency else ""
        name = " ".join(filter(None, [figures.scenario, figures.point_in_words]))
        self.run.say(
            f"{name}: {figures.sentences_per_second:,.1f} sentences/s{median}, {figures.errors} errors"
        )
