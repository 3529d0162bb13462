"""Command lines that submit a small job."""

import json
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


def write_documents(file: Path, count: int) -> Path:
    """Write so many short documents, of ids from 0 on, as JSON lines."""
    text = "Naloxone reverses the antihypertensive effect of clonidine in rats. " * 8
    file.write_text("".join(json.dumps({"id": str(i), "text": text.strip()}) + "\n" for i in range(count)))
    return file
