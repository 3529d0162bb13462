"""corpus stats, convert, fetch and sample."""

import gzip
import hashlib
import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from raybio.corpora import read_corpus

TSV = "Aspirin\tB-Chemical\nhelps\tO\n\nType\tB-Disease\n2\tI-Disease\ndiabetes\tI-Disease\nhurts\tO\n"
PUBTATOR = "12|t|Aspirin helps.\n12|a|Type 2 diabetes hurts.\n12\t0\t7\tAspirin\tChemical\tD1\n"
BAD_TSV = "a\tO\nb\n\nc\tO\n"


@pytest.fixture
def tsv(tmp_path):
    (tmp_path / "test.tsv").write_text(TSV)
    return "test.tsv"


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "corpora" / "bc5cdr"
    folder.mkdir(parents=True)
    for split in ("dev", "test"):
        (folder / f"{split}.tsv").write_text(TSV)
    return tmp_path / "corpora"


def rows(text):
    return {(row["corpus"], row["split"]): row for row in json.loads(text)["rows"]}


def test_stats_of_a_name_counts_the_splits_that_are_there(raybio, data):
    outcome = raybio("corpus", "stats", "BC5CDR", "--data", data, "--json", "figures.json")
    assert outcome.code == 0
    assert "BC5CDR  counted        -      2      2" in outcome.out
    assert "published  4,560  4,581  4,797" in outcome.out
    assert "the train split of BC5CDR is not here" in outcome.err


def test_stats_of_a_config_are_of_its_union(raybio, tmp_path):
    for name, text in (("drugs", TSV), ("genes", TSV.replace("Disease", "Gene"))):
        (tmp_path / name).mkdir()
        for split in ("train", "dev", "test"):
            (tmp_path / name / f"{split}.tsv").write_text(text)
    splits = {split: f"drugs/{split}.tsv" for split in ("train", "dev", "test")}
    others = {split: f"genes/{split}.tsv" for split in splits}
    sections = json.dumps([splits, {**others, "labels": {"Chemical": None}}])
    (tmp_path / "union.yaml").write_text(f"job: train-encoder\nmodel: m\ncorpus: {sections}\n")
    outcome = raybio("corpus", "stats", "union.yaml", "seed=2", "--json", "figures.json")
    assert outcome.code == 0
    lines = [line.split() for line in outcome.out.splitlines()]
    assert ["drugs", "train", "2", "2", "1", "1", "-", "0"] in lines
    assert ["genes", "test", "2", "2", "-", "-", "1", "0"] in lines
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert [each["annotates"] for each in figures["members"]] == [["Chemical", "Disease"], ["Gene"]]
    (tmp_path / "one.yaml").write_text("job: train-encoder\nmodel: m\ncorpus: {name: sample}\n")
    refused = raybio("corpus", "stats", "one.yaml")
    assert refused.code == 2 and "one.yaml has no list of corpora" in refused.err


def test_stats_json_goes_to_a_file_beside_the_table_or_replaces_it(raybio, tsv, tmp_path):
    beside = raybio("corpus", "stats", tsv, "--json", "figures.json")
    instead = raybio("corpus", "stats", tsv, "--json", "-")
    assert beside.out.startswith("Sentences\n")
    assert (tmp_path / "figures.json").read_text() == instead.out
    row = rows(instead.out)["test.tsv", "test"]
    assert (row["sentences"], row["words"], row["entities_by_length"]) == (2, 6, [1, 0, 1])


def test_stats_of_a_file_without_a_split_and_without_sentences(raybio, tmp_path):
    (tmp_path / "latest").write_text(PUBTATOR)
    outcome = raybio("corpus", "stats", "latest", "--format", "pubtator")
    assert "latest  counted      -    -     -    2" in outcome.out
    assert "latest  counted    1  1  0   0" in outcome.out


def test_stats_count_what_was_rejected(raybio, tmp_path):
    (tmp_path / "bad.tsv").write_text(BAD_TSV)
    assert rows(raybio("corpus", "stats", "bad.tsv", "--json", "-").out)["bad.tsv", "all"]["rejected"] == 1


def test_stats_read_chemprot_by_protocol(raybio, corpora):
    counted = {
        protocol: rows(
            raybio(
                "corpus", "stats", "ChemProt", "--data", corpora, "--protocol", protocol, "--json", "-"
            ).out
        )["ChemProt", "test"]["entities_by_length"]
        for protocol in ("study", "corrected")
    }
    assert counted["study"] == [1348, 613, 1023]
    assert sum(counted["corrected"]) > 19_000


