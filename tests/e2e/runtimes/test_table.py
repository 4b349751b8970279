"""The README promises of runtimes what the matrix shows, and no more."""

import re

import pytest

from tests.e2e.runtimes.protocols import PROTOCOLS
from tests.e2e.runtimes.table import PROVEN, PROVIDERS, Client, markdown
from tests.running import ROOT

README = (ROOT / "README.md").read_text()
ROWS = markdown()


@pytest.mark.parametrize("row", ROWS)
def test_the_readme_has_every_row_of_the_table(row: str) -> None:
    assert row in README


def test_the_readme_has_no_row_of_its_own() -> None:
    head = README.find(ROWS[0])
    table = re.match(r"(?:\|.*\n)+", README[head:]) if head >= 0 else None
    assert table is not None
    assert table[0].splitlines() == ROWS


@pytest.mark.parametrize("client", PROVEN, ids=str)
def test_every_client_is_asked_of_some_provider(client: Client) -> None:
    assert client.protocols <= set(PROTOCOLS)
    assert any(asked.protocol in client.protocols for asked in PROVIDERS)
