"""check, how a job's command is refused, and what it prints; what the jobs do is tested with Ray."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from raybio.cli import training
from raybio.config import load_config
from raybio.demo import DemoResult
from raybio.evaluation import evaluate

ROOT = Path(__file__).resolve().parents[3]
MINILM = ROOT / "configs" / "train_encoder" / "minilm_bc5cdr.yaml"
SMOLLM2 = ROOT / "configs" / "train_decoder" / "smollm2_bc5cdr.yaml"
PUBMED = ROOT / "configs" / "tag_corpus" / "pubmed.yaml"


def test_check_prints_a_config_that_reads_back(raybio, tmp_path):
    outcome = raybio("check", "--no-files", MINILM, "training.epochs=7", "name=mine")
    assert (outcome.code, outcome.err) == (0, "")
    (tmp_path / "again.yaml").write_text(outcome.out)
    assert load_config(tmp_path / "again.yaml") == load_config(MINILM, ["training.epochs=7", "name=mine"])


def test_check_names_what_is_not_here(raybio, tmp_path):
    outcome = raybio("check", MINILM, f"corpus.data={tmp_path}", "model=no/such/folder")
    assert outcome.code == 2 and "job: train-encoder" in outcome.out
    assert "4 faults" in outcome.err and "model: there is no model folder no/such/folder" in outcome.err
    assert "there is no folder BC5CDR" in outcome.err and outcome.err.endswith("--no-files\n")
    files = [
        "corpus.name=null",
        "corpus.data=null",
        "corpus.train=a.tsv",
        "corpus.dev=a.tsv",
        "corpus.test=b.tsv",
    ]
    (tmp_path / "a.tsv").write_text("")
    outcome = raybio("check", MINILM, *files)
    assert outcome.code == 2 and "1 fault\n  - corpus.test: no file at b.tsv" in outcome.err
    (tmp_path / "b.tsv").write_text("")
    assert raybio("check", MINILM, *files)[::2] == (0, "")
    hub = raybio("check", MINILM, *files, "model=nobody/nothing")
    assert hub.code == 0 and "nobody/nothing is not here; the Hugging Face hub" in hub.err


def test_check_looks_for_what_is_to_be_tagged(raybio, tmp_path, tiny_encoder):
    words = (PUBMED, f"model={tiny_encoder}", "input=[here/*.xml, there.xml]")
    outcome = raybio("check", *words)
    assert (
        outcome.code == 2
        and "2 faults" in outcome.err
        and "input.files: no file at here/*.xml" in outcome.err
    )
    (tmp_path / "here").mkdir()
    for name in ("here/a.xml", "there.xml"):
        (tmp_path / name).write_text("")
    assert raybio("check", *words).code == 0


def test_check_looks_for_all_that_training_reads(raybio, tmp_path):
    corpus = "corpus: {train: a.tsv, dev: a.tsv, test: a.tsv}"
    (tmp_path / "a.tsv").write_text("")
    (tmp_path / "taught.yaml").write_text(
        f"job: train-encoder\nmodel: bundled:minilm\n{corpus}\n"
        "distillation: {teachers: [./teacher], text: [no/*.txt]}\n"
    )
    (tmp_path / "adapt.yaml").write_text(
        "job: adapt-encoder\nmodel: bundled:minilm\ntext: {files: [b.txt], decontaminate_against: [c.tsv]}\n"
    )
    (tmp_path / "study.yaml").write_text(
        "job: run-study\nname: s\ncorpora: [{train: a.tsv, dev: a.tsv, test: a.tsv}]\n"
        "models: [{name: m, config: taught.yaml}]\n"
    )
    models = "models=[{name: m, config: taught.yaml}, {name: n, config: gone.yaml}]"
    for words, faults in (
        (
            ["taught.yaml"],
            ["distillation.teachers: there is no model folder ./teacher", "text: no file at no/*.txt"],
        ),
        (["adapt.yaml"], ["text.files: no file at b.txt", "text.decontaminate_against: no file at c.tsv"]),
        (["study.yaml"], ["m: distillation.teachers: there is no model folder", "text: no file at no/*.txt"]),
        (["study.yaml", models], ["n (gone.yaml): no such file"]),
    ):
        outcome = raybio("check", *words)
        assert outcome.code == 2 and f"{len(faults)} fault" in outcome.err, outcome.err
        assert all(fault in outcome.err for fault in faults), outcome.err
        assert raybio("check", *words, "--no-files").code == 0


def test_check_names_a_base_model_that_is_to_tag(raybio, tmp_path):
    (tmp_path / "a.xml").write_text("")
    outcome = raybio("check", PUBMED, "model=bundled:minilm", "input=[a.xml]")
    assert outcome.code == 2
    assert "1 fault\n  - model: bundled:minilm is a base model (BertModel), without a head" in outcome.err


def test_check_reports_all_faults(raybio):
    outcome = raybio("check", MINILM, "training.epochs=ten", "modle=x")
    assert (outcome.code, outcome.out) == (2, "")
    assert "2 faults" in outcome.err
    assert "did you mean 'model'?" in outcome.err


@pytest.mark.parametrize(
    ("command", "config", "other"),
    [("train-encoder", PUBMED, "tag-corpus"), ("tag-corpus", MINILM, "train-encoder")],
)
def test_a_job_refuses_the_config_of_another_and_names_its_command(raybio, command, config, other):
    outcome = raybio(command, config, "no.such=key")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.endswith(f"job: this file configures {other}; run `raybio {other}` with it\n")


def test_tag_reports_all_faults_of_its_options(raybio):
    outcome = raybio(
        "tag", "a.txt", "--model", "m", "--output", "o", "--formats", "pubtater,brat", "--taggers", 0
    )
    assert (outcome.code, outcome.out) == (2, "")
    assert "the options of tag: 2 faults" in outcome.err
    assert "did you mean 'pubtator'?" in outcome.err
    assert "taggers.count: found 0" in outcome.err


@pytest.mark.parametrize("script", ["adapt_encoder", "train_encoder", "train_decoder", "tag_corpus"])
def test_a_job_script_is_the_door_of_its_command(script):
    command = [sys.executable, ROOT / "jobs" / f"{script}.py", "no.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == "raybio: no.yaml: 1 fault\n  - no such file; check the path, or see `raybio configs list`\n"
    )


@pytest.fixture
def room(monkeypatch):
    """Put a stand-in for a module in its place: `room(name, function=...)`; nothing of Ray is loaded."""

    def replace(name, **contents):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(**contents))

    return replace


SCORES = evaluate([["B-X"]], [["B-X"]]).to_dict()
INTERVAL = {"f1": {"low": 0.981, "high": 1.0}}
ENDING = """best epoch: 2
run folder: runs/a
test: strict F1 100.0, corrected scorer; 0.0 minutes
next: raybio report runs/a
      raybio tag FILES --model runs/a/model --output tagged