def test_stats_are_shown_for_what_is_there_before_the_fault_of_what_is_not(raybio, data, tmp_path):
    words = ("Reddit-Impacts", "BC5CDR", "no.tsv", "--data", data)
    outcome = raybio("corpus", "stats", *words, "--json", "figures.json")
    assert outcome.code == 2
    assert "BC5CDR  counted        -      2      2" in outcome.out
    assert set(rows((tmp_path / "figures.json").read_text())) == {("BC5CDR", "dev"), ("BC5CDR", "test")}
    missing, neither = outcome.err.splitlines()[-2:]
    assert "there is no folder Reddit-Impacts" in missing
    assert "no.tsv is neither a file here nor a corpus" in neither


def test_stats_keep_the_splits_before_one_that_cannot_be_read_on(raybio, data):
    (data / "bc5cdr" / "test.tsv").write_text(TSV.replace("B-Chemical", "B-Chemcal"))
    outcome = raybio("corpus", "stats", "BC5CDR", "--data", data, "--json", "-")
    assert (outcome.code, set(rows(outcome.out))) == (2, {("BC5CDR", "dev")})
    assert "test.tsv, line 1: unknown label 'Chemcal'. Did you mean 'Chemical'?" in outcome.err


def test_stats_refuse_options_that_nothing_would_take(raybio, refused, data, tsv):
    stats = ("corpus", "stats", "--data", data)
    assert "--format is for files" in refused(*stats, "bc5cdr", "--format", "iob2")
    assert "--protocol study is a way to read ChemProt" in refused(
        *stats, "BC5CDR", tsv, "--protocol", "study"
    )
    assert raybio(*stats, "BC5CDR", tsv, "--format", "iob2").code == 0


def test_stats_refusals(refused, data):
    assert "BC5CRD is neither a file here nor a corpus. Did you mean BC5CDR?" in refused(
        "corpus", "stats", "BC5CRD"
    )
    assert "RAYBIO_DATA" in refused("corpus", "stats", "BC5CDR")
    assert "there is no folder JNLPBA" in refused("corpus", "stats", "JNLPBA", "--data", data)


@pytest.mark.parametrize("target", ["out.bioc.json", "out.bioc.xml", "out.jsonl.gz", "out.parquet"])
def test_convert_by_the_names_of_files(raybio, tmp_path, target):
    (tmp_path / "in.pubtator").write_text(PUBTATOR)
    outcome = raybio("corpus", "convert", "in.pubtator", target)
    assert (outcome.code, outcome.out) == (0, "")
    assert f"documents written to {target}" in outcome.err
    (document,) = read_corpus(target)
    assert (document.id, [mention.text for mention in document.mentions]) == ("12", ["Aspirin"])


def test_convert_by_named_formats_cuts_text_into_words_for_columns(raybio, tmp_path):
    (tmp_path / "in").write_text(PUBTATOR + "12\t15\t18\tTyp\tDisease\tD2\n")
    outcome = raybio("corpus", "convert", "in", "out", "--from", "pubtator", "--to", "iob2")
    assert outcome.code == 0
    assert "Aspirin\tB-Chemical\nhelps\tO\n.\tO\n\nType\tB-Disease\n" in (tmp_path / "out").read_text()
    assert "fit no words of one sentence exactly, or overlap a longer one: 1\n" in outcome.err


def test_convert_ends_at_a_bad_record(refused, tmp_path):
    (tmp_path / "bad.tsv").write_text(BAD_TSV)
    assert "bad.tsv, line 2: 'b' is not a word and a tag" in refused(
        "corpus", "convert", "bad.tsv", "out.jsonl"
    )
    assert not (tmp_path / "out.jsonl").exists()


def test_convert_keeps_rejected_records_in_a_file(raybio, tmp_path):
    (tmp_path / "bad.tsv").write_text(BAD_TSV)
    outcome = raybio("corpus", "convert", "bad.tsv", "out.jsonl", "--rejected", "rejected.jsonl")
    assert outcome.code == 0
    assert "records rejected: 1\n" in outcome.err
    record = json.loads((tmp_path / "rejected.jsonl").read_text())
    assert (record["source"], record["place"], record["raw"]) == ("bad.tsv", "line 2", "a\tO\nb")


RELATED = PUBTATOR + "12\t15\t30\tType 2 diabetes\tDisease\tD2\n12\tCID\tD1\tD2\tNovel\n"


