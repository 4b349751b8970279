"""Cut a byte stream at the borders of server-sent events, whatever the sizes of its pieces (WHATWG HTML, 9.2.5).

Bytes are never changed. A partial event waits for its end up to `HELD_BYTES`; past that it goes out in pieces, and a
stream that breaks inside it can only be aborted, since an error event would become part of the broken one.
"""

HELD_BYTES = 262_144

_BORDERS = (b"\n\n", b"\n\r\n", b"\r\r")


def has_border(data: bytes) -> bool:
    """Whether an event ends in it."""
    return any(border in data for border in _BORDERS)


class EventSplitter:
    """Feed pieces, get bytes that end at an event's border."""

    __slots__ = ("_held", "_parts", "_tail", "inside")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._held = 0
        self._tail = b""  # the last bytes of the unfinished event: a border may be spread over several pieces
        self.inside = False
        """Whether part of an event has already gone out."""

    def feed(self, piece: bytes) -> tuple[bytes, bytes]:
        """Give ``(ready, whole)``: what may go out now, and the part of it that is to be read.

        That part is whole events; of one too large to be held it is the first piece, where its name stands.
        """
        window = self._tail + piece
        end = max(window.rfind(border) + len(border) if border in window else -1 for border in _BORDERS)
        if end < 0:
            self._tail = window[-2:]
            return self._hold(piece)
        before = len(self._tail)
        cut = end - before
        self._tail = window[end:][-2:]
        if not self._parts and cut == len(piece):
            ready = piece
        else:
            ready = b"".join((*self._parts, piece[:cut]))
            self._parts, self._held = [], 0
        whole = ready
        if self.inside:
            self.inside = False
            first = min(at + len(border) for border in _BORDERS if (at := window.find(border)) >= 0)
            whole = ready[first - before :]
        if cut < len(piece):
            more, start = self._hold(piece[cut:])
            return ready + more, whole + start
        return ready, whole

    def _hold(self, piece: bytes) -> tuple[bytes, bytes]:
        if self.inside:
            return piece, b""
        self._parts.append(piece)
        self._held += len(piece)
        if self._held > HELD_BYTES:
            self.inside = True
            start = self.rest()
            return start, start
        if len(self._parts) > 64:
            self._parts = [b"".join(self._parts)]
        return b"", b""

    def rest(self) -> bytes:
        """Give what is held when the stream ends: an unfinished event, normally nothing."""
        held = b"".join(self._parts)
        self._parts, self._held = [], 0
        return held


def data_of(events: bytes) -> list[bytes]:
    """Give the ``data`` lines of complete events, one value a line, without the leading space."""
    return [line[5:].removeprefix(b" ") for line in events.splitlines() if line.startswith(b"data:")]
