"""What the site has beside the pages of docs/: reference made from the code, pages of the root.

mkdocs.yml names this file. A page is the same file on the site and in a checkout: what differs is done here.
"""

from __future__ import annotations

import argparse
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from raybio.cli import command_line_parser
from raybio.config import JOBS, describe

ROOT = Path(__file__).resolve().parents[1]

# Pages of the checkout's root, by their names on the site.
OF_THE_ROOT = {
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
    "code_of_conduct.md": "CODE_OF_CONDUCT.md",
    "changelog.md": "CHANGELOG.md",
}

# On GitHub the system's colours choose, on the site its own switch too.
_PICTURE = re.compile(
    r'<picture>\s*<source [^>]*srcset="([^"]+)">\s*<img src="([^"]+)" alt="([^"]+)">\s*</picture>'
)

# What a researcher calls from Python: each module or room has a page, with its public names or those of its
# `__all__`. The jobs' configs have a page of their own.
PUBLIC = [
    "text_tagger",
    "dataset",
    "entities",
    "errors",
    "iob2",
    "label_schemes",
    "corpora",
    "corpora.splitting",
    "corpora.sentences",
    "corpora.names",
    "corpora.sample",
    "alignment",
    "evaluation",
    "evaluation.semeval",
    "evaluation.by_length",
    "evaluation.disagreements",
    "evaluation.significance",
    "evaluation.latency",
    "cost",
    "run_folder",
    "prompts",
    "bio_output",
    "model_identity",
    "model_sources",
    "taggers",
    "training.adaptation",
    "training.encoder",
    "training.decoder",
    "training.cascade",
    "training.soup",
    "bulk_tagging",
    "reports",
    "submission",
]


def generated() -> dict[str, str]:
    """Return the pages that are made from the code: file name -> Markdown."""
    modules = {f"api/{name}.md": f"# raybio.{name}\n\n::: raybio.{name}\n" for name in PUBLIC}
    return {
        "configuration.md": configuration(),
        "command_line.md": command_line(),
        "api.md": api(),
        **modules,
    }


def configuration() -> str:
    """Return the page of every job's options."""
    sections = [f"## job: {name}\n\n{job.__doc__}\n\n{describe(job)}" for name, job in JOBS.items()]
    return (
        "# Options\n\n"
        "A job is a YAML file whose `job:` names one of the following. Nested options have dotted names, "
        "on the command line too: `training.epochs=3`. Numbers may be written `3e-5`; only `true` and "
        "`false` are truth values. Every fault is reported at once, with its line.\n\n"
        + "\n\n".join(section.rstrip() for section in sections)
        + "\n"
    )


def command_line() -> str:
    """Return the page of every command's help."""
    commands = "\n".join(
        f"## {parser.prog}\n\n```text\n{parser.format_help()}```\n"
        for parser in _commands(command_line_parser())
    )
    return f"# Command line\n\nWhat `--help` prints, for each command.\n\n{commands}"


def _commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield the parser of each command under `parser`, groups left out."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield parser
    for group in groups:
        for each in group.choices.values():
            yield from _commands(each)


def api() -> str:
    """Return the page that lists the modules for users."""
    listed = "\n".join(f"- [`raybio.{name}`](api/{name}.md)" for name in PUBLIC)
    return (
        "# Python interface\n\nWhat may be imported, by module; other names may change without notice. "
        "`import raybio` gives `load`, `tag_dataset`, `TextTagger`, `Document` and `Mention`.\n\n"
        + listed
        + "\n"
    )


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the modules' pages where mkdocs.yml says `Python: api`; search by our own script."""
    config.extra["polyfills"] = ["disk_search.js"]
    (reference,) = (part["Reference"] for part in config.nav or [] if "Reference" in part)
    (python,) = (entry for entry in reference if entry.get("Python") == "api")
    python["Python"] = ["api.md", *({name: f"api/{name}.md"} for name in PUBLIC)]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that docs/ does not hold."""
    pages = generated() | {name: (ROOT / source).read_text("utf-8") for name, source in OF_THE_ROOT.items()}
    results = {f"results/{file.name}": file for file in (ROOT / "benchmarks" / "results").glob("*.json")}
    for name, text in (pages | {name: file.read_text("utf-8") for name, file in results.items()}).items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Return a page as mkdocs reads it: fences name a language alone, links lead to pages of the site."""
    if page.is_homepage:
        page.meta["hide"] = ["navigation"]
    if page.file.src_uri == "all_results.md":  # its tables are wide
        page.meta["hide"] = ["navigation", "toc"]
    markdown = re.sub(r"<!--(= [\w.-]+ |/)-->", "", markdown)
    markdown = _PICTURE.sub(r"![\3](\2#only-light)\n![\3](\1#only-dark)", markdown)
    markdown = re.sub(r"(?m)^```(\w+) file=(\S+)$", r'```\1 title="\2"', markdown)
    markdown = re.sub(r"(?m)^```(\w+) (?!title=).+$", r"```\1", markdown)
    at = page.file.src_uri
    folder = posixpath.dirname(OF_THE_ROOT.get(at, f"docs/{at}"))
    return re.sub(
        r"(?<!!)\[([^\]]*)\]\((?![a-z]+:|#)([^)#\s]+)(#[^)]*)?\)",
        lambda m: _link(m[1], posixpath.normpath(posixpath.join(folder, m[2])), m[3], at),
        markdown,
    )


def _link(label: str, target: str, anchor: str | None, at: str) -> str:
    """Return a link from page `at` to `target` of the checkout; its label, where that is no page."""
    names = {source: name for name, source in OF_THE_ROOT.items()}
    target = target.replace("benchmarks/results/", "docs/results/")
    target = names.get(target, target.removeprefix("docs/") if target.startswith("docs/") else "")
    if target == "results":
        target = "figures.md"
    if not target:
        return label
    return f"[{label}]({posixpath.relpath(target, posixpath.dirname(at) or '.')}{anchor or ''})"
