"""What every section of a config is: typed, strict, frozen, and with no unknown keys."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

from raybio.config.demand import Together


class Section(BaseModel):
    """A group of options. Every field has a description: the option table is made from them."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class JobConfig(Section):
    """The whole config of one job; `job` names which. What follows its fields is what submitting it needs."""

    job: str = Field(description="which job this file configures")

    starts_anew: ClassVar[bool] = False
    """Whether the same job, submitted again, starts over: it leaves nothing to resume."""
    output_may_be_url: ClassVar[bool] = False
    """Whether `output`, if it has one, may be a bucket's."""

    def demands(self) -> Sequence[Together]:
        """Return what the job asks of a cluster at least; each tuple must have room at the same time.

        Where a config leaves a number to the cluster (`taggers.count: null`, autoscaling), that is the
        smallest with which it works.
        """
        raise NotImplementedError(f"a {self.job} job is not submitted")

    def same_work(self) -> Self:
        """Return the config without what says only whether earlier work is resumed."""
        return self

    def resume_words(self, name: str) -> list[str]:
        """Return the overrides with which a job resumes where the same one ended; most do by themselves."""
        return []


def _is_a_file_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ValueError(
            f"found {name!r}; allowed: letters, digits, '.', '_' and '-', starting with a letter or digit"
        )
    return name


def _half_a_window_at_most(overlap: int, info: ValidationInfo) -> int:
    window = info.data.get("max_length")
    if window is not None and overlap > window // 2:
        raise ValueError(f"found {overlap}; allowed: at most half of max_length, which is {window}")
    return overlap


def _holds_a_window(budget: int | None, info: ValidationInfo) -> int | None:
    window = info.data.get("max_length")
    if budget is not None and window is not None and budget < window:
        raise ValueError(f"found {budget}; allowed: at least max_length, which is {window}")
    return budget


Text = Annotated[str, Field(min_length=1)]
Files = Annotated[tuple[Text, ...], Field(strict=False)]
AllowPickle = Annotated[
    bool,
    Field(description="load weights that are pickles, which can run code: only where you trust their source"),
]
FileName = Annotated[str, AfterValidator(_is_a_file_name)]

# The next three check each other: declare `MaxLength` before the two that look at it.
MaxLength = Annotated[
    int,
    Field(
        ge=16,
        description="subwords per window, special tokens included; longer text becomes overlapping windows",
    ),
]
Stride = Annotated[
    int,
    Field(
        ge=0, validate_default=True, description="subwords that neighbouring windows of a long sentence share"
    ),
    AfterValidator(_half_a_window_at_most),
]
HoldsAWindow = AfterValidator(_holds_a_window)
START_TIMEOUT_S = 1800.0
StartTimeout = Annotated[
    float | None,
    Field(gt=0, description="seconds to wait for nodes before anything has started; null = any time"),
]
SPOT_TIMEOUT_S = 120.0
SpotTimeout = Annotated[
    float | None,
    Field(
        gt=0,
        description="seconds of refused launches after which on-demand nodes are asked for too; null = never",
    ),
]
