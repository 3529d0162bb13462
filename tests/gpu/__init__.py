"""Checks on an accelerator, one command: `make gpu`.

Each check is a function of a `Setting`: the same code on a GPU at full size and on a CPU with tiny models
(`--device cpu --small`). Checks that need Ray, bitsandbytes or DeepSpeed are skipped with a line where such
a package is not installed; the others run wherever torch and transformers do.

setting.py    the device, the models and the sentences that checks work on
models.py     model folders with random weights, of any size
checks.py     what a check is, and the list of them
encoders.py   an encoder learns and tags in bf16, beside fp32
identity.py   decode modes give what their references give, in fp32, bf16 and 4 bits
qlora.py      steps on 4-bit weights under DeepSpeed, then the adapter saved, read back and used
speed.py      generate, verified tags, a tag head and an encoder side by side
on_ray.py     a GPU shared in Serve, a training job, a rehearsal of Llama-3.1-8B
report.py     results as JSON and as a table
pack.py       what a machine without network needs, in parts small enough to carry
"""
