"""Makes one encoder of several: the mean of their weights, a "model soup" (Wortsman et al., 2022).

Models that began as one pretrained model, and learned one corpus in different ways, lie near enough to
each other that the mean of their weights is a model too, often a better one, at the cost of each of them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from raybio.cluster import connected, settle_data
from raybio.config import (
    CorpusSection,
    MemberSection,
    SoupConfig,
    TrainEncoderConfig,
    load_recorded,
    sections_of,
    to_yaml,
    trains_on_dev,
)
from raybio.errors import ModelError, UsageError
from raybio.members import labels_of_splits
from raybio.model_files import READ, WEIGHTS
from raybio.run_folder import SPLITS_FILE, RunFolder
from raybio.storage import replace_folder
from raybio.taggers.encoder import load_classifier
from raybio.taggers.encoder_card import EncoderCard
from raybio.training.model_card import write_model_card
from raybio.training.recipes import Scoring
from raybio.training.scoring import score_splits, scored_splits
from raybio.training.temperature import leave_temperature
from raybio.training.union import members_of

# What a card says of how a model is read, and not of what it learned.
_OF_READING = ("max_length", "stride", "aggregation_strategy", "constrained_decoding")


@dataclass(frozen=True, slots=True)
class Soup:
    """A soup in its run folder, and the scores per split."""

    run: RunFolder
    scores: dict[str, Any]


def make_soup(
    runs: Sequence[str], name: str, output: str = "runs", progress: Callable[[str], None] = print
) -> Soup:
    """Write the mean of the models of encoders' runs as a run of its own, scored on what they were scored on.

    Raises:
        UsageError: a folder is no encoder's run, there are fewer than two, or they began as other models,
            or learned other corpora; or there is a run of that name.
        ModelError: a run holds no model, or one of other labels or another shape.
    """
    config = _config(runs, name, output)
    models = [RunFolder(Path(one)).model for one in runs]
    mean = mean_model(models)  # before there is a folder, which a fault would leave behind
    run = RunFolder.create(Path(output) / name, to_yaml(config))
    members = members_of(config.corpus)
    run.write_json(SPLITS_FILE, labels_of_splits(members))
    scoring = Scoring.of(config)
    with run.shown(progress), connected():
        settle_data()
        run.say(f"the mean of {len(runs)} models: {', '.join(runs)}")
        if others := sorted({name for model in models[1:] for name in _differences(models[0], model)}):
            run.say(f"it is read as {runs[0]} is: the others have another {', '.join(others)}")
        with replace_folder(run.model) as model:
            _copy_around_weights(models[0], model)
            mean.save_pretrained(model)
            leave_temperature(run, scoring, members, model)
        scores = score_splits(scoring, members, run, scored_splits(trains_on_dev(config.corpus)))
    run.write_json("scores.json", scores)
    write_model_card(run)
    return Soup(run, scores)


def _copy_around_weights(source: Path, target: Path) -> None:
    """Copy what goes with a model's weights: tokenizer, card, calibration sentences; no weights."""
    for pattern in READ:
        for path in source.glob(pattern):
            if not path.name.startswith(WEIGHTS.partition(".")[0]):
                shutil.copyfile(path, target / path.name)


def mean_model(models: Sequence[Path]) -> Any:
    """Return a Hugging Face token classifier whose weights are the mean of several encoders'.

    Raises:
        ModelError: one of them is no encoder of raybio, or has another shape or learned otherwise than the
            first.
    """
    for path in models[1:]:
        if wrong := next((name for name in _differences(models[0], path) if name not in _OF_READING), ""):
            here, there = (getattr(_card(model), wrong) for model in (path, models[0]))
            raise ModelError(
                f"{path} has {wrong} {here} where {models[0]} has {there}: weights that learned otherwise "
                f"have no mean. Take models of the same {wrong}"
            )
    mean = load_classifier(models[0])
    total = {name: weight.clone() for name, weight in mean.state_dict().items()}
    for path in models[1:]:
        weights = load_classifier(path).state_dict()
        if {k: w.shape for k, w in weights.items()} != {k: w.shape for k, w in total.items()}:
            raise ModelError(f"{path} has weights of other shapes than {models[0]}")
        for key, weight in weights.items():
            if weight.is_floating_point():  # the rest are positions, the same in all
                total[key] += weight
    mean.load_state_dict(
        {key: each / len(models) if each.is_floating_point() else each for key, each in total.items()}
    )
    return mean


def _config(runs: Sequence[str], name: str, output: str) -> SoupConfig:
    if len(set(runs)) < 2:
        raise UsageError("a soup is of two models or more: name the folders of several runs")
    configs = [_trained(path) for path in runs]
    first = configs[0]
    began = [{"model": one.model, "corpus": _without_place(one.corpus)} for one in configs]
    for path, other in zip(runs[1:], began[1:], strict=True):
        for key in other:
            if other[key] != began[0][key]:
                raise UsageError(
                    f"{path} has another {key} than {runs[0]}: only models that began as one, and learned "
                    "the same sentences, have a mean that is worth something"
                )
    return SoupConfig(
        runs=tuple(runs),
        model=first.model,
        corpus=first.corpus,
        output=output,
        name=name,
        seed=first.seed,
        bootstrap=first.bootstrap,
        workers=first.workers,
    )


def _without_place(corpus: CorpusSection | tuple[MemberSection, ...]) -> list[CorpusSection]:
    return [section.model_copy(update={"data": None}) for section in sections_of(corpus)]


def _trained(path: str) -> TrainEncoderConfig:
    run = RunFolder.existing(Path(path))
    config = load_recorded(run.path / "config.yaml")
    if not isinstance(config, TrainEncoderConfig):
        raise UsageError(f"{path} is the run of a {config.job} job: soups are of encoders")
    return config


def _differences(first: Path, other: Path) -> list[str]:
    """Return in what the cards of two encoders differ; who wrote them and their scores do not count."""
    cards = [asdict(_card(model)) for model in (first, other)]
    return [
        name
        for name, value in cards[0].items()
        if name not in ("raybio", "temperature") and cards[1][name] != value
    ]


def _card(model: Path) -> EncoderCard:
    card = EncoderCard.read(model) if model.is_dir() else None
    if card is None:
        raise ModelError(f"{model} holds no encoder that raybio trained")
    return card
