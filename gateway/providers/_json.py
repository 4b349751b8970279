"""Reading JSON of strangers: total, and nothing is taken for what it is not."""

import orjson


def parsed(body: bytes) -> object:
    """Give the document, or None when it is no JSON."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def word(value: object) -> str:
    """Give a name or a number as text; anything else is nothing."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def count(value: object) -> int | None:
    """Give a number of tokens, None when it is none."""
    return value if type(value) is int and value >= 0 else None


def event_data(events: bytes) -> list[bytes]:
    """Give the ``data`` lines of complete events; comments (``: keep-alive``) and names are left out."""
    return [line[5:].lstrip(b" ") for line in events.splitlines() if line.startswith(b"data:")]
