import copy
import pickle
import re

import pytest

from raybio import errors
from raybio.errors import ConfigError, FormatError, InputError, RaybioError, StorageError

CLASSES = [
    value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, RaybioError)
]


def example(error_class):
    if issubclass(error_class, InputError):
        return error_class("train.tsv", "line 7", "'X' is not an IOB2 tag", "Write O")
    if issubclass(error_class, ConfigError):
        return error_class("job.yaml", ["epochs: found 0", "model: missing"])
    if issubclass(error_class, StorageError):
        return error_class("out/scores.json", "No space left on device")
    return error_class("what happened, and what to do")


@pytest.mark.parametrize("error_class", CLASSES)
@pytest.mark.parametrize("copied", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy])
def test_every_error_crosses_a_process_whole(error_class, copied):
    error = example(error_class)
    again = copied(error)
    assert type(again) is error_class
    assert str(again) == str(error)
    assert vars(again) == vars(error)


@pytest.mark.parametrize("error_class", CLASSES)
def test_every_error_is_in_the_tree_of_the_docstring_with_its_exit_code(error_class):
    assert error_class.__name__ in (errors.__doc__ or "")
    assert error_class.exit_code in (errors.FAILURE, errors.UNUSABLE, errors.REJECTED)


def test_every_exit_code_is_reported_and_is_like_no_other():
    codes = [value for name, value in vars(errors).items() if name.isupper() and isinstance(value, int)]
    reported = re.findall(r"(?m)^(\d+)  ", errors.__doc__ or "")
    assert sorted(map(int, reported)) == sorted(codes)
    assert len(set(codes)) == len(codes)


def test_an_input_error_says_where_what_and_what_to_do():
    assert str(example(FormatError)) == "train.tsv, line 7: 'X' is not an IOB2 tag. Write O"
    assert str(FormatError("a.gz", "", "broken", "Fetch it again")) == "a.gz: broken. Fetch it again"


def test_a_config_error_lists_its_faults():
    assert str(example(ConfigError)) == "job.yaml: 2 faults\n  - epochs: found 0\n  - model: missing"
    assert str(ConfigError("job.yaml", ["model: missing"])) == "job.yaml: 1 fault\n  - model: missing"
