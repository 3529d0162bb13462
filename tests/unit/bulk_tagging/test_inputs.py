import json

import fsspec
import pytest

from raybio.bulk_tagging import inputs
from raybio.bulk_tagging.inputs import find_inputs
from raybio.corpora import write_corpus
from raybio.entities import Document
from raybio.errors import AccessError, UsageError


def lines(count, first=0):
    return "".join(
        json.dumps({"id": str(i), "text": f"Text {i}."}) + "\n" for i in range(first, first + count)
    )


def test_files_globs_and_folders_name_inputs_sorted_by_key(jsonl, tmp_path):
    for name in ("b.jsonl.gz", "deep/a.jsonl", "c.jsonl"):
        jsonl(lines(1), name)
    keys = ["a", "b", "c"]
    assert [file.key for file in find_inputs([str(tmp_path)])] == keys
    assert [file.key for file in find_inputs([f"{tmp_path}/*.jsonl*", f"{tmp_path}/deep/a.jsonl"])] == keys
    assert {file.format for file in find_inputs([str(tmp_path)])} == {"jsonl"}


def test_one_file_named_twice_is_one_input(jsonl, tmp_path):
    path = jsonl(lines(1))
    assert len(find_inputs([str(path), f"{tmp_path}/*.jsonl", str(tmp_path)])) == 1


def test_two_files_of_one_key_are_refused(jsonl, tmp_path):
    jsonl(lines(1), "x/a.jsonl")
    jsonl(lines(1), "y/a.jsonl.gz")
    with pytest.raises(
        UsageError, match=r"x/a.jsonl and .*y/a.jsonl.gz would both be called a in the output"
    ):
        find_inputs([str(tmp_path)])


def test_a_folder_passes_over_what_is_no_corpus(jsonl, tmp_path):
    jsonl(lines(1), "a.jsonl.gz")
    (tmp_path / "a.jsonl.gz.md5").write_text("0")
    (tmp_path / "README").write_text("hello")
    assert [file.key for file in find_inputs([str(tmp_path)])] == ["a"]


def test_a_folder_gives_the_files_of_one_format_when_asked(jsonl, tmp_path):
    jsonl(lines(1), "a.jsonl")
    (tmp_path / "b.txt").write_text("text")
    assert [file.key for file in find_inputs([str(tmp_path)], "text")] == ["b"]


def test_a_named_file_must_tell_its_format_by_its_name_or_content(tmp_path):
    path = tmp_path / "a.unknown"
    path.write_text("Naloxone reverses hypotension.\n")
    with pytest.raises(UsageError, match="the name does not tell its format"):
        find_inputs([f"{tmp_path}/a.unknown"])
    [file] = find_inputs([str(path)], "text")
    assert file.format == "text"
    path.write_text(lines(1))
    [file] = find_inputs([str(path)])
    assert file.format == "jsonl"


@pytest.mark.parametrize("pattern", ["nothing.jsonl", "*.jsonl", "."])
def test_a_pattern_that_names_nothing_is_refused(tmp_path, pattern):
    with pytest.raises(UsageError, match="no input file at"):
        find_inputs([f"{tmp_path}/{pattern}"])


def test_a_file_name_with_brackets_is_not_a_glob(jsonl):
    assert [file.key for file in find_inputs([str(jsonl(lines(1), "a[1].jsonl"))])] == ["a[1]"]


def test_the_fingerprint_changes_with_the_content_and_not_with_the_place(jsonl):
    def fingerprint_of(text, name):
        return find_inputs([str(jsonl(text, name))])[0].fingerprint

    before = fingerprint_of(lines(9), "x/a.jsonl")
    assert fingerprint_of(lines(9), "y/b.jsonl") == before
    assert fingerprint_of(lines(10), "x/a.jsonl") != before
    assert fingerprint_of(lines(9, first=1), "x/a.jsonl") != before
    packed = fingerprint_of("x" * 10_000_000, "x/a.jsonl.gz")
    assert fingerprint_of("x" * 5_000_000 + "y" + "x" * 4_999_999, "x/a.jsonl.gz") != packed


def test_hidden_files_are_passed_over_and_refused_by_name(jsonl, tmp_path):
    jsonl(lines(1))
    hidden = jsonl(lines(1), "._a.jsonl")  # as macOS leaves it
    assert [file.key for file in find_inputs([str(tmp_path)])] == ["a"]
    with pytest.raises(UsageError, match=r"begins with a dot\. Rename it"):
        find_inputs([str(hidden)])


