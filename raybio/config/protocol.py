"""The two protocols of a study: ours, and what the published study's code did, each point an option.

`corrected` takes train configs as they stand. `study` sets the options below, before a study's own
options and its models' are applied, so that each point can be taken back alone. That its own scorer
chose epochs, rates and batches is one of them. What needs no option: both scorers' figures are always in
a run's scores, and the study's timing is a scenario of its own (`measure.paper`). What has none: the
study escaped the text that LLMs wrote on ChemProt before it aligned it, which no run here repeats.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, TypeVar

from raybio.config.corpus import CorpusSection
from raybio.config.section import JobConfig
from raybio.config.train_decoder import TrainDecoderConfig
from raybio.config.train_encoder import TrainEncoderConfig

Protocol: TypeAlias = Literal["corrected", "study"]
AnySection = TypeVar("AnySection", bound=CorpusSection)

STUDY_OPTIONS: Mapping[type[JobConfig], Mapping[str, Any]] = {
    TrainEncoderConfig: {
        "training.keep_checkpoint": "last",
        "training.metric_for_best_model": "dev_paper_strict_f1",
        "training.max_grad_norm": None,
        "training.label_subwords": "all",
        "training.aggregation_strategy": "majority",
        "training.constrained_decoding": False,
        "training.long_inputs": "cut",
    },
    TrainDecoderConfig: {
        "training.keep_checkpoint": "best",
        "training.metric_for_best_model": "dev_paper_strict_f1",
        "training.loss_on": "padded",
        "training.long_inputs": "cut",
        "training.group_by_length": False,
        "prompt.label_order": "random",
        "dev.mode": "greedy",
    },
}
"""What the study's code did, by the kind of train config."""

STUDY_CORPORA: Mapping[str, Mapping[str, Any]] = {
    "ChemProt": {"protocol": "study"},
    "BioRED": {"instance_words": 145},
}
"""How the study's code read corpora, where that is another way than ours."""


def corpus_by(protocol: Protocol, corpus: AnySection) -> AnySection:
    """Return `corpus` as the protocol reads it; what the corpus itself says goes first."""
    if protocol == "corrected":
        return corpus
    said = corpus.model_fields_set
    theirs = STUDY_CORPORA.get(corpus.name or "", {})
    return corpus.model_copy(update={key: value for key, value in theirs.items() if key not in said})


def options_by(protocol: Protocol, config_class: type[JobConfig]) -> Mapping[str, Any]:
    """Return the options that the protocol sets in a train config, by dotted key."""
    return {} if protocol == "corrected" else STUDY_OPTIONS[config_class]
