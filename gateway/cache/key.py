"""Which requests are equal: a keyed hash over everything that can change the answer, in an injective encoding.

Every part is written with its length in front, so no two different lists of parts give the same bytes. JSON is brought
to one form in which the order of keys does not count, while ``1`` and ``1.0`` stay different; a body with a repeated
key has no agreed meaning and is compared byte for byte.
"""

import hashlib
import hmac
import json
from operator import itemgetter

from gateway.model.call import Call
from gateway.model.route import Route

_HEADERS = (b"accept", b"accept-encoding", b"content-type", b"content-encoding")


def cache_key(call: Call, route: Route, secret: bytes) -> bytes:
    """Give the key of a call, 32 bytes. ``secret`` keeps keys of two installations apart."""
    provider = route.provider
    parts = [
        route.tenant.encode(),
        route.key.encode(),
        route.scope.encode(),
        provider.name.encode(),
        call.method.encode(),
        str(route.upstream).encode(),
        route.target,
        canonical_json(call.body),
    ]
    names = {*provider.key_headers, *provider.scope_headers, *provider.version_headers, *_HEADERS}
    for name, value in sorted((pair for pair in call.headers if pair[0] in names), key=itemgetter(0)):
        parts += (name, value)
    digest = hmac.new(secret, digestmod=hashlib.sha256)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


class _RepeatedKeyError(ValueError):
    pass


class _Number(str):
    """A number as it was written: 1, 1.0 and 1e0 may mean different things to whoever reads them."""

    __slots__ = ()


def canonical_json(body: bytes) -> bytes:
    """Give one form for equal JSON documents; anything that is none is given as it is, marked as such."""
    try:
        document = json.loads(
            body, object_pairs_hook=_pairs, parse_float=_Number, parse_int=_Number, parse_constant=_refuse
        )
        return b"json" + _form(document)
    except (ValueError, RecursionError):
        return b"raw" + body


def _form(node: object) -> bytes:
    """Write a kind, a length and the content: nothing can be mistaken for anything else."""
    match node:
        case _Number():
            return _part(b"n", node.encode())
        case str():
            return _part(b"s", node.encode("utf-8", "surrogatepass"))
        case list():
            return _part(b"l", b"".join(map(_form, node)))
        case dict():
            return _part(b"d", b"".join(_form(key) + _form(node[key]) for key in sorted(node)))
        case _:
            return {True: b"t", False: b"f", None: b"0"}[node]  # type: ignore[index]


def _part(kind: bytes, content: bytes) -> bytes:
    return b"%b%d:%b" % (kind, len(content), content)


def _refuse(name: str) -> object:
    raise ValueError(name)


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise _RepeatedKeyError
    return document
