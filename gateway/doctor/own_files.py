"""What lies in the state directory, and what is wrong with it. Reads only; `gateway.doctor.fix` mends."""

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from gateway import files
from gateway.state import Runtime, State, StateError, default_state_dir

PERMISSIONS, PLACE, UNWRITABLE, DISK_FULL = "permissions", "place", "unwritable", "disk_full"
SECRET, CA_EXPIRED, CA, STALE_RUNTIME = "secret", "ca_expired", "ca", "stale_runtime"
MENDED = frozenset({PERMISSIONS, SECRET, CA_EXPIRED, STALE_RUNTIME})
"""What `gateway.doctor.fix` can mend: files of ours, and nothing that somebody chose."""

_FREE_BYTES = 1_048_576
_SECRETS = ("ca.key", "runtime.json", "fingerprint.key")


def state_of(directory: Path | None, environ: Mapping[str, str]) -> State | None:
    """Give the state directory as it is, None when there is none.

    One that is open to others is no `State.open`, and then nobody has named it: the usual place is taken.
    """
    path = directory if directory is not None else default_state_dir(environ)
    path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would hide a symbolic link
    return State(path) if os.path.lexists(path) else None


def problems(state: State) -> Iterator[tuple[str, str]]:
    """Give each problem by a word of this module, with a sentence about it. What is worse comes first."""
    try:
        files.check_private_directory(state.directory)
    except StateError as error:
        mode = stat.S_IMODE(state.directory.lstat().st_mode)
        ours = state.directory.lstat().st_uid == os.geteuid() and not state.directory.is_symlink()
        yield (PERMISSIONS if ours and state.directory.is_dir() and mode != 0o700 else PLACE), _told(error)
        return
    if not os.access(state.directory, os.W_OK):
        yield UNWRITABLE, f"The state directory cannot be written. Choose another with --state DIR ({state.directory})"
    elif _is_full(state.directory):
        yield DISK_FULL, f"The disk of the state directory is full. Free some space ({state.directory})"
    for name in _SECRETS:
        path = state.directory / name
        with suppress(OSError):
            if stat.S_IMODE(path.lstat().st_mode) & 0o077 and not path.is_symlink():
                yield SECRET, f"Others may read {name}. Close it: chmod 600 {path}"
    yield from _of_ca(state)
    if not state.runtime_json.is_symlink() and state.runtime_json.exists() and not _runs(state):
        yield STALE_RUNTIME, "runtime.json is of a gateway that no longer runs; the next start replaces it"


def _of_ca(state: State) -> Iterator[tuple[str, str]]:
    if not os.path.lexists(state.ca_key) and not os.path.lexists(state.ca_pem):
        return  # made at the first start
    from gateway.authority import load_or_create  # noqa: PLC0415 - takes 0.1 s

    try:
        load_or_create(state)
    except StateError as error:
        if " may read " not in error.what:  # said above
            yield (CA_EXPIRED if " expired on " in error.what else CA), _told(error)


def _is_full(directory: Path) -> bool:
    try:
        return shutil.disk_usage(directory).free < _FREE_BYTES
    except OSError:
        return False


def _runs(state: State) -> bool:
    try:
        return Runtime.read(state) is not None
    except StateError:
        return True  # nobody can tell


def _told(error: StateError) -> str:
    return f"{error.what}. {error.fix}"
