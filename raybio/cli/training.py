"""The commands `adapt-encoder`, `train-encoder`, `preflight`, `train-decoder`, `cascade` and `soup`."""

from __future__ import annotations

import time
from argparse import ArgumentTypeError, Namespace
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybio.cli.command_line import Commands, add_command, add_config, add_json, whole_number
from raybio.cli.terminal import report, say_starting, show_figures
from raybio.errors import UsageError

if TYPE_CHECKING:
    from raybio.config import TrainDecoderConfig, TrainEncoderConfig
    from raybio.training.fit import TrainedModel


def add_commands(commands: Commands) -> None:
    """Declare the commands of this file."""
    for name, run in (
        ("adapt-encoder", _adapt_encoder),
        ("train-encoder", _train_encoder),
        ("train-decoder", _train_decoder),
    ):
        command = add_command(commands, name, run)
        add_config(command)
        add_json(command)
    _add_preflight(commands)
    _add_cascade(commands)
    _add_soup(commands)


def _add_preflight(commands: Commands) -> None:
    preflight = add_command(commands, "preflight", _preflight)
    add_config(preflight)
    preflight.add_argument(
        "--rehearse",
        type=_steps,
        metavar="N",
        help="take N optimizer steps here, with random weights where the model is not at hand; save, reload, "
        "tag a sentence; measure memory and seconds",
    )
    preflight.add_argument(
        "--keep", metavar="FOLDER", help="new folder that keeps the rehearsal's files; default: none"
    )
    add_json(preflight)


def _add_cascade(commands: Commands) -> None:
    cascade = add_command(commands, "cascade", _cascade)
    cascade.add_argument("--encoder", required=True, metavar="FOLDER", help="tags every sentence")
    cascade.add_argument("--decoder", required=True, metavar="FOLDER", help="LLM that reads some again")
    cascade.add_argument(
        "--corpus", required=True, metavar="NAME", help="corpus on whose dev split the threshold is chosen"
    )
    cascade.add_argument("--data", metavar="FOLDER", help="folder of the corpora; default: $RAYBIO_DATA")
    cascade.add_argument(
        "--budget",
        type=_share,
        default=0.2,
        metavar="P",
        help="share of sentences to read again; %(default)s",
    )
    cascade.add_argument("--output", required=True, metavar="FOLDER", help="where the cascade goes")
    add_json(cascade)


def _add_soup(commands: Commands) -> None:
    soup = add_command(commands, "soup", _soup)
    soup.add_argument("runs", nargs="+", metavar="RUN", help="run folder of an encoder")
    soup.add_argument("--name", required=True, metavar="NAME", help="name of the soup's run folder")
    soup.add_argument(
        "--output", default="runs", metavar="FOLDER", help="where the run folder goes; %(default)s"
    )
    add_json(soup)


def _adapt_encoder(options: Namespace) -> None:
    """Continue an encoder's pretraining on text of the field, and fill a run folder."""
    from raybio.config import AdaptEncoderConfig, load_job

    config = load_job(AdaptEncoderConfig, options.config, options.overrides)

    say_starting()

    from raybio.training.adaptation import adapt_encoder

    adapted = adapt_encoder(config, report)
    loss, share = adapted.held_out_loss, adapted.held_out_found
    found = "not scored, see log.txt"
    if loss is not None and share is not None:
        found = f"loss {loss:.4f}, {100 * share:.1f} % of hidden subwords found"
    show_figures(
        f"held out: {found}\nmodel: {adapted.run.model}\n",
        {**asdict(adapted), "run": str(adapted.run.path)},
        options.json,
    )


def _train_encoder(options: Namespace) -> None:
    """Fine-tune an encoder, score it, and fill a run folder."""
    from raybio.config import TrainEncoderConfig, load_job

    config = load_job(TrainEncoderConfig, options.config, options.overrides)

    begun = say_starting()

    from raybio.training.encoder import train_encoder
    from raybio.training.sweep import train_sweep

    trained = (train_sweep if config.sweep else train_encoder)(config, report)
    _show_trained(trained, time.monotonic() - begun, options.json)


def _preflight(options: Namespace) -> None:
    """Say what a fine-tuning will take, or every reason why it would fail.

    Nothing is started, but with --rehearse: a few steps of the very job on this machine.
    """
    from raybio.config import TrainDecoderConfig, TrainEncoderConfig, load_config

    config = load_config(options.config, options.overrides)
    if not isinstance(config, TrainEncoderConfig | TrainDecoderConfig):
        raise UsageError(
            f"{options.config} configures {config.job}. Give a config of train-encoder or train-decoder"
        )
    if options.keep and not options.rehearse:
        raise UsageError("--keep is for the files of a rehearsal. Give --rehearse N too, or leave it out")
    if options.rehearse:
        _rehearse(config, options)
        return
    if isinstance(config, TrainDecoderConfig):
        from raybio.training.preflight import preflight

        found = preflight(config)
    else:
        from raybio.training.encoder_preflight import preflight_encoder

        found = preflight_encoder(config)
    show_figures("".join(f"{line}\n" for line in found.lines()), asdict(found), options.json)


