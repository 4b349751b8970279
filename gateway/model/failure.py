"""What can go wrong below HTTP, as a value: a closed code, the phase it happened in, and the words of the cause."""

from dataclasses import dataclass
from enum import StrEnum

from gateway.model.call import Headers


class Phase(StrEnum):
    """A stretch of one attempt, in the order in which they happen."""

    POOL = "pool"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    SEND = "send"
    FIRST_BYTE = "first_byte"
    BODY = "body"


class NetCode(StrEnum):
    """The closed set of failures of an attempt."""

    DNS_FAILURE = "dns_failure"
    DNS_TIMEOUT = "dns_timeout"
    NETWORK_UNREACHABLE = "network_unreachable"
    CONNECTION_REFUSED = "connection_refused"
    CONNECT_TIMEOUT = "connect_timeout"
    CONNECTION_RESET = "connection_reset"
    TLS_CERTIFICATE = "tls_certificate"
    TLS_UNTRUSTED_ISSUER = "tls_untrusted_issuer"
    TLS_HANDSHAKE = "tls_handshake"
    TLS_REFUSED = "tls_refused"
    PROXY_UNREACHABLE = "proxy_unreachable"
    PROXY_AUTH = "proxy_auth"
    PROXY_DENIED = "proxy_denied"
    PROXY_UPSTREAM_ERROR = "proxy_upstream_error"
    PROXY_MISCONFIGURED = "proxy_misconfigured"
    UPGRADE_UNANSWERED = "upgrade_unanswered"
    READ_TIMEOUT = "read_timeout"
    PROTOCOL_ERROR = "protocol_error"
    TRUNCATED = "truncated"
    STREAM_TRUNCATED = "stream_truncated"
    OUT_OF_DESCRIPTORS = "out_of_descriptors"
    UNKNOWN = "unknown_failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What stood around a failed attempt, as far as it was seen.

    Attributes:
        addresses: What the host's name had resolved to.
        proxy: The company's proxy on the way, ``host:port``; empty when the way is direct.
        status: Of the answer that came in place of the host's: the proxy's to CONNECT, or what a server without a valid
            certificate says to a request without any credential. 0 when there was none.
        headers: Of that answer, names lower-cased.
        text: The start of its body.
        subject: Whom the served certificate names.
        issuer: Who signed it.
        begins: From when it is valid, as ``2026-11-22 10:00 UTC``.
        ends: Until when.
        clock: What this machine's clock said then, likewise.
    """

    addresses: tuple[str, ...] = ()
    proxy: str = ""
    status: int = 0
    headers: Headers = ()
    text: str = ""
    subject: str = ""
    issuer: str = ""
    begins: str = ""
    ends: str = ""
    clock: str = ""


NOTHING_SEEN = Surroundings()


@dataclass(frozen=True, slots=True, kw_only=True)
class NetFailure:
    """One failed attempt.

    Attributes:
        phase: Where it failed.
        code: What failed; `UNKNOWN` when nothing known fits.
        detail: The words of the deepest exception, without addresses of this machine's users or any secret.
        around: What else was seen.
        sent: Whether the upstream may have received the request. False proves that it was never processed.
    """

    phase: Phase
    code: NetCode
    detail: str
    sent: bool
    around: Surroundings = NOTHING_SEEN
