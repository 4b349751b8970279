"""The app's side of an exchange, as the path sees it, and what we write there ourselves."""

import math
from collections.abc import Iterable
from typing import Protocol

from gateway.diagnose.say import say
from gateway.egress.headers import response_headers
from gateway.egress.relay import Sink
from gateway.model.attempt import ReplyHead
from gateway.model.cause import Again
from gateway.model.decision import Refuse
from gateway.model.diagnosis import Diagnosis
from gateway.model.failure import NetCode, NetFailure
from gateway.model.provider import Provider

HeaderList = list[tuple[bytes, bytes]]

_WAITING_HELPS = frozenset({Again.AFTER_STATED_WAIT, Again.WITHIN_BUDGET})
_STATING = frozenset({b"retry-after", b"retry-after-ms", b"x-ms-retry-after-ms"})

_TIMEOUTS = frozenset({NetCode.CONNECT_TIMEOUT, NetCode.READ_TIMEOUT, NetCode.DNS_TIMEOUT, NetCode.UPGRADE_UNANSWERED})

_PROXY_STATUS: dict[NetCode, str] = {
    NetCode.DNS_FAILURE: "dns_error",
    NetCode.DNS_TIMEOUT: "dns_timeout",
    NetCode.NETWORK_UNREACHABLE: "destination_ip_unroutable",
    NetCode.CONNECTION_REFUSED: "connection_refused",
    NetCode.CONNECT_TIMEOUT: "connection_timeout",
    NetCode.CONNECTION_RESET: "connection_terminated",
    NetCode.TLS_CERTIFICATE: "tls_certificate_error",
    NetCode.TLS_UNTRUSTED_ISSUER: "tls_certificate_error",
    NetCode.TLS_HANDSHAKE: "tls_protocol_error",
    NetCode.TLS_REFUSED: "tls_protocol_error",
    NetCode.READ_TIMEOUT: "connection_read_timeout",
    NetCode.PROTOCOL_ERROR: "http_protocol_error",
    NetCode.TRUNCATED: "http_response_incomplete",
    NetCode.STREAM_TRUNCATED: "http_response_incomplete",
    NetCode.PROXY_DENIED: "http_request_denied",
    NetCode.PROXY_UNREACHABLE: "destination_unavailable",
    NetCode.PROXY_UPSTREAM_ERROR: "destination_unavailable",
    NetCode.UPGRADE_UNANSWERED: "http_upgrade_failed",
}
"""RFC 9209 section 2.3."""


class Reply(Sink, Protocol):
    """Where the answer goes."""

    @property
    def started(self) -> bool:
        """Whether a head is out: from then on nothing may be tried again."""
        ...

    async def start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Give the head."""
        ...


def marks(
    flow_id: str, attempts: int, queued_seconds: float, overhead_seconds: float, *, duplicate: bool = False
) -> HeaderList:
    """Give the headers that every answer carries, and the one that says that it may have been paid for twice."""
    headers = [
        (b"x-whygate-flow-id", flow_id.encode()),
        (b"x-whygate-attempts", b"%d" % attempts),
        (b"x-whygate-queue-ms", b"%d" % round(queued_seconds * 1000)),
        (b"x-whygate-overhead-ms", b"%.1f" % (overhead_seconds * 1000)),
    ]
    if duplicate:
        headers.append((b"x-whygate-possible-duplicate", b"true"))
    return headers


def named(diagnosis: Diagnosis) -> HeaderList:
    """Give the headers that name a cause and who can mend it."""
    headers = [(b"x-whygate-cause", diagnosis.cause.value.encode())]
    if diagnosis.fault is not None:
        headers.append((b"x-whygate-fault", diagnosis.fault.value.encode()))
    return headers


def instead(name: str) -> tuple[bytes, bytes]:
    """Give the header that says which fallback answered in the provider's place."""
    return (b"x-whygate-fallback", name.encode("ascii", "replace"))


