"""Who may sign for the public, and what servers present that nobody has given a certificate."""

import pytest

from gateway.diagnose.authorities import is_default, is_public


@pytest.mark.parametrize(
    "issuer",
    [
        "CN=WE1,O=Google Trust Services,C=US",
        "C = US, O = Let's Encrypt, CN = R11",
        "issuer=/C=US/O=DigiCert Inc/CN=DigiCert TLS RSA SHA256 2020 CA1",
        "O=Amazon, CN=Amazon RSA 2048 M02",
        "commonName=Sectigo RSA Domain Validation Secure Server CA",
        "CN=GlobalSign Atlas R3 DV TLS CA",
        "C=US;O=Microsoft Corporation;CN=Microsoft Azure RSA TLS Issuing CA 03",
    ],
)
def test_public_authorities_are_known_in_any_notation(issuer: str) -> None:
    assert is_public(issuer)
    assert not is_default(issuer)


@pytest.mark.parametrize(
    "issuer",
    [
        "CN=Zscaler Intermediate Root CA,O=Zscaler Inc.",
        "CN=FortiGate CA",
        "CN=Acme Corp Root CA",
        "CN=Amazonia Corporate Proxy",
        "CN=mitmproxy",
        "CN=localhost",
        "",
    ],
)
def test_private_authorities_are_not_public(issuer: str) -> None:
    assert not is_public(issuer)


@pytest.mark.parametrize(
    "issuer",
    [
        "CN=TRAEFIK DEFAULT CERT",
        "O=Acme Co,CN=Kubernetes Ingress Controller Fake Certificate",
        "CN=ssl-cert-snakeoil",
        "CN=localhost",
        "C=CH,O=Plesk,CN=Plesk",
    ],
)
def test_a_certificate_that_a_server_made_for_itself_is_known(issuer: str) -> None:
    assert is_default(issuer)
    assert not is_public(issuer)


@pytest.mark.parametrize("issuer", ["", "CN=Zscaler Root CA", "O=DigiCert Inc", "CN=R11,O=Let's Encrypt"])
def test_others_are_no_makeshift(issuer: str) -> None:
    assert not is_default(issuer)
