"""The YAML a config is written in."""

import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from raybio.config.yaml_text import dump, parse, plain_scalar

SCALARS = {
    "5e-5": 5e-5,
    "1e-3": 1e-3,
    "3E+2": 300.0,
    "-1.5e-3": -0.0015,
    "5.": 5.0,
    ".5": 0.5,
    "-.5": -0.5,
    "3": 3,
    "+3": 3,
    "0": 0,
    "true": True,
    "False": False,
    "null": None,
    "~": None,
    "": None,
    "NO": "NO",
    "no": "no",
    "yes": "yes",
    "on": "on",
    "off": "off",
    "Y": "Y",
    "tRUE": "tRUE",
    "010": "010",
    "0o10": "0o10",
    "0x1F": "0x1F",
    "1_000": "1_000",
    "1:30": "1:30",
    "12:30:45": "12:30:45",
    "2024-01-02": "2024-01-02",
    "2024-01-02T03:04:05Z": "2024-01-02T03:04:05Z",
    ".inf": ".inf",
    ".nan": ".nan",
    "1.2.3": "1.2.3",
    "-": "-",
    ".": ".",
    "+.": "+.",
    "e5": "e5",
    "1e": "1e",
    "<<": "<<",
    "=": "=",
    "1" * 19: "1" * 19,
    "1" * 5000: "1" * 5000,
}


@pytest.mark.parametrize(("text", "value"), SCALARS.items())
def test_a_scalar_means_the_same_in_a_file_and_in_an_override(text, value):
    in_file = value if text == "-" else parse(f"key: {text}\n").data["key"]  # "key: -" starts a list
    for found in (plain_scalar(text), in_file):
        assert found == value
        assert type(found) is type(value)


def test_quotes_make_text():
    parsed = parse("""a: "5"\nb: 'true'\nc: !!str 5\nd: ""\n""")
    assert parsed.data == {"a": "5", "b": "true", "c": "5", "d": ""}
    assert parsed.faults == []


def test_keys_are_always_text():
    assert parse("1: a\nno: b\ntrue: c\nnull: d\n").data == {"1": "a", "no": "b", "true": "c", "null": "d"}


def test_places_are_lines_of_keys_and_items():
    places = parse("a:\n  b: 1\n  c:\n    - x\n    - y\n").places
    assert {path: place.number for path, place in places.items()} == {
        ("a",): 1,
        ("a", "b"): 2,
        ("a", "c"): 3,
        ("a", "c", 0): 4,
        ("a", "c", 1): 5,
    }


def test_every_duplicate_key_is_a_fault_and_the_first_value_stays():
    parsed = parse("a: 1\nb:\n  c: 2\n  c: 3\na: 4\n")
    assert parsed.data == {"a": 1, "b": {"c": 2}}
    assert [str(fault) for fault in parsed.faults] == [
        "line 4: b.c: given twice; line 3 has it already",
        "line 5: a: given twice; line 1 has it already",
    ]


def test_the_same_key_in_two_sections_is_no_fault():
    assert parse("a: {x: 1}\nb: {x: 1}\n").faults == []


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system ['true']",
        "a: !!binary aGk=",
        "a: !!bool yes",
        "a: !!int 1.5",
        "a: !!timestamp 2024-01-02",
        "a: !!set {x, y}",
        "a: !!omap [x: 1]",
        "a: !mine 5",
    ],
)
def test_a_tag_that_does_not_say_what_the_text_is_is_a_fault(text):
    (fault,) = parse(text).faults
    assert "the tag" in fault.problem
    assert fault.key == "a"


def test_a_key_that_is_a_list_is_a_fault():
    (fault,) = parse("a: 1\n? [x, y]\n: 2\n").faults
    assert str(fault) == "line 2: a key must be a word, not a list or a mapping"


def test_an_alias_is_a_copy():
    parsed = parse("a: &rates [1e-5, 2e-5]\nb: *rates\n")
    assert parsed.data == {"a": [1e-5, 2e-5], "b": [1e-5, 2e-5]}
    assert parsed.data["a"] is not parsed.data["b"]


def test_an_alias_bomb_is_refused_at_once():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]  # 10**10 values
    start = time.perf_counter()
    parsed = parse("\n".join(lines))
    assert time.perf_counter() - start < 5
    assert parsed.data is None
    (fault,) = parsed.faults
    assert fault.problem == "more than 10,000 values, aliases written out; use fewer aliases"


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: *a}", "a: " + "[" * 30 + "]" * 30, "[" * 5000])
def test_what_never_ends_or_nests_too_deep_is_refused(text):
    parsed = parse(text)
    assert parsed.data is None
    (fault,) = parsed.faults
    assert fault.problem.startswith("nested deeper than 20 levels")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\n\tb: 2\n", 2, "indent with spaces"),
        ("a: [1, 2\nb: 3\n", 2, "expected ',' or ']'"),
        ("a: 1\nb: *.xml\n", 2, "put text that starts with * in quotes"),
        ("a: 1\nb: x: y\n", 2, "put text that holds ': ' in quotes"),
        ("a: 1\n---\nb: 2\n", 2, "but found another document"),
    ],
)
def test_broken_yaml_names_its_line_and_what_to_do(text, line, words):
    parsed = parse(text)
    assert parsed.data is None
    (fault,) = parsed.faults
    assert fault.place.number == line
    assert words in fault.problem


def test_characters_yaml_forbids_are_a_fault():
    (fault,) = parse("a: \x00\n").faults
    assert "not readable as YAML" in fault.problem


TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    [key for key in SCALARS if len(key) < 50]
)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18) + 1, 10**18 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXTS.filter(lambda t: len(t) < 100), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(PLAIN)
def test_what_is_dumped_parses_to_the_same(data):
    parsed = parse(dump({"key": data}))
    assert parsed.faults == []
    assert parsed.data == {"key": data}
    assert repr(parsed.data) == repr({"key": data})  # 1, 1.0 and true are equal, but not the same


@given(TEXTS)
def test_readers_of_yaml_1_1_see_dumped_text_as_text(text):
    assert yaml.safe_load(dump([text])) == [text]
