"""Every store beside a plain ordered dictionary that does the same naively, through any sequence of what can happen."""

import asyncio
import shutil
import sqlite3
import tempfile
from collections import OrderedDict
from collections.abc import Coroutine, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.cache.backend import Backend, Place, Size, Store, Wanted
from gateway.cache.backends import memory, sqlite
from gateway.model.decision import Label, StoredReply
from tests.gateway.cache.contract import a_reply, counted, of

MAX_BYTES = 6_000
SECRET = b"s" * 32
KEYS = [b"a", b"b", b"c", b"\x00", b"a" * 32]
MODELS = ["gpt-a", "gpt-b", "m\ud800"]
CREDENTIALS = ["k1", "k2"]
BEGINNING = 1_790_000_000.0
MODEST = settings(max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class StoreModel(RuleBasedStateMachine):
    """What holds for every store: it gives what was put whole under that key and may still be given, and nothing else."""

    backend: Backend

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.store = self.opened(self.home)
        self.model: OrderedDict[bytes, StoredReply] = OrderedDict()
        self.spoiled: set[bytes] = set()
        self.damaged = 0
        self.now = BEGINNING
        self.puts = 0

    def opened(self, directory: Path) -> Store:
        return self.backend.open(Place(MAX_BYTES, directory, SECRET))

    def do[T](self, what: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(asyncio.wait_for(what, 20))

    def changed(self) -> None:
        """Called after everything that changes what is stored."""

    def forget(self, keys: Iterable[bytes]) -> int:
        gone = list(keys)
        for key in gone:
            del self.model[key]
            self.spoiled.discard(key)
        self.changed()
        return len(gone)

    @rule(
        key=st.sampled_from(KEYS),
        length=st.integers(0, 2_500) | st.integers(5_000, 7_000),
        kept_seconds=st.sampled_from([-1.0, 0.0, 1e-6, 10.0, 1e9, float("inf")]),
        model=st.sampled_from(MODELS),
        credential=st.sampled_from(CREDENTIALS),
    )
    def put(self, key: bytes, length: int, kept_seconds: float, model: str, credential: str) -> None:
        self.puts += 1
        body = (b"%d of %s:" % (self.puts, key) + b"x" * length)[: max(length, 12)]
        kept_until = self.now + kept_seconds
        reply = a_reply(body, stored_at=self.now, kept_until=kept_until, label=of(model, credential))
        self.do(self.store.put(key, reply))
        self.model.pop(key, None)
        self.spoiled.discard(key)
        if counted(reply) <= MAX_BYTES:
            while sum(map(counted, self.model.values())) + counted(reply) > MAX_BYTES:
                self.spoiled.discard(self.model.popitem(last=False)[0])
            self.model[key] = reply
        self.changed()

    @rule(key=st.sampled_from(KEYS))
    def get(self, key: bytes) -> None:
        due = self.model.get(key)
        if due is not None and due.kept_until <= self.now:
            due = None
        elif due is not None and key in self.spoiled:
            self.damaged += 1
            self.forget([key])
            due = None
        elif due is not None:
            self.model.move_to_end(key)
        assert self.do(self.store.get(key, self.now)) == due

    @rule(seconds=st.sampled_from([0.0, 1e-6, 1.0, 9.999, 10.0, 1e9]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(
        model=st.sampled_from(["", "*", "gpt-*", "m?", *MODELS]),
        credential=st.sampled_from(["", *CREDENTIALS]),
        age_seconds=st.none() | st.sampled_from([-1.0, 0.0, 1.0, 1e9]),
    )
    def clear(self, model: str, credential: str, age_seconds: float | None) -> None:
        globs = {"": MODELS, "*": MODELS, "gpt-*": MODELS[:2], "m?": MODELS[2:]}
        models = globs.get(model, [model])
        before = None if age_seconds is None else self.now - age_seconds
        gone = self.forget(
            [
                key
                for key, reply in self.model.items()
                if reply.label.model in models
                and credential in ("", reply.label.key)
                and (before is None or reply.stored_at < before)
            ]
        )
        assert self.do(self.store.clear(Wanted(model, credential, before))) == gone

    @rule()
    def sweep(self) -> None:
        gone = self.forget([key for key, reply in self.model.items() if reply.kept_until <= self.now])
        assert self.do(self.store.sweep(self.now)) == gone

    @precondition(lambda self: not self.spoiled)
    @rule()
    def latest(self) -> None:
        due = max((reply.stored_at for reply in self.model.values()), default=0.0)
        assert self.do(self.store.latest()) == due

    @invariant()
    def it_holds_what_it_should_and_never_more_than_it_may(self) -> None:
        contents = self.do(self.store.contents())
        by_label: dict[Label, Size] = {}
        for reply in self.model.values():
            entries, size = by_label.get(reply.label, Size(0, 0))
            by_label[reply.label] = Size(entries + 1, size + counted(reply))
        assert contents.size_bytes <= MAX_BYTES
        assert contents.by_label == by_label
        assert contents.entries == len(self.model)
        assert contents.size_bytes == sum(map(counted, self.model.values()))
        assert contents.oldest_at == min((reply.stored_at for reply in self.model.values()), default=None)
        assert contents.damaged == self.damaged

    def teardown(self) -> None:
        self.do(self.store.close())
        self.runner.close()
        shutil.rmtree(self.home)


class MemoryModel(StoreModel):
    backend = memory.BACKEND


class SqliteModel(StoreModel):
    """A file can be opened again, be damaged, and be left as it is at any moment."""

    backend = sqlite.BACKEND

    def __init__(self) -> None:
        super().__init__()
        self.ever_spoiled: set[bytes] = set()
        self.past: list[dict[bytes, StoredReply]] = [{}]

    def changed(self) -> None:
        self.past.append(dict(self.model))

    @rule()
    def reopen(self) -> None:
        self.do(self.store.close())
        self.store = self.opened(self.home)
        self.damaged = 0

    @precondition(lambda self: self.model)
    @rule(data=st.data(), at=st.integers(0, 10_000), bit=st.integers(0, 7), while_closed=st.booleans())
    def spoil(self, data: st.DataObject, at: int, bit: int, *, while_closed: bool) -> None:
        key = data.draw(st.sampled_from(sorted(set(self.model))))
        if key in self.spoiled:
            # The same bit again would mend it.
            return
        if while_closed:
            self.reopen()
            self.do(self.store.close())
        with closing(sqlite3.connect(self.home / "cache.db")) as other, other:
            mine = "(SELECT id FROM entries WHERE key = ?)"
            found = other.execute(f"SELECT sealed FROM answers WHERE id = {mine}", (key,)).fetchone()
            sealed = bytearray(found[0])
            sealed[at % len(sealed)] ^= 1 << bit
            other.execute(f"UPDATE answers SET sealed = ? WHERE id = {mine}", (bytes(sealed), key))
        if while_closed:
            self.store = self.opened(self.home)
        self.spoiled.add(key)
        self.ever_spoiled.add(key)

    @rule(lost=st.sampled_from([0.0, 0.0, 0.1, 0.5, 1.0]))
    def crash(self, lost: float) -> None:
        """The files as they lie there at this moment, without the end of the log; the store itself goes on."""
        with tempfile.TemporaryDirectory() as copy:
            for name in ("cache.db", "cache.db-wal"):
                if (self.home / name).exists():
                    shutil.copy(self.home / name, copy)
            log = Path(copy, "cache.db-wal")
            if log.exists():
                size_bytes = log.stat().st_size
                with log.open("r+b") as file:
                    file.truncate(int(size_bytes * (1 - lost)))
            store = self.opened(Path(copy))
            long_ago = float("-inf")
            found = {key: reply for key in KEYS if (reply := self.do(store.get(key, long_ago))) is not None}
            self.do(store.close())
        allowed = self.past[-1:] if lost == 0.0 else self.past
        assert any(self.is_as(found, then) for then in allowed)

    def is_as(self, found: dict[bytes, StoredReply], then: dict[bytes, StoredReply]) -> bool:
        """Whether that was the state once; what was spoiled since may be missing, but not be another."""
        return all(found.get(key) == then.get(key) or (key in self.ever_spoiled and key not in found) for key in KEYS)


MemoryModel.TestCase.settings = MODEST
SqliteModel.TestCase.settings = MODEST
TestMemoryModel = MemoryModel.TestCase
TestSqliteModel = SqliteModel.TestCase
