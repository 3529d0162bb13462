"""What an adapted LLM learns by, whether it writes text or has a token classifier: DeepSpeed's steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from raybio.entities import Sentence
from raybio.taggers import Tagger
from raybio.taggers.devices import pick_dtype
from raybio.training import steps
from raybio.training.adapter import adapted_model
from raybio.training.deepspeed import AdapterEngine, Loss
from raybio.training.recipes import AdapterRecipe, Task
from raybio.training.workers import Workers


class Card(Protocol):
    """What a trained model's folder says of it."""

    def write(self, folder: Path) -> None:
        """Write the card into a model folder."""
        ...


class AdapterLearner(ABC):
    """One worker's adapted model under DeepSpeed; `total` is the number of optimizer steps of the run.

    `new_tokens` maps ids that the vocabulary does not have to those they stand for; `padding` is
    the token id that fills a batch up.
    """

    def __init__(
        self,
        task: Task[AdapterRecipe],
        workers: Workers,
        card: Card,
        tokenizer: Any,
        padding: int,
        loss_of: Loss,
        total: int,
        new_tokens: Mapping[int, Sequence[int]] | None = None,
    ) -> None:
        recipe = task.recipe
        self.recipe, self.padding = recipe, padding
        self.tokenizer, self.device = tokenizer, workers.device
        self._workers, self._card, self._loss_of = workers, card, loss_of
        dtype = pick_dtype(recipe.training.precision, workers.device)
        model = adapted_model(recipe, task.base, task.labels, new_tokens or {}, workers.device, dtype)
        model.config.pad_token_id = padding
        self._engine = AdapterEngine(model, recipe, workers, total, dtype)

    @abstractmethod
    def tagger(self, model: Any) -> Tagger:
        """Return what tags with the model as it is now, as the finished model would."""

    def step(self, parts: Sequence[Sequence[steps.Example]], labelled: int) -> float:
        """Take one optimizer step."""
        tensors = (steps.collate(part, self.padding, self.device) for part in parts)
        return self._engine.step(tensors, self._loss_of, labelled)

    def tags(self, sentences: Sequence[Sentence]) -> list[list[str]]:
        """Tag sentences, sharing the work where that is possible."""

        def tag(model: Any, share: Sequence[Sentence]) -> list[list[str]]:
            return [list(tags.tags) for tags in self.tagger(model).tag(share)]

        return self._engine.tagged(sentences, tag)

    def metrics(self) -> dict[str, float]:
        """Return the learning rate."""
        return {"learning_rate": self._engine.learning_rate}

    def save(self, folder: Path) -> None:
        """Write the adapter as its tagger reads it (rank 0), and this worker's optimizer states."""
        self._engine.save(folder)
        if self._workers.rank == 0:
            self.tokenizer.save_pretrained(folder / "model")
            self._card.write(folder / "model")

    def load(self, folder: Path) -> None:
        """Resume from a checkpoint."""
        self._engine.load(folder)
