import pytest

from raybio.errors import UsageError
from raybio.submission.environment import chosen, without_values


def test_variables_are_given_or_taken_from_here():
    here = {"HF_TOKEN": "hf_secret", "PATH": "/bin"}
    assert chosen(["HF_TOKEN", "HTTPS_PROXY=http://proxy:3128", "EMPTY=", "A=b=c"], here) == {
        "HF_TOKEN": "hf_secret",
        "HTTPS_PROXY": "http://proxy:3128",
        "EMPTY": "",
        "A": "b=c",
    }
    assert chosen([], here) == {}


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("HF_TOKEN", "--env names HF_TOKEN, which is not set here. Export it"),
        ("=hf_secret", "takes NAME or NAME=VALUE"),
        ("hf-token=hf_secret", "a name is of letters, digits and '_'"),
        ("1A=hf_secret", "takes NAME or NAME=VALUE"),
    ],
)
def test_what_is_no_variable_is_refused_without_its_value(word, problem):
    with pytest.raises(UsageError) as refused:
        chosen([word], {})
    assert problem in str(refused.value)
    assert "hf_secret" not in str(refused.value)


def test_values_are_hidden_the_longest_first():
    said = "refused: {'A': 'secret', 'B': 'secret-2', 'C': ''}"
    hidden = without_values(said, {"A": "secret", "B": "secret-2", "C": ""})
    assert hidden == "refused: {'A': '***', 'B': '***', 'C': ''}"
