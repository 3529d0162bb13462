"""What a private cluster's processes inherit, and where they keep their sockets; without a cluster."""

import os
from pathlib import Path

import pytest
from ray._private import ray_constants

from raybio.cluster import _private_folder, _stderr_without, closed_environment, own_token
from raybio.errors import UsageError


@pytest.mark.parametrize(
    "users",
    [
        {},
        {"RAY_AUTH_MODE": "disabled"},
        {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "of a cluster elsewhere"},
        {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/token", "RAY_ENABLE_K8S_TOKEN_AUTH": "1"},
        {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1"},
    ],
)
def test_own_token_whatever_the_user_has_set(users: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    for name, value in users.items():
        monkeypatch.setenv(name, value)
    before, constant = dict(os.environ), ray_constants.ENABLE_RAY_CLUSTER
    tokens = set()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), closed_environment():
            tokens.add(os.environ["RAY_AUTH_TOKEN"])
            assert os.environ["RAY_AUTH_MODE"] == "token"
            assert os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
            assert not {"RAY_AUTH_TOKEN_PATH", "RAY_ENABLE_K8S_TOKEN_AUTH"} & set(os.environ)
            raise ZeroDivisionError
        assert dict(os.environ) == before
        assert constant == ray_constants.ENABLE_RAY_CLUSTER
    assert len(tokens - {users.get("RAY_AUTH_TOKEN")}) == 2


def test_clusters_of_one_process_at_a_time_have_one_token() -> None:
    with own_token() as outer, closed_environment():
        assert os.environ["RAY_AUTH_TOKEN"] == outer
        with closed_environment():
            assert os.environ["RAY_AUTH_TOKEN"] == outer
        assert os.environ["RAY_AUTH_TOKEN"] == outer
    with own_token() as other:
        assert other != outer


def test_sockets_and_logs_lie_where_no_other_user_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/chosen")
    assert _private_folder() is None
    monkeypatch.delenv("RAY_TMPDIR")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    folder = tmp_path / f"raybio-{os.getuid()}"
    assert _private_folder() == _private_folder() == str(folder / "ray")
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    with pytest.raises(UsageError, match="you alone can enter"):
        _private_folder()
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="you alone can enter"):
        _private_folder()


def test_of_stderr_only_the_named_line_is_dropped(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), _stderr_without(b"alarm 53727"):
        os.write(2, b"before\nthe alarm 53727 comes\n")
        os.write(2, b"alarm 5372 is another\n")
        raise ZeroDivisionError
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "before\nalarm 5372 is another\nafter\n"
