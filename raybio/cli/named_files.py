"""Whether the files and models that a job's config names are here: what `raybio check` says besides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from raybio.errors import ConfigError, RaybioError
from raybio.filesystems import filesystem_of

if TYPE_CHECKING:
    from raybio.config import CorpusSection, StudyConfig
    from raybio.config.section import Section


def missing_files(section: Section, note: Callable[[str], None], above: str = "") -> Iterator[str]:
    """Yield what is not here of the files and models that a config names, each with its option.

    Of a model that the hub will be asked for, `note` is called.
    """
    from raybio.config import (
        CorpusSection,
        DecodingSection,
        DistillationSection,
        InputSection,
        ServedModelSection,
        StudyConfig,
        TagCorpusConfig,
        TextSection,
    )
    from raybio.config.section import Section

    taggers = (TagCorpusConfig, ServedModelSection, DecodingSection, DistillationSection)
    files = {
        InputSection: ("files",),
        TextSection: ("files", "decontaminate_against"),
        DistillationSection: ("text",),
    }.get(type(section), ())
    models = ("teachers",) if isinstance(section, DistillationSection) else ("model", "draft_model")

    if isinstance(section, CorpusSection):
        yield from _missing_splits(section, above)
        return
    if isinstance(section, StudyConfig):
        yield from _missing_of_models(section, note)
    for name in type(section).model_fields:
        value, key = getattr(section, name), f"{above}{name}"
        for position, each in enumerate(value if isinstance(value, tuple) else (value,)):
            if isinstance(each, Section):
                at = f"{key}[{position}]." if isinstance(value, tuple) else f"{key}."
                yield from missing_files(each, note, at)
            elif name in files and not _is_there(each):
                yield f"{key}: no file at {each}"
            elif name in models and isinstance(each, str):
                allow_pickle = bool(getattr(section, "allow_pickle", False))
                fault = _fault_of_model(each, allow_pickle, tags=isinstance(section, taggers))
                if fault is None:
                    note(f"{key}: {each} is not here; the Hugging Face hub will be asked for it")
                elif fault:
                    yield f"{key}: {fault}"


def _missing_of_models(study: StudyConfig, note: Callable[[str], None]) -> Iterator[str]:
    """Yield what is not here of what the train configs of a study name, and their own faults."""
    from raybio.config.study_cells import cells

    try:
        table = cells(study)
    except ConfigError as error:
        yield from error.faults
        return
    for model, config in {cell.model.name: (cell.model, cell.points[0]) for cell in table}.values():
        # The corpora are the study's, and so are the teachers that it trains.
        others = {"corpus": None} | ({"distillation": None} if model.teachers else {})
        yield from missing_files(config.model_copy(update=others), note, f"{model.name}: ")


def _missing_splits(corpus: CorpusSection, above: str) -> Iterator[str]:
    from raybio.corpora.names import corpus_named, split_path

    if corpus.name == "sample":
        return
    for split in ("train", "dev", "test"):
        if corpus.name is None:
            path = getattr(corpus, split)
            if path is not None and not _is_there(path):
                yield f"{above}{split}: no file at {path}"
        elif split in corpus_named(corpus.name).splits and not (split == "train" and corpus.train_from_dev):
            try:
                split_path(corpus.name, split, corpus.data)
            except RaybioError as error:
                yield f"{above}name: {error}"


def _fault_of_model(name: str, allow_pickle: bool, tags: bool) -> str | None:
    """Return why a model cannot be used, "" where it can, and None of one that only the hub may have.

    One that `tags` must have been trained for it.
    """
    from raybio.model_files import is_cascade
    from raybio.model_sources import model_at_hand, model_folder
    from raybio.taggers.card import kind_of

    path = Path(name).expanduser()
    may_be_of_the_hub = not (path.is_absolute() or name.startswith((".", "bundled:")) or name.count("/") > 1)
    try:
        if path.is_dir() or not may_be_of_the_hub:
            folder = model_folder(name, allow_pickle=allow_pickle)
            if tags and not is_cascade(folder):
                kind_of(folder)
        elif model_at_hand(name, allow_pickle=allow_pickle) is None:
            return None
    except RaybioError as error:
        return str(error)
    return ""


def _is_there(pattern: str) -> bool:
    filesystem, path = filesystem_of(pattern)
    return bool(filesystem.exists(path) or filesystem.glob(path))