def test_convert_counts_what_the_target_cannot_hold(raybio, refused, tmp_path):
    (tmp_path / "in.pubtator").write_text(RELATED)
    outcome = raybio("corpus", "convert", "in.pubtator", "out/")
    assert outcome.code == 0
    assert outcome.err.splitlines() == [
        "documents written to out/ as brat: 1",
        "brat holds no notes of relations: 1 left out",
        "brat holds no passages: 2 left out",
    ]
    assert "R1\tCID Arg1:T1 Arg2:T2\n" in (tmp_path / "out" / "12.ann").read_text()
    words = "corpus", "convert", "in.pubtator", "strict/", "--strict"
    assert "brat holds no notes of relations (1), passages (2). Choose another format" in refused(*words)
    assert not (tmp_path / "strict").exists()
    assert raybio("corpus", "convert", "in.pubtator", "out.bioc.xml", "--strict").code == 0


@pytest.mark.parametrize("target", ["out.bioc.xml", "out/", "out.parquet", "out.pubtator"])
def test_convert_keeps_what_cannot_be_written_in_a_file(raybio, refused, tmp_path, target):
    good, bad = {"id": "1", "text": "a"}, {"id": "2\x01" if target == "out.bioc.xml" else "", "text": "b"}
    if target == "out.parquet":  # holds all that can be read
        bad["mentions"] = [{"start": 0, "end": 2, "label": "A", "text": "b"}]
    (tmp_path / "in.jsonl").write_text(json.dumps(good) + "\n" + json.dumps(bad) + "\n")
    refused("corpus", "convert", "in.jsonl", target)
    outcome = raybio("corpus", "convert", "in.jsonl", target, "--rejected", "rejected.jsonl")
    assert outcome.code == 0
    assert f"documents written to {target} as" in outcome.err
    assert ": 1\n" in outcome.err
    assert len((tmp_path / "rejected.jsonl").read_text().splitlines()) == 1
    assert [document.id for document in read_corpus(target)] == ["1"]


def test_convert_keeps_a_second_document_of_one_id_in_a_file(raybio, tmp_path):
    lines = [json.dumps({"id": name, "text": text}) for name, text in ("ax", "ay", "bz")]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    outcome = raybio("corpus", "convert", "in.jsonl", "out/", "--rejected", "rejected.jsonl")
    assert outcome.code == 0 and "documents written to out/ as brat: 2\n" in outcome.err
    assert (tmp_path / "out" / "a.txt").read_text() == "x" and (tmp_path / "out" / "b.txt").exists()
    record = json.loads((tmp_path / "rejected.jsonl").read_text())
    assert (record["document_id"], json.loads(record["raw"])["text"]) == ("a", "y")


def test_strict_refuses_what_would_be_left_out(raybio, refused, tmp_path):
    raybio("corpus", "sample", "s", "--citations", 2)
    words = "corpus", "convert", "s/pubmed_sample.xml.gz", "out.jsonl", "--strict"
    assert "output: deletion notices left out: 2. Leave out --strict" in refused(*words)
    assert not (tmp_path / "out.jsonl").exists()


def test_convert_leaves_documents_without_words_out_of_columns(raybio, tmp_path):
    (tmp_path / "in.pubtator").write_text("1|t|\n1|a|\n\n" + PUBTATOR)
    outcome = raybio("corpus", "convert", "in.pubtator", "out.tsv")
    assert outcome.code == 0
    assert "documents without words left out: 1\n" in outcome.err


def test_convert_repairs_orphan_tags_and_counts_them(raybio, refused, tmp_path):
    (tmp_path / "orphans.tsv").write_text("d\tB-X\n\na\tI-X\nb\tI-X\nc\tI-Y\n")
    words = ("corpus", "convert", "orphans.tsv", "repaired.tsv")
    assert "'I-X' continues no entity" in refused(*words)
    outcome = raybio(*words, "--repair")
    assert (tmp_path / "repaired.tsv").read_text() == "d\tB-X\n\na\tB-X\nb\tI-X\nc\tB-Y\n\n"
    assert "orphan I- tags made B-: 2\n" in outcome.err
    (tmp_path / "in.pubtator").write_text(PUBTATOR)
    assert "--repair repairs IOB2 tags" in refused("corpus", "convert", "in.pubtator", "o.tsv", "--repair")


