"""The newcomer's main job: a sample corpus -> a fine-tuned encoder -> scores -> a tagged dump -> a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from raybio.bulk_tagging import TaggedCorpus, tag_corpus
from raybio.cluster import connected
from raybio.config import CorpusSection, InputSection, TagCorpusConfig, TrainEncoderConfig, TrainingSection
from raybio.corpora import read_corpus
from raybio.corpora.sample import SampleFiles, generate_sample
from raybio.evaluation.tables import align
from raybio.reports.html import write_report
from raybio.run_folder import timestamp
from raybio.stopping import resume_hint
from raybio.training.encoder import TrainedEncoder, train_encoder

_EPOCHS = 3


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo measured, and where everything is; each F1, precision and recall from 0 to 1."""

    f1: float
    precision: float
    recall: float
    dump_f1: float
    documents: int
    mentions: int
    rejected: int
    subwords_dropped: int
    documents_per_second: float
    model: str
    tagged: str
    report: str

    def table(self) -> str:
        """Return the figures as a short table."""
        rows = [
            ("test sentences: strict F1 (precision, recall)", f"{100 * self.f1:.1f} "
             f"({100 * self.precision:.1f}, {100 * self.recall:.1f})"),
            ("tagged dump: strict F1 of its mentions", f"{100 * self.dump_f1:.1f}"),
            ("documents tagged", f"{self.documents:,}"),
            ("mentions found", f"{self.mentions:,}"),
            ("records rejected", f"{self.rejected:,}"),
            ("subwords dropped", f"{self.subwords_dropped:,}"),
            ("documents per second on this machine", f"{self.documents_per_second:.1f}"),
            ("model", self.model),
            ("mentions", f"{self.tagged}/mentions"),
        ]  # fmt: skip
        return "\n".join(align(("what", ""), rows)).rstrip()


def run_demo(output: str, progress: Callable[[str], None] = print) -> DemoResult:
    """Run the main job on the sample corpus, into a new folder under `output`.

    Raises:
        ModelError: the bundled encoder is not installed.
    """
    folder = Path(output) / f"demo-{timestamp()}"
    progress("writing the sample corpus")
    sample = generate_sample(folder / "corpus", citations=200)
    with resume_hint("The same command starts it over"), connected():
        progress("fine-tuning bundled:minilm on it with Ray Train")
        trained = train_encoder(_training(folder, sample), progress)
        progress("tagging the sample's PubMed dump with Ray Data")
        tagged = tag_corpus(_tagging(folder, sample, trained), progress)
    report = write_report([trained.run.path], folder / "report.html", [Path(tagged.output)])
    return _result(trained, tagged, mention_f1(tagged.output, sample.gold), report)


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
        input=InputSection(files=(str(sample.dump),)),
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


def _result(trained: TrainedEncoder, tagged: TaggedCorpus, dump_f1: float, report: Path) -> DemoResult:
    strict = trained.scores["test"]["corrected"]["overall"]["strict"]
    counted = ("documents", "mentions", "rejected", "subwords_dropped")
    return DemoResult(
        **{name: strict[name] for name in ("f1", "precision", "recall")},
        dump_f1=dump_f1,
        **{name: tagged.counts[name] for name in counted},
        documents_per_second=tagged.documents_per_second or 0.0,
        model=str(trained.run.model),
        tagged=tagged.output,
        report=str(report),
    )
