"""Which addresses are listeners of ours."""

import pytest

from gateway.ports import leads_to
from gateway.settings import parse_address


@pytest.mark.parametrize(
    ("own", "asked"),
    [
        *(
            (own, asked)
            for own in ("127.0.0.1:8", "0.0.0.0:8", "[::]:8")
            for asked in ("127.0.0.1", "127.9.9.9", "::1")
        ),
        *(("0.0.0.0:8", asked) for asked in ("0.0.0.0", "::", "::ffff:127.0.0.1")),
        ("192.168.0.1:8", "192.168.0.1"),
    ],
)
def test_every_address_of_this_machine_leads_to_a_listener_on_its_port(own: str, asked: str) -> None:
    assert leads_to(parse_address(own), asked, 8)
    assert not leads_to(parse_address(own), asked, 9)


@pytest.mark.parametrize("own", ["127.0.0.1:8", "0.0.0.0:8", "[::]:8", "192.168.0.1:8"])
@pytest.mark.parametrize("asked", ["93.184.216.34", "2001:db8::1", "192.168.0.2", "no address"])
def test_another_machines_address_does_not(own: str, asked: str) -> None:
    """Its own addresses are told by what can be bound."""
    assert not leads_to(parse_address(own), asked, 8)
