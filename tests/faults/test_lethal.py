"""Documents that kill or hang their worker are found and rejected; the rest is tagged."""

import json
from pathlib import Path
from typing import Any

import pytest
from fault_runs import Faults, entries, rows, write_dump

_DOCUMENTS = 20
_LETHAL, _ENDLESS = 3, 17


@pytest.fixture(scope="module")
def output(faults: Faults) -> Path:
    """The output of a run over twenty documents, one of which kills its worker, and one hangs it."""
    texts = [f"Good text {i}." for i in range(_DOCUMENTS)]
    texts[_LETHAL] = "Lethal text."
    texts[_ENDLESS] = "Endless text."
    write_dump(faults.folder / "poisoned.jsonl", texts)
    assert tag(faults) == 0
    return faults.folder / "poisoned"


def tag(faults: Faults, **changes: Any) -> int:
    source = faults.folder / "poisoned.jsonl"
    return faults.run(faults.folder / "poisoned", source, shard_documents=10, shard_timeout_s=0.5, **changes)


def fates(output: Path) -> dict[str, str]:
    """The outcome of each document; each is there once."""
    found = rows(output, "documents")
    assert len(found) == _DOCUMENTS
    return {row["document_id"]: row["fate"] for row in found}


def rejected(output: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (output / "rejected.jsonl").read_text().splitlines()]


def test_a_document_that_kills_and_one_that_hangs_are_rejected(output: Path) -> None:
    culprits = {str(_LETHAL), str(_ENDLESS)}
    found = fates(output)
    assert {name for name, fate in found.items() if fate == "rejected"} == culprits
    assert {row["document_id"] for row in rows(output, "mentions")} == set(found) - culprits
    assert [(each["document_id"], each["shard"]) for each in rejected(output)] == [
        (str(_LETHAL), "poisoned-00000"),
        (str(_ENDLESS), "poisoned-00001"),
    ]
    assert all("two workers died of it" in each["reason"] for each in rejected(output))
    # Ten documents: twice as a whole, at most four halvings, twice alone, and the time that went well.
    assert all(2 < entry.attempts <= 9 for entry in entries(output))


def test_a_replay_tags_what_can_be_tagged_now_and_rejects_the_rest_again(
    faults: Faults, output: Path
) -> None:
    assert tag(faults, replay=output / "rejected.jsonl") == 0
    assert [name for name, fate in fates(output).items() if fate == "rejected"] == [str(_ENDLESS)]
    assert [each["document_id"] for each in rejected(output)] == [str(_ENDLESS)]
    assert {row["document_id"] for row in rows(output, "mentions")} == set(fates(output)) - {str(_ENDLESS)}
