"""Scores a trained model on a split, its sentences shared among the run's workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import ray
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from raybio.config import WorkersSection
from raybio.entities import Sentence
from raybio.evaluation import evaluate
from raybio.evaluation.reliability import reliability_figures
from raybio.evaluation.tables import strict_f1
from raybio.members import Member, interleaved
from raybio.progress import ProgressReports
from raybio.run_folder import RunFolder
from raybio.taggers import Tags, load_tagger
from raybio.taggers.encoder_card import EncoderCard
from raybio.taggers.hugging_face import read_tokenizer
from raybio.training.encoder_steps import cut_sentences
from raybio.training.recipes import Scoring
from raybio.training.splits import at_even_distances

_PIECE_SENTENCES = 256
"""What a worker tags before it hands over what it has: the driver says how far they are."""


def uses_gpu(workers: WorkersSection) -> bool:
    """Say whether a job's workers get a GPU each: as configured, or where the cluster has any."""
    if workers.accelerator == "auto":
        return bool(ray.cluster_resources().get("GPU", 0))
    return workers.accelerator == "gpu"


def scored_splits(trained_on_dev: bool, test: bool = True) -> list[str]:
    """Return what a model is scored on: dev unless it was learned, and test where asked for."""
    return [*([] if trained_on_dev else ["dev"]), *(["test"] if test else [])]


def score_splits(
    scoring: Scoring, members: Sequence[Member], run: RunFolder, splits: Sequence[str]
) -> dict[str, Any]:
    """Tag splits with the run's model; write the predictions and return both scorers' figures by split.

    Beside them, "malformed" counts what of an LLM's answers could not be read (see RunFolder), and
    "reliability" says whether scores are the share of entities that is right. Of several corpora all this
    is of all sentences together, each corpus's on the labels that it annotates; "corpora" has the same of
    each by itself, in the order of the predictions, and "mean_strict_f1" the mean of theirs.

    Of dev, an LLM's run takes the sentences that its epochs were scored on. The model is read back
    from the run folder, so that the figures are those of what was saved.
    """
    chosen = {split: _chosen(scoring, members, run, split) for split in splits}
    predicted = iter(_tag(scoring, run, [sentence for each in chosen.values() for _, sentence in each]))
    return {
        split: _score(scoring, run, split, sentences, [next(predicted) for _ in sentences])
        for split, sentences in chosen.items()
    }


_Chosen: TypeAlias = "Sequence[tuple[Member, Sentence]]"


def _chosen(scoring: Scoring, members: Sequence[Member], run: RunFolder, split: str) -> _Chosen:
    everything = [(members[number], sentence) for number, sentence in interleaved(members, split)]
    chosen = at_even_distances(everything, scoring.dev_sentences if split == "dev" else None)
    some = "" if len(chosen) == len(everything) else f": {len(chosen)} of {len(everything)} sentences"
    run.say(f"scoring {split}{some}")
    return _cut(run, split, chosen) if scoring.cut else chosen


def _cut(run: RunFolder, split: str, chosen: _Chosen) -> _Chosen:
    """Return what the run's model, an encoder, reads of the sentences; say how many lost their end."""
    card = EncoderCard.read(run.model)
    assert card is not None, "training writes a card"
    tokenizer = read_tokenizer(run.model)
    sentences = [sentence for _, sentence in chosen]
    kept = list(cut_sentences(sentences, tokenizer, card))
    shorter = sum(len(a) < len(b) for a, b in zip(kept, sentences, strict=True))
    run.say(f"cut {shorter} sentences of {split} at {card.max_length} subwords, gold included")
    return [(member, sentence) for (member, _), sentence in zip(chosen, kept, strict=True)]


