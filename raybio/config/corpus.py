"""Which annotated corpus a job reads: one by name, or three files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import Field, ValidationInfo, field_validator

from raybio import plugins
from raybio.config.section import FileName, Section, Text

CorpusName: TypeAlias = Literal["JNLPBA", "BioRED", "ChemProt", "BC5CDR", "Reddit-Impacts", "sample"]

ADDED_FORMATS = plugins.names(plugins.FORMATS)
"""Those of installed packages, of which only their import says whether they can be read and written."""

if TYPE_CHECKING:
    ReadFormat: TypeAlias = str
else:
    _READ = "iob2 pubtator bioc-xml bioc-json chemprot pubmed medline jsonl text parquet brat csv arrow"
    ReadFormat = Literal[(*_READ.split(), *ADDED_FORMATS)]


def corpus_title(section: Mapping[str, Any]) -> str:
    """Return what runs, studies and reports call a corpus, by its section as plain data; "" where none tells.

    It is its name, its title, or what the folder of its test file is called.
    """
    files = Path(section.get("test") or section.get("train") or "")
    return str(section.get("name") or section.get("title") or files.parent.name or files.stem)


class CorpusSection(Section):
    """Either `name` (with `data`), or `train`, `dev` and `test` (with `format`)."""

    name: CorpusName | None = Field(
        default=None, description="a known corpus; 'sample' is the small one that comes with raybio"
    )
    data: Text | None = Field(
        default=None, description="folder of the known corpora; null = the environment variable RAYBIO_DATA"
    )
    protocol: Literal["corrected", "study"] = Field(
        default="corrected",
        description="corrected = gold as the corpus means it; study = as the study's code read it",
    )
    train: Text | None = Field(
        default=None, validate_default=True, description="file to train on, in place of name"
    )
    dev: Text | None = Field(
        default=None, validate_default=True, description="file that chooses the best epoch"
    )
    test: Text | None = Field(default=None, validate_default=True, description="file scored at the end")
    format: ReadFormat | None = Field(
        default=None, description="format of train, dev and test; null = by their suffix"
    )
    title: FileName | None = Field(
        default=None,
        validate_default=True,
        description="what runs, studies and reports call these files; null = as the folder of test is called",
    )
    max_documents: int | None = Field(
        default=None,
        ge=1,
        description="read only the first documents of each split, for smoke runs; null = all",
    )
    max_train_documents: int | None = Field(
        default=None,
        ge=1,
        description="train on the first documents of train only; dev and test stay whole; null = all",
    )
    max_eval_documents: int | None = Field(
        default=None,
        ge=1,
        description="score with the first documents of dev and test only; train stays whole; null = all",
    )
    train_from_dev: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="for a corpus without a train split: this share of dev's documents, the first ones, is "
        "train, and the rest dev; null = the splits as they are",
    )
    train_with_dev: bool = Field(
        default=False,
        description="train on dev too, once it has chosen all settings; no epoch is scored then",
    )
    instance_words: int | None = Field(
        default=None,
        ge=1,
        description="cut documents that bring no sentences of their own into windows of so many words; "
        "145 is nearest to the study's BioRED; null = into sentences",
    )

    @property
    def called(self) -> str:
        """What runs, studies and reports call it."""
        return corpus_title(dict(self))

    def document_limit(self, split: str) -> int | None:
        """Return how many documents of "train", "dev" or "test" are read at most; None where all are."""
        own = self.max_train_documents if split == "train" else self.max_eval_documents
        return min((limit for limit in (self.max_documents, own) if limit), default=None)

    @field_validator("data")
    @classmethod
    def _data_goes_with_a_name(cls, data: str | None, info: ValidationInfo) -> str | None:
        if data is not None and info.data.get("name", "faulty") is None:
            raise ValueError("goes with name only; give a name, or remove it")
        return data

    @field_validator("title")
    @classmethod
    def _files_without_a_folder_have_that_of_now(cls, title: str | None, info: ValidationInfo) -> str | None:
        test = info.data.get("test")
        if title is None and test and Path(test).parent.name in ("", ".."):
            return Path(test).resolve().parent.name or None
        return title

    @field_validator("train", "dev", "test", "format", "title")
    @classmethod
    def _files_replace_a_name(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("name") is not None:
            named = info.data["name"]
            raise ValueError(f"cannot go with name ({named!r}); for files of your own: corpus.name=null")
        return value

    @field_validator("train_with_dev")
    @classmethod
    def _dev_is_one_or_the_other(cls, whole: bool, info: ValidationInfo) -> bool:
        if whole and info.data.get("train_from_dev") is not None:
            raise ValueError("cannot go with train_from_dev; keep one of the two")
        return whole

    @field_validator("train")
    @classmethod
    def _some_form(cls, train: str | None, info: ValidationInfo) -> str | None:
        if train is None and info.data.get("name", "faulty") is None:
            raise ValueError("missing; give either name, or train, dev and test")
        return train

    @field_validator("dev", "test")
    @classmethod
    def _three_files(cls, path: str | None, info: ValidationInfo) -> str | None:
        files_chosen = info.data.get("name", "faulty") is None and info.data.get("train") is not None
        if path is None and files_chosen:
            raise ValueError("missing; train, dev and test go together")
        return path


def corpus_name(corpus: CorpusSection) -> str:
    """Return what a run calls a corpus: gold as the study read it is one of its own, "ChemProt-study"."""
    return corpus.called if corpus.protocol == "corrected" else f"{corpus.called}-{corpus.protocol}"
