"""What is read of an answer before its head goes out, and what its head says of its body."""

import asyncio

from gateway.egress.send import Incoming
from gateway.model.attempt import ReplyHead

EXCERPT_BYTES = 65_536
SMALL_BYTES = 65_536
"""A body of stated length up to this is read before its head goes out: if it breaks, the app gets a clear 502."""

ERROR_BODY_SECONDS = 10.0


async def first_part(incoming: Incoming) -> tuple[bytes, bool]:
    """Read a small body of stated length, or the start of an error.

    Returns:
        The bytes, and whether they are all.
    """
    head = incoming.head
    stated = head.header(b"content-length")
    if head.status < 400:
        if stated is None or not (stated.isascii() and stated.isdigit()) or int(stated) > SMALL_BYTES:
            return b"", False
        body = await incoming.all(SMALL_BYTES)
        return body, True
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(ERROR_BODY_SECONDS):
            while size < EXCERPT_BYTES:
                part = await incoming.next()
                if not part:
                    return b"".join(parts), True
                parts.append(part)
                size += len(part)
    except TimeoutError:
        pass
    return b"".join(parts), False


def is_json(head: ReplyHead) -> bool:
    """Whether the body may be JSON."""
    kind = head.header(b"content-type")
    return kind is None or "json" in kind.lower()


def is_events(head: ReplyHead) -> bool:
    """Whether the body is a stream of events that can be read as it is."""
    kind = head.header(b"content-type") or ""
    return kind.lower().startswith("text/event-stream") and head.header(b"content-encoding") in {None, "identity"}
