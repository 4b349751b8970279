"""From the first byte of TLS to what streams: certificates, filters that read names, the company's proxy, sizes."""

from typing import Any

from tests.network import faults, http_faults
from tests.network.scenario import Scenario

HOST = "api.openai.com"
ARGS = ("--host", HOST)
FOUR, OTHER = "172.66.0.243", "162.159.140.245"
EVERY = (FOUR, OTHER, "2606:4700:7::f5", "2a06:98c1:58::f5")
THROUGH = {"HTTPS_PROXY": "{proxy}"}
LOGGED_IN = {"HTTPS_PROXY": "{login}"}


def _found(name: str, *wrong: faults.Pieces, **more: Any) -> Scenario:
    given: dict[str, Any] = {"args": ARGS, "check": "tls"}
    return Scenario(name=name, faults=wrong, **(given | more))


def _well(name: str, *wrong: faults.Pieces, **more: Any) -> Scenario:
    given: dict[str, Any] = {"args": ARGS, "check": "tls", "status": "ok", "exit_code": 0}
    return Scenario(name=name, faults=wrong, **(given | more))


_CUT = (
    _found(
        "a filter resets whoever names the host",
        faults.reset_at_hello(HOST),
        cause="network.connection_reset",
        precision="confirmed",
        evidence=(
            "example.com",
            "at 1.1.1.1, a public resolver's, the name api.openai.com is cut as well",
            "Connection reset by peer",
        ),
        ruled_out=("service.unavailable", "network.offline", "network.dns_tampered", "network.tcp_timeout"),
    ),
    _found(
        "a filter closes the connection of whoever names the host",
        faults.eof_at_hello(HOST),
        cause="network.connection_reset",
        precision="confirmed",
        evidence=("example.com", "in the middle of the handshake"),
        ruled_out=("service.unavailable",),
    ),
    _found(
        "a filter swallows all that names the host",
        faults.silence_at_hello(HOST),
        cause="network.tls_handshake",
        precision="confirmed",
        evidence=("example.com", "was not ready within"),
        ruled_out=("service.unavailable", "network.dns_tampered"),
    ),
    _found(
        "every name is cut at the host's addresses",
        faults.reset_at_hello(*EVERY),
        cause="network.connection_reset",
        precision="inferred",
        evidence=("it is about the address or the way there", "at 1.1.1.1, a public resolver's"),
        ruled_out=("network.offline", "network.dns_tampered"),
    ),
    _found(
        "one of the addresses is cut and the others are well",
        faults.reset_at_hello(OTHER),
        status="warn",
        cause="network.connection_reset",
        evidence=(f"the handshake at {FOUR}",),
    ),
    _found(
        "the server refuses every way to encrypt",
        faults.alert(HOST),
        cause="network.tls_handshake",
        evidence=("handshake failure",),
        ruled_out=("network.dns_failure", "network.tcp_timeout"),
    ),
    _found("the server is of the year 2005", faults.only_tls10(HOST), cause="network.tls_handshake"),
)

