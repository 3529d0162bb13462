"""Whether an architecture can be read as the decode modes do, tried on its twin.

They read sequences in parts, go back and read on in another way, several rows of different lengths side by
side. A model whose positions are counted in cache slots (ALiBi: MPT, Bloom) then reads something else
without a word, and one with a recurrent state (Mamba, LFM2) cannot go back at all.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoModelForCausalLM

from raybio.errors import ModelError, first_line
from raybio.taggers.decoding.cache import Rows
from raybio.taggers.decoding.reader import Prefix, Reader
from raybio.taggers.twin import twin

# Both are longer than a twin's windows, and the second reading goes back to where the rows part.
_FIRST = ([5, 9, 2, 7, 3, 8, 4, 6, 1, 9, 5, 2, 6], [5, 9, 4])
_SECOND = ([5, 9, 2, 7, 3, 8, 4, 6, 1, 9, 5, 7, 7, 3], [5, 9, 4, 8, 8, 1, 7, 2, 6, 3, 2, 9])
_TOLERANCE = 1e-3
"""Of the largest hidden state. In fp32 two ways of reading the same differ by a few millionths."""


def check_readable(architecture: Any, name: str) -> None:
    """Refuse a model called `name`, by its Hugging Face config, that cannot be read in parts.

    Raises:
        ModelError: names the architecture and what to take instead.
    """
    problem = _problem(architecture)
    if problem:
        raise ModelError(
            f"{name} is a {architecture.model_type} model, and models of that architecture cannot write tags "
            f"here: {problem}. Name a model such as Llama, Mistral, Qwen or Gemma"
        )


def _problem(architecture: Any) -> str:
    try:
        same = _same_in_parts(Reader(twin(AutoModelForCausalLM, architecture)))
    except ModelError as error:
        return str(error).partition(". ")[0]
    except Exception as error:  # each architecture fails in its own way
        problem = first_line(error)
        return f"it cannot be read in parts ({type(error).__name__}: {problem})"
    return "" if same else "read in parts it computes something else than read at once"


@torch.inference_mode()
def _same_in_parts(reader: Reader) -> bool:
    rows = Rows(reader, Prefix((), ()), len(_FIRST))
    rows.read(_FIRST, [[len(sequence) - 1] for sequence in _FIRST])
    last = [[len(sequence) - 1] for sequence in _SECOND]
    found = rows.read(_SECOND, last)
    expected = torch.cat(
        [
            Rows(reader, Prefix((), ()), 1).read([sequence], [wanted])
            for sequence, wanted in zip(_SECOND, last, strict=True)
        ]
    )
    return bool((found - expected).abs().max() <= _TOLERANCE * expected.abs().max())
