"""Keeps what the gate has learned and counted in the state directory, so that a restart brings no second burst.

The time that passed in between is read from a clock that runs on while the machine is up; only after a reboot does the
wall clock have to do, and one that went back counts as no time at all.
"""

import asyncio
import contextlib
import json
import logging
import threading
from pathlib import Path
from typing import Any

from gateway import files
from gateway.files import StateError
from gateway.limit.gate import Gate
from gateway.limit.levels import document_of, restore
from gateway.model.clock import Clock

SAVE_SECONDS = 1.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

logger = logging.getLogger("whygate")


class Remembered:
    """The file of one gate. Whatever fails here stops no call."""

    def __init__(self, path: Path, gate: Gate, clock: Clock) -> None:
        self._path, self._gate, self._clock = path, gate, clock
        self._boot = _boot()
        self._saved_at = clock.now()
        self._complained = False
        self._lock = threading.Lock()
        self._made = self._written = 0

    def load(self) -> None:
        """Read what an earlier gateway has left."""
        try:
            document = json.loads(files.read_private(self._path))
            saved = document["saved"]
            restore(self._gate, document, self._elapsed(saved))
        except FileNotFoundError:
            return
        except (StateError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError) as error:
            what = error if isinstance(error, StateError) else f"{self._path} is damaged"
            logger.warning("whygate: %s; limits are learned anew.", what)

    async def run(self) -> None:
        """Save once a second while there is something new, until cancelled."""
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            try:
                if any(scope.used_at >= self._saved_at for scope in self._latest()):
                    await asyncio.to_thread(self._write, self._document())
            except Exception:
                logger.exception("limits were not saved")  # and calls go on

    def save(self) -> None:
        """Save now."""
        self._write(self._document())

    def _latest(self) -> list[Any]:
        return [scope for scope, _ in zip(reversed(self._gate.scopes.values()), range(10), strict=False)]

    def _document(self) -> dict[str, Any]:
        self._saved_at = self._clock.now()
        saved = {"boot": self._boot, "monotonic": self._saved_at, "wall": self._clock.wall()}
        self._made += 1
        return document_of(self._gate) | {"saved": saved, "number": self._made}

    def _write(self, document: dict[str, Any]) -> None:
        with self._lock:
            if document["number"] >= self._written:  # else a later one has been written while this one waited
                self._written = document["number"]
                self._replace(document)

    def _replace(self, document: dict[str, Any]) -> None:
        try:
            files.replace(self._path, json.dumps(document, separators=(",", ":")).encode())
        except (StateError, OSError) as error:
            if not self._complained:
                self._complained = True
                logger.warning("whygate: %s; what is learned of limits is lost with the next restart.", error)

    def _elapsed(self, saved: dict[str, Any]) -> float:
        if self._boot and saved["boot"] == self._boot and saved["monotonic"] <= self._clock.now():
            return float(self._clock.now() - saved["monotonic"])
        return max(0.0, self._clock.wall() - float(saved["wall"]))


def _boot() -> str:
    """Give what is another at each boot; empty where the system has no such thing."""
    with contextlib.suppress(OSError):
        return _BOOT_ID.read_text().strip()
    return ""
