"""Training on Ray Train: encoders now, LLMs with DeepSpeed next.

encoder.py         one run: Ray Data in, a Hugging Face folder and its scores out
encoder_steps.py   its inner steps, without Ray
scoring.py         a trained model's figures on a split
sweep.py           several runs, and the one that dev chooses
metrics_log.py     where an epoch's metrics go
"""
