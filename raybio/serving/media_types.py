"""The media types of answers, and which of them an Accept header likes best."""

from __future__ import annotations

from collections.abc import Mapping

from raybio.serving.refusal import RequestError

JSON = "application/json"

MEDIA_TYPES: Mapping[str, str] = {
    JSON: "json",
    "application/x-pubtator": "pubtator",
    "text/plain": "pubtator",
    "application/bioc+json": "bioc-json",
    "application/bioc+xml": "bioc-xml",
    "application/xml": "bioc-xml",
}
"""Media type -> format: "json" is the interface's own, the others are those of `raybio.corpora`."""
_MAX_RANGES = 50


def accepted(header: str) -> str:
    """Return the media type in `MEDIA_TYPES` that an Accept header likes best (RFC 9110, 12.5.1).

    Raises:
        RequestError: 406 where it likes none.
    """
    parts = [part for part in header.split(",", _MAX_RANGES) if part.strip()]
    if len(parts) > _MAX_RANGES:
        raise RequestError(406, f"Accept names more than {_MAX_RANGES} types", "Name those you read")
    ranges = [_media_range(part) for part in parts] or [("*/*", 1.0)]
    refused = {wanted for wanted, quality in ranges if quality <= 0}
    # The best liked first; of those liked alike, the first named.
    for wanted, quality in sorted(ranges, key=lambda each: -each[1]):
        for offered in MEDIA_TYPES:
            broader = f"{offered.partition('/')[0]}/*"
            if quality > 0 and offered not in refused and wanted in (offered, broader, "*/*"):
                return offered
    raise RequestError(
        406, f"no answer can be given as {header!r}", f"Accept one of {', '.join(MEDIA_TYPES)}"
    )


def _media_range(part: str) -> tuple[str, float]:
    """Return ("text/plain", 0.5) for "text/plain;q=0.5"; a quality that is no number counts as 0."""
    media, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
    try:
        return media, float(quality)
    except ValueError:
        return media, 0.0
