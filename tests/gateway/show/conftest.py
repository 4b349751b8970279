"""The page on a real server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.record.made import HandClock
from tests.gateway.show.browser import Browser
from tests.gateway.show.drawn import sign_in
from tests.gateway.show.served import Served, serve_page


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serve_page(tmp_path / "flows.db", HandClock()) as served:
        yield served


@pytest.fixture
def page(served: Served, browser: Browser) -> Browser:
    """The page as a reader of English sees it first."""
    return sign_in(browser, served)
