"""The commands `evaluate` and `report`."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from raybio.cli.command_line import Commands, add_command, add_json, add_quotes, renames, whole_number
from raybio.cli.terminal import report, say, show, show_figures
from raybio.errors import InputError, UsageError

if TYPE_CHECKING:
    from raybio.corpora.bio_tsv import TaggedSentence
    from raybio.label_schemes import SchemeName


def add_commands(commands: Commands) -> None:
    """Declare the commands of this file."""
    evaluate = add_command(commands, "evaluate", _evaluate)
    evaluate.add_argument("gold", metavar="GOLD", help="a word and its tag on each line, in any label scheme")
    evaluate.add_argument("predicted", metavar="PRED", help="the same words, in the same scheme or another")
    evaluate.add_argument(
        "--bootstrap",
        type=whole_number,
        default=0,
        metavar="N",
        help="draws for 95 %% intervals, over documents where the gold file has -DOCSTART- lines",
    )
    evaluate.add_argument(
        "--rename", type=renames, default={}, metavar="A=B,...", help="call labels A of PRED B before scoring"
    )
    evaluate.add_argument(
        "--disagreements", action="store_true", help="list where the two scorers differ, and why"
    )
    add_json(evaluate)
    score = add_command(commands, "score", _score)
    score.add_argument("model", metavar="MODEL", help="run or model folder, hub id or bundled:NAME")
    score.add_argument(
        "corpus", metavar="CORPUS|FILE", help="corpus of the study, or a file of any format with gold"
    )
    score.add_argument(
        "--split", choices=("train", "dev", "test"), default="test", help="default: %(default)s"
    )
    score.add_argument("--data", metavar="DIR", help="folder of the named corpora; default: $RAYBIO_DATA")
    score.add_argument(
        "--from", dest="format", metavar="F", help="format of FILE, where its name does not tell"
    )
    score.add_argument("--title", metavar="T", help="what reports call FILE; default: its folder's name")
    score.add_argument(
        "--rename",
        type=renames,
        default={},
        metavar="A=B,...",
        help="call the model's label A B before scoring",
    )
    score.add_argument(
        "--precision", default="auto", metavar="P", help="auto (the default), fp32, bf16, int8 or 4bit"
    )
    score.add_argument(
        "--bootstrap", type=whole_number, default=1000, metavar="N", help="default: %(default)s"
    )
    score.add_argument("--output", default="runs", metavar="FOLDER", help="default: %(default)s")
    score.add_argument(
        "--name", metavar="NAME", help="name of the run folder; default: model, corpus and time"
    )
    add_json(score)
    report = add_command(commands, "report", _report)
    report.add_argument(
        "runs", nargs="+", metavar="RUN", help="run folder, or tagged output (a local folder)"
    )
    report.add_argument(
        "--output",
        metavar="FILE",
        help="name it .md for Markdown; default: report.html in the folder, or here for several",
    )
    add_quotes(report)


def _evaluate(options: Namespace) -> None:
    """Score predicted tags against gold ones, with the study's scorer and the corrected one."""
    if options.disagreements and options.json == "-":
        raise UsageError(
            "--disagreements prints text, which --json - leaves out: name a file for one of them"
        )
    gold, gold_scheme = _read(options.gold)
    # Beside IOB2, tags that may be IOB1 are an IOB2 prediction with faults.
    predicted, predicted_scheme = _read(options.predicted, repair=gold_scheme == "IOB2")
    _check_same_words(options.gold, gold, options.predicted, predicted)

    from raybio.evaluation import evaluate
    from raybio.evaluation.disagreements import find_disagreements
    from raybio.evaluation.label_sets import check_labels, renamed_tag
    from raybio.evaluation.tables import render_disagreements, render_evaluation
    from raybio.iob2 import spans_from_tags

    gold_tags = [s.tags for s in gold]
    predicted_tags = [[renamed_tag(tag, options.rename) for tag in s.tags] for s in predicted]
    remedy = "Where they mean the same, rename them: --rename OLD=NEW"
    if warning := check_labels(_labels(gold_tags), _labels(predicted_tags), "gold", "the prediction", remedy):
        say(warning)
    documents = [str(sentence.document or "") for sentence in gold]
    figures = evaluate(gold_tags, predicted_tags, documents, options.bootstrap).to_dict()
    table = render_evaluation(figures)
    figures["tag_schemes"] = {"gold": gold_scheme, "predicted": predicted_scheme}
    if {gold_scheme, predicted_scheme} != {"IOB2"}:
        table += (
            f"tags read as {gold_scheme} in {options.gold}, as {predicted_scheme} in {options.predicted}\n"
        )
    if options.disagreements:
        spans = ([spans_from_tags(tags) for tags in side] for side in (gold_tags, predicted_tags))
        table += "\n" + render_disagreements(find_disagreements(*spans))
    show_figures(table, figures, options.json)


