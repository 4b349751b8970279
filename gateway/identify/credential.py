"""The listener's own credential: how an app presents it, and how it is taken out before anything else looks. Pure."""

import hmac
from base64 import b64decode
from binascii import Error
from collections.abc import Iterable

HEADER = b"x-whygate-token"
PROXY_HEADER = b"proxy-authorization"
PRESENTING = frozenset({HEADER, PROXY_HEADER})
"""Headers that may hold it: between an app and us alone, so nobody behind the listener gets to see them."""

PATH_MARK = b"/~"
"""Begins the path of a base URL that holds the credential. No provider's name begins so."""


class Credential:
    """What every app must present.

    Args:
        token: Letters, digits, ``-._~``.
    """

    __slots__ = ("_token",)

    def __init__(self, token: str) -> None:
        self._token = token.encode("ascii")

    def is_in(self, given: Iterable[bytes]) -> bool:
        """Whether one of some texts is the token. Takes the same time however much of one is right."""
        return any(hmac.compare_digest(text, self._token) for text in given)


def from_proxy_headers(values: Iterable[bytes]) -> list[bytes]:
    """Give what Proxy-Authorization presents: the password of ``Basic`` (RFC 7617), whoever the user, or ``Bearer``."""
    found = []
    for value in values:
        scheme, _, rest = value.strip().partition(b" ")
        if scheme.lower() == b"bearer":
            found.append(rest.strip())
        elif scheme.lower() == b"basic":
            try:
                pair = b64decode(rest.strip(), validate=True)
            except Error:
                continue
            found.append(pair.partition(b":")[2])
    return found


def without(request: bytes) -> bytes:
    """Give the bytes of a request under a base URL without what presents the credential in its head."""
    head, end, rest = request.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    method, _, others = line.partition(b" ")
    kept = [field for field in fields if field.partition(b":")[0].strip().lower() not in PRESENTING]
    return b"\r\n".join((method + b" " + split_target(others)[1], *kept)) + end + rest


def split_target(target: bytes) -> tuple[bytes | None, bytes]:
    """Give the token in a base URL's path (None when there is none), and the target without it."""
    if not target.startswith(PATH_MARK):
        return None, target
    end = min((at for sign in b"/?#" if (at := target.find(sign, len(PATH_MARK))) >= 0), default=len(target))
    rest = target[end:]
    return target[len(PATH_MARK) : end], rest if rest.startswith(b"/") else b"/" + rest
