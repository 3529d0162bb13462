"""The commands `tag`, `tag-corpus` and `compact`."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError, BooleanOptionalAction, Namespace
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybio.cli.command_line import Commands, add_command, add_config, add_json, renames, whole_number
from raybio.cli.terminal import report, say, show_figures
from raybio.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from raybio.bulk_tagging import TaggedCorpus
    from raybio.config import TagCorpusConfig

_LONGEST_NAME = 255
"""How long the name of a file may be; a longer text is none."""


def add_commands(commands: Commands) -> None:
    """Declare the commands of this file."""
    _add_tag(commands)
    tag_corpus = add_command(commands, "tag-corpus", _tag_corpus)
    add_config(tag_corpus)
    add_json(tag_corpus)
    compact = add_command(commands, "compact", _compact)
    compact.add_argument("output", metavar="OUTPUT", help="a tagged output; a path or URL")
    compact.add_argument("--to", required=True, metavar="FOLDER", help="where the current set is kept")
    compact.add_argument(
        "--fold", action="store_true", help="into one part, so that its Parquet files are the set as they are"
    )
    add_json(compact)


def _add_tag(commands: Commands) -> None:
    tag = add_command(commands, "tag", _tag)
    tag.add_argument("input", nargs="*", metavar="INPUT", help="file, folder or glob; a path or URL")
    tag.add_argument(
        "--text",
        help="with INPUT: the columns of a table to tag, such as title,abstract. Without: tag this text (- = "
        "standard input) and print it with its mentions, without a cluster",
    )
    tag.add_argument(
        "--id", metavar="COLUMN", help="the column of a table that has the ids; # = number the rows"
    )
    tag.add_argument(
        "--keep",
        type=_words,
        metavar="C,C,...",
        help="columns, or attributes of documents, that travel along into the output's tables",
    )
    tag.add_argument("--model", metavar="FOLDER", help="trained model, such as RUN/model")
    tag.add_argument(
        "--model-labels",
        metavar="FILE",
        help="YAML or JSON: what a token classifier's outputs stand for, such as {LABEL_1: B-Disease}",
    )
    tag.add_argument(
        "--allow-pickle",
        action="store_true",
        help="load weights that are pickles, which can run code: only where you trust their source",
    )
    tag.add_argument("--output", metavar="FOLDER", help="where the mentions go; a path or URL")
    tag.add_argument(
        "--replay",
        metavar="REJECTED",
        help="tag the shards of these rejected records again, as the job did that left OUTPUT/rejected.jsonl",
    )
    tag.add_argument(
        "--formats",
        type=_words,
        metavar="F,F,...",
        help="what to write besides mentions/ in Parquet, which is always written: csv, iob2, pubtator, "
        "bioc-json, bioc-xml, jsonl, brat",
    )
    tag.add_argument(
        "--from", dest="format", metavar="F", help="format of the input, where its name does not tell"
    )
    tag.add_argument("--labels", type=_words, metavar="L,L,...", help="keep entities of these labels alone")
    tag.add_argument(
        "--min-score", type=_scores, metavar="P", help="keep entities so sure, such as 0.8 or Disease=0.9,..."
    )
    tag.add_argument(
        "--rename", type=renames, metavar="A=B,...", help="call entities of the model's label A B"
    )
    tag.add_argument("--precision", metavar="P", help="auto (the default), fp32, bf16, int8 or 4bit")
    tag.add_argument(
        "--mode",
        metavar="M",
        help="how an LLM is decoded: verified-tags (the default), forced-tags, verified-text or greedy",
    )
    tag.add_argument(
        "--draft-model", metavar="FOLDER", help="encoder whose tags an LLM verifies; default: all O"
    )
    tag.add_argument("--shard-documents", type=whole_number, metavar="N", help="documents per unit of commit")
    tag.add_argument(
        "--taggers", type=whole_number, metavar="N", help="processes; default: what the cluster has room for"
    )
    tag.add_argument(
        "--ray",
        action=BooleanOptionalAction,
        help="tag on Ray, or in this process; default: here what is at most 1 MB, without --taggers or "
        "RAY_ADDRESS",
    )
    tag.add_argument(
        "--max-rejected", type=whole_number, metavar="N", help="stop when more records are rejected"
    )
    tag.add_argument(
        "--max-record-bytes", type=whole_number, metavar="N", help="reject larger records; default: 64 MiB"
    )
    tag.add_argument(
        "--new-generation",
        action="store_true",
        help="where the output was made with another model or options, start a new generation beside the old",
    )
    add_json(tag)


def _tag(options: Namespace) -> None:
    """Tag documents with a trained model: what `tag-corpus` does, without a config file."""
    if options.text is not None and not options.input:
        _tag_text(options)
        return
    if not (options.replay or (options.input and options.model and options.output)):
        raise UsageError(
            "tag needs INPUT, --model and --output; or --text and --model; or --replay REJECTED alone"
        )
    from raybio.config import TagCorpusConfig, job_of

    recorded = {}
    if options.replay:
        from raybio.bulk_tagging.replay import recorded_job

        recorded = recorded_job(options.output or options.replay.rpartition("/")[0] or ".")
    chosen = {
        "model": options.model,
        "allow_pickle": options.allow_pickle or None,
        "model_labels": _model_labels(options.model_labels),
        "input": _input(options, recorded),
        "output": options.output,
        "format": options.format,
        "formats": options.formats,
        "entities": _given(labels=options.labels, min_score=options.min_score, rename=options.rename) or None,
        "precision": options.precision,
        "decoding": _decoding(options),
        "shard_documents": options.shard_documents,
        "taggers": _given(count=options.taggers, on_ray=options.ray) or None,
        "max_rejected": options.max_rejected,
        "max_record_bytes": options.max_record_bytes,
        "on_change": "new-generation" if options.new_generation else None,
    }
    config = job_of(TagCorpusConfig, {**recorded, **_given(**chosen)}, source="the options of tag")
    _tag_configured(config, options.json, options.replay)


def _tag_text(options: Namespace) -> None:
    of_a_job = [
        *("output", "replay", "id", "keep", "format", "formats", "shard_documents", "taggers", "ray"),
        *("max_rejected", "max_record_bytes", "new_generation"),
    ]
    if not options.model or any(getattr(options, name) for name in of_a_job):
        raise UsageError(
            "--text without INPUT is the text to tag: it goes with --model, and with no option of a job. To "
            "tag columns of a table, name its file: raybio tag INPUT --text title,abstract"
        )
    from raybio.text_tagger import load

    tagger = load(
        options.model,
        precision=options.precision or "auto",
        decoding=_decoding(options),
        labels=_model_labels(options.model_labels),
        allow_pickle=options.allow_pickle,
        entities=options.labels or (),
        min_score=options.min_score or 0.0,
        rename=options.rename,
    )
    text = sys.stdin.read() if options.text == "-" else options.text
    if len(text) < _LONGEST_NAME and Path(text).is_file():
        say(f"--text is the text itself, and {text} a file. To tag the file: raybio tag {text} --output ...")
    document = tagger(text)
    found = {"text": document.text, "mentions": [asdict(mention) for mention in document.mentions or ()]}
    show_figures(document.marked().rstrip("\n") + "\n", found, options.json)


def _given(**options: Any) -> dict[str, Any]:
    """Return those that were given; the others are as a config has them by default."""
    return {name: value for name, value in options.items() if value is not None}


def _scores(text: str) -> float | dict[str, float]:
    """Return 0.8, or what "Disease=0.9,Chemical=0.6" says by label."""
    try:
        if "=" not in text:
            return float(text)
        return {label: float(score) for label, _, score in (word.partition("=") for word in text.split(","))}
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no score; write 0.8, or Disease=0.9,Chemical=0.6") from None


def _words(text: str) -> list[str]:
    return text.split(",")


def _input(options: Namespace, recorded: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what is tagged, as the config has it; what is not named is as in the recorded job."""
    columns = {"text": options.text and _words(options.text), "id": options.id, "keep": options.keep}
    named = {name: value for name, value in columns.items() if value}
    if not (options.input or named):
        return None
    held = recorded.get("input", {})
    held = held if isinstance(held, Mapping) else {"files": held}
    return {"files": options.input or held.get("files"), "columns": {**held.get("columns", {}), **named}}


