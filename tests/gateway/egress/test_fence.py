"""Where apps of a gateway that others can reach may go."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.egress.fence import Fence

PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "172.15.0.1"]
INSIDE = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.1.1", "172.16.0.1"),
    *("172.31.255.255", "192.0.0.192", "192.168.0.1", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1"),
    *("255.255.255.255", "::", "::1", "::127.0.0.1", "fc00::1", "fd12::1", "fe80::1", "fe80::1%lo", "fec0::1"),
    *("ff02::1", "2001:db8::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "2002:0a00:0001::", "2002:7f00:1::1"),
    *("64:ff9b::a00:1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2001:0:102:304::1"),
]  # fmt: skip
METADATA = ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "::ffff:169.254.169.254"]


def a_fence(*allowed: str) -> Fence:
    return Fence(allowed, lambda host, port: (host, port) == ("llm.corp.example", 8443))


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_connected_to(address: str) -> None:
    assert a_fence("files.example.com").bars_address("files.example.com", 443, address) is None


@pytest.mark.parametrize("address", [*INSIDE, *METADATA])
def test_any_other_address_may_not_whatever_the_name(address: str) -> None:
    why = a_fence("files.example.com").bars_address("files.example.com", 443, address)
    assert why is not None
    assert why.startswith(f"files.example.com leads to {address}, ")


@pytest.mark.parametrize("address", [*INSIDE, *METADATA])
def test_what_the_operator_leads_somewhere_may_be_anywhere(address: str) -> None:
    """A provider's upstream in the company's own network, and its proxy."""
    assert a_fence().bars_address("llm.corp.example", 8443, address) is None
    assert a_fence().bars_address("llm.corp.example", 443, address) is not None


@pytest.mark.parametrize("host", [*PUBLIC, *INSIDE, *METADATA])
def test_an_address_is_not_asked_for_unless_it_is_listed(host: str) -> None:
    assert a_fence("*.example.com", "1.2.3.4").bars(host, 443) is not None


LISTED = ["files.example.com", "*.example.org", "api.example.net:8443", "10.0.0.7:8000", "[fd00::5]", "*.x.example:22"]


@pytest.mark.parametrize(
    "asked",
    [
        *("files.example.com:443", "files.example.com:80", "files.example.com.:443", "a.example.org:443"),
        *("a.b.example.org:80", "api.example.net:8443", "10.0.0.7:8000", "fd00::5:443", "fd00:0::5:80", "a.x.example:22"),
    ],
)  # fmt: skip
def test_what_is_listed_may_be_asked_for(asked: str) -> None:
    host, _, port = asked.rpartition(":")
    assert a_fence(*LISTED).bars(host, int(port)) is None


@pytest.mark.parametrize(
    "asked",
    [
        *("files.example.com:22", "files.example.com:8080", "xfiles.example.com:443", "a.files.example.com:443"),
        *("files.example.com.evil.example:443", "example.org:443", "xexample.org:443", "a.example.org:22"),
        *("api.example.net:443", "10.0.0.7:443", "10.0.0.8:8000", "fd00::6:443", "a.x.example:443", "localhost:443"),
        *("metadata.google.internal:80", "kubernetes.default.svc:443", "0x7f000001:80", "127.1:80", "chatgpt.com:443"),
        *("llm.corp.example:8443", "postgres:5432", "host.docker.internal:80", "[::1]:80", ":443"),
    ],
)  # fmt: skip
def test_what_is_not_listed_may_not(asked: str) -> None:
    """Neither by a name that looks like it, nor on another port, nor where the operator leads providers' calls."""
    host, _, port = asked.rpartition(":")
    assert a_fence(*LISTED).bars(host, int(port)) is not None


def test_a_private_address_is_reached_only_as_it_is_written_in_the_list() -> None:
    fence = a_fence("10.0.0.7:8000", "inner.example.com")
    assert fence.bars_address("10.0.0.7", 8000, "10.0.0.7") is None
    assert fence.bars_address("10.0.0.7", 443, "10.0.0.7") is not None
    assert fence.bars("inner.example.com", 443) is None
    assert fence.bars_address("inner.example.com", 443, "10.0.0.7") is not None


@pytest.mark.parametrize("address", METADATA)
def test_what_a_cloud_tells_its_machines_stays_shut_even_when_it_is_listed(address: str) -> None:
    fence = a_fence(f"[{address}]" if ":" in address else address)
    assert fence.bars(address, 80) is not None
    assert fence.bars_address(address, 80, address) is not None


@given(st.ip_addresses())
def test_no_address_inside_is_let_through(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Against the library's own word, for all of them."""
    if a_fence().bars_address("a.example", 443, str(address)) is None:
        mapped = getattr(address, "ipv4_mapped", None) or address
        nat64 = address in ipaddress.ip_network("64:ff9b::/96") if address.version == 6 else False
        assert nat64 or (mapped.is_global and not mapped.is_multicast and not mapped.is_loopback)
