"""A bundle: what is handed to whoever is to look into failures, as one ZIP file. Made in memory, within a bound. Pure.

A bundle is made of cleaned rows (`gateway.record.leaks.Cleaner`), and nothing goes into it that the scan has not seen.
"""

import hashlib
import io
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from gateway.record import har, reproduce
from gateway.record.leaks import Known, Leak, find

MAX_BYTES = 32 * 1024 * 1024
"""Of all files together, before they are packed."""
ROWS_MAX_BYTES = 6 * 1024 * 1024
"""Of the rows as JSON. Each stands in three files, with more words around it each time."""
MANIFEST = "manifest.json"
REPRODUCED_MAX = 20
_PRIVATE = 0o600 << 16
_FIRST_YEAR = 1980
"""ZIP knows no earlier one."""
_NAME = re.compile(r"[^0-9A-Za-z_-]")


class LeakError(Exception):
    """Something that must not leave this machine stood in a file; nothing was packed."""

    def __init__(self, leaks: Sequence[Leak]) -> None:
        self.leaks = tuple(leaks)
        super().__init__("; ".join(f"{leak.file}: {leak.kind}" for leak in self.leaks))


class TooLargeError(Exception):
    """The files are larger than `MAX_BYTES`."""


def with_body_left_out(row: har.Row) -> dict[str, Any]:
    """Give a row without what was asked and answered: lengths and hashes stay, so that two can be compared."""
    given = dict(row)
    for name in ("body", "request_body"):
        if row.get(name) is not None:
            data = str(row[name]).encode("utf-8", "replace")
            told = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            given |= {name: None, f"{name}_left_out": told}
    return given


def fitting[R: har.Row](rows: Sequence[R], max_bytes: int = ROWS_MAX_BYTES) -> list[R]:
    """Give the rows that a bundle has room for: failures before others, then newer before older ones. Order is kept."""
    kept: set[int] = set()
    left = max_bytes
    for number in sorted(range(len(rows)), key=lambda one: (not rows[one].get("cause"), -rows[one]["seq"])):
        left -= len(orjson.dumps(rows[number]))
        if left < 0:
            break
        kept.add(number)
    return [row for number, row in enumerate(rows) if number in kept]


def har_file(rows: Iterable[har.Row], version: str) -> bytes:
    """Give rows as the text of a HAR file."""
    return orjson.dumps(har.document(rows, version))


def jsonl_file(rows: Iterable[har.Row]) -> bytes:
    """Give rows as JSON, one a line."""
    return b"".join(orjson.dumps(row) + b"\n" for row in rows)


def log_files(rows: Sequence[har.Row], version: str) -> dict[str, bytes]:
    """Give the rows as HAR, and the failed calls as commands and programs."""
    files = {"flows.har": har_file(rows, version)}
    failed = [row for row in rows if row.get("cause") and row.get("host")]
    for row in sorted(failed, key=lambda row: -row["seq"])[:REPRODUCED_MAX]:
        name = _NAME.sub("_", str(row["id"]))[:64]
        files[f"reproduce/{name}.sh"] = reproduce.script(row).encode()
        files[f"reproduce/{name}.py"] = reproduce.python(row).encode()
    return files


def manifest(files: Mapping[str, bytes], about: Mapping[str, Any]) -> bytes:
    """Give the list of the files with their sizes in bytes and their hashes, after what is said about all of them."""
    listed = [
        {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
    ]
    return orjson.dumps({**about, "files": listed}, option=orjson.OPT_INDENT_2)


def pack(files: Mapping[str, bytes], known: Iterable[Known], home: str, made_at: datetime) -> bytes:
    """Give the ZIP file.

    Args:
        files: By name, the manifest among them.
        known: Secrets of this machine, none of which may stand in a file.
        home: The person's home directory, likewise.
        made_at: The time that all entries bear.

    Raises:
        LeakError: The scan found something.
        TooLargeError: They are larger than a bundle may be.
    """
    if sum(map(len, files.values())) > MAX_BYTES:
        raise TooLargeError
    if leaks := find(files, known, home):
        raise LeakError(leaks)
    packed = io.BytesIO()
    moment = (max(made_at.year, _FIRST_YEAR), *made_at.timetuple()[1:6])
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, moment)
            entry.external_attr, entry.compress_type = _PRIVATE, zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return packed.getvalue()
