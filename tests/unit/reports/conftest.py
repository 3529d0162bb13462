"""Run folders and tagged outputs, small and written as the jobs write them."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from raybio.corpora import write_corpus
from raybio.entities import Document, Mention
from raybio.evaluation import evaluate
from raybio.run_folder import RunFolder

HOSTILE = "<script>alert('|')</script>"

# Words, gold tags, predicted tags: one of each outcome, and a word that is markup.
SENTENCES = [
    ("aspirin eased headache", "B-Chemical O B-Disease", "B-Chemical O B-Disease"),
    ("severe renal failure", "B-Disease I-Disease I-Disease", "O B-Disease I-Disease"),
    ("after cocaine", "O B-Chemical", "O O"),
    ("fever and no rash", "B-Disease O O O", "B-Chemical O O B-Disease"),
    ("lead poisoning", "B-Disease I-Disease", "B-Chemical O"),
    (f"{HOSTILE} causes nausea", "B-Chemical O B-Disease", "O O B-Disease"),
]  # fmt: skip
ROWS = [tuple(column.split(" ") for column in row) for row in SENTENCES]
METRICS = [
    {"epoch": 1, "train_loss": 0.8, "dev_strict_f1": 0.5, "train_seconds": 2.0, "dev_seconds": 0.5},
    {"epoch": 2, "train_loss": 0.4, "dev_strict_f1": 0.75, "train_seconds": 2.0, "dev_seconds": 0.5},
    {"epoch": 3, "train_loss": 0.3, "dev_strict_f1": 0.625, "train_seconds": 2.0, "dev_seconds": 0.5},
]

MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Write a run folder; `splits` are scored, with predictions where asked for."""

    def make(
        name: str = "first",
        splits: Sequence[str] = ("dev", "test"),
        predictions: bool = True,
        metrics: bool = True,
        corpus: dict[str, object] | None = None,
        **config: object,
    ) -> Path:
        reported = {
            "model": "bundled:minilm",
            "corpus": corpus or {"name": "BC5CDR", "protocol": "corrected", "max_documents": None},
            "seed": 7,
            "training": {"keep_checkpoint": "best"},
        }
        run = RunFolder.create(tmp_path / name, yaml.safe_dump(reported | config))
        scores = {}
        for split in splits:
            _, gold, predicted = zip(*ROWS, strict=True)
            scores[split] = evaluate(gold, predicted, ["1", "1", "1", "2", "3", "4"], bootstrap=50).to_dict()
            if predictions:
                run.write_predictions(split, ROWS)
        if splits:
            run.write_json("scores.json", scores)
        for row in METRICS if metrics else ():
            run.add_metrics(row)
        return run.path

    return make


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    """A tagged output that keeps its text as JSON lines."""
    folder = tmp_path / "output"
    (folder / "jsonl").mkdir(parents=True)
    text = f"Aspirin & {HOSTILE} against fever."
    mentions = (Mention(0, 7, "Chemical", "Aspirin"), Mention(10, 10 + len(HOSTILE), "Gene", HOSTILE))
    write_corpus([Document("17", text, mentions=mentions)], str(folder / "jsonl" / "in-00000.jsonl"))
    summary = {
        "output": "out",
        "files": 1,
        "counts": {"shards": 1, "documents": 1200, "rejected": 1, "sentences": 5000, "mentions": 2},
        "mentions_by_label": {"Chemical": 1, "Gene": 1},
        "shards_this_run": 1,
        "documents_this_run": 1200,
        "seconds": 500.0,
        "tagging_seconds": 400.0,
    }
    (folder / "provenance.json").write_text(json.dumps({"model": "m", "model_fingerprint": "abc"}))
    (folder / "summary.json").write_text(json.dumps(summary))
    rejected = {"source": "in.xml", "place": "record 3", "reason": "no title", "remedy": "Add one"}
    (folder / "rejected.jsonl").write_text(json.dumps(rejected) + "\n")
    return folder


@pytest.fixture(scope="session")
def paper() -> Path:
    """The folder of the study's published tables as CSV, where this machine has one."""
    beside = Path(__file__).resolve().parents[4] / "shared" / "paper"
    folder = Path(os.environ.get("RAYBIO_TEST_PAPER", beside))
    if not folder.is_dir():
        pytest.skip("the published tables are not here: set RAYBIO_TEST_PAPER to the folder that holds them")
    return folder
