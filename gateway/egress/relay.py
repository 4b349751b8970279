"""Give an answer on to the app as it comes, and see how it ends.

Nothing of a proper answer is changed. Server-sent events go out at their borders, so that a broken stream can be ended
with one error event in the provider's own protocol before the connection is cut: a cut alone looks like a network
fault, and a clean end would look like success.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import orjson

from gateway.egress.classify import classify
from gateway.egress.send import Body, RaggedEndError
from gateway.egress.sse import EventSplitter, data_of
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.model.provider import Provider, StreamNews, StreamShape, Usage
from gateway.model.rhythm import Rhythm

USAGE_BYTES_MAX = 1_048_576
SILENT_SECONDS = 10.0
"""After so long without an event people ask whether it still works."""


class Sink(Protocol):
    """The app's side of an answer whose head is out."""

    async def write(self, data: bytes) -> None:
        """Give bytes; waits while the app does not read."""
        ...

    async def end(self, data: bytes = b"") -> None:
        """Give the last bytes: the proper end."""
        ...

    def abort(self) -> None:
        """Cut it off without a proper end."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Relayed:
    """How the body went.

    Attributes:
        body: All of it when it was not larger than what was to be kept, else None.
        failure: The body did not come whole.
        truncated: A stream ended cleanly without its end mark.
        first_at: When the first bytes of a stream came, None when none did or nobody asked.
        events: How many events of a stream came; most providers send a token in each.
        filtered: The events that say that the answer ended before its end, for a filter or a failure.
        stream_error: The events with which the provider itself ended the stream in an error.
    """

    body: bytes | None
    size_bytes: int
    usage: Usage | None = None
    failure: NetFailure | None = None
    truncated: bool = False
    stream_error: bytes = b""
    filtered: bytes = b""
    first_at: float | None = None
    events: int = 0


Explain = Callable[[NetFailure], tuple[str, str]]
"""A failure -> slug and message for the error event."""


class Silence:
    """Tells of a stream that has gone silent, and when it goes on. Nothing is cut: some models think for minutes.

    Args:
        tell: Is told for how many seconds nothing has come, each `SILENT_SECONDS`, and None when something has again.
    """

    __slots__ = ("_at", "_handle", "_loop", "_tell", "_told")

    def __init__(self, tell: Callable[[float | None], None]) -> None:
        self._loop, self._tell, self._told = asyncio.get_running_loop(), tell, False
        self._at = self._loop.time()
        self._handle = self._loop.call_later(SILENT_SECONDS, self._look)

    def heard(self) -> None:
        """Something came."""
        self._at = self._loop.time()
        if self._told:
            self._told = False
            self._tell(None)

    def end(self) -> None:
        """Look no more."""
        self._handle.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        silent = now - self._at
        if silent >= SILENT_SECONDS:
            self._told = True
            self._tell(silent)
        wait = SILENT_SECONDS if self._told else SILENT_SECONDS - silent
        self._handle = self._loop.call_later(wait, self._look)


async def relay_bytes(incoming: Body, sink: Sink, keep_bytes: int, last_byte: bytes = b"") -> Relayed:
    """Relay a body that is no known stream of events.

    Args:
        last_byte: What it must end with, white space aside, to be whole; empty when nothing is known.
    """
    kept: list[bytes] | None = []
    size = 0
    last = b""
    while True:
        try:
            data = await incoming.next()
        except Exception as error:  # noqa: BLE001 - any failure of the upstream is a value from here on
            sink.abort()
            return Relayed(body=None, size_bytes=size, failure=classify(error, Phase.BODY))
        if not data:
            if last_byte and last != last_byte:
                sink.abort()
                return Relayed(body=None, size_bytes=size, truncated=True)
            await sink.end()
            return Relayed(body=None if kept is None else b"".join(kept), size_bytes=size)
        size += len(data)
        if last_byte:
            last = data.rstrip()[-1:] or last
        if kept is not None:
            if size <= keep_bytes:
                kept.append(data)
            else:
                kept = None
        await sink.write(data)


async def relay_events(
    incoming: Body,
    sink: Sink,
    shape: StreamShape,
    provider: Provider,
    explain: Explain,
    *,
    now: Callable[[], float],
    keep_bytes: int,
    first: bytes = b"",
    silent: Callable[[float | None], None] = lambda _seconds: None,
    left: Callable[[Relayed], None] = lambda _relayed: None,
    rhythm: Rhythm | None = None,
) -> Relayed:
    """Relay a stream of events of a known protocol.

    Args:
        first: What of it has been read already.
        silent: See `Silence`.
        left: Is told what had come when the app hung up before the end.
        rhythm: Counts the events as they come.

    An app that hangs up behind the end mark, or behind the provider's own error event, has its answer: the cancellation
    that this brings is not passed on.
    """
    reader = _Reader(shape, provider, keep_bytes, now, rhythm or Rhythm())
    silence = Silence(silent)
    try:
        return await _relay(incoming, sink, shape, explain, reader, first=first, silence=silence)
    except asyncio.CancelledError:
        if reader.ended or reader.failed:
            return reader.result(whole=False)
        left(reader.result(whole=False))
        raise
    finally:
        silence.end()


async def _relay(
    incoming: Body,
    sink: Sink,
    shape: StreamShape,
    explain: Explain,
    reader: "_Reader",
    *,
    first: bytes,
    silence: Silence,
) -> Relayed:
    splitter = EventSplitter()
    while True:
        failure = None
        try:
            data = first or await incoming.next()
        except Exception as error:  # noqa: BLE001 - any failure of the upstream is a value from here on
            # Some servers never end TLS in order; an end mark is as good.
            whole = isinstance(error, RaggedEndError) and reader.ended and not splitter.inside
            data, failure = b"", None if whole else classify(error, Phase.BODY)
        first = b""
        if data:
            silence.heard()
            if reader.first_at is None:
                reader.first_at = reader.now()
            ready, events = splitter.feed(data)
            if events:
                reader.read(events)
            if ready:
                reader.keep(ready)
                await sink.write(ready)
            continue
        inside = splitter.inside
        rest = splitter.rest()
        if failure is None and not reader.ended and not inside:
            reader.read(rest)  # a last event without its blank line; some servers leave it out
        if failure is None and not inside and (reader.ended or reader.failed):
            reader.keep(rest)
            await sink.end(rest)
            return reader.result()
        broken = failure or NetFailure(
            phase=Phase.BODY, code=NetCode.STREAM_TRUNCATED, detail="the end mark is missing", sent=True
        )
        if not inside and not reader.ended and not reader.failed:
            await sink.write(shape.error_event(*explain(broken), reader.events))
        sink.abort()
        return reader.result(failure=failure, truncated=failure is None, whole=False)


ILL_END = re.compile(
    rb'"(?:finish_reason|finishReason|stop_reason)": ?"(?:content_filter|SAFETY|IMAGE_SAFETY|PROHIBITED_CONTENT'
    rb'|BLOCKLIST|SPII|RECITATION|refusal|sensitive|MALFORMED_FUNCTION_CALL)"|"blockReason": ?"'
)
"""How an answer says that it was not allowed, or not able, to end."""


class _Reader:
    """Reads events as they pass: end, error, usage."""

    def __init__(
        self, shape: StreamShape, provider: Provider, keep_bytes: int, now: Callable[[], float], rhythm: Rhythm
    ) -> None:
        self._shape, self._provider, self._keep_bytes, self.now = shape, provider, keep_bytes, now
        self._rhythm = rhythm
        # An object, and not null.
        self._usage_marks = tuple(field + mark for field in provider.usage_fields for mark in (b":{", b": {"))
        self._kept: list[bytes] | None = []
        self._size = 0
        self._usage: Usage | None = None
        self._error = self._filtered = b""
        self.ended = self.failed = False
        self.first_at: float | None = None

    @property
    def events(self) -> int:
        return self._rhythm.count

    def read(self, events: bytes) -> None:
        self._rhythm.beat(self.now(), events.count(b"data:"))
        news = self._shape.read(events)
        if news is StreamNews.FAILED:
            self.failed, self._error = True, events[-65_536:]
        elif news is StreamNews.ENDED or (not self.ended and self._shape.finished(events)):
            self.ended = True
        if (  # written out: it is asked of every event
            b"content_filter" in events
            or b"blockReason" in events
            or b"SAFETY" in events
            or b"refusal" in events
            or b"PROHIBITED" in events
            or b"_CALL" in events
            or b"sensitive" in events
        ) and ILL_END.search(events):
            self._filtered = events[-65_536:]
        if any(mark in events for mark in self._usage_marks):
            self._read_usage(events)

    def _read_usage(self, events: bytes) -> None:
        for line in data_of(events):
            if len(line) > USAGE_BYTES_MAX or not any(mark in line for mark in self._usage_marks):
                continue
            usage = read_usage(self._provider, line)
            if usage is not None:
                before = self._usage or Usage(None, None)
                self._usage = Usage(
                    before.tokens_in if usage.tokens_in is None else usage.tokens_in,
                    before.tokens_out if usage.tokens_out is None else usage.tokens_out,
                )

    def keep(self, data: bytes) -> None:
        self._size += len(data)
        if self._kept is not None:
            if self._size <= self._keep_bytes:
                self._kept.append(data)
            else:
                self._kept = None

    def result(self, *, failure: NetFailure | None = None, truncated: bool = False, whole: bool = True) -> Relayed:
        whole = whole and self._kept is not None
        return Relayed(
            body=b"".join(self._kept) if whole and self._kept is not None else None,
            size_bytes=self._size,
            usage=self._usage,
            failure=failure,
            truncated=truncated,
            stream_error=self._error,
            filtered=self._filtered,
            first_at=self.first_at,
            events=self.events,
        )


def read_usage(provider: Provider, body: bytes) -> Usage | None:
    """Read the usage of a JSON body or event; None when it names none. Of an array the last item that names it.

    White space may stand in front: DeepSeek sends empty lines while it waits.
    """
    if len(body) > USAGE_BYTES_MAX or body.lstrip()[:1] not in {b"{", b"["}:
        return None
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    items = document if isinstance(document, list) else [document]
    return next(
        (found for item in reversed(items) if isinstance(item, dict) and (found := provider.read_usage(item))), None
    )
