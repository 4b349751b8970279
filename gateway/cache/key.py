"""Which requests are equal: a keyed hash over everything that can change the answer, in an injective encoding.

How many parts there are and how long each is stand in front, so no two different lists of parts give the same bytes.
JSON is brought to one form in which the order of keys does not count, while ``1`` and ``1.0`` stay different; a body
with a repeated key has no agreed meaning and is compared byte for byte.
"""

import json
from itertools import chain
from operator import itemgetter
from struct import pack
from typing import NamedTuple
from urllib.parse import unquote_plus

import orjson

from gateway.keyed import keyed_digest
from gateway.model.call import Call
from gateway.model.provider import Provider
from gateway.model.route import Route

_HEADERS = (b"accept", b"accept-encoding", b"content-type", b"content-encoding")


class Keys(NamedTuple):
    """The keys of one call, 32 bytes each.

    Attributes:
        answer: Equal for calls that may have one answer.
        flight: Equal for calls that may have it from one request. Never equal for two credentials: whoever shares
            answers does not share refusals.
    """

    answer: bytes
    flight: bytes


def keys_of(call: Call, route: Route, secret: bytes, *, lent: bool = False) -> Keys:
    """Give the keys of a call.

    Args:
        secret: Keeps the keys of two installations apart, and what was asked out of them.
        lent: Leave out whose credential it is, but for the tenant: nothing crosses from one to another. What one key
            alone may read never has a key that is lent.
    """
    provider = route.provider
    target = _without_credential(route.target, provider) if lent else route.target
    asked = [
        provider.name.encode(),
        call.method.encode(),
        str(route.upstream).encode(),
        target,
        canonical_json(call.body, route.document),
        *_headers(call, (*provider.scope_headers, *provider.version_headers, *_HEADERS)),
    ]
    whose = [route.tenant.encode(), route.key.encode(), route.scope.encode(), *_headers(call, provider.key_headers)]
    flight = _digest(secret, [b"own", *whose, *asked])
    return Keys(_digest(secret, [b"lent", route.tenant.encode(), *asked]) if lent else flight, flight)


def _headers(call: Call, names: tuple[bytes, ...]) -> list[bytes]:
    """Give how many there are, then their names and values: nothing that follows can be taken for one of them."""
    found = sorted([pair for pair in call.headers if pair[0] in names], key=itemgetter(0))
    return [b"%d" % len(found), *chain.from_iterable(found)]


def _without_credential(target: bytes, provider: Provider) -> bytes:
    path, mark, query = target.partition(b"?")
    if not mark or not provider.key_query:
        return target
    kept = [
        pair
        for pair in query.split(b"&")
        if unquote_plus(pair.partition(b"=")[0].decode("latin-1")).encode("latin-1", "replace")
        not in provider.key_query
    ]
    return path + mark + b"&".join(kept)


def _digest(secret: bytes, parts: list[bytes]) -> bytes:
    sizes = pack(f"{len(parts) + 1}Q", len(parts), *map(len, parts))
    return keyed_digest(secret, b"".join([sizes, *parts]))


class _RepeatedKeyError(ValueError):
    pass


class _Number(str):
    """A number as it was written: 1, 1.0 and 1e0 may mean different things to whoever reads them."""

    __slots__ = ()


def canonical_json(body: bytes, document: object = None) -> bytes:
    """Give one form for equal JSON documents: no white space, keys in order, numbers as they were written.

    What is no JSON, or has a key twice, is given as it is and marked so.

    Args:
        document: ``body`` as `orjson.loads` reads it, where that is at hand.
    """
    try:
        # What is written again byte for byte has no key twice and no number in another form: most SDKs write so.
        if document is not None and orjson.dumps(document) == body:
            return b"json" + orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
        parsed = json.loads(
            body, object_pairs_hook=_pairs, parse_float=_Number, parse_int=_Number, parse_constant=_refuse
        )
        return b"json" + _form(parsed)
    except (ValueError, TypeError, RecursionError):
        return b"raw" + body


def _form(node: object) -> bytes:
    match node:
        case _Number():
            return node.encode()
        case str():
            return orjson.dumps(node)
        case list():
            return b"[" + b",".join(map(_form, node)) + b"]"
        case dict():
            return b"{" + b",".join(orjson.dumps(key) + b":" + _form(node[key]) for key in sorted(node)) + b"}"
        case _:
            return {True: b"true", False: b"false", None: b"null"}[node]  # type: ignore[index]


def _refuse(name: str) -> object:
    raise ValueError(name)


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise _RepeatedKeyError
    return document