def _model_labels(file: str | None) -> dict[str, Any] | None:
    if file is None:
        return None
    from raybio.config.loading import read_yaml

    parsed = read_yaml(Path(file))
    if parsed.faults:
        raise ConfigError(file, [str(fault) for fault in parsed.faults])
    if not isinstance(parsed.data, dict):
        raise ConfigError(file, ["not a mapping of names; write lines such as LABEL_1: B-Disease"])
    return parsed.data


def _decoding(options: Namespace) -> dict[str, str] | None:
    draft = "encoder" if options.draft_model else None
    return _given(mode=options.mode, draft=draft, draft_model=options.draft_model) or None


def _tag_corpus(options: Namespace) -> None:
    """Tag every document of an input once, shard by shard; a second run tags what is left."""
    from raybio.config import TagCorpusConfig, load_job

    _tag_configured(load_job(TagCorpusConfig, options.config, options.overrides), options.json)


def _compact(options: Namespace) -> None:
    """Keep one current set of a tagged baseline and its updates: latest versions, deletions gone."""
    from raybio.bulk_tagging.compaction import compact

    done = compact(options.output, options.to, options.fold)
    left = f"; {done.left} not finished, left for the next time" if done.left else ""
    text = (
        f"{done.new:,} new input files, {done.files:,} in the set{left}\n"
        f"read {done.files_read:,} Parquet files, wrote {done.files_written:,}; parts now: {done.parts}\n"
        f"current set: {done.folder}\n"
    )
    show_figures(text, asdict(done), options.json)


def _tag_configured(config: TagCorpusConfig, json_file: str | None, replay: str | None = None) -> None:
    from raybio.bulk_tagging import tag_corpus

    tagged = tag_corpus(config, report, replay)
    figures = {**asdict(tagged), "documents_per_second": tagged.documents_per_second}
    show_figures("".join(f"{line}\n" for line in _tagged_lines(tagged)), figures, json_file)


def _tagged_lines(tagged: TaggedCorpus) -> Iterator[str]:
    from raybio.corpora.losses import loss_lines
    from raybio.corpora.reasons import reason_lines

    counts: Mapping[str, Any] = {
        "files": tagged.files,
        **{name.replace("_", " "): count for name, count in tagged.counts.items()},
        **{f"mentions: {label}": count for label, count in tagged.mentions_by_label.items()},
    }
    width = max(map(len, counts))
    for name, count in counts.items():
        yield f"{name:<{width}}  {count:>13,}"
    rate = tagged.documents_per_second
    speed = f", {rate:,.1f} documents/s while tagging" if rate else ""
    yield (
        f"this run: {tagged.shards_this_run:,} shards, {tagged.documents_this_run:,} documents "
        f"in {tagged.seconds:,.1f} s{speed}"
    )
    for format_name, kinds in tagged.lost.items():
        yield from loss_lines(format_name, kinds)
    yield from reason_lines(tagged.reasons)
    if tagged.reasons:
        yield f"all that was rejected: {tagged.output}/rejected.jsonl"
    yield f"output: {tagged.output}"
