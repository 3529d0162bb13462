"""raybio: biomedical named entity recognition at scale on Ray, encoders and LLMs on equal terms.

    import raybio

    ner = raybio.load("runs/minilm-bc5cdr")
    document = ner("Naloxone reverses the effect of clonidine.")
    document.mentions

Neither torch nor Ray is imported before it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raybio.dataset import tag_dataset
    from raybio.entities import Document, Mention
    from raybio.text_tagger import TextTagger, load

__version__ = "0.1.0"

__all__ = ["Document", "Mention", "TextTagger", "load", "tag_dataset"]

_HOME = {
    "Document": "entities",
    "Mention": "entities",
    "TextTagger": "text_tagger",
    "load": "text_tagger",
    "tag_dataset": "dataset",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
