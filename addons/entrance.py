"""Who is let in, and as whom: apps present a credential of the listener's, and whoever does not is told how.

The answer to a proxy's client is 407 with a challenge on a connection that stays open: Java, .NET and curl with
``--proxy-anyauth`` send their credential only when they are asked, and on the same connection. Under a base URL it is
401, in the shape of the provider that was meant.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from gateway.identify.credential import HEADER, PROXY_HEADER, Credentials, from_proxy_headers, split_target
from gateway.identify.locate import Place
from gateway.model.call import Headers, Origin
from gateway.model.cause import Cause
from gateway.model.provider import Provider
from gateway.model.tenant import DEFAULT
from gateway.providers import openai
from gateway.reply import verdict
from gateway.rows import refused_verdict

_CHALLENGE = (b"proxy-authenticate", b'Basic realm="whygate"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """What an app is answered that did not present the credential.

    Attributes:
        why: For the record.
    """

    status: int
    headers: Headers
    body: bytes
    why: str

    async def __call__(self, _scope: object, _receive: object, send: Callable[[Any], Awaitable[None]]) -> None:
        """Give the answer, as an ASGI application; what follows of the request is read over by the server."""
        await send({"type": "http.response.start", "status": self.status, "headers": list(self.headers)})
        await send({"type": "http.response.body", "body": self.body})


class Entrance:
    """Looks at credentials.

    Args:
        credentials: What apps must present; none when everybody may come in.
        place: Says which provider a base URL's path means.
    """

    def __init__(self, credentials: Credentials, place: Callable[[Origin | None, bytes], Place | None]) -> None:
        self._credentials = credentials
        self._place = place

    @property
    def is_locked(self) -> bool:
        """Whether a credential is asked for."""
        return bool(self._credentials)

    def of_proxy(self, headers: Iterable[tuple[bytes, bytes]], host: str) -> str | Denied:
        """Look at a proxy's client: CONNECT, or a whole URL. Give the tenant's name, or what it is answered.

        Args:
            headers: Names in lower case.
        """
        if not self._credentials:
            return DEFAULT
        values = [value for name, value in headers if name == PROXY_HEADER]
        found = self._credentials.whose(from_proxy_headers(values))
        return found or _denied(407, host, openai.PROVIDER, presented=bool(values))

    def of_base_url(self, headers: Iterable[tuple[bytes, bytes]], target: bytes) -> tuple[bytes, str | Denied]:
        """Look at a request under a base URL; give its target without the credential, and the tenant as `of_proxy`."""
        in_path, rest = split_target(target)
        if not self._credentials:
            return rest, DEFAULT
        given = [value.strip() for name, value in headers if name == HEADER]
        if in_path is not None:
            given.append(in_path)
        if (found := self._credentials.whose(given)) is not None:
            return rest, found
        place = self._place(None, rest)
        host = place.upstream.host if place is not None else ""
        provider = place.provider if place is not None else openai.PROVIDER
        return rest, _denied(401, host, provider, presented=bool(given))


def _denied(status: int, host: str, provider: Provider, *, presented: bool) -> Denied:
    why = "what was presented is not the token of this gateway" if presented else "no token came with it"
    diagnosis = refused_verdict(Cause.PROXY_UNAUTHORIZED, why, status, host)
    body = provider.write_error(status, diagnosis.cause.value, f"whygate: {diagnosis.sentence()}")
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    headers += verdict(diagnosis, spent=False)
    if status == 407:
        headers.append(_CHALLENGE)
    return Denied(status=status, headers=tuple(headers), body=body, why=why)
