"""What ``whygate explain`` is given to read: a file or standard input, within bounds, as text."""

import codecs
import re
import sys
from pathlib import Path
from typing import BinaryIO

from gateway.cli.screen import UserError, note

MAX_BYTES = 4 * 1024 * 1024
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
"""How a text says what it is; Windows PowerShell writes UTF-16."""
_NO_TEXT = re.compile("[\x00-\x07\x0e-\x1a\x1c-\x1f\ufffd]")
_NO_TEXT_SHARE = 0.1


def opened(name: str) -> BinaryIO:
    """Open a file; ``-`` is standard input.

    Raises:
        UserError: It cannot be opened.
    """
    if name == "-":
        if sys.stdin is None:
            raise UserError("There is no standard input", "", "Name a file instead.")
        if sys.stdin.isatty():
            note("whygate: paste what failed, then press Ctrl-D (Windows: Ctrl-Z and Enter).")
        return sys.stdin.buffer
    try:
        return Path(name).expanduser().open("rb")
    except (OSError, RuntimeError, ValueError) as exc:
        raise _unreadable(name, exc) from exc


def text_of(name: str) -> str | None:
    """Give the text of a file; ``-`` is standard input. None when it is no text.

    Raises:
        UserError: It cannot be read, or is too large.
    """
    stream = opened(name)
    try:
        data = stream.read(MAX_BYTES + 1)
    except OSError as exc:
        raise _unreadable(name, exc) from exc
    finally:
        if name != "-":
            stream.close()
    if len(data) > MAX_BYTES:
        raise UserError(
            f"This is larger than {MAX_BYTES // 2**20} MiB, which is as much as whygate reads at once",
            place(name),
            "Cut out the failure. From a browser, save only the calls that failed.",
        )
    return decoded(data)


def decoded(data: bytes) -> str | None:
    """Give bytes as text; None when most of them are none."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.removeprefix(mark).decode(encoding, "replace")
    text = data.decode("utf-8", "replace")
    strange = sum(1 for _ in _NO_TEXT.finditer(text))
    return None if strange > len(text) * _NO_TEXT_SHARE else text


def place(name: str) -> str:
    """Give where it was read from, in words."""
    return "standard input" if name == "-" else name


def _unreadable(name: str, error: Exception) -> UserError:
    if isinstance(error, FileNotFoundError):
        what, fix = "There is no such file", "Check the name. To explain text, pipe it in: whygate explain -"
    elif isinstance(error, IsADirectoryError):
        what, fix = "This is a directory", "Name a file in it."
    else:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        what, fix = f"The file cannot be read: {reason}", "Name one that can, or pipe it in: whygate explain -"
    return UserError(what, place(name), fix)
