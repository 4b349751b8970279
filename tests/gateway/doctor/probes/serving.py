"""A provider with a certificate, for probes that ask over TLS."""

import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trustme

from tests.gateway.egress.wire import Script, Wire, provider

AUTHORITY = trustme.CA()
HOST = "provider.test"


@asynccontextmanager
async def provider_of(script: Script) -> AsyncIterator[tuple[Wire, str]]:
    """Serve `HOST` over TLS; give the server, and the file of the CA that signed its certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(HOST).configure_cert(context)
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "ca.pem")
        AUTHORITY.cert_pem.write_to_path(file)
        async with provider(script, context) as wire:
            yield wire, str(file)
