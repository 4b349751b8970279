"""The company's proxy wants to know who asks."""

from gateway.diagnose.author import Kind
from gateway.diagnose.rule import Basis, Layer, Rule, failed, first, heard, said, shown
from gateway.diagnose.vendors import Means
from gateway.model.cause import Cause
from gateway.model.failure import NetCode

RULE = Rule(
    cause=Cause.NETWORK_PROXY_AUTH,
    match=first(
        failed(NetCode.PROXY_AUTH),
        shown(
            lambda seen: seen.status == 407 and not seen.by(Kind.OURSELVES),
            "status 407, which only a proxy answers",
            Basis.NAMED,
        ),
        shown(lambda seen: seen.author.means is Means.SIGN_IN, "the proxy's page asks who is there", Basis.NAMED),
        shown(lambda seen: "proxy-authenticate" in seen.headers, "the header proxy-authenticate", Basis.NAMED),
        heard("cache access denied"),
        heard("socks", "authentication failed|username|password"),
        heard(
            "rejected by the socks5 server|socks5 authentication|socks authentication|407|proxy authentication|"
            "proxy auth|authenticate with the proxy|proxy requires authentication|requires proxy authentication|"
            "proxy credentials|err proxy auth|authenticationrequired|proxy authorization|unauthorized proxy|"
            "err_cache_access_denied|ntlm"
        ),
        said(
            "proxy authentication required|cache access denied|must be authenticated to access|"
            "authentication is required to access the proxy|authenticate to the proxy|proxy authentication|"
            "proxy server requires authorization"
        ),
    ),
    layer=Layer.ANSWER,
    authors=None,
    outranks=(
        "network.proxy_denied",
        "network.blocked_page",
        "network.proxy_unreachable",
        "auth.",
        "network.proxy_misconfigured",
        "network.proxy_upstream_error",
        "network.tcp_timeout",
        "edge.blocked",
        "request.",
        "network.connection_reset",
    ),
)
