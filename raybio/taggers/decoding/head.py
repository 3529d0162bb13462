"""The head of a causal language model: hidden states -> logits, scaled and capped as its model does."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

# So many logits of the whole vocabulary are computed at a time (512 MB in fp32).
_LOGITS_AT_ONCE = 1 << 27

_FACTORS = ("logit_scale", "lm_head_multiplier")  # Cohere; Falcon-H1
_DIVISOR = "logits_scaling"  # Granite and MiniCPM3; HyperCLOVA X multiplies by it
_MULTIPLIES_BY_DIVISOR = ("hyperclovax",)
_CAPS = ("final_logit_softcapping", "logits_soft_cap")  # Gemma; RecurrentGemma


class Head:
    """The output layer of a model with this Hugging Face config (of its text part).

    Some architectures scale the layer's logits by a factor and then cap them as `cap * tanh(logits / cap)`;
    both numbers stand in the config.
    """

    def __init__(self, layer: nn.Module, config: Any) -> None:
        self.layer = layer
        self._scale = _scale(config)
        self._cap = next((cap for name in _CAPS if (cap := getattr(config, name, None))), None)
        self._at_once = max(1, _LOGITS_AT_ONCE // config.vocab_size)

    @torch.inference_mode()
    def logits(self, hidden: Tensor) -> Tensor:
        """Return the logits (n, vocabulary) of hidden states (n, hidden size)."""
        return self._finished(self.layer(hidden))

    @torch.inference_mode()
    def logits_of(self, hidden: Tensor, choices: Tensor) -> Tensor:
        """Return the logits (n, c), at least in fp32, of the tokens `choices` (n, c) at `hidden` (n, size).

        Only those rows of the head are read where it is a plain layer (not quantized, no adapter).
        """
        if type(self.layer) is not nn.Linear:
            parts = zip(hidden.split(self._at_once), choices.split(self._at_once), strict=True)
            return torch.cat([self._picked(states, tokens) for states, tokens in parts])
        weight, bias = self.layer.weight, self.layer.bias
        dtype = _at_least_fp32(weight.dtype)
        # Forks share their branches: a few different tokens are most of what is asked for.
        tokens, places = choices.unique(return_inverse=True)
        tokens, places = tokens.to(weight.device), places.to(weight.device)
        logits = hidden.to(weight.device, dtype) @ weight[tokens].to(dtype).T
        if bias is not None:
            logits = logits + bias[tokens]
        return self._finished(logits.gather(1, places))

    @torch.inference_mode()
    def likeliest(self, hidden: Tensor) -> list[tuple[int, float]]:
        """Return, for each hidden state (n, size), the likeliest token of all and its probability."""
        found = [self._likeliest(states) for states in hidden.split(self._at_once)]
        # Token ids are exact in fp32 up to 2^24: one transfer brings both.
        tokens, probabilities = torch.cat(found, dim=1).tolist()
        return list(zip(map(int, tokens), probabilities, strict=True))

    def _finished(self, logits: Tensor) -> Tensor:
        if self._scale != 1.0:
            logits = logits * self._scale
        return logits if self._cap is None else self._cap * torch.tanh(logits / self._cap)

    def _picked(self, hidden: Tensor, choices: Tensor) -> Tensor:
        logits = self.layer(hidden)
        return self._finished(logits.gather(1, choices.to(logits.device)).to(_at_least_fp32(logits.dtype)))

    def _likeliest(self, hidden: Tensor) -> Tensor:
        logits = self.logits(hidden)
        best, token = logits.max(dim=-1)
        probability = (best - logits.to(_at_least_fp32(logits.dtype)).logsumexp(dim=-1)).exp()
        return torch.stack([token.float(), probability.float()])


def _scale(config: Any) -> float:
    """Return what the layer's logits are multiplied by."""
    factors = (getattr(config, name, None) for name in _FACTORS)
    scale = next((float(factor) for factor in factors if factor is not None), 1.0)
    divisor = getattr(config, _DIVISOR, None)
    if divisor is None:
        return scale
    return scale * divisor if config.model_type in _MULTIPLIES_BY_DIVISOR else scale / divisor


def _at_least_fp32(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)
