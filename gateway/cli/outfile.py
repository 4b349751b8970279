"""Writing a file that the person at the terminal asked for: whole or not at all, and for their eyes alone."""

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path

from gateway.cli.screen import UserError
from gateway.files import PRIVATE_FILE

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def check(path: Path, *, force: bool) -> Path:
    """Give the path, absolute, when a file can be put there; to be asked before the work is done.

    Args:
        force: Whether a plain file that is there already may be replaced.

    Raises:
        UserError: Something is there, or there is no such directory.
    """
    path = path.expanduser().absolute()
    if not path.parent.is_dir():
        raise UserError("There is no such directory", str(path.parent), f"Make it (mkdir -p {path.parent}).")
    if path.is_dir():
        raise UserError("This is a directory", str(path), "Name a file in it.")
    if os.path.lexists(path):
        if not force:
            raise _exists(path)
        if not path.is_file():
            raise UserError("This is no plain file", str(path), "Name another; for standard output, -.")
    return path


def write(path: Path, data: bytes, *, force: bool) -> None:
    """Write a file, 0600 from its first moment. A link in its place is replaced, never followed.

    Raises:
        UserError: It cannot be written, the disk is full, or something came into its place meanwhile.
    """
    beside = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE_FILE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _put(beside, path, force=force)
    except OSError as exc:
        raise _unwritable(path, exc) from exc
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def _put(beside: Path, path: Path, *, force: bool) -> None:
    if force:
        beside.replace(path)
        return
    try:
        # Unlike a rename, it never takes the place of what is there.
        path.hardlink_to(beside)
    except FileExistsError:
        raise _exists(path) from None
    except OSError:
        # A file system without hard links.
        if os.path.lexists(path):
            raise _exists(path) from None
        beside.replace(path)


def _exists(path: Path) -> UserError:
    return UserError("This file is there already; nothing was written", str(path), "Name another, or give --force.")


def _unwritable(path: Path, exc: OSError) -> UserError:
    if exc.errno in _FULL:
        return UserError(f"The disk is full ({exc.strerror}); nothing was written", str(path), "Free some space.")
    what = f"This file cannot be written ({exc.strerror}); nothing was"
    return UserError(what, str(path), "Name one in a directory of yours.")
