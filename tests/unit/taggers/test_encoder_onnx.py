"""An encoder as an ONNX file: onnxruntime answers with it as raybio does."""

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raybio.cli import main
from raybio.errors import ModelError
from raybio.taggers import encoder_onnx, load_tagger
from raybio.taggers.encoder import EncoderTagger, load_classifier, torch_forward
from raybio.taggers.encoder_card import description_of
from raybio.taggers.encoder_onnx import FILE, export_onnx, onnx_forward, sample_sentences

needs_onnx = pytest.mark.skipif(
    not all(find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime")),
    reason="onnx, onnxscript and onnxruntime are not installed: pip install 'raybio[onnx]'",
)
TAGS = ["O", "B-Chemical", "I-Chemical", "B-Disease", "I-Disease"]


@pytest.fixture(scope="module")
def exported(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("exported") / "onnx"
    assert main(["export", str(tiny_encoder), "--format", "onnx", "--output", str(target)]) == 0
    return target


@needs_onnx
def test_300_sentences_have_the_same_tags_and_scores(exported: Path, tiny_encoder: Path) -> None:
    sentences = sample_sentences(300)
    assert len(sentences) == 300
    scheme, card = description_of(tiny_encoder)
    own = load_tagger(tiny_encoder, precision="fp32").tag(sentences)
    tagged = EncoderTagger(tiny_encoder, scheme, card, onnx_forward(exported / FILE), 512).tag(sentences)
    assert [one.tags for one in tagged] == [one.tags for one in own]
    assert len({tag for one in tagged for tag in one.tags}) == len(TAGS)
    for one, other in zip(tagged, own, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)


@needs_onnx
@pytest.mark.parametrize("shape", [(1, 2), (1, 64), (3, 7), (17, 5)])
def test_any_number_of_windows_of_any_length_is_read(
    exported: Path, tiny_encoder: Path, shape: tuple[int, int]
) -> None:
    ids = np.random.default_rng(1).integers(5, 900, shape)
    mask = np.ones_like(ids)
    mask[-1, shape[1] // 2 + 1 :] = 0
    own, found = (
        forward(ids, mask)[mask > 0]
        for forward in (torch_forward(load_classifier(tiny_encoder)), onnx_forward(exported / FILE))
    )
    np.testing.assert_allclose(found, own, atol=1e-3)


@needs_onnx
def test_the_file_has_its_labels_and_the_folder_all_that_goes_with_it(
    exported: Path, tiny_encoder: Path
) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(exported / FILE, providers=["CPUExecutionProvider"])
    found = session.get_modelmeta().custom_metadata_map
    assert list(json.loads(found["id2label"]).values()) == TAGS
    assert json.loads(found["raybio"])["aggregation_strategy"] == "mean"
    assert [one.name for one in session.get_inputs()] == ["input_ids", "attention_mask"]
    names = {path.name for path in exported.iterdir()}
    assert {"config.json", "tokenizer.json", "raybio.json", FILE} <= names
    assert "model.safetensors" not in names
    with pytest.raises(ModelError, match=r"no safetensors weights .*it holds model\.onnx"):
        load_tagger(exported)


@needs_onnx
def test_the_pages_example_reads_the_file(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[3] / "docs/share_a_model.md").read_text("utf-8")
    code = page.partition("```python\n")[2].partition("\n```")[0]
    setting, _, last = code.rpartition("\n")
    monkeypatch.chdir(exported.parent)
    names: dict[str, Any] = {}
    exec(setting, names)
    found = eval(last, names)
    assert [token for token, _ in found[:2]] == ["[CLS]", "na"] and found[-1][0] == "[SEP]"
    assert {tag for _, tag in found} <= set(TAGS)


@needs_onnx
def test_what_onnxruntime_answers_otherwise_with_is_not_written(
    tiny_encoder: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that was written is another's: here it is not exported again, which takes long."""

    def write(_folder: object, _model: object, _card: object, file: Path) -> None:
        file.write_bytes((exported / FILE).read_bytes())

    monkeypatch.setattr(encoder_onnx, "_write", write)
    plain = onnx_forward
    monkeypatch.setattr(encoder_onnx, "onnx_forward", lambda file: lambda ids, mask: -plain(file)(ids, mask))
    with pytest.raises(ModelError, match=r"of 300 sentences onnxruntime tags \d+ otherwise than torch"):
        export_onnx(tiny_encoder, tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()


@needs_onnx
def test_what_cannot_be_exported_is_refused_in_one_line(
    tiny_encoder: Path, tiny_decoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match="is a decoder, and only token classifiers have an ONNX form"):
        export_onnx(tiny_decoder, tmp_path / "onnx")

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no such operator\nand much more")

    monkeypatch.setattr(encoder_onnx.torch.onnx, "export", fail)
    with pytest.raises(ModelError, match="BertForTokenClassification, which torch cannot export: no such op"):
        export_onnx(tiny_encoder, tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()


@pytest.mark.parametrize("missing", ["onnx", "onnxscript", "onnxruntime"])
def test_without_a_package_one_line_says_what_to_install(
    missing: str,
    tiny_encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None if name == missing else encoder_onnx)
    words = ["export", str(tiny_encoder), "--format", "onnx", "--output", str(tmp_path / "onnx")]
    assert main(words) == 2
    assert f"format onnx needs {missing}. Run `pip install 'raybio[onnx]'`" in capsys.readouterr().err


def test_a_model_that_is_no_folder_needs_a_place(capsys: pytest.CaptureFixture) -> None:
    assert main(["export", "bundled:minilm", "--format", "onnx"]) == 2
    assert "Give --output FOLDER" in capsys.readouterr().err
