import json

import pytest

from raybio.corpora.json_text import parsed


def test_values_are_those_of_json():
    for text in ('{"a": {"a": [1, 2.5, null]}, "b": [{"a": 1}, {"a": 2}]}', '"\\ud83d\\ude00"', "[]"):
        assert (
            parsed(text)
            == parsed(text.encode())
            == parsed(b"\xef\xbb\xbf" + text.encode())
            == json.loads(text)
        )


@pytest.mark.parametrize(
    "text", ['{"a": 1, "b": 2, "b": 2}', '[{"c": {"b": 1, "b": 3}}]', '{"b": 1, "\\u0062": 1}']
)
def test_a_name_that_stands_twice_in_one_object_is_an_error(text):
    with pytest.raises(ValueError, match="an object names 'b' twice"):
        parsed(text)


@pytest.mark.parametrize("text", ["{", b"\xff\xff", "[" * 100_000, '{"a": ' * 100_000, "9" * 5_000])
def test_what_is_no_json_is_a_value_error(text):
    with pytest.raises(ValueError):
        parsed(text)
