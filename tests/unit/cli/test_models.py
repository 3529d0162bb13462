"""models install."""

from raybio.errors import ModelError


def test_install(raybio, refused, monkeypatch):
    def fail():
        raise ModelError("could not install them")

    monkeypatch.setattr("raybio.bundled_models.install_bundled", lambda: None)
    assert raybio("models", "install") == (0, "", "")
    monkeypatch.setattr("raybio.bundled_models.install_bundled", fail)
    assert refused("models", "install") == "raybio: could not install them"
