"""mitmproxy's side of whygate: thin adapters between its hooks and `gateway`.

`chain` is the whole list of addons, in order. mitmproxy's default list costs 40 % of its speed and brings features
that a gateway must not have (scripts, replay, commands), so it is not used.
"""

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from mitmproxy import certs
from mitmproxy.addons import core, proxyserver, tlsconfig

from addons import mode as mode
from addons.crowd import Crowd
from addons.interceptions import Interceptions
from addons.lanes import Lanes
from addons.tunnels import Tunnels
from addons.websocket import WebSockets


class OurAuthority(tlsconfig.TlsConfig):
    """mitmproxy's TLS settings with our certificate authority instead of files of its own."""

    def __init__(self, store: certs.CertStore) -> None:
        self.certstore = store

    def running(self) -> None:
        """Keep the store; mitmproxy would load its own again here."""

    def configure(self, updated: set[str]) -> None:
        """Check options as mitmproxy does; the certificate store is ours and stays."""
        super().configure(updated - {"certs", "confdir", "key_size", "cert_passphrase"})  # type: ignore[no-untyped-call]


def certificate_store(certificate_pem: bytes, key_pem: bytes) -> certs.CertStore:
    """Give mitmproxy's certificate store for an authority. ValueError when the key is not RSA."""
    key = serialization.load_pem_private_key(key_pem, password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        message = "the certificate authority's key is not an RSA key"
        raise ValueError(message)  # noqa: TRY004 - the file's content is wrong, not a type in the program
    authority = certs.Cert(x509.load_pem_x509_certificate(certificate_pem))
    return certs.CertStore(key, authority, None, b"", certs.DHParams(b""))


def chain(lanes: Lanes, store: certs.CertStore) -> list[object]:
    """Give the ordered list of addons."""
    return [
        core.Core(),  # options that the proxy core reads
        lanes,  # what our listener asks
        proxyserver.Proxyserver(),  # starts the listener
        OurAuthority(store),  # TLS of connections that were handed over
        lanes.websockets,  # upgrades that the lane handed over
        lanes.interceptions,  # clients of HTTP/2 alone, and edited routes
    ]


__all__ = ["Crowd", "Interceptions", "Lanes", "OurAuthority", "Tunnels", "WebSockets", "certificate_store", "chain"]
