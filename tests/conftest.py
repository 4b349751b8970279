"""For all tests: nothing leaves this machine, and no setting of the developer's own shines through.

``--full`` takes the original, long durations and numbers where a test is scaled down.
"""

import gc
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.show.browser import Browser, open_browser
from tests.running import GatewayProcess, RawUpstream, gateway_and_upstream

for name in [n for n in os.environ if n.upper().endswith("_PROXY") or (n.startswith("WHYGATE_") and "_TEST_" not in n)]:
    del os.environ[name]

_connect = socket.socket.connect


def _loopback_only(self: socket.socket, address: Any) -> None:
    if self.family in {socket.AF_INET, socket.AF_INET6} and not str(address[0]).startswith(
        ("127.", "::1", "localhost")
    ):
        message = f"a test tried to reach {address}"
        raise AssertionError(message)
    return _connect(self, address)


def pytest_addoption(parser: pytest.Parser) -> None:
    text = "take the long durations and numbers where a test is scaled down"
    parser.addoption("--full", action="store_true", help=text)


def pytest_collection_finish() -> None:
    """Leave what was collected out of the garbage collector's way.

    It is a million objects by now. To look through them takes half a second in which nothing else of the process runs:
    neither a provider nor an app that is timed, in whichever test it happens to come.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def full(request: pytest.FixtureRequest) -> bool:
    """Whether the long durations and numbers are wanted."""
    return bool(request.config.getoption("full", default=False))


@pytest.fixture(autouse=True)
def _stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", _loopback_only)


@pytest.fixture(scope="session")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GatewayProcess, RawUpstream]]:
    """One gateway without limits before a provider of raw bytes, for all wire tests of a worker."""
    directory: Path = tmp_path_factory.mktemp("wire")
    with gateway_and_upstream(directory) as both:
        yield both


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser without a past, for the tests of one file."""
    with open_browser() as browser:
        yield browser
