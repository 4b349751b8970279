"""RST as soon as the connection is there."""

import contextlib
from collections.abc import Iterator

from tests.faults.inject.listener import Listener, listening, rst


@contextlib.contextmanager
def reset_at_accept() -> Iterator[Listener]:
    """Give a listener that throws every connection away."""
    with listening(lambda one, _: rst(one)) as listener:
        yield listener