_CERTIFICATES = (
    _found(
        "Zscaler opens everything and nobody trusts it",
        faults.resigned("zscaler", trusted=False),
        cause="network.tls_inspection",
        precision="confirmed",
        vendor="Zscaler",
        evidence=("Zscaler Intermediate Root CA", "could not be asked over TLS either"),
    ),
    _found(
        "an antivirus opens everything and Python does not trust it",
        faults.resigned("kaspersky", trusted=False),
        cause="network.tls_inspection",
        precision="confirmed",
        vendor="Kaspersky",
    ),
    _found(
        "a firewall opens this host alone",
        faults.resigned("fortigate", HOST, trusted=False),
        cause="network.tls_inspection",
        precision="confirmed",
        vendor="Fortinet",
        evidence=("the certificate of the public resolver Cloudflare is valid", "FG100FTK20012345"),
        ruled_out=("network.offline", "network.dns_tampered"),
    ),
    _found(
        "a company's own authority signs this host anew",
        faults.resigned("unknown-firm", HOST, trusted=False),
        cause="network.tls_inspection",
        precision="confirmed",
        evidence=("Example Firm Web Gateway CA", "no public authority"),
        ruled_out=("network.offline",),
    ),
    _found(
        "a product sends its certificate without its authority",
        faults.resigned("netskope", HOST, trusted=False, alone=True),
        cause="network.tls_inspection",
        precision="confirmed",
        vendor="Netskope",
    ),
    _found(
        "a block page stands behind the certificate",
        http_faults.blocked_inside_tls(HOST, "zscaler", trusted=False),
        cause="network.blocked_page",
        vendor="Zscaler",
        evidence=("Internet Security by Zscaler",),
    ),
    _found(
        "the certificate has expired",
        faults.certificate("expired", HOST),
        cause="network.tls_certificate",
        precision="confirmed",
        evidence=("this machine's clock says", "certificate has expired"),
        ruled_out=("network.dns_tampered",),
    ),
    _found(
        "the certificate is not valid yet",
        faults.certificate("future", HOST),
        cause="network.tls_certificate",
        evidence=("not yet valid",),
    ),
    _found(
        "the server signed its certificate itself",
        faults.certificate("self-signed", HOST),
        cause="network.tls_inspection",
        evidence=("CN=api.openai.com",),
    ),
    _found(
        "the middle of the chain is missing",
        faults.certificate("incomplete", HOST),
        cause="network.tls_certificate",
        evidence=("the chain to it is incomplete",),
    ),
    _found(
        "the certificate is genuine and somebody else's",
        faults.certificate_for("www.example.org", HOST),
        cause="network.tls_certificate",
        evidence=("is for www.example.org",),
    ),
)

_PROXY = (
    _found(
        "the proxy wants a login and gets none",
        proxy={"auth": True},
        env=THROUGH,
        check="upstream-proxy",
        cause="network.proxy_auth",
        evidence=("the proxy accepts Basic", "holds no login"),
    ),
    _found(
        "the proxy does not take the login",
        proxy={"auth": True},
        env={"HTTPS_PROXY": "http://alice:s3cret-password@10.0.0.3:3128"},
        check="upstream-proxy",
        cause="network.proxy_auth",
        evidence=("a login was sent to it",),
    ),
    _found(
        "the proxy denies this name and lets others pass",
        faults.direct(faults.silence(HOST)),
        proxy={"deny": [HOST]},
        env=THROUGH,
        check="upstream-proxy",
        cause="network.proxy_denied",
        precision="confirmed",
        evidence=("to example.com the same proxy gives a tunnel", "ERR_ACCESS_DENIED"),
        ruled_out=("network.offline", "network.proxy_unreachable"),
    ),
    _found(
        "the proxy denies this name and past it the way is open",
        proxy={"deny": [HOST]},
        env=THROUGH,
        check="upstream-proxy",
        cause="network.proxy_denied",
        evidence=("past the proxy api.openai.com answers, with status 401",),
        ruled_out=("service.unavailable",),
    ),
    _found(
        "the proxy cannot reach the host",
        faults.refused(HOST),
        proxy={},
        env=THROUGH,
        check="upstream-proxy",
        cause="network.proxy_upstream_error",
        evidence=("to example.com the same proxy gives a tunnel",),
        ruled_out=("network.proxy_unreachable",),
    ),
    _found(
        "nobody listens where the proxy should be",
        env={"HTTPS_PROXY": "http://140.82.121.4:3128"},
        check="upstream-proxy",
        cause="network.proxy_unreachable",
        precision="confirmed",
        evidence=("past the proxy api.openai.com answers",),
        ruled_out=("service.unavailable",),
        most_likely=False,
    ),
    _found(
        "every packet to the proxy is dropped",
        env={"HTTPS_PROXY": "http://10.99.0.1:3128"},
        check="upstream-proxy",
        cause="network.proxy_unreachable",
        evidence=("did not answer within",),
        most_likely=False,
    ),
    _found(
        "the name of the proxy does not exist",
        env={"HTTPS_PROXY": "http://proxy.gone.test:3128"},
        check="upstream-proxy",
        cause="network.proxy_unreachable",
        most_likely=False,
    ),
    _found(
        "what is set as the proxy is a web server",
        http_faults.answers(HOST, 405, "<html><title>405 Not Allowed</title></html>"),
        env={"HTTPS_PROXY": "http://example.com:80"},
        check="upstream-proxy",
        cause="network.proxy_misconfigured",
        most_likely=False,
    ),
    _found(
        "the proxy is written with https and speaks plain http",
        proxy={},
        env={"HTTPS_PROXY": "https://10.0.0.3:3128"},
        check="upstream-proxy",
        cause="network.proxy_misconfigured",
        most_likely=False,
    ),
    _found(
        "what comes through the proxy is opened by a product",
        faults.resigned("paloalto", HOST, trusted=False),
        proxy={},
        env=THROUGH,
        cause="network.tls_inspection",
        precision="confirmed",
        vendor="Palo Alto",
        evidence=("all goes through the proxy",),
    ),
)

