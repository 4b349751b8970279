"""Vectors that depend on a text alone."""

import hashlib
import math
import struct

_DEFAULT_DIMENSIONS = 32
_MAX_DIMENSIONS = 4_096


def dimensions_of(wanted: object) -> int:
    """Return the length that a caller asked for, within reason; a short one when none was asked for."""
    return min(wanted, _MAX_DIMENSIONS) if isinstance(wanted, int) and wanted > 0 else _DEFAULT_DIMENSIONS


def vector_of(text: str, dimensions: int) -> list[float]:
    """Return a unit vector that depends on the text alone."""
    raw = hashlib.shake_128(text.encode("utf-8", "surrogatepass")).digest(dimensions)
    centred = [byte - 127.5 for byte in raw]
    length = math.sqrt(sum(number * number for number in centred))
    # Rounded to what a 32-bit float holds, so that both encodings give the same numbers.
    return list(struct.unpack(f"<{dimensions}f", struct.pack(f"<{dimensions}f", *(n / length for n in centred))))
