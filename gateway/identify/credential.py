"""The listener's credentials: how an app presents one, whose it is, and how it is taken out. Pure."""

import hashlib
import hmac
from base64 import b64decode
from binascii import Error
from collections.abc import Iterable, Mapping
from itertools import islice

HEADER = b"x-whygate-token"
PROXY_HEADER = b"proxy-authorization"
PRESENTING = frozenset({HEADER, PROXY_HEADER})
"""Headers that may hold it: between an app and us alone, so nobody behind the listener gets to see them."""

PATH_MARK = b"/~"
"""Begins the path of a base URL that holds the credential. No provider's name begins so."""

_PRESENTED_MAX = 8
"""Of one request. Each is compared with every token there is."""


class Credentials:
    """Who may come in.

    Args:
        tokens: Tenant's name -> its token: letters, digits, ``-._~``. Empty where everybody may.
    """

    __slots__ = ("_tokens",)

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._tokens = tuple((name, _digest(token.encode("ascii"))) for name, token in tokens.items())

    def __bool__(self) -> bool:
        """Whether a credential is asked for."""
        return bool(self._tokens)

    def whose(self, given: Iterable[bytes]) -> str | None:
        """Give the tenant whose token is the first of some texts that is one; None when none is.

        Takes the same time whoever is meant, and however much of a token is right.
        """
        found: str | None = None
        for text in islice(given, _PRESENTED_MAX):
            asked = _digest(text)
            fits = [name for name, token in self._tokens if hmac.compare_digest(asked, token)]
            found = found or next(iter(fits), None)
        return found


def _digest(text: bytes) -> bytes:
    """Give all texts one length, so that none tells its own."""
    return hashlib.sha256(text).digest()


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
