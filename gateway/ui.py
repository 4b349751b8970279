"""A wish to see calls in mitmproxy's own UI, and what feeds it. Who has none imports nothing of it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from gateway.model.event import EventSink

if TYPE_CHECKING:
    from addons.feed import Feed


class Ui(NamedTuple):
    """A wish to see calls in mitmproxy's own UI.

    Attributes:
        kind: ``mitmweb`` or ``console``.
        options: ``name=value`` for options of mitmproxy's.
        opened: Told where it is, once it answers; empty for the console.
    """

    kind: str
    options: tuple[str, ...]
    opened: Callable[[str], None]


def feed_of(ui: Ui | None, sink: EventSink) -> "Feed | None":
    """Give what shows calls there and then gives them to ``sink``; None where nobody wants to see them."""
    if ui is None:
        return None
    from addons.feed import Feed  # noqa: PLC0415 - imported by who has a UI alone

    return Feed(sink)
