"""Each client of each runtime gets its answers by `whygate run`, by proxy and by base URL, plain and streamed."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.e2e.runtimes.protocols import ANSWER, PROTOCOLS
from tests.e2e.runtimes.runs import BYPASSES, CELLS, Cell, Runs, new_runs
from tests.e2e.runtimes.table import LOCKED, PROXIED
from tests.e2e.world import MARK


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """At its end, no key that any client sent may stand in a file of the gateway."""
    with new_runs(tmp_path_factory.mktemp("runtimes")) as made:
        yield made
        made.world.gateway.stop()
        files = [file for file in made.world.gateway.directory.rglob("*") if file.is_file()]
        assert files
        assert [file for file in files if MARK.encode() in file.read_bytes()] == []


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_client_gets_its_answer_through_the_gateway(runs: Runs, cell: Cell) -> None:
    said = runs.said(cell)
    assert "error" not in said, bytes.fromhex(said["error"]).decode()
    text = said.get("text")
    if text is None:
        assert said["status"] == 200
        text = PROTOCOLS[cell.protocol].said(bytes.fromhex(said["body"]), stream=cell.stream)
    assert text == ANSWER
    if cell.client.program in LOCKED:
        assert said["version"].startswith(cell.client.version or cell.client.runtime.partition(" ")[2])

    (billed,) = runs.world.provider.rows(runs.keys[str(cell)])
    assert billed.status == 200
    row = runs.row(cell)
    assert (row["provider"], row["model"], row["stream"]) == (cell.provider.name, cell.provider.model, cell.stream)
    assert (row["kind"], row["status"], row["cause"]) == ("api", 200, None)
    assert (row["host"] == urlsplit(cell.provider.base).hostname) == (cell.way == PROXIED)


@pytest.mark.parametrize("cell", BYPASSES, ids=str)
def test_a_client_that_ignores_proxy_variables_goes_past_the_gateway(runs: Runs, cell: Cell) -> None:
    """The gateway would have answered for that host. When this fails, the table promises too little."""
    assert "error" in runs.said(cell)
    assert runs.world.provider.rows(runs.keys[str(cell)]) == []
    assert runs.rows(cell) == []
