"""Scoring: `evaluate` gold against predicted tags with two scorers, always side by side.

parallel.py       checks that gold and predicted stand side by side
semeval.py        the measures; the study's pairing ("paper") and nervaluate's ("corrected")
by_length.py      the same for entities of one, two, and three or more words
disagreements.py  where the two scorers differ, and why
significance.py   bootstrap intervals, and the difference of two taggers
scorecard.py      all of it for one prediction
tables.py         all of it as text
equal_work.py     how served answers differ from the tagger's own, in words
"""

from raybio.evaluation.scorecard import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]
