"""`corpus:` as one section, or as a list of them: a union, from which one model learns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

from pydantic import Field, TypeAdapter, WrapValidator, field_validator

from raybio.config.corpus import CorpusSection, corpus_name
from raybio.config.faults import FaultsError, KeyPath
from raybio.config.section import Text


class MeasuredCorpusSection(CorpusSection):
    """A corpus that models are measured on: what they call its labels, and which of theirs count."""

    labels: dict[str, Text | None] = Field(
        default={},
        description="the corpus's labels -> what they are called in common, several to one where they mean "
        "the same, or null: left out; a label that is not listed keeps its name",
    )
    annotates: Annotated[tuple[Text, ...] | None, Field(strict=False)] = Field(
        default=None,
        description="the models' labels that the corpus marks wherever they stand, and on which alone their "
        "answers are scored; null = all",
    )

    @field_validator("annotates")
    @classmethod
    def _is_complete_for_something(cls, labels: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if labels == ():
            raise ValueError("found [], so that it could be scored on nothing; name labels, or leave it out")
        return labels


class MemberSection(MeasuredCorpusSection):
    """One corpus of several: what its labels are called in common, and which of these it is complete for."""

    annotates: Annotated[tuple[Text, ...] | None, Field(strict=False)] = Field(
        default=None,
        description="common labels that the corpus marks wherever they stand; null = those that it has. A "
        "word that it leaves untagged may be any other label: it is silent about them",
    )
    weight: float = Field(
        default=1.0, gt=0, description="how often its sentences are drawn, beside those of the others"
    )


Members: TypeAlias = tuple[MemberSection, ...]
_MEMBERS = TypeAdapter(Annotated[Members, Field(strict=False)])


def _one_or_several(value: object, _: Any) -> CorpusSection | Members:
    # Not a union of pydantic's: its faults would be those of both forms.
    if isinstance(value, list | tuple) and value:
        members = _MEMBERS.validate_python(value)
        found = _same_names(members)
        if len({member.train_with_dev for member in members}) > 1:
            problem = "train_with_dev is true for some of them; dev chooses by all or by none: set it in all"
            found.append(((), problem))
        if found:
            raise FaultsError(found)
        return members
    return value if isinstance(value, CorpusSection) else CorpusSection.model_validate(value)


AnyCorpus = Annotated[CorpusSection | Members, WrapValidator(_one_or_several)]
"""One corpus, or several that one model learns from."""


def sections_of(corpus: CorpusSection | Members) -> Sequence[CorpusSection]:
    """Return the sections of a union, or that of the one corpus."""
    return (corpus,) if isinstance(corpus, CorpusSection) else corpus


def plain(section: CorpusSection) -> CorpusSection:
    """Return the section of a corpus alone, without what a union says of it."""
    return CorpusSection(**{name: getattr(section, name) for name in CorpusSection.model_fields})


def trains_on_dev(corpus: CorpusSection | Members) -> bool:
    """Say whether dev is learned, so that it chooses nothing; of a union all are, or none is."""
    return sections_of(corpus)[0].train_with_dev


def _same_names(members: Members) -> list[tuple[KeyPath, str]]:
    counts = Counter(map(corpus_name, members))
    return [
        ((position,), f"{name} is in the list more than once; scores could not tell which: name each once")
        for position, name in enumerate(map(corpus_name, members))
        if counts[name] > 1
    ]
