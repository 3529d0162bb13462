from dataclasses import asdict, dataclass, field

import pytest

from raybio.errors import CommitError
from raybio.versioned import SCHEMA_VERSION, read_record, versioned


@dataclass(frozen=True)
class Inner:
    name: str


@dataclass(frozen=True)
class Outer:
    count: int
    inner: list[Inner]
    note: str = ""
    more: dict[str, int] = field(default_factory=dict)


HELD = {"count": 2, "inner": [{"name": "a"}]}
READ = Outer(2, [Inner("a")])


def read(held):
    return read_record(Outer, held, "out/00001.json", CommitError, "Restore it")


def test_a_record_is_read_as_it_was_written():
    assert versioned(asdict(READ))["schema_version"] == SCHEMA_VERSION
    assert read(versioned(asdict(READ))) == READ


def test_a_record_of_before_versions_or_with_a_field_more_or_less_is_read():
    assert read(HELD) == READ
    assert read({**HELD, "schema_version": 1, "new": [1], "inner": [{"name": "a", "new": None}]}) == READ


@pytest.mark.parametrize(
    ("held", "problem"),
    [
        ({"inner": []}, "count: field required. Restore it"),
        ({**HELD, "count": "many"}, "count: input should be a valid integer.*. Restore it"),
        ({**HELD, "inner": [{}]}, r"inner.0.name: field required. Restore it"),
        ({**HELD, "inner": None}, "inner: input should be a valid list. Restore it"),
        ([HELD], "not a JSON object. Restore it"),
        (None, "not a JSON object. Restore it"),
        *(
            (
                {**HELD, "schema_version": version},
                f"of schema version .*; this raybio reads up to {SCHEMA_VERSION}",
            )
            for version in (SCHEMA_VERSION + 1, -1, "1", True, None, 1.0)
        ),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(held, problem):
    with pytest.raises(CommitError, match=f"^out/00001.json: {problem}") as caught:
        read(held)
    assert "\n" not in str(caught.value)
