"""Options that had other names in raybio 0.0: their places, names and values then and now.

A config that a user writes has the present names, and an old one is an unknown key whose message names
its successor. Configs that raybio recorded in run folders are read by either. Hashes of configs, which
stand in names of runs and in ledgers, are of the first names, so that what was begun then is found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from raybio.config.section import SPOT_TIMEOUT_S, START_TIMEOUT_S


class Renamed(NamedTuple):
    """One option by its section ("" = the config itself), its name before and now, and its values then."""

    section: str
    before: str
    now: str
    values: Mapping[str, Any] = {}


_SCORERS = {"corrected": "dev_strict_f1", "paper": "dev_paper_strict_f1"}

RENAMED = (
    Renamed("training", "batch_sentences", "batch_size"),
    Renamed("training", "gradient_clip", "max_grad_norm"),
    Renamed("training", "schedule", "lr_scheduler_type"),
    Renamed("training", "batch_order", "group_by_length", {"sorted": True, "random": False}),
    Renamed("training", "patience", "early_stopping_patience"),
    Renamed("training", "keep", "keep_checkpoint"),
    Renamed("training", "choose_by", "metric_for_best_model", _SCORERS),
    Renamed("training", "max_tokens", "max_length"),
    Renamed("training", "window_overlap", "stride"),
    Renamed("training", "subword_labels", "label_subwords"),
    Renamed("training", "word_decision", "aggregation_strategy"),
    Renamed("training", "legal", "constrained_decoding"),
    Renamed("training", "average", "ema_decay"),
    Renamed("training", "masked", "mlm_probability"),
    Renamed("dev", "legal", "constrained_decoding"),
    Renamed("decoding", "legal", "constrained_decoding"),
    Renamed("lora", "rank", "r"),
    Renamed("lora", "targets", "target_modules"),
    Renamed("workers", "count", "num_workers"),
    *(
        Renamed(section, before, now)
        for section in ("corpus", "corpora")
        for before, now in (
            ("limit", "max_documents"),
            ("train_limit", "max_train_documents"),
            ("scored_limit", "max_eval_documents"),
        )
    ),
    Renamed("distillation", "text_limit", "max_text_documents"),
    Renamed("text", "limit", "max_documents"),
    Renamed("text", "apart_from", "decontaminate_against"),
    Renamed("text", "held_out", "validation_fraction"),
    Renamed("", "shard_seconds", "shard_timeout_s"),
    Renamed("models", "stuck_after_seconds", "batch_timeout_s"),
    Renamed("models", "drain_seconds", "graceful_shutdown_timeout_s"),
    Renamed("autoscaling", "upscale_delay_seconds", "upscale_delay_s"),
    Renamed("autoscaling", "downscale_delay_seconds", "downscale_delay_s"),
    Renamed("limits", "seconds", "request_timeout_s"),
    Renamed("limits", "body_seconds", "body_timeout_s"),
    Renamed("paper", "batch_sentences", "batch_size"),
    Renamed("", "reckoning", "estimate"),
)

_LATER: Mapping[tuple[str, str], Any] = {
    ("", "corpus_temperature"): None,
    ("corpus", "title"): None,
    ("corpora", "title"): None,
    ("taggers", "on_ray"): None,
    ("corpora", "labels"): {},
    ("corpora", "annotates"): None,
    ("models", "together"): False,
    **{(section, "start_timeout_s"): START_TIMEOUT_S for section in ("workers", "taggers", "models")},
    **{(section, "spot_timeout_s"): SPOT_TIMEOUT_S for section in ("workers", "taggers", "models")},
}
"""Options, by section, that there were not at first: with this value, they are in no hash."""

_Names = Mapping[tuple[str, str], tuple[str, Mapping[Any, Any]]]

_NOW: _Names = {(each.section, each.before): (each.now, each.values) for each in RENAMED}
_FIRST: _Names = {
    (each.section, each.now): (each.before, {now: then for then, now in each.values.items()})
    for each in RENAMED
}


def name_now(section: str, name: str) -> str | None:
    """Return what an option of a section that had another name is called now, or None."""
    return _NOW[section, name][0] if (section, name) in _NOW else None


def with_present_names(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recorded config, as plain data, with the present names and values of its options."""
    renamed: dict[str, Any] = _renamed(data, _NOW)
    return renamed


def with_first_names(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config, as plain data, with the names and values that its options had first.

    Options that came later are left out where they have their default.
    """
    renamed: dict[str, Any] = _without_later(_renamed(data, _FIRST))
    return renamed


def _without_later(data: Any, section: str = "") -> Any:
    if isinstance(data, list):
        return [_without_later(each, section) for each in data]
    if not isinstance(data, Mapping):
        return data
    return {
        key: _without_later(value, key)
        for key, value in data.items()
        if (section, key) not in _LATER or value != _LATER[section, key]
    }


def _renamed(data: Any, names: _Names, section: str = "") -> Any:
    """Rename in nested data; what is in a list is of the list's section, and keys may be dotted."""
    if isinstance(data, list | tuple):
        return [_renamed(each, names, section) for each in data]
    if not isinstance(data, Mapping):
        return data
    result = {}
    for key, value in data.items():
        above, dot, leaf = str(key).rpartition(".")
        name, values = names.get((above.rpartition(".")[2] or section, leaf), (leaf, {}))
        result[above + dot + name] = _renamed_value(_renamed(value, names, leaf), values)
    return result


def _renamed_value(value: Any, values: Mapping[Any, Any]) -> Any:
    if isinstance(value, list):  # a sweep's
        return [_renamed_value(each, values) for each in value]
    return values.get(value, value) if isinstance(value, str | bool) else value
