"""Corpora of a few sentences that each annotate only some entities."""

from pathlib import Path

from raybio.config import MemberSection

LONG = "we found that {} reduced the expression of {} in the liver of treated old mice again ."
OTHER = "in a long study of some years {} was given beside {} to many healthy men at home ."


def sentence(text: str, drug: str, gene: str, tags: tuple[str, str]) -> str:
    """Return a sentence of 16 words in two columns, its two names tagged as given."""
    names, labels = iter((drug, gene)), iter(tags)
    cells = [(next(names), next(labels)) if word == "{}" else (word, "O") for word in text.split()]
    return "".join(f"{word}\t{tag}\n" for word, tag in cells)


def corpus(folder: Path, train: str, dev: str = "", test: str = "", **options: object) -> MemberSection:
    folder.mkdir()
    filler = "no\tO\nword\tO\n"
    for split, text in (("train", train), ("dev", dev), ("test", test)):
        (folder / f"{split}.tsv").write_text(text or filler)
    files = {split: str(folder / f"{split}.tsv") for split in ("train", "dev", "test")}
    return MemberSection.model_validate({**files, **options})


DRUGS = sentence(LONG, "naloxone", "insulin", ("B-Drug", "O"))
GENES = sentence(OTHER, "naloxone", "insulin", ("O", "B-Gene"))
