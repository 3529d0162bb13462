import logging
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from tiny_classifiers import write_classifier

from raybio.entities import Sentence
from raybio.errors import ModelError
from raybio.model_identity import fingerprint
from raybio.taggers import check_tagger, load_tagger
from raybio.taggers.calibration import write_calibration
from raybio.taggers.encoder_card import EncoderCard
from raybio.taggers.encoder_int8 import _samples

SENTENCES = [
    Sentence(
        "1",
        ("Clonidine", "lowers", "the", "blood", "pressure", "of", "hypertensive", "rats", "."),
        (0,) * 9,
    ),
    Sentence("2", (), ()),
    Sentence(
        "3",
        ("Naloxone", "reverses", "the", "antihypertensive", "effect", "of", "clonidine", ".") * 20,
        (0,) * 160,
    ),
]
needs_openvino = pytest.mark.skipif(
    not all(find_spec(name) for name in ("openvino", "nncf")),
    reason="openvino and nncf are not installed",
)


@pytest.fixture(scope="module")
def folder(tiny_encoder, tmp_path_factory):
    return Path(shutil.copytree(tiny_encoder, tmp_path_factory.mktemp("int8") / "model"))


@needs_openvino
def test_int8_is_made_once_by_whoever_comes_first_and_mostly_agrees(folder, monkeypatch):
    from raybio.taggers import encoder_int8

    quantize, made = encoder_int8._quantize, []
    monkeypatch.setattr(encoder_int8, "_quantize", lambda *a: (made.append(a), quantize(*a)))
    before = fingerprint(folder)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: load_tagger(folder, precision="int8", threads=1), range(2))
    assert len(made) == 1
    assert [path.name for path in (folder / "int8").iterdir()] == [before]
    assert fingerprint(folder) == before

    tagged = first.tag(SENTENCES)
    assert tagged == second.tag(SENTENCES)
    assert [len(one.tags) for one in tagged] == [len(one) for one in SENTENCES]
    assert first.counts["subwords_dropped"] == 0
    full = load_tagger(folder, device="cpu").tag(SENTENCES)
    same = [a == b for q, f in zip(tagged, full, strict=True) for a, b in zip(q.tags, f.tags, strict=True)]
    assert np.mean(same) > 0.7  # random weights: many tags are all but tied
    assert all(0 <= score <= 1 for one in tagged for score in one.scores)


@needs_openvino
def test_int8_weights_of_another_model_are_not_used(tiny_encoder, tmp_path, monkeypatch):
    """A folder that was copied over, edited, or copied from: the int8 form in it is of other weights."""
    from raybio.taggers import encoder_int8

    made = []

    def quantize(folder, path, card):
        made.append(folder)
        path.write_text("quantized")

    monkeypatch.setattr(encoder_int8, "_quantize", quantize)
    model = Path(shutil.copytree(tiny_encoder, tmp_path / "model"))
    (model / "int8").mkdir()
    (model / "int8" / "model.xml").write_text("of a raybio that did not say of what")
    card = EncoderCard.read(model)
    first = encoder_int8._quantize_once(model, card)
    assert encoder_int8._quantize_once(model, card) == first and len(made) == 1
    assert [*(model / "int8").iterdir()] == [first]

    weights = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    second = encoder_int8._quantize_once(model, card)
    assert second != first and len(made) == 2
    assert [*(model / "int8").iterdir()] == [second]
    copied = Path(shutil.copytree(model, tmp_path / "copied"))
    assert encoder_int8._quantize_once(copied, card).name == second.name and len(made) == 2


def test_samples_are_windows_that_the_model_can_read(tiny_encoder):
    samples = _samples(tiny_encoder, EncoderCard.read(tiny_encoder))
    lengths = [sample["input_ids"].shape[1] for sample in samples]
    assert max(lengths) == 64
    assert len(samples) > 11  # ten short sentences and a long one, which is not cut off
    assert all(sample["attention_mask"].all() for sample in samples)


def test_without_calibration_sentences_int8_says_what_to_do(tiny_encoder, tmp_path):
    pytest.importorskip("nncf")
    bare = Path(shutil.copytree(tiny_encoder, tmp_path / "bare"))
    (bare / "calibration.json").unlink()
    before = [handler.level for handler in logging.getLogger("nncf").handlers]
    with pytest.raises(ModelError, match=r"has no calibration.json, which int8 needs"):
        load_tagger(bare, precision="int8")
    assert [handler.level for handler in logging.getLogger("nncf").handlers] == before
    assert not [*(bare / "int8").iterdir()]


@pytest.mark.parametrize("missing", ["openvino", "nncf"])
def test_without_its_packages_int8_says_what_to_install(tiny_encoder, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ModelError, match=rf"int8 needs {missing}. Run `pip install 'raybio\[int8\]'`"):
        load_tagger(tiny_encoder, precision="int8")


WATCH_CORES = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from raybio.entities import Sentence
from raybio.taggers import load_tagger

tagger = load_tagger(Path(sys.argv[1]), precision="int8", threads=1)
sentences = [Sentence("1", ("Clonidine",) * 160, (0,) * 160)] * 8
seen = set()
with ThreadPoolExecutor(1) as pool:
    working = pool.submit(lambda: [tagger.tag(sentences) for _ in range(20)])
    while not working.done():
        for thread in Path("/proc/self/task").iterdir():
            with suppress(ProcessLookupError):  # it has ended
                seen.add(tuple(sorted(os.sched_getaffinity(int(thread.name)))))
print(sorted(seen) == [tuple(sorted(os.sched_getaffinity(0)))], sorted(seen))
"""


@needs_openvino
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system binds no threads to cores")
def test_int8_leaves_the_choice_of_a_core_to_the_system(folder):
    # Bound to the first core, as OpenVINO would, all taggers of a machine would share it. In a process of its
    # own: where a model is being quantized, nncf's threads are bound for as long as its model lives.
    load_tagger(folder, precision="int8", threads=1)
    command = [sys.executable, "-c", WATCH_CORES, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("True"), done.stdout


@needs_openvino
@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        ("convbert", "is a ConvBertForTokenClassification, which reads padding too: it has no int8 form"),
        ("xlnet", "is a XLNetForTokenClassification, which OpenVINO cannot convert: "),
    ],
)
def test_an_architecture_without_an_int8_form_is_refused_in_one_line(tmp_path, architecture, said):
    folder = write_classifier(architecture, tmp_path / "model")
    write_calibration(folder, SENTENCES[:1])
    level = logging.getLogger().level
    with pytest.raises(ModelError, match=said):
        check_tagger(folder, precision="int8")  # as a driver does, before a worker starts
    with pytest.raises(ModelError, match=said) as caught:
        load_tagger(folder, precision="int8")
    assert logging.getLogger().level == level
    assert "\n" not in str(caught.value) and not [*(folder / "int8").glob("*")]
