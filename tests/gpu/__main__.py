"""`make gpu`: run the checks on this machine's GPU, write their results as JSON, and print a table.

Without a GPU one line says what would have been run. `--device cpu --small` runs the same checks with tiny
models on a CPU. Checks stand in the order of their worth: where time ends, the last ones are skipped.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from gpu.checks import Check, run_checks

_FOUR_BIT = ("bitsandbytes", "accelerate", "peft")
_QLORA = (*_FOUR_BIT, "deepspeed")
_RAY = ("ray", "fastapi", "tensorboard")

CHECKS = (
    Check("encoder-bf16", "an encoder learns and tags in bf16", "encoders.learns_and_tags"),
    Check("identity-fp32", "every decode mode's tokens", "identity.in_full_precision"),
    Check("identity-bf16", "the same but for ties", "identity.in_bf16"),
    Check("identity-4bit", "the same but for ties", "identity.in_four_bits", _FOUR_BIT),
    Check("speed-bf16", "generate, verified tags, tag head, encoder", "speed.in_bf16"),
    Check("qlora-4bit", "4 bits, DeepSpeed, 8-bit AdamW", "qlora.learns_in_four_bits", _QLORA),
    Check("serve-half-gpu", "two models on one GPU", "on_ray.shares_a_gpu", _RAY),
    Check("rehearsal", "Llama-3.1-8B with random weights", "on_ray.rehearses", (*_RAY, *_QLORA)),
    Check("train-jobs", "Ray Train, both kinds", "on_ray.trains_as_jobs", (*_RAY, *_QLORA)),
    Check("speed-4bit", "the same with the LLM in 4 bits", "speed.in_four_bits", _FOUR_BIT),
    Check("speed-fp32", "the same in fp32", "speed.in_fp32"),
)


def main() -> int:
    """Run the checks that were asked for; return how many failed."""
    arguments = _arguments()
    chosen = [check for check in CHECKS if not arguments.only or check.name in arguments.only]
    if arguments.device == "cuda" and not torch.cuda.is_available():
        names = ", ".join(check.name for check in chosen)
        print(f"no GPU here: {len(chosen)} checks would have been run ({names})")
        return 0
    return _run(chosen, arguments)


def _run(chosen: Sequence[Check], arguments: argparse.Namespace) -> int:
    # What takes seconds to import is imported once there is something to run.
    from transformers.utils import logging as transformers_logging

    from gpu.report import results, table, write
    from gpu.setting import make_setting
    from raybio.taggers.devices import accelerator

    transformers_logging.disable_progress_bar()
    date = datetime.now(UTC).date().isoformat()
    device = (accelerator() or "cpu").lower().replace(" ", "-") if arguments.device == "cuda" else "cpu"
    path = arguments.json or Path("benchmarks", "results", f"gpu-{device}-{date}.json")
    outcomes = []
    with tempfile.TemporaryDirectory() as scratch:
        setting = make_setting(
            arguments.device,
            arguments.small,
            Path(scratch),
            arguments.data,
            arguments.encoder,
            arguments.decoder,
            arguments.tag_head,
        )
        for outcome in run_checks(chosen, setting, arguments.seconds):
            outcomes.append(outcome)
            print(table([outcome]), flush=True)
            write(path, results(outcomes, _plain(arguments), arguments.commit))  # what is measured is kept
    counts = Counter(outcome.status for outcome in outcomes)
    print(f"{', '.join(f'{count} {status}' for status, count in counts.items())}: see {path}")
    return counts["failed"]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make gpu", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--small", action="store_true", help="tiny models")
    parser.add_argument("--only", nargs="*", metavar="NAME", choices=[check.name for check in CHECKS])
    parser.add_argument("--seconds", type=float, default=420, help="no check starts after so long")
    parser.add_argument("--data", help="folder with BC5CDR; without it the sample corpus is read")
    parser.add_argument("--encoder", type=Path, help="model folder of a trained encoder")
    parser.add_argument("--decoder", type=Path, help="model folder of a trained LLM")
    parser.add_argument("--tag-head", type=Path, help="model folder of an LLM trained with head: tags")
    parser.add_argument("--json", type=Path, help="where results go; default: benchmarks/results")
    parser.add_argument("--commit", help="of this checkout, where git cannot be asked")
    return parser.parse_args()


def _plain(arguments: argparse.Namespace) -> dict[str, object]:
    """Return the arguments as JSON has them; of a path its name alone."""
    given = vars(arguments).items()
    return {name: value.name if isinstance(value, Path) else value for name, value in given if name != "data"}


if __name__ == "__main__":
    sys.exit(main())
