"""What teachers say of a sentence, as shares of tags."""

import pyarrow as pa
import pytest

from raybio.config import CorpusSection, DistillationSection
from raybio.errors import InputError, ModelError, TrainingError, UsageError
from raybio.members import Member
from raybio.sentence_stream import SENTENCES
from raybio.taggers import Tags
from raybio.training import teachers
from raybio.training.teachers import _Teachers, check_teachers, mean_shares

BOTH = ("Chemical", "Disease")
TAGS = ("O", "B-Chemical", "I-Chemical", "B-Disease", "I-Disease")


def test_what_an_answer_leaves_goes_to_the_other_tags_alike():
    [shares] = mean_shares([Tags(("B-Chemical",), (0.6,))], TAGS, [BOTH])
    assert shares.tolist() == pytest.approx([0.1, 0.6, 0.1, 0.1, 0.1])


def test_teachers_that_disagree_share_a_word():
    sure = [Tags(("O", "B-Disease"), (1.0, 1.0)), Tags(("O", "O"), (1.0, 1.0))]
    first, second = mean_shares(sure, TAGS, [BOTH] * 2).tolist()
    assert first == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert second == [0.5, 0.0, 0.0, 0.5, 0.0]


def test_shares_sum_to_one_for_every_word():
    answers = [Tags(("O", "B-Disease", "I-Disease"), (0.5, 0.2, 0.9)), Tags(("O", "O", "O"), (0.7, 0.1, 1.0))]
    assert mean_shares(answers, TAGS, [BOTH] * 2).sum(axis=1).tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_a_teacher_that_left_a_word_out_is_not_asked_for_it():
    answers = [Tags(("O", "O"), (0.0, 0.0)), Tags(("B-Disease", "O"), (1.0, 0.0))]
    assert mean_shares(answers, TAGS, [BOTH] * 2).tolist() == [[0.0, 0.0, 0.0, 1.0, 0.0], [0.0] * 5]


def test_a_teacher_answers_for_its_own_labels():
    """One's outside is not another's: neither says that the other's entity is none."""
    drugs = Tags(("B-Chemical", "O", "O"), (1.0, 1.0, 0.5))
    illnesses = Tags(("O", "B-Disease", "O"), (1.0, 0.8, 1.0))
    first, second, third = mean_shares([drugs, illnesses], TAGS, [("Chemical",), ("Disease",)]).tolist()
    assert first == [0.0, 1.0, 0.0, 0.0, 0.0]
    assert second == pytest.approx([0.1, 0.0, 0.0, 0.8, 0.1])
    assert third == pytest.approx([0.5, 0.25, 0.25, 0.0, 0.0])


def test_where_both_find_something_it_is_shared():
    said = [Tags(("B-Chemical",), (1.0,)), Tags(("B-Disease",), (1.0,))]
    assert mean_shares(said, TAGS, [("Chemical",), ("Disease",)]).tolist() == [[0.0, 0.5, 0.0, 0.5, 0.0]]


class Says:
    """A tagger that knows two labels and says one thing of every sentence."""

    labels = ("Chemical", "Disease")

    def __init__(self, tags, scores):
        self._answer = Tags(tags, scores)

    def tag(self, sentences):
        return [self._answer for _ in sentences]


def taught(monkeypatch, tags, weight, members=()):
    """Return the row that two teachers make of a sentence of three words with these gold tags."""
    said = {
        "a": Says(("B-Chemical", "O", "O"), (1.0, 1.0, 0.0)),
        "b": Says(("O", "O", "O"), (1.0, 1.0, 0.0)),
    }
    monkeypatch.setattr(teachers, "_load", lambda name, *_: said[name])
    distillation = DistillationSection(teachers=("a", "b"), weight=weight)
    stage = _Teachers(["a", "b"], distillation, Says.labels, print, members)
    row = {"id": "s", "document_id": "d", "words": ["x", "y", "z"], "tags": tags}
    row["member"] = 0 if members else None
    (found,) = stage(pa.Table.from_pylist([row], schema=SENTENCES)).to_pylist()
    return found["tags"], dict(zip("xyz", found["shares"], strict=True))


