"""What Ray Serve's own config files start has a run's id in its logs, as what `raybio serve` starts."""

import pytest

from raybio.serving import applications


@pytest.fixture
def ids(monkeypatch):
    """The ids that applications were made with."""
    made = []
    monkeypatch.setattr(applications, "model_application", lambda section, run_id: made.append(run_id))
    monkeypatch.setattr(
        applications,
        "interface_application",
        lambda ingress, names, limits, run_id, **options: made.append(run_id),
    )
    return made


def test_every_start_has_an_id_of_its_own(ids):
    for _ in range(2):
        applications.model({"name": "m", "model": "bundled:minilm"})
        applications.interface({"models": ["m"]})
    assert all(ids) and len(set(ids)) == 4
