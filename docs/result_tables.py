"""The tables of all committed results, from docs/results and benchmarks/results."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
REPORTS = ROOT / "docs" / "results"
BENCHMARKS = ROOT / "benchmarks" / "results"

_SCORES = "The runs side by side"
_SERVED = re.compile(r"How good, how fast, .*, corpus by corpus")
_RUN = re.compile(r"(?P<model>.+)-(?P<corpus>[^-]+)-s\d+-[0-9a-f]{12}")
_HEADING = re.compile(r"(#+) (.*)")
_CORPORA = ("BC5CDR", "BioRED", "JNLPBA", "ChemProt", "Reddit-Impacts")


@dataclass(frozen=True)
class ResultTable:
    """A table of a report: its caption, the corpus that it is of ("" where none is named), rows by column."""

    caption: str
    corpus: str
    rows: tuple[Mapping[str, str], ...]


@dataclass(frozen=True)
class Score:
    """Strict F1 of one run on one split, in percent as its report prints it; `link` leads to the run."""

    source: str
    model: str
    corpus: str
    split: str
    learned_from: str
    corrected: str
    paper: str
    link: str


def tables(report: Path, start: str = "") -> Iterator[ResultTable]:
    """Yield the tables of a report in docs/results, in order; those from the line `start` on."""
    lines = report.read_text(encoding="utf-8").splitlines()
    lines = lines[lines.index(start) :] if start else lines
    chapter, caption = "", ""
    for number, line in enumerate(lines):
        if found := _HEADING.fullmatch(line):
            chapter = found[2] if found[1] == "##" else chapter
        elif line.startswith("|") and not lines[number - 1].startswith("|"):
            block = lines[number : next((n for n in range(number, len(lines)) if not lines[n]), len(lines))]
            yield ResultTable(caption, _corpus(chapter, lines[number:]), tuple(_rows(block)))
        elif line:
            caption = line.removesuffix(":")


def _corpus(chapter: str, rest: Sequence[str]) -> str:
    """Return the corpus of a chapter: its heading is one, or the headings under it end with one."""
    for line in rest:
        if line.startswith("## "):
            break
        if line.startswith("### ") and ": " in line:
            return line.rpartition(": ")[2]
    return chapter.removeprefix("Serving: ")


def _rows(block: Sequence[str]) -> Iterator[Mapping[str, str]]:
    header, _, *rows = (
        [cell.strip().strip("*").replace("\\", "") for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
        for line in block
    )
    yield from (dict(zip(header, row, strict=True)) for row in rows)


def scores() -> Iterator[Score]:
    """Yield the scores of every committed run, report by report."""
    for report in sorted(REPORTS.glob("*.md")):
        for table in tables(report):
            if table.caption.startswith(_SCORES):
                yield from (_score(report, table, row) for row in table.rows)
    for file in sorted(BENCHMARKS.glob("both_ways-*.json")):
        content = json.loads(file.read_text(encoding="utf-8"))
        for result in content["results"]:
            low, high = (100 * result["interval"][end] for end in ("low", "high"))
            yield Score(
                source="SmolLM2 as a tagger",
                model=f"smollm2, tag head, {result['attention']}, epochs: {content['settings']['epochs']}",
                corpus=content["settings"]["corpus"],
                split=content["settings"]["split"],
                learned_from="train",
                corrected=f"{100 * result['strict_f1']:.2f} ({low:.2f} to {high:.2f})",
                paper="",
                link=f"../benchmarks/results/{file.name}",
            )


def _score(report: Path, table: ResultTable, row: Mapping[str, str]) -> Score:
    run = _RUN.fullmatch(row["run"])
    return Score(
        source=_title(report),
        model=run["model"] if run else row["run"],
        corpus=run["corpus"] if run else table.corpus,
        split=row["split"],
        learned_from=row.get("learned from", "train"),
        corrected=f"{row['F1 corrected']} ({row['F1 interval']})",
        paper=row["F1 paper"],
        link=_link(report, row["run"], table.corpus),
    )


def _link(report: Path, *headings: str) -> str:
    """Return a link to the first of these headings that the report has once, or else to the report."""
    text = report.read_text(encoding="utf-8")
    found = (heading for heading in headings if text.count(f"\n## {heading}\n") == 1)
    anchor = re.sub(r"[^\w\- ]", "", next(found, "").lower()).replace(" ", "-")
    return f"results/{report.name}" + (f"#{anchor}" if anchor else "")


def _title(report: Path) -> str:
    heading = report.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
    return heading.partition(",")[0].removesuffix(" on BC5CDR")


def served_rows(report: Path) -> Iterator[Mapping[str, str]]:
    """Yield what a report says of each model served on each corpus: F1, latency, throughput and dollars."""
    return (row for table in tables(report) if _SERVED.match(table.caption) for row in table.rows)


def score_table() -> str:
    """Return the table of corpora x models x scorers, each cell with a link to its run."""
    rows: dict[tuple[str, str, str], dict[str, Score]] = {}
    for score in scores():
        rows.setdefault((score.source, score.model, score.split), {})[score.corpus] = score
    corpora = [name for name in _CORPORA if any(name in row for row in rows.values())]
    lines = []
    for (source, model, split), row in rows.items():
        learned = {score.learned_from for score in row.values()}
        first = [source, model, split, learned.pop() if len(learned) == 1 else "a part, see its page"]
        for scorer in ("corrected", "paper"):
            cells = [
                _linked(getattr(row[name], scorer), row[name].link) if name in row else "" for name in corpora
            ]
            lines.append([*first, scorer, *cells])
    return _markdown(["of", "model", "split", "learned from", "scorer", *corpora], lines)


def cost_table() -> str:
    """Return the table of latency, throughput and dollars, each cell with a link to its measurement."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for report in sorted(REPORTS.glob("*.md")):
        for row in served_rows(report):
            shown = (
                f"{row['one at a time, p50']}; {row['sentences/s']}/s; {row['1M abstracts']}; F1 {row['F1']}"
            )
            link = _link(report, f"Serving: {row['corpus']}")
            rows.setdefault((_title(report), row["model"]), {})[row["corpus"]] = _linked(shown, link)
    corpora = [name for name in _CORPORA if any(name in row for row in rows.values())]
    return _markdown(
        ["of", "model", *corpora],
        [[*key, *(row.get(name, "") for name in corpora)] for key, row in rows.items()],
    )


