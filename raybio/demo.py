"""The newcomer's main job: a sample corpus -> a fine-tuned encoder -> scores -> a tagged dump -> a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from raybio.bulk_tagging import TaggedCorpus, tag_corpus
from raybio.cluster import connected
from raybio.config import CorpusSection, TagCorpusConfig, TrainEncoderConfig, TrainingSection
from raybio.corpora import read_corpus
from raybio.corpora.sample import SampleFiles, generate_sample
from raybio.evaluation.tables import align
from raybio.reports.html import write_report
from raybio.run_folder import timestamp
from raybio.stopping import way_on
from raybio.training.encoder import TrainedEncoder, train_encoder

_EPOCHS = 6


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo shows: a short table, and a report to open."""

    table: str
    report: Path


def run_demo(output: str, progress: Callable[[str], None] = print) -> DemoResult:
    """Run the main job on the sample corpus, into a new folder under `output`.

    Raises:
        ModelError: the bundled encoder is not installed.
    """
    folder = Path(output) / f"demo-{timestamp()}"
    progress("writing the sample corpus")
    sample = generate_sample(folder / "corpus")
    with way_on("The same command starts it anew"), connected():
        progress("fine-tuning bundled:minilm on it with Ray Train")
        trained = train_encoder(_training(folder, sample), progress)
        progress("tagging the sample's PubMed dump with Ray Data")
        tagged = tag_corpus(_tagging(folder, sample, trained), progress)
    report = write_report([trained.run.path], folder / "report.html", [Path(tagged.output)])
    return DemoResult(_table(trained, tagged, mention_f1(tagged.output, sample.gold)), report)


def _training(folder: Path, sample: SampleFiles) -> TrainEncoderConfig:
    return TrainEncoderConfig(
        job="train-encoder",
        model="bundled:minilm",
        corpus=CorpusSection(train=str(sample.train), dev=str(sample.dev), test=str(sample.test)),
        output=str(folder),
        name="minilm-sample",
        training=TrainingSection(epochs=_EPOCHS, learning_rate=3e-4),
    )


def _tagging(folder: Path, sample: SampleFiles, trained: TrainedEncoder) -> TagCorpusConfig:
    return TagCorpusConfig(
        job="tag-corpus",
        model=str(trained.run.model),
        input=(str(sample.dump),),
        output=str(folder / "tagged"),
        formats=("parquet", "pubtator"),
        shard_documents=50,
    )


def mention_f1(tagged: str, gold: Path) -> float:
    """Return strict F1 of the mentions in a tagged folder against a gold JSON-lines file.

    A mention is right when document, version, first and last character and label are: this
    scores the reading, the splitting and the offsets along with the model.
    """
    expected = {
        (document.id, document.version, mention.start, mention.end, mention.label)
        for document in read_corpus(str(gold))
        for mention in document.mentions or ()
    }
    columns = ["document_id", "version", "start", "end", "label"]
    found = {
        tuple(row.values())
        for path in sorted(Path(tagged, "mentions").glob("*.parquet"))
        for row in pq.read_table(path, columns=columns).to_pylist()
    }
    return 2 * len(expected & found) / max(1, len(expected) + len(found))


def _table(trained: TrainedEncoder, tagged: TaggedCorpus, dump_f1: float) -> str:
    strict = trained.scores["test"]["corrected"]["overall"]["strict"]
    rate = tagged.documents_per_second or 0.0
    rows = [
        ("test sentences: strict F1 (precision, recall)", f"{100 * strict['f1']:.1f} "
         f"({100 * strict['precision']:.1f}, {100 * strict['recall']:.1f})"),
        ("tagged dump: strict F1 of its mentions", f"{100 * dump_f1:.1f}"),
        ("documents tagged", f"{tagged.counts['documents']:,}"),
        ("mentions found", f"{tagged.counts['mentions']:,}"),
        ("records rejected", f"{tagged.counts['rejected']:,}"),
        ("subwords dropped", f"{tagged.counts['subwords_dropped']:,}"),
        ("documents per second on this machine", f"{rate:.1f}"),
        ("model", str(trained.run.model)),
        ("mentions", f"{tagged.output}/mentions"),
    ]  # fmt: skip
    return "\n".join(align(("what", ""), rows))
