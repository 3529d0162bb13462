"""`raybio tag --text`: one text, answered on the terminal without a cluster."""

import io
import json

import pytest

from raybio.text_tagger import load

TEXT = "Naloxone reverses the effect of α-methyldopa 😀 in rats."


def test_a_text_is_tagged_and_printed(raybio, tiny_encoder, monkeypatch):
    document = load(tiny_encoder)(TEXT)
    assert document.mentions
    assert raybio("tag", "--text", TEXT, "--model", tiny_encoder).out == document.marked() + "\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(TEXT))
    found = json.loads(raybio("tag", "--text", "-", "--model", tiny_encoder, "--json", "-").out)
    assert found["text"] == TEXT
    assert [(each["start"], each["text"]) for each in found["mentions"]] == [
        (each.start, each.text) for each in document.mentions
    ]


@pytest.mark.parametrize(
    "more",
    [
        [],
        ["--model", "m", "--output", "o"],
        ["--model", "m", "--taggers", "2"],
    ],
)
def test_what_does_not_go_with_a_text_is_refused(refused, more):
    assert "--text without INPUT is the text to tag" in refused("tag", "--text", "a", *more)


@pytest.mark.parametrize("text", ["a.csv", "a" * 300, "a\0b"])
def test_a_text_that_is_the_name_of_a_file_is_tagged_with_a_hint(
    text, raybio, tiny_encoder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").touch()
    hint = "To tag the file: raybio tag a.csv --output"
    assert (hint in raybio("tag", "--text", text, "--model", tiny_encoder).err) == (text == "a.csv")
