"""What an encoder learns by, whatever stands in its head's place: DDP, AdamW, mixed precision."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from raybio.config import MaskingSection, TrainingSection
from raybio.errors import ModelError
from raybio.taggers.devices import computes_bf16, pick_dtype
from raybio.taggers.hugging_face import architecture_of
from raybio.taggers.special_tokens import padding_of
from raybio.training import steps
from raybio.training.encoder_steps import layer_groups

if TYPE_CHECKING:
    from raybio.training.workers import Workers  # which needs Ray, as nothing else here does

_STATE = "training_state.pt"
# DeBERTa-v1 masks with the lowest fp32, which bf16 and fp16 under autocast do not have.
_FP32_ALONE = ("deberta",)


class EncoderLearner(ABC):
    """One worker's encoder under DDP; `total` is the number of optimizer steps of the whole run.

    `ema_decay` is the share that each step leaves to a running average of the weights, if there is one, and
    `layer_decay` that of the rate which each layer leaves to the one below it.
    """

    def __init__(
        self,
        training: TrainingSection | MaskingSection,
        model: torch.nn.Module,
        tokenizer: Any,
        workers: Workers,
        total: int,
        *,
        ema_decay: float | None = None,
        layer_decay: float = 1.0,
    ) -> None:
        self._clip = training.max_grad_norm
        self._workers = workers
        self._tokenizer = tokenizer
        self.padding = padding_of(tokenizer)
        self._model: Any = workers.prepare(model.train())
        self._bare: Any = getattr(self._model, "module", self._model)
        self._average = _average_of(self._bare, ema_decay)
        self._optimizer = steps.optimizer_of(
            layer_groups(self._bare, training.learning_rate, training.weight_decay, layer_decay),
            training.learning_rate,
        )
        self._dtype = _autocast_dtype(training.precision, workers.device, self._bare)
        self._scaler = torch.amp.GradScaler(workers.device.type, enabled=self._dtype == torch.float16)
        self._schedule = steps.schedule_for(
            self._optimizer, training.lr_scheduler_type, total, int(total * training.warmup_ratio)
        )

    @abstractmethod
    def _loss(self, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return what is to fall, summed over labelled tokens."""

    @abstractmethod
    def _write(self, folder: Path) -> None:
        """Write the model as it is to be kept into a Hugging Face folder."""

    @abstractmethod
    def _read(self, folder: Path) -> dict[str, torch.Tensor]:
        """Return the weights that `_write` wrote."""

    def step(self, parts: Sequence[Sequence[steps.Example]], labelled: int) -> float:
        """Take one optimizer step; DDP averages over the workers what is to be summed."""
        total = 0.0
        for part in parts:
            tensors = steps.collate(part, self.padding, self._workers.device)
            with self._autocast():
                loss = self._loss(tensors)
            self._scaler.scale(loss * self._workers.world / max(1, labelled)).backward()
            total += loss.item()
        self._scaler.unscale_(self._optimizer)
        if self._clip is not None:
            torch.nn.utils.clip_grad_norm_(self._bare.parameters(), self._clip)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._schedule.step()
        self._optimizer.zero_grad()
        if self._average is not None:
            self._average.update_parameters(self._bare)
        return total

    @property
    def _finished(self) -> Any:
        """What is judged and kept: the running average where there is one."""
        return self._bare if self._average is None else self._average.module

    def _autocast(self) -> torch.autocast:
        device = self._workers.device.type
        return torch.autocast(device, self._dtype, enabled=self._dtype != torch.float32)

    def metrics(self) -> dict[str, float]:
        """Return the learning rate."""
        return {"learning_rate": float(self._schedule.get_last_lr()[0])}

    def save(self, folder: Path) -> None:
        """Write the model as a Hugging Face folder, and the training state; rank 0 has all of it."""
        if self._workers.rank != 0:
            return
        self._write(folder / "model")
        self._tokenizer.save_pretrained(folder / "model")
        state: dict[str, Any] = {
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "scaler": self._scaler.state_dict(),
        }
        if self._average is not None:
            state["weights"] = self._bare.state_dict()
            state["averaged"] = self._average.n_averaged
        torch.save(state, folder / _STATE)

    def load(self, folder: Path) -> None:
        """Resume from a checkpoint."""
        self._finished.load_state_dict(self._read(folder / "model"))
        state = torch.load(folder / _STATE, map_location="cpu", weights_only=True)
        if self._average is not None:
            self._bare.load_state_dict(state["weights"])
            self._average.n_averaged.copy_(state["averaged"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self._scaler.load_state_dict(state["scaler"])


def _average_of(model: torch.nn.Module, share: float | None) -> AveragedModel | None:
    """Return the exponential running average of a model's weights, which starts from its first step."""
    return None if share is None else AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(share))


def check_precision(config: Any, name: object, precision: str) -> None:
    """Refuse a `training.precision` that the base model called `name`, of this config, does not learn in.

    Raises:
        ModelError: names the architecture and what to set.
    """
    if config.model_type in _FP32_ALONE and precision in ("bf16", "fp16"):
        raise ModelError(
            f"{name} is a {architecture_of(config)}, which cannot be trained in {precision}: its attention's "
            "masks overflow there. Set training.precision to fp32 or auto, or take DeBERTa-v3"
        )


def _autocast_dtype(precision: str, device: torch.device, model: torch.nn.Module) -> torch.dtype:
    """Resolve `training.precision`; weights are fp32 in any case."""
    configs = (getattr(module, "config", None) for module in model.modules())
    if any(getattr(config, "model_type", "") in _FP32_ALONE for config in configs):
        return torch.float32
    if precision == "auto" and computes_bf16(device):
        return torch.bfloat16
    return pick_dtype(precision, device)
