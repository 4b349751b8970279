"""The event sink that writes the log: microseconds on the path, everything else in one thread."""

import itertools
import logging
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.model.clock import Clock
from gateway.model.event import EventSink, Live
from gateway.model.exchange import Concluded
from gateway.model.flow import FlowRow
from gateway.record.backends.reading import minute_counts
from gateway.record.backends.sqlite import FlowStore, Ready, StoreError, open_read_only
from gateway.record.capture import BODY_BYTES, PENDING_BYTES, Capture
from gateway.record.ring import NOBODY, Finished, Names, Ring
from gateway.record.row import utc_text
from gateway.record.tally import MINUTES_KEPT, MinuteCount, Tallies
from gateway.sqlite_file import is_damage, move_aside

logger = logging.getLogger(__name__)

QUEUE_ROWS = 10_000
QUEUE_BYTES = 64 * 1024 * 1024
BATCH_ROWS = 500
BATCH_SECONDS = 0.1
"""Well under the promised 250 ms, so that followers see a row soon."""
CLOSE_SECONDS = 5.0
RETRY_SECONDS = (0.25, 2.0)
"""Pause after the first failed commit, and the longest one."""
NAME_SECONDS = 0.15
"""How long a row waits for the name of its app at most; followers have it within the promised time all the same."""
LOOK_SECONDS = 0.03
"""Pause between two looks whether the name is there."""
PURGE_EVERY_SECONDS = 60.0
HEAVY_BODY_BYTES = 16 * 1024
BREATH_ROWS = 8
MOVE_SECONDS = 0.05
"""Pause between two steps in which rows of an older log are moved: about 1,500 rows a second come to pass."""
DAY_SECONDS = 86_400