def test_gold_has_what_the_teachers_leave_it(monkeypatch):
    tags, shares = taught(monkeypatch, ["B-Chemical", "B-Disease", "B-Disease"], 0.5)
    assert tags == ["B-Chemical", "B-Disease", "B-Disease"]
    assert shares["x"] == pytest.approx([0.25, 0.75, 0.0, 0.0, 0.0])
    assert shares["y"] == pytest.approx([0.5, 0.0, 0.0, 0.5, 0.0])
    assert shares["z"] == [0.0, 0.0, 0.0, 1.0, 0.0], "nobody else had an answer"


def test_gold_that_is_silent_leaves_a_word_to_the_teachers(monkeypatch):
    """A corpus of diseases: none here, and whether there is a chemical it does not say."""
    member = Member(CorpusSection(name="sample"), "diseases", annotates=frozenset({"Disease"}))
    tags, shares = taught(monkeypatch, ["O", "B-Disease", "O"], 0.5, [member])
    assert tags == ["O", "B-Disease", "O"]
    assert shares["x"] == pytest.approx([0.5, 0.5, 0.0, 0.0, 0.0])
    assert shares["y"] == pytest.approx([0.5, 0.0, 0.0, 0.5, 0.0])
    assert shares["z"] == [1.0, 0.0, 0.0, 0.0, 0.0], "nobody had an answer"


def test_labels_that_no_teacher_has_are_named(monkeypatch):
    monkeypatch.setattr(teachers, "_load", lambda *_: Says((), ()))
    stage = _Teachers(["a"], DistillationSection(teachers=("a",)), ["Chemical", "Disease", "Gene"], print)
    with pytest.raises(TrainingError, match="no teacher has the labels Gene of the training split"):
        _ = stage._taggers


def test_text_is_the_teachers_alone(monkeypatch):
    tags, shares = taught(monkeypatch, None, 0.5)
    assert shares["x"] == [0.5, 0.5, 0.0, 0.0, 0.0] and shares["y"] == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert shares["z"] == [0.0] * 5
    assert tags[1] == "O"


def test_teachers_answer_in_the_precision_that_was_asked_for(monkeypatch, tiny_encoder):
    asked = []

    def load(folder, precision):
        asked.append((folder, precision))
        return Says((), ())

    monkeypatch.setattr(teachers, "load_tagger", load)
    distillation = DistillationSection(teachers=(str(tiny_encoder),), precision="bf16")
    references = check_teachers(distillation, allow_pickle=False)
    assert len(_Teachers(references, distillation, Says.labels, print)._taggers) == 1
    assert asked == [(tiny_encoder, "bf16")]


@pytest.mark.parametrize(
    ("teacher", "text", "error"),
    [
        ("./nowhere", None, ModelError),
        (None, "nowhere.tsv", InputError),
        (None, "nowhere.docx", UsageError),
    ],
)
def test_what_is_not_there_is_reported_before_a_run_begins(teacher, text, error, tiny_encoder, tmp_path):
    distillation = DistillationSection(
        teachers=(teacher or str(tiny_encoder),), text=(str(tmp_path / text),) if text else ()
    )
    with pytest.raises(error, match="nowhere"):
        check_teachers(distillation, allow_pickle=False)


def test_teachers_report_how_many_sentences_they_answered(monkeypatch):
    monkeypatch.setattr(teachers, "_load", lambda *_: Says(("O",), (1.0,)))
    answered = []
    stage = _Teachers(["a"], DistillationSection(teachers=("a",)), Says.labels, answered.append)
    row = {"id": "s", "document_id": "d", "words": ["x"], "tags": ["O"]}
    for _ in range(2):
        stage(pa.Table.from_pylist([row] * 3, schema=SENTENCES))
    assert answered == [3, 6]
