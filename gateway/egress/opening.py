"""What is read of an answer before its head goes out, and what its head says of its body.

While nothing is out, what breaks can be tried again or told with a proper status. So a small body is read whole, and a
stream up to its first event, for a second at most.
"""

import asyncio
from typing import NamedTuple

from gateway.egress.send import Incoming
from gateway.egress.sse import has_border
from gateway.model.attempt import ReplyHead

EXCERPT_BYTES = 65_536
SMALL_BYTES = 65_536
"""A body of stated length up to this is read before its head goes out: if it breaks, the app gets a clear 502."""

ERROR_BODY_SECONDS = 10.0
START_SECONDS = 1.0
"""The longest that a stream's head is held: some providers send it long before the first event."""


class EmptyStreamError(Exception):
    """A stream ended properly before its first event."""


class Opening(NamedTuple):
    """The start of a body.

    Attributes:
        whole: It is all.
    """

    body: bytes
    whole: bool


async def first_part(incoming: Incoming, *, hold: bool = False) -> Opening:
    """Read a small body of stated length, the start of an error, or a stream up to its first event.

    Args:
        hold: Whether a stream of events is to be waited for.

    Raises:
        EmptyStreamError: See there.
    """
    head = incoming.head
    if head.status >= 400:
        return await _start_of_error(incoming)
    if hold and is_events(head):
        return await _start_of_stream(incoming)
    stated = head.header(b"content-length")
    if stated is None or not (stated.isascii() and stated.isdigit()) or int(stated) > SMALL_BYTES:
        return Opening(b"", whole=False)
    return Opening(await incoming.all(SMALL_BYTES), whole=True)


async def _start_of_stream(incoming: Incoming) -> Opening:
    held = b""
    try:
        async with asyncio.timeout(START_SECONDS) as patience:
            while len(held) < EXCERPT_BYTES and not has_border(held):
                part = await incoming.next()
                if not part:
                    break
                held += part
    except TimeoutError:
        if not patience.expired():
            raise
        return Opening(held, whole=False)
    if not held:
        raise EmptyStreamError
    return Opening(held, whole=False)


async def _start_of_error(incoming: Incoming) -> Opening:
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(ERROR_BODY_SECONDS) as patience:
            while size < EXCERPT_BYTES:
                part = await incoming.next()
                if not part:
                    return Opening(b"".join(parts), whole=True)
                parts.append(part)
                size += len(part)
    except TimeoutError:
        if not patience.expired():
            raise
    return Opening(b"".join(parts), whole=False)


def is_json(head: ReplyHead) -> bool:
    """Whether the body may be JSON."""
    kind = head.header(b"content-type")
    return kind is None or "json" in kind.lower()


def is_page(head: ReplyHead) -> bool:
    """Whether the body is for people, which no API's success is."""
    return (head.header(b"content-type") or "").lower().startswith("text/html")


def is_events(head: ReplyHead) -> bool:
    """Whether the body is a stream of events that can be read as it is."""
    kind = head.header(b"content-type") or ""
    return kind.lower().startswith("text/event-stream") and head.header(b"content-encoding") in {None, "identity"}
