"""`raybio configs list` and `copy`."""

import pytest

from raybio.config import JOBS, load_config
from raybio.config.shipped import shipped_configs


def test_list_has_every_config_with_its_job_and_what_it_is(raybio):
    outcome = raybio("configs", "list")
    rows = [line.split(maxsplit=2) for line in outcome.out.splitlines()[1:]]
    assert [row[0] for row in rows] == list(shipped_configs())
    assert {row[1] for row in rows} <= set(JOBS)
    assert all(row[2] for row in rows)
    assert max(map(len, outcome.out.splitlines())) < 160


@pytest.mark.parametrize("name", ["smollm2_bc5cdr", "study/smoke"])
def test_copy_gives_a_file_to_change(raybio, name):
    assert raybio("configs", "copy", name, "mine.yaml") == (0, "", "")
    assert load_config("mine.yaml").job == load_config(name).job


def test_copy_replaces_nothing(refused, tmp_path):
    (tmp_path / "mine.yaml").write_text("mine")
    assert refused("configs", "copy", "study/smoke", "mine.yaml") == (
        "raybio: mine.yaml is there already. Choose another name"
    )
    assert (tmp_path / "mine.yaml").read_text() == "mine"


def test_copy_of_what_does_not_come_with_raybio_is_refused(refused, tmp_path):
    (tmp_path / "own.yaml").write_text("job: serve\n")
    assert "raybio comes with no config 'own.yaml'" in refused("configs", "copy", "own.yaml", "x.yaml")
    assert "did you mean 'study/paper'?" in refused("configs", "copy", "study/papr", "x.yaml")
