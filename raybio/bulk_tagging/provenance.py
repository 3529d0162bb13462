"""What made an output, and in what it differs from what would add to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from raybio.config import changed_options, with_present_names

# Options that say where and how fast, and not what is in an output.
_FREE = {
    *("model", "allow_pickle", "input", "input.files", "output", "max_batch_tokens"),
    *("shard_timeout_s", "max_rejected", "on_change"),
}
_FREE_SECTIONS = ("taggers.",)


@dataclass(frozen=True)
class Provenance:
    """What made an output: two runs may add to one output only if this is the same."""

    model: str
    model_fingerprint: str
    config_hash: str
    config: dict[str, Any]

    @property
    def identity(self) -> str:
        """What must not change: the model's fingerprint and the config's hash."""
        return f"{self.model_fingerprint[:8]}-{self.config_hash}"


def what_differs(before: Provenance, now: Provenance) -> str:
    """Return "model", or "config (shard_documents: 10, now 20)" with the options that decide."""
    if before.model_fingerprint != now.model_fingerprint:
        return "model"
    options = [
        str(change)
        for change in changed_options(with_present_names(before.config), now.config)
        if change.key not in _FREE
        and not change.key.startswith(_FREE_SECTIONS)
        and (change.before is not None or change.after)  # else an option that came later, at its default
    ]
    return f"config ({'; '.join(options)})" if options else "config"
