"""One gateway and one provider for all tests of a worker that need nothing special."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.e2e.office import Office, office
from tests.e2e.squid import Squid, squid
from tests.e2e.world import MARK, World, new_world
from tests.running import close_opened


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """At its end, no key that any of its tests used may stand in a file of the gateway."""
    with new_world(tmp_path_factory.mktemp("e2e")) as made:
        yield made
        made.gateway.stop()
        files = [file for file in made.gateway.directory.rglob("*") if file.is_file() and file.suffix != ".toml"]
        assert files
        assert [file for file in files if MARK.encode() in file.read_bytes()] == []


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """What lies behind the company's proxy."""
    with office(tmp_path_factory.mktemp("office")) as made:
        yield made


@pytest.fixture(scope="module")
def proxy(firm: Office) -> Iterator[Squid]:
    """That proxy, open to all."""
    with squid(firm.authority) as made:
        yield made


@pytest.fixture(autouse=True)
async def _close_connections() -> AsyncIterator[None]:
    """Whatever a test opened by hand is closed with it."""
    yield
    await close_opened()
