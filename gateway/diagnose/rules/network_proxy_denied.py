"""The company's proxy refuses the destination, without a page of a product."""

from gateway.diagnose.author import Kind
from gateway.diagnose.rule import Basis, Layer, Rule, failed, first, heard, hinted, only, said, shown, unless
from gateway.diagnose.vendors import Means
from gateway.model.cause import Cause
from gateway.model.failure import NetCode

RULE = Rule(
    cause=Cause.NETWORK_PROXY_DENIED,
    match=first(
        unless(
            heard(
                "underlying connection|connection refused|timed out|no such host|etimedout|econnrefused|"
                "enotfound|eai again|getaddrinfo"
            ),
            hinted(
                "unsuccessful tunnel",
                "tunnel error",
                "err tunnel connection failed",
                "tunneling socket could not be established",
                "tunnel connection failed",
                "connect tunnel failed",
            ),
        ),
        failed(NetCode.PROXY_DENIED),
        only(lambda seen: seen.evidence.stage == "proxy", hinted("forbidden")),
        only(
            lambda seen: seen.evidence.stage == "proxy",
            heard(
                "denied|forbidden|not allowed by|blocked by",
                "url|uniform resource locator|destination|host|request|policy|rule|administrator|site|access",
            ),
        ),
        only(
            lambda seen: seen.evidence.stage == "proxy" and not seen.is_page,
            first(
                shown(
                    lambda seen: seen.status in {403, 401, 451}, "the proxy answered CONNECT with a refusal", Basis.SAID
                ),
                said("allowlist|allow list|blocked|denied|forbidden|not allowed|policy|whitelist|not permitted"),
            ),
        ),
        shown(
            lambda seen: bool(seen.headers.get("x-proxy-error") or seen.headers.get("x-deny-reason")),
            "the proxy's own header names a refusal",
            Basis.NAMED,
        ),
        heard(
            "connect tunnel failed|tunnel connection failed|received http code|from proxy after connect|"
            "tunneling socket could not be established|connect aborted|proxy responded|proxy connect|"
            "connect response|unable to tunnel|unsuccessful tunnel|proxy tunnel|proxy refused|connect failed|"
            "proxy returned|connect request|bad response from proxy|unexpected status from proxy|proxyerror|proxy",
            "403|forbidden|denied|blocked|not allowed|policy|451",
        ),
        only(
            lambda seen: seen.by(Kind.MIDDLEBOX) and seen.author.means is Means.DENIED,
            shown(lambda seen: not seen.is_page, "the proxy's access list refuses", Basis.NAMED),
        ),
        heard(
            "enterprise security policies|complete socks5 connection|blocked by allowlist|host not in allowlist|"
            "not in the allowlist|egress policy|blocked by network policy|outbound network|domain not allowed"
        ),
    ),
    layer=Layer.ANSWER,
    authors=None,
    outranks=(
        "network.connection_reset",
        "network.tcp_timeout",
        "network.proxy_unreachable",
        "auth.",
        "edge.",
    ),
)
