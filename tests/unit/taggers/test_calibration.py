import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import words

from raybio.entities import Sentence
from raybio.errors import ModelError
from raybio.taggers.calibration import read_calibration, write_calibration


@given(st.lists(st.lists(words(), max_size=5), min_size=1, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_calibration_sentences_survive_the_folder(tmp_path, sentences):
    write_calibration(tmp_path, [Sentence("1", tuple(one), (0,) * len(one)) for one in sentences])
    assert read_calibration(tmp_path) == sentences


def test_a_folder_without_calibration_sentences_says_what_to_do(tmp_path):
    with pytest.raises(ModelError, match=r"has no calibration.json, which int8 needs. Train the model with"):
        read_calibration(tmp_path)


@pytest.mark.parametrize("content", ["", "[", "[]", '["a b"]', '{"a": 1}', "[[1, 2]]"])
def test_a_calibration_file_that_is_none_is_named(tmp_path, content):
    (tmp_path / "calibration.json").write_text(content)
    with pytest.raises(ModelError, match=re.escape(f"{tmp_path / 'calibration.json'} is not a JSON list of")):
        read_calibration(tmp_path)
