"""QLoRA: steps on weights in 4 bits under DeepSpeed, then the adapter is saved, read back and tags.

On a GPU the optimizer is the paged 8-bit AdamW and the shape is Llama-3.1-8B's, r = 128 on all eight targets;
on a CPU it is AdamW on a tiny Llama.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

from gpu.alone import Alone, process_group
from gpu.checks import CheckFailedError, Figures
from gpu.models import decoder_card, llm_shape, random_llm
from gpu.setting import Setting
from raybio.config import CorpusSection, TrainDecoderConfig
from raybio.config.train_decoder import DecoderTrainingSection, LoraSection
from raybio.iob2 import tags_from_spans
from raybio.taggers.decoder import DecoderTagger
from raybio.taggers.decoding import Tokens
from raybio.taggers.devices import pick_dtype
from raybio.taggers.hugging_face import read_tokenizer
from raybio.training import steps
from raybio.training.adapter import adapted_model
from raybio.training.decoder_steps import CompletionMaker, wording
from raybio.training.deepspeed import AdapterEngine
from raybio.training.recipes import AdapterRecipe


def learns_in_four_bits(setting: Setting) -> list[Figures]:
    """Take optimizer steps on one batch; its loss must fall, and the saved adapter must tag."""
    base = random_llm(setting, "llm-at-size", llm_shape(setting))
    recipe = AdapterRecipe.of(_config(setting, base))
    count = 6 if setting.small else 8
    dtype = pick_dtype(recipe.training.precision, setting.device)
    tokenizer = read_tokenizer(base)
    tokens = Tokens(tokenizer, wording(recipe, setting.labels, tokenizer))
    batch = sorted(
        islice(_examples(setting, tokens, recipe.training), recipe.training.batch_size), key=_length
    )
    labelled = steps.labelled(batch)
    saved = setting.scratch / "adapter"
    with process_group(setting.device):
        model = adapted_model(recipe, base, setting.labels, {}, setting.device, dtype)
        learning = sum(p.numel() for p in model.parameters() if p.requires_grad)
        engine = AdapterEngine(model, recipe, Alone(setting.device), count, dtype)
        losses, seconds = [], []
        for _ in range(count):
            started = time.perf_counter()
            parts = steps.micro_batches(batch, recipe.training.max_batch_tokens)
            tensors = (steps.collate(part, tokenizer.pad_token_id, setting.device) for part in parts)
            losses.append(engine.step(tensors, steps.causal_loss, labelled) / labelled)
            seconds.append(time.perf_counter() - started)
        engine.save(saved)
        tokenizer.save_pretrained(saved / "model")
        decoder_card(setting, str(base)).write(saved / "model")
        optimizer = type(engine._engine.optimizer.optimizer).__name__
        del model, engine
    row = {
        "trainable_parameters": learning,
        "optimizer": optimizer,
        "dtype": str(dtype).removeprefix("torch."),
        "batch_size": len(batch),
        "batch_tokens": sum(map(_length, batch)),
        "first_loss": losses[0],
        "last_loss": losses[-1],
        "seconds_a_step": sorted(seconds[1:])[len(seconds[1:]) // 2],
        "words_tagged": _tagged(setting, saved / "model"),
    }
    if not losses[-1] < losses[0]:
        raise CheckFailedError("the loss of the one batch that was learned did not fall", [row])
    return [row]


def _config(setting: Setting, base: Path) -> TrainDecoderConfig:
    small = setting.small
    return TrainDecoderConfig(
        job="train-decoder",
        model=str(base),
        corpus=CorpusSection(
            train=str(setting.train_file), dev=str(setting.dev_file), test=str(setting.test_file)
        ),
        lora=LoraSection(r=4 if small else 128),
        training=DecoderTrainingSection(
            batch_size=4 if small else 32,
            max_length=1024,
            max_batch_tokens=2048 if small else 8192,
            warmup_ratio=0.0,
            learning_rate=1e-2 if small else 2e-5,
            gradient_checkpointing=not small,
        ),
    )


def _examples(setting: Setting, tokens: Tokens, training: DecoderTrainingSection) -> Iterator[steps.Example]:
    maker = CompletionMaker(tokens, training, str(setting.train_file))
    for sentence in cycle(setting.train):
        tags = tags_from_spans(sentence.gold or (), len(sentence))
        yield from maker.examples(
            {"id": sentence.id, "document_id": "", "words": sentence.words, "tags": tags}
        )


def _length(example: steps.Example) -> int:
    return len(example.ids)


def _tagged(setting: Setting, folder: Path) -> int:
    """Return how many words the saved adapter, read again onto 4 bits, gives a tag."""
    tagger = DecoderTagger.load(folder, precision="4bit", device=setting.device.type)
    (tags,) = tagger.tag(setting.test_sentences(small=1, full=1))
    return len(tags.tags)
