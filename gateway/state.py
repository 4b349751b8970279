"""The state directory: what a gateway keeps between starts, and how other commands find the one that runs.

Theory of operation: a running gateway holds ``lock`` exclusively, so there is one a directory. Every ``whygate run``
holds ``runs.lock`` shared while its child lives; a gateway that was started by one ends when it can take that lock
exclusively. Both are kernel locks: they vanish with their holder, however it ends.
"""

import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import quote

from gateway import files
from gateway.files import StateError

__all__ = ["Runtime", "State", "StateError", "default_state_dir"]

FINGERPRINT_KEY_BYTES = 32
_CONNECT_SECONDS = 0.5
"""How long a gateway on this machine may take to accept a connection before we call it gone."""
_POLL_SECONDS = 0.05


def default_state_dir(env: Mapping[str, str] | None = None) -> Path:
    """Give ``WHYGATE_STATE``, else the platform's place for such data (``~/.local/state/whygate`` on Linux)."""
    chosen = (os.environ if env is None else env).get("WHYGATE_STATE")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs  # noqa: PLC0415  (30 ms, and most callers name the directory)

    return Path(platformdirs.user_state_dir("whygate", appauthor=False))


@dataclass(frozen=True, slots=True)
class State:
    """A directory that was found to be ours alone. Use `State.open`."""

    directory: Path

    @classmethod
    def open(cls, path: Path, *, create: bool = True) -> Self:
        """Check the directory, making it when it is missing.

        Args:
            path: The directory; relative to the current one.
            create: False for commands that only look; a missing directory then is one without files.

        Raises:
            StateError: It is a link, a file, someone else's, or open to others. Never repaired silently.
        """
        path = Path(os.path.abspath(path))  # noqa: PTH100  (resolve() would hide a symbolic link)
        if not os.path.lexists(path):
            if not create:
                return cls(path)
            files.make_private_directory(path)
        files.check_private_directory(path)
        return cls(path)

    @property
    def runtime_json(self) -> Path:
        """Where the running gateway says how to reach it (0600: it holds the page's token)."""
        return self.directory / "runtime.json"

    @property
    def lock_file(self) -> Path:
        """Held by the running gateway."""
        return self.directory / "lock"

    @property
    def runs_lock_file(self) -> Path:
        """Held by every ``whygate run``."""
        return self.directory / "runs.lock"

    @property
    def ca_pem(self) -> Path:
        """Our certificate authority's certificate."""
        return self.directory / "ca.pem"

    @property
    def ca_key(self) -> Path:
        """Its private key (0600)."""
        return self.directory / "ca.key"

    @property
    def ca_bundle_pem(self) -> Path:
        """The system's certificates, the user's and ours, for the apps."""
        return self.directory / "ca-bundle.pem"

    @property
    def java_truststore_p12(self) -> Path:
        """The same certificates in the form that Java reads."""
        return self.directory / "java-truststore.p12"

    @property
    def gateway_log(self) -> Path:
        """What a gateway that ``whygate run`` started has printed (0600)."""
        return self.directory / "gateway.log"

    @property
    def fingerprint_key_file(self) -> Path:
        """The key of the fingerprints that stand for credentials (0600)."""
        return self.directory / "fingerprint.key"

    @property
    def flows_db(self) -> Path:
        """The log of calls."""
        return self.directory / "flows.db"

    @property
    def cache_db(self) -> Path:
        """Stored answers."""
        return self.directory / "cache.db"

    @property
    def doctor_json(self) -> Path:
        """What the doctor found last."""
        return self.directory / "doctor.json"

    @property
    def limits_json(self) -> Path:
        """What was learned of providers' limits."""
        return self.directory / "limits.json"

    def fingerprint_key(self) -> bytes:
        """Give the 32 bytes that key all fingerprints, making them on the first call.

        Raises:
            StateError: The file is damaged or not private. It is never replaced, since old rows would lose their key.
        """
        path = self.fingerprint_key_file
        with suppress(FileExistsError):
            if not os.path.lexists(path):
                files.create(path, secrets.token_bytes(FINGERPRINT_KEY_BYTES))
        key = files.read_private(path)
        if len(key) != FINGERPRINT_KEY_BYTES:
            what = f"The fingerprint key is damaged ({len(key)} bytes instead of {FINGERPRINT_KEY_BYTES})"
            raise StateError(what, path, f"rm {path} (a new one is made; older rows keep their old fingerprints)")
        return key

    @contextmanager
    def lock(self, wait_seconds: float = 0.0) -> Iterator[None]:
        """Hold the directory for one gateway.

        Args:
            wait_seconds: How long to wait for another one that is ending.

        Raises:
            StateError: Another gateway holds it.
        """
        descriptor = files.open_lock_file(self.lock_file)
        try:
            deadline = time.monotonic() + wait_seconds
            while not _try_lock(descriptor, fcntl.LOCK_EX, self.lock_file):
                if time.monotonic() >= deadline:
                    raise _taken(self.directory, os.pread(descriptor, 32, 0))
                time.sleep(_POLL_SECONDS)  # noqa: TID251  (no event loop here)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def is_locked(self) -> bool:
        """Whether a gateway holds the directory: it runs, starts or ends."""
        descriptor = files.open_lock_file(self.lock_file)
        try:
            return not _try_lock(descriptor, fcntl.LOCK_SH, self.lock_file)
        finally:
            os.close(descriptor)

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Hold the right to look for a gateway and start one, so that two runs at once share theirs. Waits."""
        descriptor = files.open_lock_file(self.directory / "start.lock")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def hold_run(self) -> Iterator[None]:
        """Keep a gateway that ends with its last run alive, for as long as a child of ours runs."""
        descriptor = files.open_lock_file(self.runs_lock_file)
        try:
            # Waits: a gateway that tests for runs holds it for microseconds.
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)

    def no_runs(self, retire: "Runtime | None" = None) -> bool:
        """Say whether no ``whygate run`` is alive.

        Args:
            retire: The runtime of a gateway that will end if so: its file is removed while no new run can begin,
                so that none finds a gateway that is about to leave.
        """
        descriptor = files.open_lock_file(self.runs_lock_file)
        try:
            alone = _try_lock(descriptor, fcntl.LOCK_EX, self.runs_lock_file)
            if alone and retire is not None:
                retire.remove(self)
            return alone
        finally:
            os.close(descriptor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """How to reach the gateway that runs.

    Attributes:
        listen: ``host:port`` of the proxy, with the port in effect.
        page: ``host:port`` of the page and its API.
        token: What the page API wants as a Bearer token.
        started_at: ISO 8601, UTC, milliseconds, ``Z``.
        ends_with_runs: Whether it ends with its last ``whygate run``, and its page with it.
        listen_token: What apps must present to the proxy, empty when nothing, or when only tenants have one.
        asks_for_token: Whether apps must present one.
    """

    pid: int
    listen: str
    page: str
    token: str
    started_at: str
    ends_with_runs: bool = False
    listen_token: str = field(default="", repr=False)
    asks_for_token: bool = False

    @property
    def listen_url(self) -> str:
        """The proxy as a URL that anybody may see."""
        return f"http://{self.listen}"

    @property
    def proxy_url(self) -> str:
        """The proxy as a URL that works: with the credential, where one is asked for."""
        return f"http://whygate:{self.listen_token}@{self.listen}" if self.listen_token else self.listen_url

    @property
    def base_url(self) -> str:
        """What stands before a provider's path in a base URL that works, without a slash at its end."""
        return f"{self.listen_url}/~{self.listen_token}" if self.listen_token else self.listen_url

    @property
    def page_url(self) -> str:
        """The page as a URL, without token."""
        return f"http://{self.page}"

    @property
    def page_link(self) -> str:
        """The page as a link that signs in."""
        return f"{self.page_url}/?token={quote(self.token, safe='')}"

    def write(self, state: State) -> None:
        """Publish it, private from its first moment, whole or not at all."""
        files.replace(state.runtime_json, json.dumps(asdict(self), indent=1).encode())

    @classmethod
    def read(cls, state: State) -> "Runtime | None":
        """Give the gateway that runs; None when there is none or when the file outlived it.

        Raises:
            StateError: The file is not private, so that someone else may have written it.
        """
        runtime = cls._stored(state)
        return runtime if runtime is not None and runtime.is_alive() else None

    def remove(self, state: State) -> None:
        """Take it back, unless another gateway has published itself since."""
        if self._stored(state) == self:
            state.runtime_json.unlink(missing_ok=True)

    def is_alive(self) -> bool:
        """Whether its process exists and its page accepts connections."""
        with suppress(PermissionError):
            try:
                os.kill(self.pid, 0)
            except (ProcessLookupError, OverflowError):
                return False
        host, _, port = self.page.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS):
                return True
        except (OSError, ValueError, OverflowError):
            return False

    @classmethod
    def _stored(cls, state: State) -> "Runtime | None":
        try:
            document = json.loads(files.read_private(state.runtime_json))
            runtime = cls(**document)
        except (FileNotFoundError, ValueError, TypeError):
            # A file that is not ours to understand says nothing about a running gateway.
            return None
        texts = (runtime.listen, runtime.page, runtime.token, runtime.started_at, runtime.listen_token)
        typed = type(runtime.pid) is int and runtime.pid > 0 and isinstance(runtime.ends_with_runs, bool)
        return runtime if typed and all(isinstance(text, str) for text in texts) else None


def _try_lock(descriptor: int, kind: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as exc:
        what = f"This file system has no locks ({exc.strerror})"
        raise StateError(what, path, "Put the state directory on a local disk: --state DIR.") from exc
    return True


def _taken(directory: Path, pid_text: bytes) -> StateError:
    pid = pid_text.decode("ascii", "replace").strip()
    named = f" (pid {pid})" if pid.isdigit() else ""
    stop = f"stop it (kill {pid})" if pid.isdigit() else "stop it"
    what = f"Another gateway{named} uses this state directory"
    return StateError(what, directory, f"Use that one, {stop}, or give this one its own: --state DIR.")
