"""How a trained model tags: the options that tagging, serving and training share."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from raybio.config.section import Section, Text

_DRAFTING = ("verified-text", "verified-tags")
_FORCING = ("forced-tags", "verified-tags")

TaggerPrecision = Annotated[
    Literal["auto", "fp32", "bf16", "int8", "4bit"],
    Field(
        description="number format; auto = bf16 on a GPU that has it, else fp32; "
        "int8 is for encoders, 4bit for LLMs"
    ),
]


class DecodingSection(Section):
    """Which decode mode an LLM tags by, and where the guesses come from that it verifies."""

    mode: Literal["greedy", "verified-text", "forced-tags", "verified-tags"] = Field(
        default="verified-tags",
        description="greedy = the model writes word:TAG lines freely; verified-text = the same text in fewer "
        "passes; forced-tags = words are given and the model chooses their tags one by one; "
        "verified-tags = the same tags in fewer passes",
    )
    draft: Literal["outside", "encoder", "previous"] = Field(
        default="outside",
        description="tags that the verified modes try first: O for every word, an encoder's, "
        "or those the word had last; they change the speed and not the answer",
    )
    draft_model: Text | None = Field(
        default=None,
        validate_default=True,
        description="trained encoder whose tags are the draft: a folder, a Hugging Face id or a URL; "
        "with draft: encoder",
    )
    constrained_decoding: bool = Field(
        default=False,
        description="allow I-X after B-X or I-X only, in forced-tags and verified-tags; "
        "false = the model may choose any tag",
    )

    @field_validator("mode", mode="before")
    @classmethod
    def _a_head_is_trained(cls, mode: object) -> object:
        if mode == "tag-head":
            raise ValueError(
                "found 'tag-head', which a model becomes by its training (head: tags) alone; leave it out"
            )
        return mode

    @field_validator("draft")
    @classmethod
    def _something_verifies_the_draft(cls, draft: str, info: ValidationInfo) -> str:
        mode = info.data.get("mode")
        if draft != "outside" and mode is not None and mode not in _DRAFTING:
            raise ValueError(f"found {draft!r}, but {mode} uses no draft; remove it, or verify with it")
        return draft

    @field_validator("draft_model")
    @classmethod
    def _an_encoder_drafts(cls, model: str | None, info: ValidationInfo) -> str | None:
        draft = info.data.get("draft")
        if draft == "encoder" and model is None:
            raise ValueError("missing; draft: encoder needs the encoder that drafts")
        if draft in ("outside", "previous") and model is not None:
            raise ValueError(f"goes with draft: encoder only, and draft is {draft!r}; remove one of the two")
        return model

    @field_validator("constrained_decoding")
    @classmethod
    def _only_chosen_tags_can_be_constrained(cls, constrained: bool, info: ValidationInfo) -> bool:
        mode = info.data.get("mode")
        if constrained and mode is not None and mode not in _FORCING:
            raise ValueError(f"found true, but in {mode} the model writes freely; allowed: false")
        return constrained

    def asked(self) -> dict[str, Any] | None:
        """Return the options, or None where all are as they stand by default: an encoder refuses wishes."""
        return None if self == DecodingSection() else self.model_dump()


Decoding = Annotated[
    DecodingSection, Field(description="how an LLM writes its tags; encoders have no use for it")
]

ModelLabels = Annotated[
    dict[str, Text | None],
    Field(
        description="what a token classifier's outputs, or its labels, stand for: a tag such as B-Disease, "
        "another label, O, or null, which is outside too"
    ),
]
