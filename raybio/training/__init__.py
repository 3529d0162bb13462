"""Fine-tuning on Ray Train: encoders, and LLMs with DeepSpeed.

A job's door (`encoder.py`, `decoder.py`, `adaptation.py`) turns its config into nouns (`recipes.py`), opens
the corpus (`fit.py`) and the run (`trainer.py`), and hands each worker a task, whose epochs `epochs.py` runs.
"""

import logging

# Says at each import which optional kernel is not there.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
