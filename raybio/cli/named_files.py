"""Whether the files and models that a job's config names are here: what `raybio check` says besides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from raybio.errors import RaybioError
from raybio.filesystems import filesystem_of

if TYPE_CHECKING:
    from raybio.config import CorpusSection
    from raybio.config.section import Section

_MODELS = ("model", "draft_model")


def missing_files(section: Section, note: Callable[[str], None], above: str = "") -> Iterator[str]:
    """Yield what is not here of the files and models that a config names, each with its option.

    Of a model that the hub will be asked for, `note` is called.
    """
    from raybio.config import (
        CorpusSection,
        DecodingSection,
        InputSection,
        ServedModelSection,
        TagCorpusConfig,
    )
    from raybio.config.section import Section

    taggers = (TagCorpusConfig, ServedModelSection, DecodingSection)

    if isinstance(section, CorpusSection):
        yield from _missing_splits(section, above)
        return
    for name in type(section).model_fields:
        value, key = getattr(section, name), f"{above}{name}"
        if isinstance(value, Section):
            yield from missing_files(value, note, f"{key}.")
        elif isinstance(value, tuple):
            for position, each in enumerate(value):
                if isinstance(each, Section):
                    yield from missing_files(each, note, f"{key}[{position}].")
                elif isinstance(section, InputSection) and name == "files" and not _is_there(each):
                    yield f"{key}: no file at {each}"
        elif name in _MODELS and isinstance(value, str):
            allow_pickle = bool(getattr(section, "allow_pickle", False))
            fault = _fault_of_model(value, allow_pickle, tags=isinstance(section, taggers))
            if fault is None:
                note(f"{key}: {value} is not here; the Hugging Face hub will be asked for it")
            elif fault:
                yield f"{key}: {fault}"


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
