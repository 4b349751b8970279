"""What an app elsewhere needs to come through here: the certificate, and the lines that make a runtime believe it.

Nothing of it is secret, and whoever asks has no token yet: a container that is being built.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from html import escape
from importlib import resources
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

NAME = "whygate-ca"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What the page tells.

    Attributes:
        certificate_pem: The authority's certificate, never its key.
        fingerprint_sha256: Of the certificate, upper-case pairs with colons.
        not_after: UTC.
        listen_host: Where apps reach the gateway; a loopback address is reached from its own machine alone.
        listen_port: Likewise.
        needs_token: Apps have to present the listener's token.
    """

    certificate_pem: bytes
    fingerprint_sha256: str
    not_after: datetime
    listen_host: str
    listen_port: int
    needs_token: bool

    def routes(self) -> list[Route]:
        """Give where each is answered."""
        return [Route("/ca.pem", self._pem), Route("/ca.crt", self._der), Route("/trust", self._page)]

    async def _pem(self, _: Request) -> Response:
        return _file(self.certificate_pem, f"{NAME}.pem", "application/x-pem-file")

    async def _der(self, _: Request) -> Response:
        certificate = x509.load_pem_x509_certificate(self.certificate_pem)
        return _file(certificate.public_bytes(Encoding.DER), f"{NAME}.crt", "application/x-x509-ca-cert")

    async def _page(self, request: Request) -> Response:
        return Response(self.page(request.headers["host"]), media_type="text/html")

    def page(self, asked: str) -> str:
        """Give the page.

        Args:
            asked: How the reader calls this machine: the Host header of a request that was let in.
        """
        name, colon, port = asked.rpartition(":")
        host = name if colon and port.isdigit() else asked
        text = (resources.files("gateway.show") / "page" / "trust.html").read_text("utf-8")
        for hole, value in self._values(asked, host).items():
            text = text.replace("{{" + hole + "}}", escape(value))
        return text

    def _values(self, asked: str, host: str) -> Mapping[str, str]:
        return {
            "PAGE": f"http://{asked}",
            "HOST": host.strip("[]"),
            "PORT": str(self.listen_port),
            "PROXY": f"http://{'whygate:TOKEN@' if self.needs_token else ''}{host}:{self.listen_port}",
            "BASE": f"http://{host}:{self.listen_port}{'/~TOKEN' if self.needs_token else ''}",
            "FINGERPRINT": self.fingerprint_sha256,
            "SHA256": hashlib.sha256(self.certificate_pem).hexdigest(),
            "EXPIRES": f"{self.not_after:%Y-%m-%d}",
            "NO_TOKEN": "" if self.needs_token else "hidden",
            "ELSEWHERE": "" if _is_loopback(self.listen_host) else "hidden",
        }


def _file(content: bytes, name: str, kind: str) -> Response:
    return Response(content, media_type=kind, headers={"content-disposition": f'attachment; filename="{name}"'})


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
