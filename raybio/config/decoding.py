"""How an LLM writes its tags: the options that tagging with one and training one share."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from raybio.config.section import Section, Text

_DRAFTING = ("verified-text", "verified-tags")
_FORCING = ("forced-tags", "verified-tags")


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
        description="encoder whose tags are the draft: bundled:NAME, a Hugging Face id, or a folder; "
        "with draft: encoder",
    )
    legal: bool = Field(
        default=False,
        description="allow I-X after B-X or I-X only, in forced-tags and verified-tags; "
        "false = the model may choose any tag",
    )

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

    @field_validator("legal")
    @classmethod
    def _only_chosen_tags_can_be_kept_legal(cls, legal: bool, info: ValidationInfo) -> bool:
        mode = info.data.get("mode")
        if legal and mode is not None and mode not in _FORCING:
            raise ValueError(f"found true, but in {mode} the model writes freely; allowed: false")
        return legal
