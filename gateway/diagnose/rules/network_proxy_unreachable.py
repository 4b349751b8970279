"""The company's proxy itself cannot be reached."""

import re

from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import Layer, Rule, failed, first, heard, hinted, only, shown, unless
from gateway.model.cause import Cause
from gateway.model.failure import NetCode

_REFUSED = re.compile(
    r"(?:ECONNREFUSED|refused|Connect call failed)[^\n]{0,60}?(?:127\.0\.0\.1|localhost|::1)", re.IGNORECASE
)


def _elsewhere(seen: Observation) -> bool:
    """Whether the host that was asked for is a public one."""
    host = seen.evidence.host
    return (
        "." in host and not host.startswith(("127.", "10.", "192.168.")) and not host.endswith((".local", ".internal"))
    )


RULE = Rule(
    cause=Cause.NETWORK_PROXY_UNREACHABLE,
    match=unless(
        heard(
            "407|403|authentication required|wrong version number|unknown scheme|no scheme|502|503|504|"
            "tunnel connection failed|ssl"
        ),
        first(
            only(
                _elsewhere,
                shown(
                    lambda seen: bool(_REFUSED.search(seen.evidence.exception[:4000])),
                    "what refused is a port of this machine, not the host: a proxy that is set and does not run",
                ),
            ),
            heard("underlying connection", "failed"),
            heard("tunneling socket|tunnel|proxy connection", "etimedout|econnrefused|enotfound|getaddrinfo|eai again"),
            hinted("proxy connect aborted", "curl 5 ", "curl error 5 "),
            failed(NetCode.PROXY_UNREACHABLE),
            heard(
                "can not connect to proxy|unable to connect to proxy|proxyconnect|proxy connection|"
                "err proxy connection failed|could not connect to proxy|failed to connect to proxy|"
                "could not resolve proxy|proxy server|proxy refused|connect to proxy|proxy error|proxyerror|"
                "proxy connect|reaching the proxy|through proxy|via proxy|to proxies|proxyconnect tcp",
                "eof|refused|timed out|timeout|failed|unreachable|econnrefused|10061|can not connect|unable|"
                "could not|no such host|getaddrinfo|reset|not responding|newconnectionerror|connection to|拒绝",
            ),
            only(
                lambda seen: seen.evidence.stage == "proxy",
                heard(
                    "econnrefused|connection refused|could not resolve|enotfound|timed out|timeout|"
                    "failed to connect|refused|unreachable|etimedout"
                ),
            ),
        ),
    ),
    layer=Layer.NETWORK,
    authors=None,
    outranks=(
        "network.tcp_refused",
        "network.tcp_timeout",
        "network.dns_failure",
        "network.connection_reset",
        "network.offline",
    ),
)
