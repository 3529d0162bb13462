"""Which file system a path or URL is in: local, or any that fsspec knows (`s3://`, `gs://`, `file://`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from raybio.errors import UsageError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_ANONYMOUS = re.compile(r"(gc?s://)anonymous@")


def is_url(path: str) -> bool:
    """Say whether `path` names a file system of its own (`s3://...`) and not a local path."""
    return _URL.match(path) is not None


def filesystem_of(path: str) -> tuple[AbstractFileSystem, str]:
    """Return the file system of a local path or URL, and the path in it.

    All of raybio comes here, so that what lists a bucket reads it as well. Credentials and endpoints are
    those of its package: for S3 `AWS_...` variables and `~/.aws`, an endpoint of one's own (MinIO, Ceph)
    included, which is asked in path style. A public Google bucket needs none: `gs://anonymous@BUCKET/...`.

    Raises:
        UsageError: no file system of that name is known, or its package is not installed.
    """
    import fsspec  # imported here: local files need none of it

    options = {"token": "anon"} if _ANONYMOUS.match(path) else {}
    try:
        # Other processes write too, so a listing that was remembered would be out of date.
        found: tuple[AbstractFileSystem, str] = fsspec.core.url_to_fs(
            _ANONYMOUS.sub(r"\1", path), use_listings_cache=False, **options
        )
    except (ImportError, ValueError) as error:
        raise UsageError(
            f"{path}: this kind of place cannot be used ({error}). Give a local path, or a URL whose "
            "package is installed: pip install 'raybio[s3]' for s3://, 'raybio[gs]' for gs://"
        ) from error
    return found


def url_of(filesystem: AbstractFileSystem, path: str, asked: str) -> str:
    """Return the URL of a `path` that was found at the URL or pattern `asked`, reached in the same way."""
    url = str(filesystem.unstrip_protocol(path))
    anonymous = _ANONYMOUS.match(asked)
    return re.sub(r"^gc?s://", anonymous[0], url) if anonymous else url