@pytest.mark.parametrize(
    ("tags", "scheme"), [("BIO", "IOB2"), ("BIEOS", "BIOES"), ("OIB", "IOB1"), ("XXO", "IO")]
)
def test_convert_says_which_label_scheme_it_saw(raybio, tmp_path, tags, scheme):
    names = [tag if tag in "OX" else f"{tag}-X" for tag in tags]
    (tmp_path / "in.tsv").write_text("".join(f"w\t{name}\n" for name in names))
    outcome = raybio("corpus", "convert", "in.tsv", "out.tsv")
    assert f"label scheme of in.tsv: {scheme}\n" in outcome.err
    again = raybio("corpus", "convert", "out.tsv", "again.tsv")
    assert "label scheme of out.tsv: IOB2\n" in again.err
    assert (tmp_path / "again.tsv").read_text() == (tmp_path / "out.tsv").read_text()


def test_convert_reports_deletion_notices(raybio, tmp_path):
    raybio("corpus", "sample", "s", "--citations", 2)
    outcome = raybio("corpus", "convert", "s/pubmed_sample.xml.gz", "out.jsonl")
    assert "deletion notices left out: 2\n" in outcome.err
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2


def test_convert_refusals(refused, tsv):
    assert "the name does not tell its format" in refused("corpus", "convert", tsv, "out.unknown")
    assert "pubmed can be read but not written" in refused("corpus", "convert", tsv, "out", "--to", "pubmed")
    assert "did you mean" in refused("corpus", "convert", tsv, "out", "--to", "pubtater").lower()
    assert "missing.tsv: cannot be opened" in refused("corpus", "convert", "missing.tsv", "out.jsonl")


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A server with one PubMed file."""
    content = gzip.compress(b"<PubmedArticleSet/>")
    folder = tmp_path / "server" / "baseline"
    folder.mkdir(parents=True)
    (folder / "pubmed26n0003.xml.gz").write_bytes(content)
    digits = hashlib.md5(content).hexdigest()
    (folder / "pubmed26n0003.xml.gz.md5").write_text(f"MD5(pubmed26n0003.xml.gz)= {digits}\n")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "server"))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("RAYBIO_FETCH_PUBMED", f"http://127.0.0.1:{server.server_port}")
        yield
        server.shutdown()


def test_fetch_pubmed(raybio, mirror):
    expected = "pubmed/baseline/pubmed26n0003.xml.gz"
    first = raybio("corpus", "fetch", "pubmed", "--files", 3)
    assert (first.code, first.out) == (0, f"{expected}\n")
    assert "pubmed26n0003.xml.gz: downloaded, checksum right\n" in first.err
    again = raybio("corpus", "fetch", "pubmed", "--files", 3)
    assert (again.out, again.err) == (first.out, "pubmed26n0003.xml.gz: was here already, checksum right\n")


def test_fetch_failure_has_code_1(refused, mirror):
    assert "the server answered 404" in refused("corpus", "fetch", "pubmed", "--files", 4, code=1)


def test_fetch_refusals(refused):
    assert "not public: ask its authors" in refused("corpus", "fetch", "reddit-impacts", "--data", "d")
    assert "no corpus 'BC5'" in refused("corpus", "fetch", "BC5")
    assert "--files 1-3" in refused("corpus", "fetch", "pubmed")
    assert "--data does not go with pubmed" in refused(
        "corpus", "fetch", "pubmed", "--files", "1", "--data", "d"
    )
    assert "--year does not go with BC5CDR" in refused("corpus", "fetch", "BC5CDR", "--year", "26")


def test_sample(raybio, tmp_path):
    outcome = raybio("corpus", "sample", "s", "--citations", 3)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[0] == "s/train.tsv"
    assert all((tmp_path / line).is_file() for line in outcome.out.splitlines())
    assert len((tmp_path / "s" / "pubmed_sample.gold.jsonl").read_text().splitlines()) == 3


def test_convert_names_the_columns_of_a_table(raybio, refused, tmp_path):
    (tmp_path / "in.jsonl").write_text('{"Body": "Aspirin helps.", "meta": {"a": 1}}\n')
    assert "--id '#' numbers the rows" in refused("corpus", "convert", "in.jsonl", "out.jsonl")
    assert raybio("corpus", "convert", "in.jsonl", "out.jsonl", "--text", "Body", "--id", "#").code == 0
    [document] = read_corpus("out.jsonl")
    assert (document.id, document.text) == ("1", "Aspirin helps.")
    (tmp_path / "in.pubtator").write_text(PUBTATOR)
    assert "has no columns to name" in refused("corpus", "convert", "in.pubtator", "o.jsonl", "--id", "pmid")
