"""Writers that tests start in processes of their own, several at one file or folder."""

from pathlib import Path

from raybio import storage

CONTENTS = [bytes([65 + writer]) * (50_000 + 20_000 * writer) for writer in range(2)]
"""What each of two writers writes."""


def write_often(path: str, writer: int, times: int) -> None:
    """Write the content of `writer` to one file, again and again."""
    for _ in range(times):
        with storage.write_whole(path) as stream:
            stream.write(CONTENTS[writer])


def replace_often(folder: Path, writer: int) -> None:
    """Replace one folder 50 times; the first writer as on a system that cannot let folders change names."""
    if writer == 0:
        storage._exchange = lambda one, other: False
    for number in range(50):
        with storage.replace_folder(folder) as draft:
            for name in ("a", "b"):
                (draft / name).write_text(f"{writer} {number}")
