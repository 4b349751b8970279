"""What every SQLite file of ours needs: it is ours alone from birth, and one that is no use is kept, out of the way."""

import os
import sqlite3
import stat
from pathlib import Path

from gateway.files import PRIVATE_FILE

COMPANIONS = ("-wal", "-shm")


class ForeignFileError(PermissionError):
    """The path is a link or no plain file, or belongs to another user; the message says what to do."""


def claim(path: Path, what: str) -> None:
    """Make sure that the file is ours alone before SQLite opens it; its companions get the same mode.

    An existing file is not opened here: closing it again would drop the locks that SQLite holds on it in this process.

    Args:
        what: What is kept in it, for the message (``log``).

    Raises:
        ForeignFileError: It is not ours to write.
        OSError: It can be neither made nor looked at.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE_FILE))
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            words = f"{path} is not a plain file. Remove it; the {what} is kept in a plain file."
            raise ForeignFileError(words) from None
        if hasattr(os, "getuid") and found.st_uid != os.getuid():
            words = f"{path} belongs to another user. Use another state directory (--state DIR)."
            raise ForeignFileError(words) from None
        if stat.S_IMODE(found.st_mode) & 0o077:
            path.chmod(PRIVATE_FILE)


def is_damage(error: BaseException) -> bool:
    """Say whether an error means that the file is not a sound database, as against being full or locked."""
    return isinstance(error, sqlite3.DatabaseError) and primary_code(error) in {
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    }


def primary_code(error: BaseException) -> int:
    """Give SQLite's result code without its details (https://sqlite.org/rescode.html), 0 where there is none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def move_aside(path: Path, stamp: str, why: str = "corrupt") -> Path:
    """Rename a file that cannot be used, and its companions; gives the new name. ``why`` and ``stamp`` go into it.

    Raises:
        OSError: It cannot be renamed.
    """
    aside = path.with_name(f"{path.name}.{why}-{stamp}")
    path.replace(aside)
    for suffix in COMPANIONS:
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.replace(aside.with_name(aside.name + suffix))
    return aside