class Recorder(EventSink):
    """Keeps the record. ``opened``, ``closed`` and ``recorded`` are called on the event loop's thread only.

    Always: produced = written + dropped + queued.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        max_age_days: float = 7,
        max_bytes: int = 2**29,
        bodies: bool = True,
        names: Names = NOBODY,
    ) -> None:
        """Prepare; nothing is opened before `start`.

        Args:
            bodies: Whether the start of failed answers is kept.
            names: See `Ring`.
        """
        self.path = path
        self.ring = Ring(names)
        self._tally = Tallies()
        self.capture = Capture(clock)
        self._clock = clock
        self.renew(max_age_days=max_age_days, max_bytes=max_bytes, bodies=bodies)
        self._numbers = itertools.count(1)
        self._store: FlowStore | None = None
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._written = self._dropped_on_path = self._dropped_by_writer = 0
        # Of bodies to be kept: one counter is the path's, the other the writer's; between them is what waits.
        self._held_bytes = self._released_bytes = 0
        self._degraded: str | None = None
        self._moved_aside: Path | None = None
        self._failures = 0
        self._next_try = self._deadline = 0.0
        self._suspect = self._waits_for_name = False

    def renew(self, *, max_age_days: float, max_bytes: int, bodies: bool) -> None:
        """Keep by other rules from now on."""
        self._max_age_seconds, self._max_bytes = max_age_days * DAY_SECONDS, max_bytes
        self._bodies = bodies
        self._next_purge = 0.0

    def start(self) -> None:
        """Open the log and start writing. A log that cannot be opened now is tried again later.

        Raises:
            StoreError: it was written by a newer version, or is not ours to write.
        """
        last_seq = 0
        try:
            last_seq = self._open().last_seq
        except (sqlite3.Error, OSError) as error:
            self._failed(error)
        # Wall-clock milliseconds: also above every number that a lost, locked or crashed log had given out.
        self._numbers = itertools.count(max(last_seq + 1, int(self._clock.wall() * 1000)))
        self._thread = threading.Thread(target=self._run, name="whygate-record", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what is left, at most for five seconds; what could not be written then counts as dropped."""
        self._deadline = time.monotonic() + CLOSE_SECONDS
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS + 1)

    def opened(self, live: Live) -> None:
        """See `EventSink`."""
        live.seq = next(self._numbers)
        self.ring.running[live.seq] = live

    def closed(self, live: Live, concluded: Concluded) -> None:
        """See `EventSink`."""
        if not live.seq:
            live.seq = next(self._numbers)
        if not self._bodies and concluded.answered.outcome.excerpt:
            outcome = replace(concluded.answered.outcome, excerpt=b"")
            concluded = replace(concluded, answered=replace(concluded.answered, outcome=outcome))
        size_bytes, body = len(live.call.body), concluded.answered.outcome.body
        wanted = self.capture.wants(concluded.answered.admitted.route)
        held_bytes = min(size_bytes, BODY_BYTES) + min(len(body or b""), BODY_BYTES) if wanted else 0
        captured = wanted and self._held_bytes - self._released_bytes + held_bytes <= PENDING_BYTES
        kept_bytes = BODY_BYTES if captured else 0
        if size_bytes > HEAVY_BODY_BYTES or len(body or b"") > kept_bytes:
            # Megabytes shall not wait for the disk.
            live, concluded = _lightened(live, concluded, kept_bytes)
        held_bytes = held_bytes if captured else 0
        item = Finished(live.seq, live, concluded, None, captured, size_bytes, held_bytes, time.monotonic())
        enqueued = self._enqueue(item)
        if wanted:
            self.capture.count(kept=captured and enqueued)
        self.ring.running.pop(live.seq, None)

    def recorded(self, row: FlowRow) -> None:
        """See `EventSink`."""
        self._enqueue(Finished(row.seq or next(self._numbers), None, None, row, ended=time.monotonic()))

    def health(self) -> dict[str, Any]:
        """Give the counters, and ``degraded``: None, or in words why rows are not being written."""
        return {
            "written": self._written,
            "dropped": self._dropped_on_path + self._dropped_by_writer,
            "queued": len(self.ring),
            "degraded": self._degraded,
            "moved_aside": str(self._moved_aside) if self._moved_aside else None,
        }

    def overview(self, *, minutes: int, bucket_minutes: int, tenant: str | None = None) -> dict[str, Any]:
        """Give what was counted of late, of one tenant or of all: see `Tally.view`. From any thread."""
        return self._tally.view(self._clock.wall(), minutes=minutes, bucket_minutes=bucket_minutes, tenant=tenant)

    def suspect(self, error: BaseException) -> None:
        """Tell that a reader met an error; when it means damage, the writer looks into it."""
        if is_damage(error):
            self._suspect = True
            self._wake.set()

    def _enqueue(self, item: Finished) -> bool:
        if len(self.ring.finished) >= QUEUE_ROWS or self._stop.is_set():
            self._dropped_on_path += 1
            return False
        self._held_bytes += item.held_bytes
        self.ring.finished.append(item)
        if not self._wake.is_set():
            self._wake.set()
        return True

    # From here on: the writer's thread.

    def _run(self) -> None:
        try:
            with closing(open_read_only(self.path)) as connection:
                since = utc_text(max(0.0, self._clock.wall() - MINUTES_KEPT * 60))
                self._tally.load(MinuteCount(*found) for found in minute_counts(connection, since))
        except (sqlite3.Error, StoreError):
            logger.info("the log tells nothing of the time before", exc_info=True)  # its health says why
        while True:
            try:
                self._turn()
            except Exception as error:  # noqa: BLE001 - the thread must outlive its own bugs; the page shows the reason
                self._failed(error)
            if self._stop.is_set() and (not len(self.ring) or time.monotonic() >= self._deadline):
                break
        left = len(self.ring)
        self.ring.finished.clear()
        self.ring.ready.clear()
        self._dropped_by_writer += left
        if self._store is not None:
            self._store.close()
            self._store = None

    def _turn(self) -> None:
        """Wait for something to do, gather for a moment, and write it."""
        now = time.monotonic()
        pause = max(0.0, (self._next_try if self._has_work() else self._next_purge) - now)
        gather = BATCH_SECONDS if len(self.ring.ready) < BATCH_ROWS else 0.0
        if self._waits_for_name:
            gather = LOOK_SECONDS
        else:
            self._wake.wait(min(pause, MOVE_SECONDS) if self._is_moving() else pause)
        if not self._stop.wait(gather):
            self._wake.clear()
        self._make_ready()
        now = time.monotonic()
        if now < self._next_try:
            if self._stop.is_set():
                time.sleep(BATCH_SECONDS)  # noqa: TID251 - the writer's own thread
            return
        if self._has_work() or now >= self._next_purge or self._is_moving():
            self._commit(now)

    def _is_moving(self) -> bool:
        return self._store is not None and self._store.has_earlier and not self._stop.is_set()

    def _has_work(self) -> bool:
        return bool(self.ring.ready) or self._suspect

    def _make_ready(self) -> None:
        """Turn finished calls into rows, pausing between a few so that the event loop is never kept waiting."""
        finished = self.ring.finished
        for count in range(1, len(finished) + 1):
            self._waits_for_name = self._is_to_wait(finished[0])
            if self._waits_for_name:
                break
            try:
                ready = Ready.of(finished[0].as_row(self.ring.names.name))
                self.ring.keep_ready(ready)
                self._tally.add(ready.row)
            except Exception:
                # A row that cannot be made is a bug of ours: it is counted, and the others are written.
                logger.exception("a flow could not be turned into a row")
                self._dropped_by_writer += 1
            self._released_bytes += finished.popleft().held_bytes
            if count % BREATH_ROWS == 0:
                time.sleep(0.00005)  # noqa: TID251 - the writer's own thread
        while len(self.ring.ready) > QUEUE_ROWS or self.ring.ready_bytes > QUEUE_BYTES:
            # The oldest go: whoever looks while the disk fails wants to see what happens now.
            self.ring.forget_oldest_ready()
            self._dropped_by_writer += 1

    def _is_to_wait(self, item: Finished) -> bool:
        """Whether the app's name may be there in a moment. It takes a twentieth of a second where nobody is busy."""
        return (
            self.ring.names.is_asked(item.client)
            and time.monotonic() - item.ended < NAME_SECONDS
            and len(self.ring.finished) < BATCH_ROWS
            and not self._stop.is_set()
        )

    def _commit(self, now: float) -> None:
        try:
            store = self._store or self._open()
            if self._suspect:
                self._suspect = False
                if not store.is_sound():
                    self._replace_damaged()
                    store = self._open()
            while self.ring.ready:
                self._commit_batch(store, list(itertools.islice(self.ring.ready, BATCH_ROWS)))
            if now >= self._next_purge or store.size_bytes() > self._max_bytes:
                self._next_purge = now + PURGE_EVERY_SECONDS
                oldest = utc_text(max(0.0, self._clock.wall() - self._max_age_seconds))
                store.purge(before=oldest, max_bytes=self._max_bytes)
            if self._is_moving():
                store.move_earlier()
            self._degraded, self._failures, self._next_try = None, 0, 0.0
        except (sqlite3.Error, OSError) as error:
            self._failed(error)

    def _commit_batch(self, store: FlowStore, batch: list[Ready]) -> None:
        try:
            store.write(batch)
        except (sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError, OverflowError):
            if len(batch) > 1:
                for item in batch:
                    self._commit_batch(store, [item])
                return
            logger.exception("a row was refused by the log")
            self._dropped_by_writer += 1
        else:
            self._written += len(batch)
        for _ in batch:
            self.ring.forget_oldest_ready()

    def _open(self) -> FlowStore:
        try:
            self._store = FlowStore(self.path)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            self._replace_damaged()
            self._store = FlowStore(self.path)
        return self._store

    def _replace_damaged(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None
        stamp = utc_text(self._clock.wall()).replace(":", "").replace(".", "-")
        self._moved_aside = move_aside(self.path, stamp)
        logger.warning("The flow log was damaged. It is kept as %s; a new one was begun.", self._moved_aside)

    def _failed(self, error: BaseException) -> None:
        """Remember why, and when to try again. A damaged or vanished file is left behind."""
        first, longest = RETRY_SECONDS
        self._failures += 1
        self._next_try = time.monotonic() + min(longest, first * 2 ** min(self._failures - 1, 8))
        self._degraded = f"{_in_words(error)} Calls are not affected; rows wait in memory and are written later."
        if self._failures == 1:
            logger.warning("flow log: %s", self._degraded)
        try:
            if is_damage(error):
                self._replace_damaged()
            elif isinstance(error, FileNotFoundError) and self._store is not None:
                self._store.close()
                self._store = None
        except (sqlite3.Error, OSError):
            logger.warning("the damaged flow log could not be moved aside", exc_info=True)


def _lightened(live: Live, concluded: Concluded, kept_bytes: int) -> tuple[Live, Concluded]:
    """Give the same facts with the start of both bodies alone, and without the request's parsed form."""
    answered = concluded.answered
    admitted, outcome = answered.admitted, answered.outcome
    call = replace(live.call, body=live.call.body[:kept_bytes])
    admitted = replace(admitted, call=call, route=replace(admitted.route, document=None))
    outcome = replace(outcome, body=outcome.body[:kept_bytes] if outcome.body and kept_bytes else None)
    concluded = replace(concluded, answered=replace(answered, admitted=admitted, outcome=outcome))
    return replace(live, call=call), concluded


def _in_words(error: BaseException) -> str:
    """Say what hinders the log and what to do about it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return "The disk is full: free some space, or lower [record] max_bytes."
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return "Another program holds the log locked: close it."
    if is_damage(error):
        return "The log file is damaged; it is moved aside and a new one is begun."
    return f"The log cannot be written ({type(error).__name__}: {error})."
