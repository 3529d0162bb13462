"""Every command, given an address with a credential: nothing that it writes or prints holds it."""

import json

import pytest

from raybio.config import JOBS

SECRET = "hunter2xyz"
URLS = [
    f"http://{SECRET}@127.0.0.1:1/a.jsonl",
    f"http://127.0.0.1:1/a.jsonl?key={SECRET}",
    f"s3://KEY:1234/{SECRET}@bucket/a.jsonl",
]


@pytest.fixture
def silent(raybio, tmp_path, monkeypatch):
    """Run a command line, and check what it printed and every file that it left, names included."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

    def run(*words, code=None):
        outcome = raybio(*words)
        assert SECRET not in outcome.out + outcome.err
        assert "\x1b" not in outcome.out + outcome.err
        for file in tmp_path.rglob("*"):
            assert SECRET not in file.name
            if file.is_file():
                assert SECRET.encode() not in file.read_bytes(), file
        assert code is None or outcome.code == code, outcome
        return outcome

    return run


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize(
    "command",
    [
        "tag URL --model m --output out",
        "tag in.jsonl --model URL --output out",
        "tag in.jsonl --model m --output URL",
        "tag --replay URL",
        "compact URL --to set",
        "corpus stats URL",
        "corpus stats URL --format pubtator --json figures.json",
        "corpus convert URL out.jsonl",
        "corpus convert URL out.jsonl --rejected rejected.jsonl",
        "corpus convert URL out.jsonl --from nonsense",
        "corpus fetch URL",
        "evaluate URL URL --json -",
        "report URL --output page.html",
        "soup URL URL --name mine",
        "cascade --encoder URL --decoder URL",
        "check URL",
        "jobs --address URL",
        "study status URL",
        "submit tag-corpus URL",
        "submit URL config.yaml",
        "serve URL",
        "no-such-command URL",
        "corpus fetch BC5CDR --unknown URL",
        "tag --unknown=URL",
        "plan URL",
    ],
)
def test_a_command_line(silent, command, url):
    outcome = silent(*command.replace("URL", url).split())
    assert outcome.code and outcome.err


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize(
    "word",
    [
        "model=URL",
        "output=URL",
        "corpus.train=URL",
        "no.such=URL",
        "URL",
        "logging.mlflow=URL",
        "models=[{URL: 1}]",
    ],
)
def test_an_override_of_any_job(silent, tmp_path, job, word):
    (tmp_path / "job.yaml").write_text(f"job: {job}\n")
    assert silent("check", "job.yaml", word.replace("URL", URLS[1]), code=2).err


def test_a_config_file_is_only_read(raybio, tmp_path):
    for text in (
        f"model: {URLS[0]}",
        f"model: [{URLS[1]}",
        f"{URLS[2]}: 1",
        f"a: b: {URLS[0]}",
        f"? {URLS[1]}",
    ):
        (tmp_path / "job.yaml").write_text(f"job: tag-corpus\n{text}\n")
        outcome = raybio("check", "job.yaml")
        assert outcome.code == 2 and SECRET not in outcome.out + outcome.err


@pytest.mark.parametrize("variable", ["RAYBIO_FETCH_GITHUB", "RAYBIO_FETCH_PUBMED"])
@pytest.mark.parametrize(
    "mirror",
    [
        f"http://{SECRET}@127.0.0.1:1/x",
        f"http://me:{SECRET}@127.0.0.1:1",
        f"http://127.0.0.1:1/?key={SECRET}",
        f"ftp://me:{SECRET}@127.0.0.1",
        f"http://me:{SECRET}@127.0.0.1:port/",
        f"http://me:{SECRET}@[::1/",
    ],
)
def test_a_mirror(silent, monkeypatch, variable, mirror):
    monkeypatch.setattr("raybio.corpora.download.FIRST_PAUSE", 0.0)
    monkeypatch.setenv(variable, mirror)
    words = ("pubmed", "--files", "1") if variable.endswith("PUBMED") else ("ChemProt",)
    assert silent("corpus", "fetch", *words).code in (1, 2)


def test_a_mirrors_credentials_are_in_no_file(silent, monkeypatch, tmp_path):
    """What is downloaded is written; the address that it came from is not."""
    from raybio.corpora import fetch
    from raybio.corpora.download import FetchedFile

    monkeypatch.setenv("RAYBIO_FETCH_GITHUB", f"http://{SECRET}@127.0.0.1:1/")

    def fetched(url, target, *_):
        assert SECRET in url
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("")
        return FetchedFile(target, url, 0, fresh=True)

    monkeypatch.setattr(fetch, "fetch_file", fetched)
    silent("corpus", "fetch", "ChemProt", "--data", tmp_path / "data", code=0)


def test_what_can_be_read_from_an_address_with_a_credential(silent, tmp_path, monkeypatch):
    """The rejected records, figures and ids of a source name it without the credential."""
    import fsspec

    url = f"memory://{SECRET}@shelf/a.jsonl?token={SECRET}"
    with fsspec.open(url, "w") as file:
        file.write(json.dumps({"id": "1", "text": "Aspirin."}) + "\nno JSON\n")
    silent("corpus", "stats", url, "--format", "jsonl", "--json", "figures.json", code=0)
    assert "memory://***@shelf/a.jsonl?token=***" in (tmp_path / "figures.json").read_text()
    convert = ("corpus", "convert", url, "out.jsonl", "--from", "jsonl")
    silent(*convert, code=2)
    silent(*convert, "--rejected", "rejected.jsonl", code=0)
    [rejected] = (tmp_path / "rejected.jsonl").read_text().splitlines()
    assert json.loads(rejected)["source"] == "memory://***@shelf/a.jsonl?token=***"
    silent("corpus", "convert", url, "text.jsonl", "--from", "text", code=2)  # it is no text
    with fsspec.open(url, "w") as file:
        file.write("Aspirin helps.")
    silent("corpus", "stats", url, "--format", "text", "--json", "-", code=0)
    silent("corpus", "convert", url, "text.jsonl", "--from", "text", code=0)


def test_control_codes_of_a_file_do_not_reach_the_terminal(silent, tmp_path):
    (tmp_path / "gold.tsv").write_text("Aspirin\tB-\x1b[2JX\nb\t\x9b2J\n")
    (tmp_path / "labels.tsv").write_text("Aspirin\tB-A\x9b2J\x1b]0;t\x07\n\n")
    (tmp_path / "bad\x1b[2J.tsv").write_text("Aspirin\n")
    silent("evaluate", "gold.tsv", "gold.tsv")
    silent("evaluate", "labels.tsv", "labels.tsv", "--disagreements")
    silent("corpus", "stats", "labels.tsv", "bad\x1b[2J.tsv")
    silent("corpus", "convert", "bad\x1b[2J.tsv", "out.jsonl", code=2)
    assert "\x9b" not in silent("evaluate", "labels.tsv", "labels.tsv", "--json", "-").out
