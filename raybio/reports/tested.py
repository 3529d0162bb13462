"""Who was tested on what: the scores and predictions of a test split, whichever job made them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raybio.config import corpus_title
from raybio.reports.benchmark import Benchmark
from raybio.reports.sources import Run, TaggedSentence, read_run

_STUDY = "-study"


@dataclass(frozen=True)
class Tested:
    """One model on the test split of one corpus.

    `corpus` is the study's name for it where it has one. `scores` has both scorers' figures as
    `Evaluation.to_dict` has them. `limit` is the number of documents that were read of a split, where
    not all were. `split_sentences` counts the sentences of each split that was scored. `kind` is what
    the served model is ("encoder", "decoder", "cascade"), "" where the run does not tell; so is
    `learned_from` what stood for the training split.
    """

    name: str
    corpus: str
    scores: Mapping[str, Any]
    sentences: tuple[TaggedSentence, ...]
    limit: int | None
    study_protocol: bool
    split_sentences: Mapping[str, int]
    kind: str = ""
    learned_from: str = ""

    @property
    def strict_f1(self) -> float:
        """Strict F1 by the corrected scorer, as a fraction."""
        return float(self.scores["corrected"]["overall"]["strict"]["f1"])

    @property
    def marked(self) -> str:
        """The name, with the number of documents where not all were read."""
        return marked(self.name, self.limit)


def marked(name: str, limit: int | None) -> str:
    """Return `name` with the number of documents that were read, where there was a `limit` to them."""
    return f"{name} (first {limit:,} documents)" if limit else name


def tested_runs(runs: Sequence[Run]) -> list[Tested]:
    """Return what training runs tested, without those that have no scores on test."""
    return [_tested_run(run) for run in runs if "test" in run.scores]


def _tested_run(run: Run) -> Tested:
    return Tested(
        name=run.name,
        corpus=run.corpus_name,
        scores=run.scores["test"],
        sentences=run.predictions.get("test", ()),
        limit=_limit(run.corpus),
        study_protocol=run.corpus.get("protocol") == "study",
        split_sentences={split: scores["sentences"] for split, scores in run.scores.items()},
        learned_from=run.learned_from,
    )


def tested_results(benchmarks: Sequence[Benchmark], corpus: str) -> list[Tested]:
    """Return what benchmark runs tested on a corpus, best first, named as `named_results` does."""
    found = [
        _tested(benchmark, result, name) for benchmark, result, name in named_results(benchmarks, corpus)
    ]
    return sorted(found, key=lambda each: -each.strict_f1)


def named_results(
    benchmarks: Sequence[Benchmark], corpus: str
) -> Iterator[tuple[Benchmark, Mapping[str, Any], str]]:
    """Yield the results on a corpus with a name each: the model's, and the run's where several have it."""
    found = [(each, result) for each in benchmarks for result in each.results if result["corpus"] == corpus]
    models = [result["model"] for _, result in found]
    for benchmark, result in found:
        model = result["model"]
        yield benchmark, result, model if models.count(model) == 1 else f"{model} ({benchmark.name})"


def _tested(benchmark: Benchmark, result: Mapping[str, Any], name: str) -> Tested:
    corpus, accuracy = str(result["corpus"]), result["accuracy"]
    return Tested(
        name=name,
        corpus=corpus.removesuffix(_STUDY),
        scores=accuracy,
        sentences=benchmark.predictions(result["model"], corpus),
        limit=documents_read(benchmark, corpus),
        study_protocol=corpus.endswith(_STUDY),
        split_sentences={result["split"]: result["sentences"]},
        kind=str(benchmark.models[result["model"]].get("kind") or ""),
        learned_from=_learned_from(Path(str(result.get("model_source", "")))),
    )


def _learned_from(model: Path) -> str:
    """Return what a model in a run folder learned from; "" where its folder is not there."""
    is_of_run = model.name == "model" and (model.parent / "config.yaml").is_file()
    return read_run(model.parent).learned_from if is_of_run else ""


def documents_read(benchmark: Benchmark, corpus: str) -> int | None:
    """Return how many documents of a corpus the benchmark read, None where it read all."""
    name, sections = corpus.removesuffix(_STUDY), benchmark.run.config.get("corpora") or ()
    return next((_limit(section) for section in sections if corpus_title(section) == name), None)


def _limit(section: Mapping[str, Any]) -> int | None:
    """Return how many documents of a split are scored at most, by a corpus section; None where all are."""
    limits = (section.get("max_documents"), section.get("max_eval_documents"))
    return min((limit for limit in limits if limit), default=None)
