"""Cut a byte stream at the borders of server-sent events, whatever the sizes of its pieces (WHATWG HTML, 9.2.5).

Bytes are never changed. A partial event waits for its end up to `HELD_BYTES`; past that it goes out in pieces, and a
stream that breaks inside it can only be aborted, since an error event would become part of the broken one.
"""

HELD_BYTES = 262_144

_BORDERS = (b"\n\n", b"\n\r\n", b"\r\r")


class EventSplitter:
    """Feed pieces, get bytes that end at an event's border."""

    __slots__ = ("_held", "_parts", "inside")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._held = 0
        self.inside = False
        """Whether part of an event has already gone out."""

    def feed(self, piece: bytes) -> tuple[bytes, bytes]:
        """Give ``(ready, whole)``: what may go out now, and the part of it that ends at a border (for reading)."""
        tail = self._parts[-1][-3:] if self._parts else b""
        window = tail + piece
        end = max(window.rfind(border) + len(border) if border in window else -1 for border in _BORDERS)
        cut = end - len(tail)
        if end < 0 or cut < 0:
            self._parts.append(piece)
            self._held += len(piece)
            if len(self._parts) > 64:  # noqa: PLR2004 - keeps one-byte pieces cheap
                self._parts = [b"".join(self._parts)]
            if self._held > HELD_BYTES or self.inside:
                self.inside = True
                return self._take(), b""
            return b"", b""
        if not self._parts and cut == len(piece):
            ready = piece
        else:
            ready = b"".join((*self._parts, piece[:cut]))
            rest = piece[cut:]
            self._parts, self._held = ([rest], len(rest)) if rest else ([], 0)
        was_inside, self.inside = self.inside, False
        return ready, b"" if was_inside else ready

    def rest(self) -> bytes:
        """Give what is held when the stream ends: an unfinished event, normally nothing."""
        return self._take()

    def _take(self) -> bytes:
        held = b"".join(self._parts)
        self._parts, self._held = [], 0
        return held


def data_of(events: bytes) -> list[bytes]:
    """Give the ``data`` lines of complete events, one value a line, without the leading space."""
    return [
        line[5:].removeprefix(b" ")
        for line in events.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        if line.startswith(b"data:")
    ]
