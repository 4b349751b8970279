"""Mends what is ours: permissions of our files, an authority that has run out, what a gateway left behind.

Nothing that somebody chose is touched, and nothing that belongs to another program. A second run finds nothing to do.
"""

import os
from collections.abc import Iterator
from contextlib import suppress

from gateway.doctor import own_files
from gateway.doctor.case import Case
from gateway.doctor.measured_here import Installed
from gateway.state import State, StateError

_SECRETS = ("ca.key", "runtime.json", "fingerprint.key")
_ROUNDS = 3


def fix(case: Case, installed: Installed) -> tuple[str, ...]:
    """Mend what can be mended, and give a sentence on each thing that was done, or that could not be.

    What is wrong is looked at anew: ``installed`` may be older than what it tells of. Variables of a terminal cannot be
    set from here; whoever calls prints the lines that do it.
    """
    state = own_files.state_of(case.state, case.environ)
    if state is None or not installed.fixable:
        return ()
    done: list[str] = []
    for _ in range(_ROUNDS):  # what is behind a closed door shows only when that is open
        found = dict.fromkeys(what for what, _ in own_files.problems(state) if what in own_files.MENDED)
        said = [sentence for what in found for sentence in _mend(state, what)]
        if not any(sentence not in done for sentence in said):
            break
        done += [sentence for sentence in said if sentence not in done]
    return tuple(done)


def _mend(state: State, what: str) -> Iterator[str]:
    try:
        if what == own_files.PERMISSIONS:
            state.directory.chmod(0o700)  # no link: that is another problem
            yield f"Closed {state.directory} to others (mode 0700)."
        elif what == own_files.SECRET:
            yield from _close_secrets(state)
        elif what == own_files.CA_EXPIRED:
            yield from _renew(state)
        elif what == own_files.STALE_RUNTIME and not state.is_locked():
            state.runtime_json.unlink(missing_ok=True)
            yield "Removed runtime.json, which a gateway that no longer runs had left."
    except StateError as error:
        yield f"{error.what}. {error.fix}"
    except OSError as error:
        yield f"{state.directory} could not be mended ({error.strerror})."


def _close_secrets(state: State) -> Iterator[str]:
    for name in _SECRETS:
        path = state.directory / name
        with suppress(FileNotFoundError):
            if path.is_symlink() or not path.lstat().st_mode & 0o077:
                continue
            path.chmod(0o600)
            yield f"Closed {name} to others (mode 0600)."


def _renew(state: State) -> Iterator[str]:
    """Make a new authority in the place of one that has run out: nothing can trust the old one any more."""
    from gateway.authority import bundle, load_or_create  # noqa: PLC0415 - takes 0.1 s

    if state.is_locked():
        yield "The certificate authority has expired, and a gateway uses it. Stop that first, then mend again."
        return
    for path in (state.ca_key, state.ca_pem, state.ca_bundle_pem, state.java_truststore_p12):
        path.unlink(missing_ok=True)
    authority = load_or_create(state)
    bundle(state, os.environ)
    yield f"Made a new certificate authority (valid until {authority.not_after:%Y-%m-%d}). Start apps anew to trust it."
