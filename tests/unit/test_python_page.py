"""docs/python.md: its code runs as it stands, from the top of the page to its end."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "python.md"


def test_its_code_runs(tiny_encoder, tmp_path, monkeypatch, capsys):
    (tmp_path / "runs" / "minilm-bc5cdr").mkdir(parents=True)
    (tmp_path / "runs" / "minilm-bc5cdr" / "model").symlink_to(tiny_encoder)
    (tmp_path / "abstracts.txt").write_text("Naloxone was given.\nSo was clonidine.\n")
    (tmp_path / "papers.csv").write_text("pmid,title,abstract\n0017,Naloxone,It reverses clonidine.\n")
    monkeypatch.chdir(tmp_path)
    found = re.findall(r"(?s)```python\n(.*?)```", PAGE.read_text(encoding="utf-8"))
    blocks = [block for block in found if "import ray\n" not in block]  # tests/ray/test_dataset.py has that
    assert len(blocks) == 6
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    printed = capsys.readouterr().out
    assert all(said in printed for said in re.findall(r"(?s)```text\n(.*?)```", PAGE.read_text("utf-8")))
    assert "|" in printed and "0017 (Passage(start=0, end=8, kind='title'" in printed
    assert (tmp_path / "tagged.pubtator").read_text().startswith("abstracts")
