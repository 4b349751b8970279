"""Who is let in: apps present the listener's credential, and whoever does not is told how.

The answer to a proxy's client is 407 with a challenge on a connection that stays open: Java, .NET and curl with
``--proxy-anyauth`` send their credential only when they are asked, and on the same connection. Under a base URL it is
401, in the shape of the provider that was meant.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from gateway.identify.credential import HEADER, PROXY_HEADER, Credential, from_proxy_headers, split_target
from gateway.identify.locate import Place
from gateway.model.call import Headers, Origin
from gateway.model.cause import Cause
from gateway.model.provider import Provider
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
        token: What every app must present; empty when everybody may come in.
        place: Says which provider a base URL's path means.
    """

    def __init__(self, token: str, place: Callable[[Origin | None, bytes], Place | None]) -> None:
        self._credential = Credential(token) if token else None
        self._place = place

    @property
    def is_locked(self) -> bool:
        """Whether a credential is asked for."""
        return self._credential is not None

    def of_proxy(self, headers: Iterable[tuple[bytes, bytes]], host: str) -> Denied | None:
        """Look at a proxy's client: CONNECT, or a whole URL. None lets it in.

        Args:
            headers: Names in lower case.
        """
        if self._credential is None:
            return None
        values = [value for name, value in headers if name == PROXY_HEADER]
        if self._credential.is_in(from_proxy_headers(values)):
            return None
        return _denied(407, host, openai.PROVIDER, presented=bool(values))

    def of_base_url(self, headers: Iterable[tuple[bytes, bytes]], target: bytes) -> tuple[bytes, Denied | None]:
        """Look at a request under a base URL; give its target without the credential, and None to let it in."""
        in_path, rest = split_target(target)
        if self._credential is None:
            return rest, None
        given = [value.strip() for name, value in headers if name == HEADER]
        if in_path is not None:
            given.append(in_path)
        if self._credential.is_in(given):
            return rest, None
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
