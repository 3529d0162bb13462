"""Scoring: `evaluate` gold against predicted tags with two scorers, always side by side."""

from raybio.evaluation.scorecard import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]
