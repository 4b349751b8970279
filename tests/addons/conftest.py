"""For wire tests: whatever a test opened is closed with it."""

from collections.abc import AsyncIterator

import pytest

from tests.running import close_opened


@pytest.fixture(autouse=True)
async def _close_connections() -> AsyncIterator[None]:
    yield
    await close_opened()