"""


@pytest.mark.parametrize(("intervals", "figure"), [(None, "100.0"), (INTERVAL, "100.0 (98.1 to 100.0)")])
def test_the_headline_of_a_training_is_that_of_its_last_split(intervals, figure):
    corrected = {**SCORES["corrected"], "intervals": intervals}
    scores = {"dev": None, "test": {**SCORES, "corrected": corrected}}
    (line,) = training._headline(scores, 826)
    assert line == f"test: strict F1 {figure}, corrected scorer; 13.8 minutes"
    assert training._headline({}, 826) == []


def trained(label):
    def train(config, progress):
        progress(f"{label} {config.seed}")
        return SimpleNamespace(
            run=SimpleNamespace(path=Path("runs/a")), best_epoch=2, scores={"dev": SCORES, "test": SCORES}
        )

    return train


def test_adapt_encoder_prints_how_well_words_are_filled_in(raybio, room, tmp_path):
    @dataclass
    class Adapted:
        run: SimpleNamespace
        held_out_loss: float
        held_out_found: float

    def adapt(config, progress):
        progress(f"seed {config.seed}")
        return Adapted(SimpleNamespace(path=Path("runs/a"), model=Path("runs/a/model")), 2.5, 0.41)

    room("raybio.training.adaptation", adapt_encoder=adapt)
    config, figures = ROOT / "configs" / "adapt_encoder" / "minilm_bc5cdr.yaml", tmp_path / "figures.json"
    outcome = raybio("adapt-encoder", config, "seed=3", "--json", figures)
    assert (outcome.code, outcome.err) == (0, "starting Ray ...\nseed 3\n")
    assert "held out: loss 2.5000, 41.0 % of hidden subwords found" in outcome.out
    assert "model: runs/a/model" in outcome.out
    assert json.loads(figures.read_text()) == {"run": "runs/a", "held_out_loss": 2.5, "held_out_found": 0.41}


def test_train_encoder_prints_the_scores_of_each_split(raybio, room):
    room("raybio.training.encoder", train_encoder=trained("one"))
    room("raybio.training.sweep", train_sweep=trained("many"))
    outcome = raybio("train-encoder", MINILM, "seed=3")
    assert (outcome.code, outcome.err) == (0, "starting Ray ...\none 3\n")
    assert outcome.out.startswith("dev: 1 sentences")
    assert "\ntest: 1 sentences" in outcome.out
    assert outcome.out.endswith(ENDING)
    figures = json.loads(raybio("train-encoder", MINILM, "--json", "-").out)
    assert figures == {"run": "runs/a", "best_epoch": 2, "scores": {"dev": SCORES, "test": SCORES}}
    assert (
        raybio("train-encoder", MINILM, "seed=3", "sweep={seed: [3, 4]}").err == "starting Ray ...\nmany 3\n"
    )


def test_train_decoder_prints_what_train_encoder_does(raybio, room):
    room("raybio.training.decoder", train_decoder=trained("one"))
    room("raybio.training.sweep", train_sweep=trained("many"))
    outcome = raybio("train-decoder", SMOLLM2, "seed=3")
    assert (outcome.code, outcome.err) == (0, "starting Ray ...\none 3\n")
    assert outcome.out.endswith(ENDING)
    assert raybio("train-decoder", SMOLLM2, "sweep={seed: [3, 4]}").err == "starting Ray ...\nmany 1\n"


def test_each_training_command_refuses_the_others_config(raybio):
    outcome = raybio("train-decoder", MINILM)
    assert outcome.code == 2
    assert "this file configures train-encoder; run `raybio train-encoder` with it" in outcome.err
    assert "run `raybio train-decoder` with it" in raybio("train-encoder", SMOLLM2).err


def test_preflight_prints_what_it_found(raybio, room):
    @dataclass
    class Found:
        trainable: int = 340_262_912

        def lines(self):
            return ["trainable parameters: 340,262,912"]

    room("raybio.training.preflight", preflight=lambda config: Found())
    assert raybio("preflight", SMOLLM2).out == "trainable parameters: 340,262,912\n"
    assert json.loads(raybio("preflight", SMOLLM2, "--json", "-").out) == {"trainable": 340_262_912}


def test_preflight_takes_encoders_too_and_no_other_job(raybio, room):
    @dataclass
    class Found:
        def lines(self):
            return ["trainable parameters: 22,000,000"]

    room("raybio.training.encoder_preflight", preflight_encoder=lambda config: Found())
    assert raybio("preflight", MINILM).out == "trainable parameters: 22,000,000\n"
    refused = raybio("preflight", ROOT / "configs" / "study" / "smoke.yaml")
    assert refused.code == 2
    assert "configures run-study. Give a config of train-encoder or train-decoder" in refused.err


def test_preflight_refuses_no_steps_and_files_of_no_rehearsal(raybio):
    assert "0 steps rehearse nothing" in raybio("preflight", MINILM, "--rehearse", "0").err
    refused = raybio("preflight", MINILM, "--keep", "somewhere")
    assert refused.code == 2
    assert "--keep is for the files of a rehearsal" in refused.err


def test_cascade_prints_what_dev_chose(raybio, room):
    @dataclass
    class Chosen:
        threshold: float = 0.75

    @dataclass
    class Made:
        folder: Path
        cascade: Chosen
        reread: float = 0.2
        encoder_f1: float = 0.8
        cascade_f1: float = 0.81

    def make(encoder, decoder, corpus, budget, folder, progress):
        assert (encoder, decoder, corpus.name, budget) == ("e", "d", "BC5CDR", 0.2)
        return Made(folder, Chosen())

    room("raybio.training.cascade", make_cascade=make)
    words = ["cascade", "--encoder", "e", "--decoder", "d", "--corpus", "BC5CDR", "--output", "c"]
    assert raybio(*words).out == (
        "threshold: 0.7500, so that 20.0 % is read again\n"
        "strict F1 on dev: encoder 80.00, cascade 81.00\n"
        "cascade: c\n"
    )
    assert json.loads(raybio(*words, "--json", "-").out)["cascade"] == {"threshold": 0.75}


def test_soup_prints_the_scores_of_the_mean(raybio, room):
    @dataclass
    class Run:
        path: Path

    @dataclass
    class Made:
        run: Run
        scores: dict

    def make(runs, name, output, progress):
        assert (runs, name, output) == (["a", "b"], "s", "o")
        return Made(Run(Path("o/s")), {})

    room("raybio.training.soup", make_soup=make)
    words = ["soup", "a", "b", "--name", "s", "--output", "o"]
    assert raybio(*words).out == "run folder: o/s\n"
    assert json.loads(raybio(*words, "--json", "-").out) == {"run": "o/s", "scores": {}}


def test_a_budget_is_a_share(refused):
    words = ["cascade", "--encoder", "e", "--decoder", "d", "--corpus", "BC5CDR", "--output", "c"]
    assert "'2' is not a share between 0 and 1" in refused(*words, "--budget", "2")


@dataclass
class Tagged:
    output: str = "o"
    files: int = 1
    counts: dict = field(default_factory=lambda: {"documents": 2000, "without_text": 3})
    mentions_by_label: dict = field(default_factory=lambda: {"Gene": 7})
    shards_this_run: int = 2
    documents_this_run: int = 2000
    seconds: float = 30.0
    tagging_seconds: float = 20.0
    reasons: list = field(default_factory=list)
    lost: dict = field(default_factory=dict)
    documents_per_second: float | None = 100.0


def test_tag_and_tag_corpus_print_the_counts(raybio, room):
    configs = []

    def tag_corpus(config, progress, replay):
        assert replay is None
        configs.append(config)
        progress("tagging")
        return Tagged()

    room("raybio.bulk_tagging", tag_corpus=tag_corpus)
    options = ["--formats", "pubtator,brat", "--from", "text", "--precision", "fp32", "--shard-documents", 9]
    more = ["--taggers", 2, "--max-rejected", 0, "--new-generation", "--json", "-"]
    outcome = raybio("tag", "a", "b", "--model", "m", "--output", "o", *options, *more)
    assert (outcome.code, outcome.err) == (0, "tagging\n")
    figures = json.loads(outcome.out)
    assert (figures["counts"]["documents"], figures["documents_per_second"]) == (2000, 100.0)
    (config,) = configs
    assert (config.decoding.mode, config.decoding.draft_model) == ("verified-tags", None)
    assert (config.model, config.input.files, config.output) == ("m", ("a", "b"), "o")
    assert (config.formats, config.format) == (("parquet", "pubtator", "brat"), "text")
    assert (config.precision, config.shard_documents, config.taggers.count) == ("fp32", 9, 2)
    assert (config.max_rejected, config.on_change) == (0, "new-generation")

    assert raybio("tag-corpus", PUBMED, "output=o").out == (
        "files                       1\n"
        "documents               2,000\n"
        "without text                3\n"
        "mentions: Gene              7\n"
        "this run: 2 shards, 2,000 documents in 30.0 s, 100.0 documents/s while tagging\n"
        "output: o\n"
    )
    assert configs[1] == load_config(PUBMED, ["output=o"])


def test_demo_ends_with_its_table_and_report(raybio, room):
    def run_demo(output, progress):
        progress(f"into {output}")
        return DemoResult(0.9, 0.92, 0.88, 0.8, 100, 700, 1, 0, 40.0, "m", "t", "runs/demo/report.html")

    room("raybio.demo", run_demo=run_demo)
    code, out, err = raybio("demo")
    assert (code, err) == (0, "starting Ray ...\ninto runs\n")
    assert "strict F1 (precision, recall)  90.0 (92.0, 88.0)\n" in out
    assert out.endswith("t/mentions\n\nreport: runs/demo/report.html\n")
    assert json.loads(raybio("demo", "--json", "-").out)["dump_f1"] == 0.8
    assert raybio("demo", "--output", "x").err == "starting Ray ...\ninto x\n"


def test_tag_says_how_an_llm_is_decoded(raybio, room):
    configs = []
    room("raybio.bulk_tagging", tag_corpus=lambda config, *_: configs.append(config) or Tagged())
    raybio("tag", "a", "--model", "m", "--output", "o", "--mode", "verified-text", "--draft-model", "e")
    (config,) = configs
    decoding = config.decoding
    assert (decoding.mode, decoding.draft, decoding.draft_model) == ("verified-text", "encoder", "e")


def test_tag_loads_pickles_only_where_it_is_allowed(raybio, room):
    configs = []
    room("raybio.bulk_tagging", tag_corpus=lambda config, *_: configs.append(config) or Tagged())
    words = ("tag", "a", "--model", "m", "--output", "o")
    assert raybio(*words).code == 0 and raybio(*words, "--allow-pickle").code == 0
    assert [config.allow_pickle for config in configs] == [False, True]


def test_tag_says_what_a_models_outputs_stand_for(raybio, room, tmp_path):
    configs = []
    room("raybio.bulk_tagging", tag_corpus=lambda config, *_: configs.append(config) or Tagged())
    words = ("tag", "a", "--model", "m", "--output", "o", "--model-labels", "labels.yaml")
    (tmp_path / "labels.yaml").write_text("LABEL_0: O\n1: B-Disease\nGene: null\n")
    assert raybio(*words).code == 0
    assert configs[0].model_labels == {"LABEL_0": "O", "1": "B-Disease", "Gene": None}
    for content, problem in (("[O]", "not a mapping of names"), ("a: [O]", "model_labels.a: found ['O']")):
        (tmp_path / "labels.yaml").write_text(content)
        outcome = raybio(*words)
        assert outcome.code == 2 and problem in outcome.err
    outcome = raybio(*words[:-1], "none.yaml")
    assert outcome.code == 2 and "none.yaml: 1 fault\n  - no such file" in outcome.err


def test_tag_needs_an_input_or_rejected_records(raybio):
    outcome = raybio("tag", "a", "--model", "m")
    needed = "tag needs INPUT, --model and --output; or --text and --model; or --replay"
    assert outcome.code == 2 and needed in outcome.err


def test_a_replay_is_the_job_that_left_the_rejected_records(raybio, room):
    calls, asked = [], []

    def recorded_job(output):
        asked.append(output)
        return {"model": "m", "input": ["a"], "output": output, "shard_documents": 9}

    room("raybio.bulk_tagging", tag_corpus=lambda *call: calls.append(call) or Tagged())
    room("raybio.bulk_tagging.replay", recorded_job=recorded_job)
    assert raybio("tag", "--replay", "out/rejected.jsonl").code == 0
    assert raybio("tag", "--replay", "some.jsonl", "--output", "far", "--taggers", 2).code == 0
    assert raybio("tag", "--replay", "rejected.jsonl").code == 0
    assert raybio("tag", "a", "b", "--replay", "out/rejected.jsonl").code == 0
    assert asked == ["out", "far", ".", "out"]
    (first, _, replayed), (second, *_), _, (more, *_) = calls
    assert (first.input.files, first.output, first.shard_documents, replayed) == (
        ("a",),
        "out",
        9,
        "out/rejected.jsonl",
    )
    assert (second.output, second.taggers.count) == ("far", 2)
    assert (more.input.files, more.output) == (("a", "b"), "out")


def test_compact_says_what_it_cost(raybio, room):
    @dataclass
    class Compacted:
        folder: str = "set"
        files: int = 1300
        new: int = 1
        left: int = 2
        parts: int = 3
        files_read: int = 60
        files_written: int = 2

    calls = []
    room("raybio.bulk_tagging.compaction", compact=lambda *call: calls.append(call) or Compacted())
    room("raybio.bulk_tagging")
    outcome = raybio("compact", "out", "--to", "set")
    assert outcome.out == (
        "1 new input files, 1,300 in the set; 2 not finished, left for the next time\n"
        "read 60 Parquet files, wrote 2; parts now: 3\n"
        "current set: set\n"
    )
    assert (
        json.loads(raybio("compact", "out", "--to", "set", "--fold", "--json", "-").out)["files_read"] == 60
    )
    assert calls == [("out", "set", False), ("out", "set", True)]
