"""The commands `corpus stats`, `fetch` and `sample`; `conversion` has `corpus convert`."""

from __future__ import annotations

import difflib
import os
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from raybio.cli import conversion
from raybio.cli.command_line import Commands, add_command, add_group, add_json, whole_number
from raybio.cli.terminal import DownloadProgress, say, show, show_figures
from raybio.errors import InputError, RaybioError, UsageError

if TYPE_CHECKING:
    from raybio.corpora.download import FetchedFile
    from raybio.corpora.reasons import Reasons
    from raybio.corpora.statistics import CorpusStatistics
    from raybio.entities import Record

    Row = tuple[tuple[str, str], CorpusStatistics]


def add_commands(commands: Commands) -> None:
    """Declare the commands of this file."""
    group = add_group(commands, "corpus", "Count, convert, download or make corpora")
    _add_stats(add_command(group, "stats", _stats))
    conversion.add_to(group)
    _add_fetch(add_command(group, "fetch", _fetch))
    sample = add_command(group, "sample", _sample)
    sample.add_argument("folder", metavar="FOLDER", help="where the files go")
    sample.add_argument(
        "--citations",
        type=whole_number,
        default=400,
        metavar="N",
        help="citations of the dump; default: %(default)s",
    )


def _add_stats(stats: ArgumentParser) -> None:
    stats.add_argument(
        "corpora",
        nargs="+",
        metavar="NAME|PATH|CONFIG",
        help="corpus of the study, a file, or a config (.yaml, with key=value) whose corpus is a list",
    )
    stats.add_argument("--data", metavar="DIR", help="folder of the named corpora; default: $RAYBIO_DATA")
    stats.add_argument(
        "--protocol",
        choices=("corrected", "study"),
        default="corrected",
        help="how ChemProt's labels are read: as they are meant, or as the study's code read them",
    )
    stats.add_argument("--format", metavar="F", help="format of the files, where their names do not tell")
    add_json(stats)


def _add_fetch(fetch: ArgumentParser) -> None:
    fetch.add_argument("name", metavar="NAME", help="corpus of the study, or pubmed")
    fetch.add_argument("--data", metavar="DIR", help="where a corpus goes; default: $RAYBIO_DATA, or data")
    fetch.add_argument("--files", metavar="N-N", help="pubmed: the numbers of the files, such as 1-3,7")
    fetch.add_argument("--kind", choices=("baseline", "updates"), help="pubmed: default: baseline")
    fetch.add_argument("--year", type=whole_number, metavar="YY", help="pubmed: two digits; default: 26")
    fetch.add_argument("--to", metavar="DIR", help="pubmed: default: pubmed/ and the server's folder name")


def _stats(options: Namespace) -> None:
    """Count sentences and entities, beside the figures that the study published.

    What cannot be counted is reported after the figures of what can.
    """
    from raybio.corpora.statistics import statistics_json, statistics_table

    if options.corpora[0].endswith((".yaml", ".yml")):
        _union_stats(options)
        return
    _check_stats(options)
    rows: dict[tuple[str, str], CorpusStatistics] = {}
    faults = []
    for word in options.corpora:
        try:
            name = _known(word)
            rows.update(
                _count_named(name, options.data, options.protocol)
                if name
                else _count_file(word, options.format, options.protocol)
            )
        except RaybioError as fault:
            faults.append(fault)
    if rows:
        show_figures(statistics_table(rows), statistics_json(rows), options.json)
    for other in faults[:-1]:
        say(f"raybio: {other}")
    if faults:
        raise faults[-1]


def _union_stats(options: Namespace) -> None:
    from raybio.config import load_config
    from raybio.config.training import TrainConfig
    from raybio.training.union_statistics import union_statistics, union_tables

    file, *overrides = options.corpora
    config = load_config(file, overrides)
    if not isinstance(config, TrainConfig) or not isinstance(config.corpus, tuple):
        raise UsageError(f"{file} has no list of corpora. Name a corpus or a file, or a config with a list")
    data = {"data": options.data} if options.data else {}
    sections = [each.model_copy(update=data if each.name else {}) for each in config.corpus]
    say(f"reading {len(sections)} corpora")
    found = union_statistics(sections)
    show_figures(union_tables(found), asdict(found), options.json)


def _check_stats(options: Namespace) -> None:
    """Refuse an option that no corpus of the command line takes.

    Raises:
        UsageError: names the option.
    """
    corpora = options.corpora
    if options.format is not None and all(map(_known, corpora)):
        raise UsageError(
            f"--format is for files, and none is named beside {', '.join(corpora)}. Leave it out"
        )
    if options.protocol == "study" and not any(_may_be_chemprot(word, options.format) for word in corpora):
        raise UsageError(
            f"--protocol study is a way to read ChemProt, and not {', '.join(corpora)}. Leave it out"
        )


