"""A cascade: an encoder tags everything, an LLM reads again where the encoder is unsure.

A sentence's confidence is that of its least certain word. The encoder's tags are the drafts that
the LLM verifies, so that its second reading costs few passes.

A cascade's folder holds `cascade.json` only: it names the two models, and says when the second is
asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from raybio.entities import Sentence
from raybio.errors import ModelError
from raybio.model_files import CASCADE
from raybio.model_identity import fingerprint, is_fingerprint_of
from raybio.model_sources import model_folder
from raybio.taggers.base import Tagger, Tags
from raybio.taggers.card import read_card, write_card
from raybio.taggers.decoder import DecoderTagger


@dataclass(frozen=True)
class Cascade:
    """Two models (folders, or names that `model_folder` takes) and the confidence they part at.

    Sentences with a confidence below `threshold`, in [0, 1], are read again. `budget` is the share
    of sentences for which it was chosen, `chosen_on` the data. The fingerprints tell whether the
    models are still those that it was chosen for.
    """

    encoder: str
    decoder: str
    threshold: float
    budget: float
    chosen_on: str
    encoder_fingerprint: str
    decoder_fingerprint: str

    @classmethod
    def of(cls, encoder: str, decoder: str, threshold: float, budget: float, chosen_on: str) -> Cascade:
        """Return the cascade of two models as they are now."""
        prints = (fingerprint(model_folder(name)) for name in (encoder, decoder))
        return cls(encoder, decoder, threshold, budget, chosen_on, *prints)

    def write(self, folder: Path) -> None:
        """Make the cascade's folder."""
        write_card(folder, asdict(self), CASCADE)

    @classmethod
    def read(cls, folder: Path) -> Cascade:
        """Return the cascade in a folder.

        Raises:
            ModelError: it is none, or one of its models is not what it was.
        """
        path = folder / CASCADE
        cascade = read_card(folder, cls, CASCADE)
        if cascade is None:
            raise ModelError(f"{folder} is not a cascade: no {CASCADE}. Make one with `raybio cascade`")
        for name, known in (
            (cascade.encoder, cascade.encoder_fingerprint),
            (cascade.decoder, cascade.decoder_fingerprint),
        ):
            if not is_fingerprint_of(known, model_folder(name)):
                raise ModelError(
                    f"{name} is not the model that {path} was made for: its threshold says nothing any more. "
                    "Make the cascade again with `raybio cascade`"
                )
        return cascade


class CascadeTagger:
    """Tags with an encoder, and again with an LLM where the encoder's confidence is below `threshold`.

    `counts` are those of both taggers, and `sentences_reread`.
    """

    def __init__(self, encoder: Tagger, decoder: DecoderTagger, threshold: float) -> None:
        self._encoder = encoder
        self._decoder = decoder
        self._threshold = threshold
        self._reread = 0

    @property
    def labels(self) -> tuple[str, ...]:
        """The entity labels that either tagger gives, sorted."""
        return tuple(sorted({*self._encoder.labels, *self._decoder.labels}))

    @property
    def counts(self) -> Counter[str]:
        """What both taggers have done so far, by name."""
        both = Counter(self._encoder.counts)
        both.update(self._decoder.counts)
        both["sentences_reread"] = self._reread
        return both

    def tag(self, sentences: Sequence[Sentence]) -> list[Tags]:
        """Return the tags of each sentence, in order."""
        tagged = self._encoder.tag(sentences)
        unsure = [i for i, tags in enumerate(tagged) if confidence(tags) < self._threshold]
        drafts = [tagged[i].tags for i in unsure]
        for i, tags in zip(
            unsure, self._decoder.tag_drafted([sentences[i] for i in unsure], drafts), strict=True
        ):
            tagged[i] = tags
        self._reread += len(unsure)
        return tagged


def confidence(tags: Tags) -> float:
    """Return the score of a sentence's least certain word; 1 for a sentence without words."""
    return min(tags.scores, default=1.0)


def threshold_for(confidences: Sequence[float], budget: float) -> float:
    """Return the threshold below which at most a share `budget`, in [0, 1], of sentences lies.

    It is the largest such one that separates two of the `confidences`; more than 1, which nothing
    is sure enough for, where all may be read again.
    """
    ordered = sorted(confidences)
    most = int(budget * len(ordered))
    return ordered[most] if most < len(ordered) else 1.1
