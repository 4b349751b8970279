"""Keyed hashes: equal for equal bytes, and telling nothing about them to whoever does not hold the key.

BLAKE2b in its keyed mode (RFC 7693) rather than HMAC-SHA-256: of a short text it is made without letting another thread
have its turn. Each such pause on the path makes the event loop stand in line behind the thread that writes the log.
"""

import hashlib


def keyed_digest(secret: bytes, data: bytes) -> bytes:
    """Give 32 bytes. ``secret``: 64 bytes at most; a longer one raises ValueError."""
    return hashlib.blake2b(data, key=secret, digest_size=32).digest()