def _score(options: Namespace) -> None:
    """Score any tagger on any text with gold, and leave figures and predictions in a run folder."""
    from raybio.config import ScoreConfig
    from raybio.config.loading import check
    from raybio.evaluation.tables import render_evaluation
    from raybio.model_scoring import known_corpus, score_model, title_of

    known = known_corpus(options.corpus)
    if known and options.format:
        raise UsageError(f"--from is for files, and {options.corpus} is a corpus by name. Leave it out")
    corpus = {
        "name": options.title or known or title_of(options.corpus),
        "path": None if known else options.corpus,
        "format": options.format,
        "data": options.data,
        "split": options.split,
    }
    job = {name: getattr(options, name) for name in ("model", "precision", "output", "name", "bootstrap")}
    config = check({**job, "corpus": corpus}, ScoreConfig, "the options of score")
    scored = score_model(config, report, options.rename)
    show_figures(
        f"{render_evaluation(scored.figures)}run folder: {scored.run.path}\n",
        {"run": str(scored.run.path), **scored.figures},
        options.json,
    )


def _labels(sentences: Iterable[Iterable[str]]) -> set[str]:
    return {tag.partition("-")[2] for tags in sentences for tag in tags} - {""}


def _report(options: Namespace) -> None:
    """Write one page about run folders and tagged outputs: what they hold, side by side."""
    from raybio.reports.html import write_report
    from raybio.reports.sources import is_tagging

    folders = [Path(run) for run in options.runs]
    tagged = [folder for folder in folders if is_tagging(folder)]
    runs = [folder for folder in folders if folder not in tagged]
    beside = folders[0] if len(folders) == 1 else Path()
    output = Path(options.output or beside / "report.html")
    show(f"{write_report(runs, output, tagged, quotes=options.quotes)}\n")


def _read(path: str, repair: bool = False) -> tuple[list[TaggedSentence], SchemeName]:
    """Return a file's sentences, their tags as IOB2, and the scheme that they are in.

    With `repair` an I- that begins an entity is a fault of IOB2, and never a sign of IOB1.
    """
    from raybio.corpora.bio_tsv import read_tagged_sentences
    from raybio.corpora.opening import open_bytes
    from raybio.corpora.tag_scheme import scheme_of_file

    with open_bytes(path) as stream:
        sentences = list(read_tagged_sentences(stream, path))
    scheme = scheme_of_file((sentence.tags for sentence in sentences), path, repair)
    sentences = [sentence._replace(tags=scheme.as_iob2(sentence.tags)) for sentence in sentences]
    _check_tags(path, sentences)
    return sentences, scheme.name


def _check_tags(path: str, sentences: list[TaggedSentence]) -> None:
    """Refuse tags of no scheme while their lines are known; a stray `I-` is scored as the scorers do.

    Raises:
        TagError: names the line of the first one.
    """
    from raybio.iob2 import is_tag, not_a_tag

    for sentence in sentences:
        for line, tag in enumerate(sentence.tags, sentence.first_line):
            if not is_tag(tag):
                raise not_a_tag(tag, path, f"line {line}")


def _check_same_words(
    gold_path: str, gold: list[TaggedSentence], predicted_path: str, predicted: list[TaggedSentence]
) -> None:
    """Refuse a prediction that is not about the gold file's words.

    Raises:
        InputError: names the first sentence (from 1) and line where they part.
    """
    for number, (ours, theirs) in enumerate(zip_longest(gold, predicted), start=1):
        if ours is None or theirs is None:
            where, place = (gold_path, ours.first_line) if ours else (predicted_path, theirs.first_line)
            problem = (
                f"sentence {number} is in this file only ({len(gold):,} gold, {len(predicted):,} predicted)"
            )
            raise InputError(where, f"line {place}", problem, _REMEDY)
        if ours.words != theirs.words:
            raise _other_words(number, gold_path, ours, predicted_path, theirs)


_REMEDY = "Predict every gold sentence once, word by word, in the same order"


def _other_words(
    number: int, gold_path: str, gold: TaggedSentence, predicted_path: str, predicted: TaggedSentence
) -> InputError:
    pairs = zip_longest(gold.words, predicted.words)
    at, (word, found) = next((at, pair) for at, pair in enumerate(pairs) if pair[0] != pair[1])
    there = f"{gold_path}, line {gold.first_line + at}"
    problem = f"sentence {number} has {_shown(found)} where {there}, has {_shown(word)}"
    return InputError(predicted_path, f"line {predicted.first_line + at}", problem, _REMEDY)


def _shown(word: str | None) -> str:
    return "no more words" if word is None else repr(word)