_EVENTS = "".join(f"data: {number}\n\n" for number in range(5))
_SENDS = http_faults.answers("example.com", 200, _EVENTS, headers={"content-type": "text/event-stream"})
_STREAM_URL = '[doctor]\nstream_url = "https://example.com/events"\n'

_ABOVE = (
    _found(
        "long packets vanish in a tunnel",
        faults.mtu_hole(HOST),
        check="mtu",
        cause="network.mtu_blackhole",
        precision="confirmed",
        evidence=("a request of 1024 bytes was answered", "in two attempts"),
        ruled_out=("service.unavailable",),
    ),
    _found(
        "a product reads no more than the start of a request",
        http_faults.unread_beyond(20_000, HOST),
        check="mtu",
        cause="network.mtu_blackhole",
        evidence=("a request of 16384 bytes was answered",),
    ),
    _found(
        "a WebSocket gets no answer",
        http_faults.upgrade("swallowed", HOST),
        check="websocket",
        status="warn",
        cause="network.websocket_blocked",
        evidence=("gave no answer within",),
    ),
    _found(
        "a WebSocket is answered with the page of a filter",
        http_faults.upgrade("refused", HOST),
        check="websocket",
        status="warn",
        cause="network.websocket_blocked",
        evidence=("status 403",),
    ),
    _found(
        "a product reads streams to their end before it passes them on",
        http_faults.held_back(1.0, "example.com"),
        _SENDS,
        config=_STREAM_URL,
        check="stream",
        status="warn",
        cause="network.degraded",
        precision="confirmed",
        evidence=("5 events that were sent with pauses",),
    ),
)

_HEALTHY = (
    _well("four addresses and a valid certificate", told=("4 addresses",)),
    _well("an inspection that this machine trusts", faults.resigned("zscaler"), status="note", told=("Zscaler",)),
    _well("a company's own authority that this machine trusts", faults.resigned("unknown-firm"), status="note"),
    _well(
        "a proxy with a login where nothing else leads out",
        faults.direct(faults.silence("*", port=443)),
        proxy={"auth": True},
        env=LOGGED_IN,
        check="upstream-proxy",
        told=("gives a tunnel",),
    ),
    _well("a proxy where there is no need of one", proxy={}, env=THROUGH, check="upstream-proxy"),
    _well("a network of IPv4 alone", network={"ipv6": "none"}, told=("2 addresses",)),
    _well("another provider", args=("--host", "api.anthropic.com"), told=("api.anthropic.com",)),
    _well("a WebSocket that is taken", http_faults.upgrade("accepted"), check="websocket", told=("status 101",)),
    _well(
        "calls leave through WARP",
        http_faults.seen_from(loc="IT", warp="on"),
        check="edge",
        status="note",
        told=("IT",),
    ),
    _well(
        "calls leave through a company's Zero Trust",
        http_faults.seen_from(loc="IT", gateway="on"),
        check="edge",
        about="gateway",
        status="note",
        told=("Zero Trust",),
    ),
    _well("the filter is for others", faults.reset_at_hello("api.anthropic.com"), told=("4 addresses",)),
    _well("a line that loses a packet now and then", faults.lossy(0.02, HOST), check=""),
)

SCENARIOS = (*_CUT, *_CERTIFICATES, *_PROXY, *_ABOVE, *_HEALTHY)
