"""One strict look at a request's head, before anything is made of it."""

import re
from collections.abc import Sequence

HEAD_BYTES = 65_536
HEAD_FIELDS = 100

_BAD_TARGET = re.compile(rb"[\x00-\x20\x7f]")
_BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class MalformedError(Exception):
    """The head breaks a rule that httptools does not check."""


def check_head(method: str, version: str, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Check a request's head for what httptools lets pass. Raises MalformedError."""
    if version not in {"1.0", "1.1"} or method == "CONNECT":
        message = "CONNECT without host:port" if method == "CONNECT" else f"HTTP/{version}"
        raise MalformedError(message)
    if _BAD_TARGET.search(target):
        message = "a control character or space in the request's path"
        raise MalformedError(message)
    size = len(target)
    hosts = lengths = 0
    for name, value in headers:
        size += len(name) + len(value) + 4
        if name == b"host":
            hosts += 1
        elif name == b"content-length":
            lengths += 1
        if not value.isalnum() and _BAD_VALUE.search(value):
            message = f"a control character in the header {name.decode('latin-1')}"
            raise MalformedError(message)
    if hosts != 1 and (hosts or version == "1.1"):
        message = "two Host headers" if hosts else "no Host header"
        raise MalformedError(message)
    if lengths > 1:
        message = "two Content-Length headers"
        raise MalformedError(message)
    if size > HEAD_BYTES:
        message = f"a head over {HEAD_BYTES} bytes"
        raise MalformedError(message)
