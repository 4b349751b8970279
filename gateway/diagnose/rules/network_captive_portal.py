"""A network's login page answers in place of the API."""

from gateway.diagnose.author import Kind
from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import Basis, Layer, Rule, first, heard, only, said, shown
from gateway.diagnose.vendors import Means
from gateway.model.cause import Cause

_LOGIN = ("login", "portal", "splash", "captive", "fgtauth", "guest", "hotspot", "logon", "signin", "auth?", "magic=")


def _redirects(seen: Observation) -> bool:
    location = seen.location.lower()
    rest = location.partition("//")[2]
    host = rest.partition("/")[0]
    inside = (
        host.startswith(("10.", "192.168.", "172.1", "172.2", "172.3", "1.1.1.1", "["))
        or "." not in host.partition(":")[0]
    )
    return bool(location) and inside and any(word in location for word in _LOGIN)


def _page(seen: Observation) -> bool:
    kind = seen.headers.get("content-type", "").lower()
    return kind.startswith("text/html") and not seen.page


RULE = Rule(
    cause=Cause.NETWORK_CAPTIVE_PORTAL,
    match=first(
        shown(
            lambda seen: seen.issuer is not None and seen.issuer.means is Means.PORTAL,
            "the certificate is a login portal's",
            Basis.NAMED,
        ),
        shown(lambda seen: seen.author.means is Means.PORTAL, "the page or redirect of a login portal", Basis.NAMED),
        shown(lambda seen: seen.status == 511, "status 511, which stands for a login to the network", Basis.NAMED),
        only(
            lambda seen: (
                not seen.enveloped
                and seen.by(Kind.UNKNOWN, Kind.SERVER, Kind.MIDDLEBOX)
                and seen.author.means not in {Means.BLOCK, Means.DENIED, Means.SIGN_IN}
            ),
            first(
                said(
                    "log in|login|sign in|sign on|accept|connect|register|voucher|room number|authenticate|portal",
                    "wifi|wi fi|hotspot|guest|captive|network access|internet access|hotel|terms of use|"
                    "terms and conditions|access the internet|use the internet|this network|captive portal",
                ),
                shown(_redirects, "a redirect to a login inside the network"),
                only(
                    lambda seen: seen.status in {200, 301, 302, 303, 307},
                    shown(_page, "a web page with status 200 where an API answers JSON"),
                ),
            ),
        ),
        heard("captive portal|sign in to network|network login|wifi login|hotspot login"),
    ),
    layer=Layer.ANSWER,
    authors=None,
    outranks=(
        "edge.",
        "request.",
        "service.",
        "network.websocket_blocked",
        "network.tls_certificate",
        "network.tls_inspection",
        "auth.",
    ),
)
