"""The form in which an answer leaves the process, to a file or another machine: one that nobody else can make.

A blob is, in this order (all numbers big-endian)::

    version    1 byte
    seal      32 bytes   HMAC-SHA256 (RFC 2104) of domain, version, length of key, key, and all that follows
    head       4 bytes   its length, then
               parts, each 4 bytes of length and its bytes: times, status, tokens, label, then header names and values
    body       the rest, exactly as it came

So a blob can be read in one way only, and only under the key and with the secret that it was made with.
"""

import hmac
import struct
from collections.abc import Iterable, Iterator
from itertools import chain

from gateway.model.decision import Label, StoredReply

_VERSION = b"\x01"
_DOMAIN = b"whygate cached answer\x00"
_SEAL_BYTES = 32
_BEGIN = len(_VERSION) + _SEAL_BYTES
_LENGTH_BYTES = 4
_TIMES = struct.Struct(">3d")
_LABEL_FIELDS = ("provider", "endpoint", "model", "key", "tenant", "rule")
_FIXED_PARTS = 4 + len(_LABEL_FIELDS)


class DamagedError(Exception):
    """A blob is not what was sealed under this key with this secret."""


def seal(secret: bytes, key: bytes, reply: StoredReply) -> bytes:
    """Give an answer as bytes.

    Args:
        secret: The key of seals, 32 bytes.
        key: What it is stored under.
    """
    head = b"".join(_prefixed(part) for part in _parts(reply))
    head = _prefixed(head)
    return b"".join((_VERSION, _seal_of(secret, key, head, reply.body), head, reply.body))


def unseal(secret: bytes, key: bytes, blob: object) -> StoredReply:
    """Give the answer back.

    Args:
        blob: What was found in its place; any object at all.

    Raises:
        DamagedError: It was made under another key, with another secret, in another version, or has changed since.
    """
    if not isinstance(blob, bytes) or len(blob) < _BEGIN or blob[:1] != _VERSION:
        raise DamagedError("it is not in the form of a stored answer")
    view = memoryview(blob)
    if not hmac.compare_digest(view[1:_BEGIN], _seal_of(secret, key, view[_BEGIN:])):
        raise DamagedError("its seal does not fit")
    head_ends = _BEGIN + _LENGTH_BYTES + int.from_bytes(view[_BEGIN : _BEGIN + _LENGTH_BYTES])
    parts = list(_read(view[_BEGIN + _LENGTH_BYTES : head_ends]))
    stored_at, fresh_until, kept_until = _TIMES.unpack(parts[0])
    status, tokens_in, tokens_out = (_number(part) for part in parts[1:4])
    texts = (part.decode("utf-8", "surrogatepass") for part in parts[4:_FIXED_PARTS])
    headers = parts[_FIXED_PARTS:]
    return StoredReply(
        status=status or 0,
        headers=tuple(zip(headers[::2], headers[1::2], strict=True)),
        body=blob[head_ends:],
        stored_at=stored_at,
        fresh_until=fresh_until,
        kept_until=kept_until,
        label=Label(**dict(zip(_LABEL_FIELDS, texts, strict=True))),
        tokens_in=tokens_in,
        tokens_out=tokens_out,
    )


def _seal_of(secret: bytes, key: bytes, *content: bytes | memoryview) -> bytes:
    digest = hmac.new(secret, _DOMAIN + _VERSION + _prefixed(key), "sha256")
    for part in content:
        digest.update(part)
    return digest.digest()


def _parts(reply: StoredReply) -> Iterable[bytes]:
    yield _TIMES.pack(reply.stored_at, reply.fresh_until, reply.kept_until)
    yield from map(_number_bytes, (reply.status, reply.tokens_in, reply.tokens_out))
    for field in _LABEL_FIELDS:
        # A model's name comes from an app's JSON and may hold half a surrogate pair.
        yield getattr(reply.label, field).encode("utf-8", "surrogatepass")
    yield from chain.from_iterable(reply.headers)


def _prefixed(part: bytes) -> bytes:
    return len(part).to_bytes(_LENGTH_BYTES) + part


def _read(head: memoryview) -> Iterator[bytes]:
    at = 0
    while at < len(head):
        begins = at + _LENGTH_BYTES
        at = begins + int.from_bytes(head[at:begins])
        yield bytes(head[begins:at])


def _number_bytes(number: int | None) -> bytes:
    return b"" if number is None else number.to_bytes(number.bit_length() // 8 + 1, signed=True)


def _number(part: bytes) -> int | None:
    return int.from_bytes(part, signed=True) if part else None
