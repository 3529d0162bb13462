"""What is carried to a machine without network: parts that fit, and are whole again when put together."""

import subprocess

import pytest

from gpu import pack


def test_parts_fit_and_are_whole_again(tmp_path, monkeypatch):
    monkeypatch.setattr(pack, "_PIECE", 100)
    stage, there = tmp_path / "stage", tmp_path / "there"
    contents = {
        "wheels/big.whl": bytes(range(250)) * 3,
        "wheels/small.whl": b"a",
        "decoder/model": b"b" * 120,
    }
    for name, content in contents.items():
        (stage / name).parent.mkdir(parents=True, exist_ok=True)
        (stage / name).write_bytes(content)
    parts = pack.cut(stage, tmp_path / "parts", 230)
    assert len(parts) > 2
    assert all(pack._bytes_of(part) <= 230 for part in parts)
    there.mkdir()
    for part in parts:
        subprocess.run(["cp", "-r", f"{part}/.", str(there)], check=True)
    assemble = pack._RUN[pack._RUN.index("find . ") : pack._RUN.index("python3 -m pip")].format()
    subprocess.run(["bash", "-euc", assemble], cwd=there, check=True)
    found = {str(p.relative_to(there)): p.read_bytes() for p in there.rglob("*") if p.is_file()}
    assert found == contents


def test_a_part_too_small_for_a_piece_is_refused(tmp_path):
    with pytest.raises(ValueError, match="less than a piece"):
        pack.cut(tmp_path, tmp_path, 1000)


def test_what_is_needed_is_taken_as_installed_here_and_nothing_that_is_there():
    found = dict(one.split("==") for one in pack.packages(["pydantic", "deepspeed", "ray[serve]"]))
    assert {"pydantic", "pydantic-core", "annotated-types", "typing-inspection", "hjson"} <= found.keys()
    assert {"ray", "fastapi", "starlette", "uvicorn", "jsonschema"} <= found.keys()
    assert not found.keys() & {"torch", "numpy", "transformers", "nvidia-cublas", "pytest"}
    with pytest.raises(pack.PackageNotFoundError):
        pack.packages(["no-such-package"])
