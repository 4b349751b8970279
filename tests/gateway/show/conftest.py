"""The page on a real server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.record.made import HandClock
from tests.gateway.show.served import Served, serve_page


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serve_page(tmp_path / "flows.db", HandClock()) as served:
        yield served
