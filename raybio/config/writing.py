"""A config as plain data, as YAML, and as a short hash."""

from __future__ import annotations

import hashlib
import json
from functools import reduce
from operator import getitem
from typing import Any

from raybio.config.renamed import with_first_names
from raybio.config.section import JobConfig
from raybio.config.yaml_text import dump


def resolved(config: JobConfig) -> dict[str, Any]:
    """Return `config` as plain data (str, int, float, bool, None, list, dict), all defaults filled in."""
    return config.model_dump(mode="json")


def to_yaml(config: JobConfig) -> str:
    """Return `config` as a YAML file that `load_config` reads back to an equal config."""
    return dump(resolved(config))


def config_hash(config: JobConfig, *sections: str) -> str:
    """Return 12 hexadecimal digits that change when any value of `sections` (or any at all) does.

    `sections` names fields of the config ("model", "training.epochs"); an unknown one is a KeyError.
    It is the start of the SHA-256 of the resolved values as JSON with sorted keys, so that
    neither comments nor the order of keys nor 1 for 1.0 count, nor that an option was renamed.
    """
    data = resolved(config)
    chosen = with_first_names({name: reduce(getitem, name.split("."), data) for name in sections or data})
    canonical = json.dumps(chosen, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
