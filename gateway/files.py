"""Files that nobody but their owner may touch: made private at birth, never repaired behind the owner's back."""

import errno
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_DIRECTORY = 0o700
PUBLIC_FILE = 0o644
"""For certificates without keys; the directory around them is private all the same."""
_OTHERS = 0o077
_WRITE_BY_OTHERS = 0o022


class StateError(Exception):
    """Something about the state directory stops us.

    Attributes:
        what: One sentence: what is wrong.
        where: The path.
        fix: What to do, with the exact command where there is one.
    """

    def __init__(self, what: str, where: Path | str, fix: str) -> None:
        """Keep the three parts."""
        self.what, self.where, self.fix = what, str(where), fix
        super().__init__(f"{what}: {where}. {fix}")


def make_private_directory(path: Path) -> None:
    """Make a directory that is 0700 from its first moment, and its parents as usual.

    Raises:
        StateError: When it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            # Another start of ours was quicker, or a file lies there: the check that follows tells which.
            path.mkdir(mode=PRIVATE_DIRECTORY)
    except OSError as exc:
        what = f"The state directory cannot be made ({exc.strerror})"
        raise StateError(what, path, "Choose another with --state DIR or WHYGATE_STATE=DIR.") from exc


def check_private_directory(path: Path) -> None:
    """Refuse a directory that someone else could read or write, or that is not one.

    Raises:
        StateError: With the command that repairs it.
    """
    try:
        status = path.lstat()
    except OSError as exc:
        what = f"The state directory cannot be read ({exc.strerror})"
        raise StateError(what, path, "Choose another with --state DIR or WHYGATE_STATE=DIR.") from exc
    if stat.S_ISLNK(status.st_mode):
        fix = f"Name the directory itself: --state {path.resolve()}"
        raise StateError("The state directory is a symbolic link, which someone else could turn", path, fix)
    if not stat.S_ISDIR(status.st_mode):
        raise StateError("The state directory is a file", path, "Move it away, or choose another with --state DIR.")
    if status.st_uid != os.geteuid():
        what = f"The state directory belongs to another user (uid {status.st_uid}, yours is {os.geteuid()})"
        raise StateError(what, path, "Choose your own with --state DIR or WHYGATE_STATE=DIR.")
    mode = stat.S_IMODE(status.st_mode)
    if mode & _OTHERS or mode & PRIVATE_DIRECTORY != PRIVATE_DIRECTORY:
        what = f"The state directory must be open to you alone, it holds keys (its mode is {mode:04o})"
        raise StateError(what, path, f"chmod 700 {path}")


def create(path: Path, data: bytes, mode: int = PRIVATE_FILE) -> None:
    """Write a file that must not exist yet, with its final mode from the start, and flush it to disk.

    Raises:
        FileExistsError: It exists; nothing was changed.
        StateError: The directory cannot be written.
    """
    # Links are not followed: O_EXCL fails on one, whatever it points to.
    descriptor = _open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, data: bytes, mode: int = PRIVATE_FILE) -> None:
    """Write a file whole or not at all; readers see the old one or the new one.

    Raises:
        StateError: The directory cannot be written.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    create(beside, data, mode)
    try:
        beside.replace(path)
    except OSError as exc:
        beside.unlink(missing_ok=True)
        raise _unwritable(path, exc) from exc


def read_private(path: Path, *, secret: bool = True) -> bytes:
    """Read a file of ours, if it is one: a plain file that nobody else may read, or write.

    Args:
        path: The file; a link is refused.
        secret: False for a file that others may read, but not write.

    Raises:
        FileNotFoundError: It does not exist.
        StateError: It is a link, someone else's, readable by others, or unreadable.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            raise StateError("This file is a symbolic link, which someone else could turn", path, f"rm {path}") from exc
        what = f"This file cannot be read ({exc.strerror})"
        raise StateError(what, path, f"chmod 600 {path}, and check that it is yours.") from exc
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise StateError("This is not a plain file", path, "Move it away.")
    with os.fdopen(descriptor, "rb") as file:
        mode = stat.S_IMODE(status.st_mode)
        if status.st_uid != os.geteuid():
            what = f"This file belongs to another user (uid {status.st_uid})"
            raise StateError(what, path, "Use a state directory of your own: --state DIR.")
        if secret and mode & _OTHERS:
            what = f"Others may read this secret (its mode is {mode:04o})"
            raise StateError(what, path, f"chmod 600 {path}")
        if mode & _WRITE_BY_OTHERS:
            what = f"Others may change this file (its mode is {mode:04o})"
            raise StateError(what, path, f"chmod 644 {path}")
        return file.read()


def open_lock_file(path: Path) -> int:
    """Open a file to lock, making it when needed. Gives a descriptor; whoever calls closes it.

    Raises:
        StateError: The directory cannot be written.
    """
    return _open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, PRIVATE_FILE)


def _open(path: Path, flags: int, mode: int) -> int:
    try:
        return os.open(path, flags, mode)
    except FileExistsError:
        raise
    except OSError as exc:
        raise _unwritable(path, exc) from exc


def _unwritable(path: Path, exc: OSError) -> StateError:
    if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StateError(f"The disk is full ({exc.strerror})", path, "Free some space, then start again.")
    fix = f"Make {path.parent} writable (chmod 700 {path.parent}), or choose another with --state DIR."
    return StateError(f"This file cannot be written ({exc.strerror})", path, fix)
