"""The file in which `Repeats` outlives the process: hashes, names, counts and times; no text, and no secret."""

import json
from contextlib import suppress
from pathlib import Path

from gateway import files
from gateway.files import StateError

FILE_NAME = "repeats.json"
FILE_BYTES_MAX = 4 * 2**20
"""A document of ours takes 600 kB at most; what is larger is none."""


def read(path: Path) -> object:
    """Give the document; None when there is none, or none that can be read. `Repeats.restore` judges what is in it."""
    with suppress(OSError, ValueError, RecursionError, StateError):
        if path.lstat().st_size <= FILE_BYTES_MAX:
            return json.loads(files.read_private(path, secret=False))
    return None


def write(path: Path, document: object) -> None:
    """Replace the file, whole or not at all.

    Raises:
        StateError: The directory cannot be written.
    """
    files.replace(path, json.dumps(document, separators=(",", ":")).encode())
