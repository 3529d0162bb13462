"""Command lines that submit a small job."""

from pathlib import Path

CONFIG = "configs/tag_corpus/cpu_int8.yaml"


def words(model: Path, source: Path, output: Path, *more: str) -> list[str]:
    """Return the command line of a job that tags a small input on one CPU."""
    options = {
        "model": model,
        "input": f"[{source}]",
        "format": "jsonl",
        "output": output,
        "precision": "fp32",
        "shard_documents": 10,
        "taggers.count": 1,
    }
    return ["submit", "tag-corpus", CONFIG, *(f"{key}={value}" for key, value in options.items()), *more]
