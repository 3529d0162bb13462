"""serve: its config, and the door behind it."""

import sys
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[3]
COMPARE = ROOT / "configs" / "serve" / "compare.yaml"


def test_serve_hands_its_config_on(raybio, monkeypatch):
    configs = []

    def serve_models(config, progress):
        configs.append(config)
        progress("serving")

    monkeypatch.setitem(sys.modules, "raybio.serving.ingress", SimpleNamespace(serve_models=serve_models))
    assert raybio("serve", COMPARE, "port=9000") == (0, "", "starting Ray ...\nserving\n")
    (config,) = configs
    assert (config.port, [model.name for model in config.models]) == (9000, ["minilm", "smollm2"])


def test_serve_refuses_another_jobs_config(raybio):
    outcome = raybio("serve", ROOT / "configs" / "tag_corpus" / "pubmed.yaml")
    assert outcome.code == 2
    assert "this file configures tag-corpus; run `raybio tag-corpus` with it" in outcome.err
