"""For wire tests: whatever a test opened is closed with it."""

import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.running import OPENED


@pytest.fixture(autouse=True)
async def _close_connections() -> AsyncIterator[None]:
    yield
    for writer in OPENED:
        writer.transport.abort()
    for writer in OPENED:
        with contextlib.suppress(Exception):
            await writer.wait_closed()
    OPENED.clear()
