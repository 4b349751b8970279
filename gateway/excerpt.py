"""The start of an answer as text, whatever it was packed in, within bounds. Used by the verdict and by the record."""

import zlib
from typing import Protocol

import brotli

MAX_BYTES = 64 * 1024
"""Of the unpacked text. A tiny packed body may hold gigabytes."""


class _Packed(Protocol):
    """A decompressor that stops at a size."""

    def __call__(self, body: bytes, /) -> bytes: ...


def _gunzip(body: bytes) -> bytes:
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32).decompress(body, MAX_BYTES)


def _inflate(body: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(body, MAX_BYTES)
    except zlib.error:
        # Some servers send the bare stream without its zlib wrapper.
        return zlib.decompressobj(wbits=-zlib.MAX_WBITS).decompress(body, MAX_BYTES)


def _unbrotli(body: bytes) -> bytes:
    return bytes(brotli.Decompressor().process(body, output_buffer_limit=MAX_BYTES))


_UNPACK: dict[str, _Packed] = {"gzip": _gunzip, "x-gzip": _gunzip, "deflate": _inflate, "br": _unbrotli}


def readable(body: bytes, encoding: str | None, content_type: str | None) -> str | None:
    """Give at most 64 KiB of text, or None when the body cannot be read as text.

    Args:
        body: The first bytes as received; may end anywhere.
        encoding: The value of content-encoding.
        content_type: Its charset counts only for Latin-1; everything else that is text is UTF-8 these days.
    """
    coding = (encoding or "identity").strip().lower()
    if coding != "identity":
        unpack = _UNPACK.get(coding)
        if unpack is None:
            return None
        try:
            body = unpack(body)
        except (zlib.error, brotli.error):
            return None
    body = body[:MAX_BYTES]
    if not body or b"\0" in body:
        return None
    charset = "latin-1" if "8859-1" in (content_type or "") else "utf-8"
    return body.decode(charset, "replace")
