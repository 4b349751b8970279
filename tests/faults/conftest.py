"""The field that cases share, the comparison at the end of each, and the options of a long run.

``--repeat N`` runs every case N times, in random order; the seed is printed at the end. It is of ``pytest tests/faults``.
"""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.faults.field import Case, Field, open_field
from tests.running import close_opened


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption("--repeat", type=int, default=1, help="run every fault case so many times")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    times = metafunc.config.getoption("repeat", 1)
    if times > 1:
        metafunc.fixturenames.append("repetition")
        metafunc.parametrize("repetition", range(1, times + 1), ids=lambda number: f"run{number}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("repeat", 1) > 1:
        seed = config.getoption("randomly_seed", None)
        terminalreporter.write_line(f"repeated {config.getoption('repeat')} times; this order: --randomly-seed={seed}")


@pytest.fixture
def repetition(request: pytest.FixtureRequest) -> int:
    """Which run of the same case it is."""
    number: int = getattr(request, "param", 1)
    return number


@pytest.fixture(scope="session")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """One gateway and its upstream for all cases of a worker that need nothing special."""
    with open_field(tmp_path_factory.mktemp("field")) as made:
        yield made


@pytest.fixture
def case(field: Field, full: bool) -> Iterator[Case]:
    """Give a case on the shared field; at its end the ledgers agree and the gateway is at rest."""
    made = Case(field, full=full)
    yield made
    made.finish()


@pytest.fixture(autouse=True)
async def _close_connections() -> AsyncIterator[None]:
    """Whatever a test opened by hand is closed with it."""
    yield
    await close_opened()