def report_table() -> str:
    """Return the table of all pages in docs/results: command, day, first commit and machine, as they say."""
    lines = []
    for report in sorted(REPORTS.glob("*.md")):
        text = report.read_text(encoding="utf-8")
        command = re.search(r"(?m)(?:`| {4})((?:raybio|make|python) [^`\n]+)", text)
        commit = re.search(r"(?i)\b(?:commit:?|at) ([0-9a-f]{7,12})\b", text)
        machine = re.search(r"two\s+cores of an? ([\w -]+)", text)
        shown = [found[1] if found else "" for found in (command, commit, machine)]
        lines.append(
            [
                _linked(_title(report), f"results/{report.name}"),
                f"`{shown[0].partition(' corpus.')[0]}`",
                report.stem[-len("2026-11-28") :],
                shown[1],
                f"two cores, {shown[2].strip()}",
            ]
        )
    return _markdown(["result", "command", "day", "commit", "machine"], lines)


def benchmark_table() -> str:
    """Return the table of all files in benchmarks/results: script, day, commit and machine of each."""
    scripts = sorted((ROOT / "benchmarks").glob("*.py"), key=lambda path: -len(path.stem))
    lines = []
    for file in sorted(BENCHMARKS.glob("*.json")):
        made: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))["environment"]
        name = file.name.replace("encoder_job", "encoder_throughput")  # which writes both
        script = next(each.name for each in scripts if name.startswith(each.stem))
        packages = made["packages"]
        lines.append(
            [
                _linked(file.stem, f"../benchmarks/results/{file.name}"),
                f"`benchmarks/{script}`",
                made["started"][:10],
                made.get("commit") or "–",
                f"{made['cpus']} CPUs, torch {packages['torch']}, Ray {packages['ray']}",
            ]
        )
    return _markdown(["result", "script", "day", "commit", "machine"], lines)


def _linked(text: str, link: str) -> str:
    return f"[{text}]({link})" if text else ""


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