def verdict(diagnosis: Diagnosis, *, spent: bool, final: bool = True, stated_by: ReplyHead | None = None) -> HeaderList:
    """Give the headers of a failed answer. An SDK that reads ``x-should-retry: false`` does not try in vain.

    Where waiting helps and only the words of the answer say for how long, the headers that SDKs read say it, too.

    Args:
        final: Whether a cause that nothing can change is the end of it; False where the app knows better than we do
            whether to repeat a call that may have been worked on.
        stated_by: The provider's head. What it states itself stays as it is.
    """
    headers = named(diagnosis)
    known = diagnosis.cause != "unknown"
    if spent or (final and known and diagnosis.cause.again is Again.NEVER):
        headers.append((b"x-should-retry", b"false"))
    elif diagnosis.cause.again in _WAITING_HELPS and diagnosis.wait_seconds:
        silent = stated_by is None or not any(name in _STATING for name, _ in stated_by.headers)
        headers += _after(diagnosis.wait_seconds) if silent else []
    return headers


def _after(seconds: float) -> HeaderList:
    """Say for how long to wait, in the form that every client reads and in the exact one of the official SDKs."""
    return [
        (b"retry-after", b"%d" % max(1, math.ceil(seconds))),
        (b"retry-after-ms", b"%d" % math.ceil(seconds * 1000)),
    ]


def passed_on(head: ReplyHead, ours: HeaderList) -> HeaderList:
    """Give the provider's headers with ours behind them; of a name that both set, ours stays."""
    set_by_us = {name for name, _ in ours}
    return [pair for pair in response_headers(head.headers) if pair[0] not in set_by_us] + ours


def own_error(provider: Provider, status: int, diagnosis: Diagnosis, language: str = "en") -> tuple[bytes, HeaderList]:
    """Write an error of ours in the provider's shape, in a language that we speak."""
    body = provider.write_error(status, diagnosis.cause.value, f"whygate: {say(diagnosis, language).sentence()}")
    return body, [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]


def waits(refuse: Refuse) -> HeaderList:
    """Say when to come back, and which limit it is about.

    Source: draft-ietf-httpapi-ratelimit-headers-11 (``RateLimit``, ``RateLimit-Policy``), read 2026-11.
    """
    headers: HeaderList = []
    seconds, policy = refuse.retry_after_seconds, refuse.policy
    if seconds is not None:
        headers += _after(seconds)
    if policy is not None:
        unit = {"requests": "requests", "concurrency": "concurrent-requests"}.get(policy.kind, "tokens")
        window = "" if policy.window_seconds is None else f";w={max(1, math.ceil(policy.window_seconds))}"
        headers.append((b"ratelimit-policy", f'"{policy.kind}";q={round(policy.limit)};qu="{unit}"{window}'.encode()))
        reset = "" if not math.isfinite(policy.reset_seconds) else f";t={math.ceil(policy.reset_seconds)}"
        headers.append((b"ratelimit", f'"{policy.kind}";r=0{reset}'.encode()))
    return headers


def failure_status(failure: NetFailure) -> tuple[int, HeaderList]:
    """Give the status for a failure below HTTP, and its name in the registry of RFC 9209."""
    status = 504 if failure.code in _TIMEOUTS else 502
    error = _PROXY_STATUS.get(failure.code, "proxy_internal_error")
    return status, [(b"proxy-status", f"whygate; error={error}".encode())]


def cache_status(
    word: str, age_seconds: float | None = None, fresh_seconds: float | None = None
) -> tuple[bytes, bytes]:
    """Give ``Cache-Status`` (RFC 9211). A ``ttl`` below 0 says for how long the answer has been too old."""
    text = f"whygate; {word}"
    if fresh_seconds is not None:
        text += f"; ttl={math.floor(fresh_seconds)}"
    if age_seconds is not None:
        text += f"; age={math.floor(age_seconds)}"
    return (b"cache-status", text.encode())
