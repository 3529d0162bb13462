"""Fine-tuning on Ray Train: encoders, and LLMs with DeepSpeed.

A run, from the outside in:

adaptation.py      an encoder reads on in text of the field; masking.py hides words of it
encoder.py         fine-tunes a token classifier: Ray Data in, a Hugging Face folder out
decoder.py         fine-tunes an LLM by QLoRA: Ray Data in, an adapter or a merged model out
tag_head.py        the same with a token classifier on the LLM
teachers.py        what trained taggers answer, for an encoder to learn
soup.py            the mean of several encoders' weights
cascade.py         two trained models, and the confidence below which the second is asked
sweep.py           several runs, and the one that dev chooses
preflight.py       what an LLM's run will take, and why it would fail; memory.py estimates the bytes
encoder_preflight.py the same of an encoder's; activations.py counts what its backward pass needs
rehearsal.py       a few steps of the very job on this machine, measured; rehearsed_job.py is that job,
                   rehearsal_room.py whether it fits, worker_memory.py what its workers hold
stand_in.py        a model at full size with random weights; stand_in_tokenizer.py its tokenizer
fit.py             what every tagger's run does on the driver: its labels, best epoch and scores
trainer.py         what every run does there: run folder, Ray Train
callbacks.py       what Ray Train's controller does with workers' reports, and why a run ended
rows_file.py       rows that a run learns from, kept in its folder
scoring.py         a trained model's figures on a split
metrics_log.py     where an epoch's metrics go
mlflow_run.py      a run's twin in MLflow: options, metrics, how it ended
epochs.py          what every run does in a worker: epochs, early stopping, checkpoints
encoder_learner.py what an encoder learns by; adapter_learner.py what an adapted LLM does
workers.py         the workers as one of them sees the others
splits.py          the corpus as a worker reads it
steps.py           examples -> batches -> loss; encoder_steps.py and decoder_steps.py make the examples
adapter.py         LoRA on a base model that 4 bits may hold
deepspeed.py       DeepSpeed's engine over such an adapter
"""

import logging

# Says at each import which optional kernel is not there.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
