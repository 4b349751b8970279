"""A call to this machine or to the inside of the network was sent to the proxy."""

import re

from gateway.diagnose import vendors
from gateway.diagnose.author import Kind
from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import Basis, Layer, Rule, first, heard, only, shown
from gateway.diagnose.vendors import Means
from gateway.model.cause import Cause

_LOCAL = re.compile(
    r"https?://(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|0\.0\.0\.0|\[::1\]|host\.docker\.internal|10\.\d{1,3}\.\d{1,3}\.\d{1,3}|192\.168\.\d{1,3}\.\d{1,3})[:/\"]"
)


def _inside(seen: Observation) -> bool:
    """Whether what was asked for is local. A proxy's page names it; a redirect to an address inside does not count."""
    host = seen.evidence.host
    local = host in {"localhost", "host.docker.internal", "::1"} or host.startswith(
        ("127.", "0.0.0.0", "192.168.", "10.")  # noqa: S104 - compared, not bound
    )
    return local or bool(_LOCAL.search(seen.raw[:16000]))


_TARGET = re.compile(
    r"(?:->|for url:? ['\"]|url: ?['\"]?|host=['\"])(?:https?://)?(?:localhost|127\.\d|192\.168\.|10\.\d{1,3}\.|\[::1\]|host\.docker\.internal)"
)
"""What was asked for, as clients print it; the proxy's own address is often local, too."""

_GATEWAY_ERROR = re.compile(
    r"\b50[234] (?:Server Error|Bad Gateway|Service Unavailable|Gateway Time)"
    r"|'50[234] (?:Bad Gateway|Service Unavailable|Gateway)"
)

RULE = Rule(
    cause=Cause.CLIENT_NO_PROXY_MISSING,
    match=first(
        only(
            lambda seen: not seen.enveloped and bool(_GATEWAY_ERROR.search(seen.evidence.exception[:4000])),
            shown(
                lambda seen: bool(_TARGET.search(seen.evidence.exception[:4000])),
                "an error as gateways answer it, for an address of this machine",
            ),
        ),
        only(
            lambda seen: (
                seen.evidence.stage == "proxy"
                or (seen.by(Kind.MIDDLEBOX) and seen.author.means not in {Means.PORTAL, Means.BLOCK})
                or seen.words.has("proxy")
            ),
            shown(_inside, "the proxy answered for an address on the inside", Basis.NAMED),
        ),
        only(
            lambda seen: seen.evidence.stage == "proxy" or bool(vendors.mentioned(seen.evidence.exception)),
            shown(
                lambda seen: bool(_TARGET.search(seen.evidence.exception[:4000])),
                "a local address was asked for through a proxy",
                Basis.NAMED,
            ),
        ),
        heard("no_proxy|no proxy", "missing|not set|localhost|127"),
    ),
    layer=Layer.CLIENT,
    authors=None,
    outranks=("network.", "service.", "edge.", "request."),
)
