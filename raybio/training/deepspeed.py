"""DeepSpeed as fine-tuning uses it: ZeRO over what learns, on GPU or CPU, in silence.

The same code runs on both; on CPU (`DS_ACCELERATOR=cpu`, gloo) nothing is compiled. Checkpoints
hold the adapter as taggers read it, and beside it the optimizer's states, one share a worker.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from raybio.entities import Sentence
from raybio.errors import TrainingError
from raybio.training import steps
from raybio.training.adapter import load_adapter, rounding, save_adapter
from raybio.training.recipes import AdapterRecipe

if TYPE_CHECKING:
    from raybio.training.workers import Workers  # which needs Ray, as nothing else here does

_STATES = "deepspeed"
_TAG = "last"
_BUCKET = 20_000_000  # numbers sent at once, for which a buffer is held

Loss = Callable[[Any, Mapping[str, torch.Tensor]], torch.Tensor]
Tag = Callable[[Any, Sequence[Sentence]], list[list[str]]]


class AdapterEngine:
    """Trains those parameters of an adapted model that ask for gradients.

    `total` is the number of optimizer steps of the whole run, `dtype` that of the computation.
    All workers call each method, in the same order.
    """

    def __init__(
        self, model: Any, recipe: AdapterRecipe, workers: Workers, total: int, dtype: torch.dtype
    ) -> None:
        self._workers, self._dtype = workers, dtype
        self._rounded = rounding(recipe, dtype)
        self._spread = recipe.deepspeed.zero_stage == 3
        self._learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
        training = recipe.training

        def schedule(optimizer: torch.optim.Optimizer) -> Any:
            return steps.schedule_for(
                optimizer, training.lr_scheduler_type, total, int(total * training.warmup_ratio)
            )

        self._engine, *_ = _deepspeed(workers.device).initialize(
            model=model.train(),
            model_parameters=self._learning,
            optimizer=_optimizer(self._learning, recipe, workers.device),
            lr_scheduler=schedule,
            config=engine_settings(recipe, dtype),
        )
        # Adapters are saved as such. What DeepSpeed would add (a tied head, the scales of quantized
        # weights) is the base model's.
        self._engine.module_state_dict = lambda *_, **__: {}
        self._model = self._engine.module

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return float(self._engine.get_lr()[0])

    def step(self, parts: Iterable[Mapping[str, torch.Tensor]], loss_of: Loss, labelled: int) -> float:
        """Take one optimizer step on this worker's `parts`; return their summed loss.

        DeepSpeed averages over the workers what is to be summed over them.
        """
        total = 0.0
        for tensors in parts:
            loss = loss_of(self._engine, tensors)
            self._engine.backward(loss * self._workers.world / max(1, labelled))
            total += loss.item()
        self._engine.step()
        return total

    def tagged(self, sentences: Sequence[Sentence], tag: Tag) -> list[list[str]]:
        """Return the tags of all sentences by the model in evaluation, each worker tagging its share.

        With ZeRO-3 no worker has a whole model: all tag everything, pass by pass together.
        """
        workers, device = self._workers, self._workers.device
        self._model.eval()
        try:
            with torch.autocast(device.type, self._dtype, enabled=self._dtype != torch.float32):
                if self._spread:
                    return tag(self._model, sentences)
                return workers.gather(lambda: tag(self._model, workers.share(sentences)))
        finally:
            self._model.train()

    def save(self, folder: Path) -> None:
        """Write the adapter into `model/` (rank 0), and this worker's share of the states."""
        states = folder / _STATES
        self._engine.save_checkpoint(str(states), tag=_TAG, save_latest=False, exclude_frozen_parameters=True)
        # Scripts that rebuild weights from a whole checkpoint, which this is not.
        for script in states.glob("zero_to_*.py"):
            script.unlink()
        with self._whole():
            if self._workers.rank == 0:
                save_adapter(self._model, folder / "model", self._rounded)

    def load(self, folder: Path) -> None:
        """Resume from what `save` wrote.

        Raises:
            TrainingError: another number of workers wrote it, each with a share of its own.
        """
        states = folder / _STATES
        written = len(list((states / _TAG).glob("*optim_states.pt")))
        if written != self._workers.world:
            raise TrainingError(
                f"the checkpoint has the shares of {written} workers, and {self._workers.world} resume "
                f"from it. Set workers.num_workers={written}"
            )
        with self._whole(writes=True):
            load_adapter(self._model, folder / "model")
        self._engine.load_checkpoint(str(states), tag=_TAG, load_module_strict=False)

    @contextmanager
    def _whole(self, writes: bool = False) -> Iterator[None]:
        """Hold all that learns in every worker (ZeRO-3 spreads it); with `writes`, rank 0's counts."""
        if not self._spread:
            yield
            return
        import deepspeed

        with deepspeed.zero.GatheredParameters(self._learning, modifier_rank=0 if writes else None):
            yield


def engine_settings(recipe: AdapterRecipe, dtype: torch.dtype) -> dict[str, Any]:
    """Return DeepSpeed's own configuration.

    Batches are cut by tokens, so that the number of parts in a step differs: DeepSpeed is set
    not to count them. What learns stays fp32; bf16 is autocast's.
    """
    zero: dict[str, Any] = {
        "stage": recipe.deepspeed.zero_stage,
        "overlap_comm": False,
        "reduce_bucket_size": _BUCKET,
        "allgather_bucket_size": _BUCKET,
    }
    if recipe.deepspeed.offload == "cpu":
        zero["offload_optimizer"] = {"device": "cpu"}
    settings: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "managed_gradient_accumulation": False,
        "gradient_clipping": recipe.training.max_grad_norm or 0.0,
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
    }
    if dtype != torch.float32:
        settings["torch_autocast"] = {"enabled": True, "dtype": str(dtype).removeprefix("torch.")}
    return settings


def _deepspeed(device: torch.device) -> Any:
    """Import DeepSpeed for `device`: it looks at the environment once."""
    os.environ["DS_ACCELERATOR"] = device.type
    import deepspeed

    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    # Without it DeepSpeed compiles a kernel for some minutes, which adapters hardly use.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    return deepspeed


def _optimizer(
    learning: Iterable[torch.nn.Parameter], recipe: AdapterRecipe, device: torch.device
) -> torch.optim.Optimizer:
    training = recipe.training
    if not recipe.takes_paged(device.type == "cuda"):
        return steps.optimizer_for(learning, training.learning_rate, training.weight_decay)
    from bitsandbytes.optim.adamw import PagedAdamW8bit

    return PagedAdamW8bit(steps.decay_groups(learning, training.weight_decay), lr=training.learning_rate)