def _known(word: str) -> str | None:
    """Return the name of the study's corpus that `word` names in letters of any case, if it does."""
    from raybio.corpora.names import CORPORA

    return {name.lower(): name for name in CORPORA}.get(word.lower())


def _may_be_chemprot(word: str, format_name: str | None) -> bool:
    from raybio.corpora import format_named, format_of

    if name := _known(word):
        return name == "ChemProt"
    try:
        return format_named(format_name or format_of(word)).name == "chemprot"
    except UsageError:
        return True  # nobody can say; what is wrong with it is reported when it is counted


def _count_named(name: str, data: str | None, protocol: str) -> Iterator[Row]:
    """Count every split of a named corpus that is there.

    Raises:
        InputError: none is, or one cannot be read on.
    """
    from raybio.corpora.names import corpus_named, read_split, split_label
    from raybio.corpora.sentences import split_document
    from raybio.corpora.statistics import corpus_statistics

    missing = []
    splits = corpus_named(name).splits
    for split in splits:
        try:
            label = split_label(name, split, data)
        except InputError as error:
            missing.append(error)
            continue
        say(f"reading {name}, {label}")
        yield (name, label), corpus_statistics(read_split(name, split, data, protocol), split_document)
    if len(missing) == len(splits):
        raise missing[0]
    for reason in missing:
        say(str(reason))


def _count_file(path: str, format_name: str | None, protocol: str) -> Iterator[Row]:
    from raybio.corpora import format_named, input_format, read_records
    from raybio.corpora.names import CORPORA
    from raybio.corpora.reasons import Reasons, reason_lines
    from raybio.corpora.sentences import split_document
    from raybio.corpora.statistics import corpus_statistics
    from raybio.filesystems import is_url

    if not is_url(path) and not Path(path).exists():
        near = difflib.get_close_matches(path, CORPORA, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(f"{path} is neither a file here nor a corpus. {hint}Corpora: {', '.join(CORPORA)}")
    entry = format_named(format_name or input_format(path))
    say(f"reading {path} as {entry.name}")
    records = read_records(path, entry, **({"protocol": protocol} if entry.name == "chemprot" else {}))
    named = re.search(r"(?<![a-z])(train|dev|test)(?:el)?(?![a-z])", Path(path).name.lower())
    split = named[1] if named else "all"
    reasons = Reasons()
    yield (path, split), corpus_statistics(_noted(records, reasons), split_document)
    for line in reason_lines(reasons.most_frequent()):
        say(line)


def _noted(records: Iterable[Record], reasons: Reasons) -> Iterator[Record]:
    """Yield `records`, and take note of why any was rejected."""
    from raybio.entities import Rejected

    for record in records:
        if isinstance(record, Rejected):
            reasons.add(record.source, record.place, record.reason, record.remedy)
        yield record


def _fetch(options: Namespace) -> None:
    """Download a public corpus or PubMed files, and check what came."""
    is_pubmed = options.name.lower() == "pubmed"
    for option in ("data",) if is_pubmed else ("files", "kind", "year", "to"):
        if getattr(options, option) is not None:
            raise UsageError(f"--{option} does not go with {options.name}")
    files = _fetch_pubmed(options) if is_pubmed else _fetch_corpus(options)
    for file in files:
        say(f"{file.path.name}: {'downloaded' if file.fresh else 'was here already'}, checksum right")
    show("".join(f"{file.path}\n" for file in files))


def _fetch_corpus(options: Namespace) -> list[FetchedFile]:
    from raybio.corpora.fetch import fetch_corpus

    data = options.data or os.environ.get("RAYBIO_DATA") or "data"
    return fetch_corpus(options.name, data, progress=DownloadProgress())


def _fetch_pubmed(options: Namespace) -> list[FetchedFile]:
    from raybio.corpora.fetch import PUBMED_FOLDERS, fetch_pubmed

    if options.files is None:
        raise UsageError("name the PubMed files to download, such as --files 1-3")
    kind = options.kind or "baseline"
    folder = options.to or f"pubmed/{PUBMED_FOLDERS[kind]}"
    year = 26 if options.year is None else options.year
    return fetch_pubmed(options.files, folder, kind=kind, year=year, progress=DownloadProgress())


def _sample(options: Namespace) -> None:
    """Write the small sample corpus: IOB2 splits, and a PubMed dump with its gold mentions."""
    from raybio.corpora.sample import generate_sample

    files = generate_sample(options.folder, citations=options.citations)
    show("".join(f"{path}\n" for path in asdict(files).values()))