def _score(
    scoring: Scoring, run: RunFolder, split: str, chosen: _Chosen, tagged: Sequence[Tags]
) -> dict[str, Any]:
    rows = [
        _Scored(member.title, sentence, member.gold(sentence), member.own(tags.tags), tags)
        for (member, sentence), tags in zip(chosen, tagged, strict=True)
    ]
    run.write_predictions(split, ((list(row.sentence.words), row.gold, row.predicted) for row in rows))
    malformed = [line for row in rows for line in _malformed(row.sentence, row.tags)]
    file = run.write_malformed(split, malformed)
    if malformed:
        run.say(f"of the answers to {split} {len(malformed)} lines could not be read: {file}")
    scores = _figures(scoring, rows)
    titles = list(dict.fromkeys(row.corpus for row in rows))
    if len(titles) > 1:
        scores["corpora"] = {
            title: _figures(scoring, [row for row in rows if row.corpus == title]) for title in titles
        }
        scores["mean_strict_f1"] = strict_f1(scores, "corrected")
    return scores


class _Scored(NamedTuple):
    """A sentence with its corpus's title, and the tags that count there."""

    corpus: str
    sentence: Sentence
    gold: list[str]
    predicted: list[str]
    tags: Tags


def _figures(scoring: Scoring, rows: Sequence[_Scored]) -> dict[str, Any]:
    # Two corpora may call their documents alike, by number; no document at all is "".
    documents = [row.sentence.document_id and f"{row.corpus} {row.sentence.document_id}" for row in rows]
    gold, predicted = [row.gold for row in rows], [row.predicted for row in rows]
    scores, before = [row.tags.scores for row in rows], [row.tags.uncalibrated for row in rows]
    return {
        **evaluate(gold, predicted, documents, scoring.bootstrap, scoring.seed).to_dict(),
        "malformed": sum(len(row.tags.malformed) for row in rows),
        "reliability": reliability_figures(gold, predicted, scores, before),
    }


def _malformed(sentence: Sentence, tags: Tags) -> Iterator[dict[str, Any]]:
    """Yield each line that gives none of the sentence's words a tag, and each run of words without a line."""
    for fault in tags.malformed:
        words = sentence.words[fault.words.start : fault.words.stop]
        yield {"sentence": sentence.id, "reason": fault.reason, "written": fault.written, "words": words}


def _tag(scoring: Scoring, run: RunFolder, sentences: Sequence[Sentence]) -> list[Tags]:
    """Tag sentences, each worker a share; they are dealt out in turn, so that shares are alike."""
    workers = scoring.workers
    remote = remote_on(workers, _tag_share, num_returns="streaming")
    shares = [sentences[i :: workers.num_workers] for i in range(workers.num_workers)]
    parts = _collect(
        [remote.remote(run.model, share, scoring.loading) for share in shares],
        ProgressReports(run.say, "scoring", "sentence", len(sentences)),
    )
    return [parts[i % workers.num_workers][i // workers.num_workers] for i in range(len(sentences))]


def remote_on(workers: WorkersSection, function: Callable[..., Any], **options: Any) -> Any:
    """Return a function as a Ray task that has what a worker of the run has."""
    return ray.remote(
        num_cpus=workers.cpus_per_worker,
        num_gpus=1.0 if uses_gpu(workers) else 0.0,
        # Where there is room: a trial of Tune holds next to nothing, and would keep its tasks in that.
        scheduling_strategy=PlacementGroupSchedulingStrategy(placement_group=None),  # type: ignore[arg-type]
        **options,
    )(function)


def _collect(streams: Sequence[Any], report: ProgressReports) -> list[list[Tags]]:
    """Return what each of several remote generators yields, piece by piece, as one list."""
    parts: list[list[Tags]] = [[] for _ in streams]
    unfinished = dict(zip(streams, parts, strict=True))
    report(0)
    while unfinished:
        ready: Any = ray.wait(list(unfinished), num_returns=1)[0][0]
        try:
            piece = next(ready)
        except StopIteration:
            del unfinished[ready]
        else:
            unfinished[ready] += ray.get(piece)
            report(sum(map(len, parts)))
    return parts


def _tag_share(model: Path, share: Sequence[Sentence], options: Mapping[str, Any]) -> Iterator[list[Tags]]:
    tagger = load_tagger(model, **options)
    for start in range(0, len(share), _PIECE_SENTENCES):
        yield tagger.tag(share[start : start + _PIECE_SENTENCES])