def test_a_place_that_lets_nobody_in_is_one_clear_error(tmp_path, monkeypatch):
    class NoCredentialsError(Exception):
        pass

    def refused(*_, **__):
        raise NoCredentialsError("Unable to locate credentials")

    monkeypatch.setattr(inputs, "filesystem_of", refused)
    with pytest.raises(
        AccessError, match=r"s3://b/x: cannot be reached \(NoCredentialsError: Unable to locate"
    ):
        find_inputs(["s3://b/x"])


# An output among the inputs -----------------------------------------------------------------------


@pytest.fixture
def leave_output():
    """Write into `output` what a run leaves there, in each format; `keys(...)` before and after it."""

    def write(output):
        for name in ("provenance.json", "rejected.jsonl", "jsonl/b-00000.jsonl", "ledger/b@0.json"):
            with fsspec.open(f"{output.rstrip('/')}/{name}", "w", auto_mkdir=True) as file:
                file.write(lines(1))

    return write


@pytest.mark.parametrize(
    ("pattern", "output"),
    [
        ("{folder}/in", "{folder}/in/out"),
        ("{folder}/in/", "{folder}/in/out/"),
        ("{folder}/in", "{folder}/in/deep/er/out"),
        ("{folder}/in/**/*.jsonl", "{folder}/in/out"),
        ("{folder}/in/**/*.jsonl", "{folder}/in/../in/out"),
        ("in", "{folder}/in/out"),
        ("{folder}/in", "in/out"),
        ("./in/", "in//out"),
        ("file://{folder}/in", "in/out"),
        ("{folder}/link", "{folder}/in/out"),
        ("{folder}/in", "{folder}/link/out"),
        ("{folder}/in", "{folder}/elsewhere"),
        ("{memory}/in", "{memory}/in/out"),
        ("{memory}/in/", "{memory}/in/out/"),
        ("{bucket}/in", "{bucket}/in/out"),
        ("{bucket}/in/**/*.jsonl", "{bucket}/in/out/"),
    ],
)
def test_an_output_in_the_input_folder_is_left_out(
    request, tmp_path, monkeypatch, leave_output, pattern, output
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to("in")
    if output.endswith("elsewhere"):  # an output that a link in the input leads to
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "in" / "linked").symlink_to("../elsewhere")
    places = {"folder": str(tmp_path), "memory": f"memory://{tmp_path.name}"}
    if "bucket" in pattern:
        places["bucket"] = f"{request.getfixturevalue('bucket')}/{tmp_path.name}"
    pattern, output = pattern.format(**places), output.format(**places)
    root = next((place for place in places.values() if pattern.startswith(place)), tmp_path)
    for name in ("x/b.jsonl", "out2/c.jsonl"):
        with fsspec.open(f"{root}/in/{name}", "w", auto_mkdir=True) as file:
            file.write(lines(2))
    before = find_inputs([pattern], None, output)
    assert {file.key for file in before} == {"b", "c"}
    leave_output(output)
    assert find_inputs([pattern], None, output) == before
    assert len(find_inputs([pattern])) > len(before)


@pytest.mark.parametrize("pattern", ["out", "out/in", "out/in/a.jsonl", "out/*/*.jsonl", "link", "out/."])
def test_an_input_in_the_output_folder_is_refused(jsonl, tmp_path, monkeypatch, pattern):
    monkeypatch.chdir(tmp_path)
    jsonl(lines(1), "out/in/a.jsonl")
    (tmp_path / "link").symlink_to("out/in")
    with pytest.raises(UsageError, match="names lies in the output folder"):
        find_inputs([pattern], None, str(tmp_path / "out"))


def test_an_output_in_a_folder_of_brat_does_not_change_what_the_folder_is(tmp_path, leave_output):
    folder = tmp_path / "brat"
    write_corpus([Document("1", "Alpha.", mentions=())], str(folder), "brat")
    output = str(folder / "out")
    before = find_inputs([str(folder)], "brat", output)
    leave_output(output)
    assert find_inputs([str(folder)], "brat", output) == before
    assert find_inputs([str(folder)], "brat") != before