def _rehearse(config: TrainEncoderConfig | TrainDecoderConfig, options: Namespace) -> None:
    from raybio.cli.rehearsal import rehearsal_lines
    from raybio.config import sweep_points
    from raybio.config.prices import load_prices
    from raybio.training.rehearsal import rehearse

    found = rehearse(config, options.rehearse, options.keep, report)
    runs = len(sweep_points(config))
    lines = [*found.whole.lines(), *rehearsal_lines(found, runs, load_prices())]
    show_figures("".join(f"{line}\n" for line in lines), asdict(found), options.json)


def _train_decoder(options: Namespace) -> None:
    """Fine-tune an LLM's adapter (QLoRA under DeepSpeed), score it, and fill a run folder."""
    from raybio.config import TrainDecoderConfig, load_job

    config = load_job(TrainDecoderConfig, options.config, options.overrides)

    begun = say_starting()

    from raybio.training.decoder import train_decoder
    from raybio.training.sweep import train_sweep

    trained = (train_sweep if config.sweep else train_decoder)(config, report)
    _show_trained(trained, time.monotonic() - begun, options.json)


def _show_trained(trained: TrainedModel, seconds: float, json_file: str | None) -> None:
    figures = {"run": str(trained.run.path), "best_epoch": trained.best_epoch, "scores": trained.scores}
    lines = [
        f"best epoch: {trained.best_epoch}",
        f"run folder: {trained.run.path}",
        *_headline(trained.scores, seconds),
        f"next: raybio report {trained.run.path}",
        f"      raybio tag FILES --model {trained.run.path}/model --output tagged",
    ]
    show_figures(_tables(trained.scores) + "".join(f"{line}\n" for line in lines), figures, json_file)


def _headline(scores: Mapping[str, Any], seconds: float) -> list[str]:
    """Return the line to quote: strict F1 of the last split that was scored, its interval, and the time."""
    for split, of_split in list(scores.items())[-1:]:
        if "corpora" in of_split:
            mean = f"{100 * of_split['mean_strict_f1']:.1f}"
            several = f"{split}: mean strict F1 of {len(of_split['corpora'])} corpora {mean}"
            return [f"{several}, corrected scorer; {seconds / 60:.1f} minutes"]
        corrected = of_split["corrected"]
        figure = f"{100 * corrected['overall']['strict']['f1']:.1f}"
        if interval := (corrected["intervals"] or {}).get("f1"):
            figure += f" ({100 * interval['low']:.1f} to {100 * interval['high']:.1f})"
        return [f"{split}: strict F1 {figure}, corrected scorer; {seconds / 60:.1f} minutes"]
    return []


def _tables(scores: Mapping[str, Any]) -> str:
    from raybio.evaluation.tables import render_evaluation

    return "".join(f"{split}: {render_evaluation(of_split)}\n" for split, of_split in scores.items())


def _cascade(options: Namespace) -> None:
    """Join an encoder and an LLM: the LLM reads again what the encoder is least sure of."""
    from raybio.config import CorpusSection
    from raybio.training.cascade import make_cascade

    made = make_cascade(
        options.encoder,
        options.decoder,
        CorpusSection(name=options.corpus, data=options.data),
        options.budget,
        Path(options.output),
        report,
    )
    show_figures(
        f"threshold: {made.cascade.threshold:.4f}, so that {100 * made.reread:.1f} % is read again\n"
        f"strict F1 on dev: encoder {100 * made.encoder_f1:.2f}, cascade {100 * made.cascade_f1:.2f}\n"
        f"cascade: {made.folder}\n",
        {**asdict(made), "folder": str(made.folder)},
        options.json,
    )


def _soup(options: Namespace) -> None:
    """Make one encoder of several: the mean of their weights, scored as they were."""
    say_starting()

    from raybio.training.soup import make_soup

    made = make_soup(options.runs, options.name, options.output, report)
    figures = {"run": str(made.run.path), "scores": made.scores}
    show_figures(f"{_tables(made.scores)}run folder: {made.run.path}\n", figures, options.json)


def _steps(text: str) -> int:
    number = whole_number(text)
    if number == 0:
        raise ArgumentTypeError("0 steps rehearse nothing; allowed: 1 or more")
    return number


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ArgumentTypeError(f"{text!r} is not a share between 0 and 1")
    return share
