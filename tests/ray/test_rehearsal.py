"""A rehearsal through the very job, of tiny models that are not at hand: their shapes alone are known."""

import json

import pytest
from tiny_llama import tiny_llama_config
from transformers import BertConfig

from raybio.cli import main
from raybio.training import shapes

BERT, LLAMA = "some/bert-tiny", "some/llama-tiny"
ENCODER = f"job: train-encoder\nmodel: {BERT}\ncorpus: {{name: BC5CDR}}\nworkers: {{accelerator: gpu}}\n"
DECODER = f"""job: train-decoder
model: {LLAMA}
corpus: {{name: BC5CDR}}
training: {{optimizer: paged-adamw-8bit, precision: fp32, max_length: 512}}
lora: {{r: 4}}
workers: {{accelerator: gpu}}
"""


@pytest.fixture(autouse=True)
def shapes_are_known(monkeypatch):
    bert = BertConfig(
        vocab_size=5000, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    llama = tiny_llama_config(5000, tied=False)
    llama.architectures = ["LlamaForCausalLM"]
    monkeypatch.setattr(shapes, "KNOWN", {BERT: bert, LLAMA: llama})


def rehearsed(config, tmp_path, capsys):
    file, figures = tmp_path / "config.yaml", tmp_path / "figures.json"
    file.write_text(config)
    words = [str(file), f"corpus.data={tmp_path}", "--rehearse", "2", "--keep", str(tmp_path / "kept")]
    assert main(["preflight", *words, "--json", str(figures)]) == 0
    return capsys.readouterr().out, json.loads(figures.read_text())


@pytest.mark.parametrize(
    "config", [pytest.param(ENCODER, marks=pytest.mark.soak), DECODER], ids=["encoder", "llm"]
)
def test_two_steps_through_the_very_job(config, tmp_path, capsys):
    reported, found = rehearsed(config, tmp_path, capsys)
    assert found["steps"] == 2
    assert found["step_seconds"] > 0
    for measured in ("training_bytes", "tagging_bytes"):
        assert 2**28 < found[measured] < 2**32  # of a process that has loaded torch
    assert len(found["tags"]) == len(found["words"])
    kept = tmp_path / "kept" / "runs" / "rehearsal"
    assert [json.loads(line)["steps"] for line in (kept / "metrics.jsonl").read_text().splitlines()] == [2]
    assert (kept / "model").is_dir()
    assert "random weights" in reported
    assert "generated sentences" in reported
    assert "not known without its corpus" in reported
