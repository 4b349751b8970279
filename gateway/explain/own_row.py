"""A call of whygate's own log, as `whygate flows show ID --json` prints it. Its verdict is not looked at."""

from collections.abc import Mapping

from gateway.explain.dump import headers_of
from gateway.explain.har import words
from gateway.explain.seen import Seen

_STAGES = {"dns": "dns", "connect": "tcp", "tls": "tls", "send": "http", "first_byte": "http", "body": "http"}


def is_row(document: object) -> bool:
    """Tell whether an object is a row of the log."""
    return (
        isinstance(document, dict)
        and {"id", "host", "path"} <= document.keys()
        and bool({"attempts", "response_headers", "rev", "seq"} & document.keys())
    )


def seen_in(row: Mapping[str, object]) -> Seen:
    """Give what was observed: the call, its answer, or what ended its last attempt."""
    host, path = words(row, "host"), words(row, "path")
    status = row.get("status")
    status = status if type(status) is int and 100 <= status <= 999 else None
    failure = _failure(row)
    phase, code = words(failure, "phase"), words(failure, "code")
    stage = "proxy" if code.startswith("proxy_") else _STAGES.get(phase, "")
    scheme = "http" if host.startswith(("127.", "localhost", "[::1]")) else "https"
    return Seen(
        id=words(row, "id"),
        method=words(row, "method"),
        url=f"{scheme}://{host}{path}" if host else "",
        model=words(row, "model"),
        request_headers=headers_of(row.get("request_headers")),
        stage=stage or ("http" if status else ""),
        status=status,
        headers=headers_of(row.get("response_headers")),
        body=words(row, "body"),
        exception=words(failure, "detail"),
    )


def _failure(row: Mapping[str, object]) -> Mapping[str, object]:
    attempts = row.get("attempts")
    last = attempts[-1] if isinstance(attempts, list) and attempts else None
    failure = last.get("failure") if isinstance(last, dict) else None
    return failure if isinstance(failure, dict) else {}
