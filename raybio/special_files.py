"""What is no regular file (a FIFO, socket, device) is refused before it is opened: it may never end."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_KINDS = (
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_OWN = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")
"""What a shell has opened for this very process, as in `raybio corpus stats <(zcat corpus.gz)`."""


def special_kind(path: str | Path) -> str:
    """Return what `path` is where it is no regular file or folder ("a FIFO"), or "".

    Links are followed. A missing file and what the shell opened for this process are "" too.
    """
    if os.fspath(path).startswith(_OWN):
        return ""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - a path with a null byte is for `open` to refuse
    except (OSError, ValueError):
        return ""
    return next((kind for is_kind, kind in _KINDS if is_kind(mode)), "")
