"""The start of an answer as text, whatever it was packed in, within bounds. Used by the verdict and by the record."""

import zlib

import brotli
import zstandard

MAX_BYTES = 64 * 1024
"""Of the unpacked text. A tiny packed body may hold gigabytes."""


def unpacked(body: bytes, coding: str, limit_bytes: int) -> tuple[bytes, bool] | None:
    """Give the start of what is packed, and whether it is all; None when it cannot be read.

    Args:
        coding: The value of content-encoding, in lower case.
    """
    try:
        if coding in {"gzip", "x-gzip", "deflate"}:
            bare = coding == "deflate" and body[:1] != b"\x78"  # some servers send the stream without its wrapper
            unpacker = zlib.decompressobj(wbits=-zlib.MAX_WBITS if bare else zlib.MAX_WBITS | 32)
            text = unpacker.decompress(body, limit_bytes)
            return text, unpacker.eof
        if coding == "br":
            other = brotli.Decompressor()
            return bytes(other.process(body, output_buffer_limit=limit_bytes)), other.is_finished()
        if coding == "zstd":
            text = zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True).read(limit_bytes)
            return text, len(text) < limit_bytes
    except (zlib.error, brotli.error, zstandard.ZstdError):
        pass
    return None


def readable(body: bytes, encoding: str | None, content_type: str | None, limit_bytes: int = MAX_BYTES) -> str | None:
    """Give the start as text, or None when the body cannot be read as text.

    Args:
        body: The first bytes as received; may end anywhere.
        encoding: The value of content-encoding.
        content_type: Its charset counts only for Latin-1; everything else that is text is UTF-8 these days.
        limit_bytes: Of the unpacked text.
    """
    coding = (encoding or "identity").strip().lower()
    if coding != "identity":
        found = unpacked(body, coding, limit_bytes)
        if found is None:
            return None
        body = found[0]
    body = body[:limit_bytes]
    if not body or b"\0" in body:
        return None
    charset = "latin-1" if "8859-1" in (content_type or "") else "utf-8"
    return body.decode(charset, "replace")
