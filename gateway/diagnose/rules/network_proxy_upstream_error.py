"""The company's proxy works, and cannot reach the service itself."""

from gateway.diagnose.author import Kind
from gateway.diagnose.rule import Basis, Layer, Rule, failed, first, heard, only, said, shown, unless
from gateway.diagnose.vendors import Means
from gateway.model.cause import Cause
from gateway.model.failure import NetCode

RULE = Rule(
    cause=Cause.NETWORK_PROXY_UPSTREAM_ERROR,
    match=unless(
        heard("denied|forbidden|not allowed"),
        first(
            failed(NetCode.PROXY_UPSTREAM_ERROR),
            only(
                lambda seen: seen.by(Kind.MIDDLEBOX) and seen.author.means is Means.UPSTREAM,
                shown(lambda _seen: True, "the proxy's page says that it could not connect", Basis.NAMED),
            ),
            only(
                lambda seen: seen.evidence.stage == "proxy",
                shown(
                    lambda seen: seen.status in {500, 502, 503, 504},
                    "the proxy answered for a host that it could not reach",
                    Basis.SHOWN,
                ),
            ),
            only(
                lambda seen: seen.evidence.stage == "proxy" or seen.author.means is Means.PRESENCE,
                said(
                    "could not connect to the destination|can not connect|unable to connect|could not resolve|"
                    "host not found|connection refused|connection failed|timed out|no response"
                ),
            ),
            heard(
                "tunnel connection failed|connect tunnel failed|from proxy after connect|tunneling socket|"
                "proxy responded|proxy returned|unsuccessful tunnel|proxy connect|connect response|proxy",
                "502|503|504|bad gateway|service unavailable|gateway timeout|500",
            ),
            heard("upstream proxy|upstream connect"),
        ),
    ),
    layer=Layer.ANSWER,
    authors=None,
    outranks=(
        "service.",
        "edge.origin_error",
        "network.tcp_timeout",
        "network.tcp_refused",
        "network.connection_reset",
    ),
)
