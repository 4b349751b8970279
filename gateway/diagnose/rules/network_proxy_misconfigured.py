"""The way to the company's proxy is written down wrong: scheme, port, or a variable that is not read."""

from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import Layer, Rule, failed, first, heard, only, said, shown, unless
from gateway.model.cause import Cause
from gateway.model.failure import NetCode


def _towards_proxy(seen: Observation) -> bool:
    """A server that speaks no TLS on the port where TLS was begun is, for an API over https, a proxy of http."""
    words = seen.words
    return (
        bool(seen.evidence.proxy)
        or seen.evidence.stage == "proxy"
        or words.has("proxy", "tunnel", "wrong version number", "does not look like a tls handshake")
    )


RULE = Rule(
    cause=Cause.NETWORK_PROXY_MISCONFIGURED,
    match=unless(
        heard("unknown scheme for proxy|unsupported", "socks"),
        first(
            failed(NetCode.PROXY_MISCONFIGURED),
            heard(
                "unknown scheme for proxy|proxy url had no scheme|proxyschemeunknown|proxy scheme unknown|"
                "not supported proxy scheme|unsupported proxy scheme|unable to determine socks|invalid proxy url|"
                "malformed proxy|check hostname requires server hostname|proxies must be specified|"
                "unparsable proxy|could not parse proxy|unsupported proxy|invalid proxy|proxy uri|"
                "only http proxies|your proxy appears to only use http|to using https scheme"
            ),
            heard("proxy url", "invalid|scheme|malformed|parse|unsupported|missing"),
            only(lambda seen: seen.evidence.stage == "proxy", said("plain http request")),
            only(
                lambda seen: seen.evidence.stage == "proxy",
                heard("invalid port|invalid url|unsupported protocol|no host supplied"),
            ),
            only(
                lambda seen: seen.evidence.stage == "proxy",
                shown(
                    lambda seen: seen.status in {400, 404, 405, 501},
                    "what answered to CONNECT does not know it: a web server, or the wrong port",
                ),
            ),
            heard("lookup http|lookup https|lookup socks5|lookup socks", "no such host|not found|server misbehaving"),
            only(
                _towards_proxy,
                heard(
                    "wrong version number|packet length too long|record layer failure|"
                    "first record does not look like a tls handshake|unknown protocol|"
                    "http request was sent to https|packet length|not an ssl|ssl_error_rx_record_too_long|"
                    "unsupported or unrecognized ssl message|plaintext connection"
                ),
            ),
            heard(
                "proxy",
                "wrong version number|does not look like a tls handshake|record layer failure|"
                "packet length too long|400 bad request|405|501|not implemented|method not allowed|typo|ignored",
            ),
        ),
    ),
    layer=Layer.NETWORK,
    authors=None,
    outranks=(
        "network.tls_handshake",
        "network.proxy_unreachable",
        "network.tcp_timeout",
        "network.connection_reset",
        "client.proxy_unsupported_scheme",
        "network.tls_certificate",
        "network.proxy_denied",
        "client.malformed_request",
        "network.dns_failure",
    ),
)
