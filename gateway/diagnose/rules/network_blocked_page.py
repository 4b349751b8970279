"""A security product's page, header or redirect answers in place of the service."""

from gateway.diagnose.author import Kind
from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import Basis, Rule, first, only, said, shown
from gateway.diagnose.vendors import Means
from gateway.model.cause import Cause

_WORDS = ("block", "deny", "denied", "warn", "filter", "webcat", "forbidden", "policy", "restrict", "notify")


def _redirects(seen: Observation) -> bool:
    location = seen.location.lower()
    return bool(location) and any(word in location for word in _WORDS) and seen.status // 100 in {0, 3}


RULE = Rule(
    cause=Cause.NETWORK_BLOCKED_PAGE,
    match=first(
        shown(lambda seen: seen.author.means is Means.BLOCK, "a product's block page", Basis.NAMED),
        only(
            lambda seen: seen.author.means is Means.DENIED,
            shown(lambda seen: seen.is_page or seen.evidence.stage != "proxy", "a proxy's refusal page", Basis.NAMED),
        ),
        only(
            lambda seen: (
                seen.by(Kind.MIDDLEBOX)
                and seen.author.means is Means.PRESENCE
                and (seen.evidence.stage != "proxy" or seen.is_page)
            ),
            shown(lambda seen: not seen.enveloped, "a product on the path, and no answer of the API", Basis.SAID),
        ),
        only(
            lambda seen: not seen.enveloped and seen.by(Kind.UNKNOWN, Kind.SERVER, Kind.MIDDLEBOX),
            first(
                said(
                    "web page|website|web site|site|page|url|domain|access|category|request|destination|content|application|internet|link|sito|seite|\u7f51\u7ad9|\u7f51\u9875|\u8bbf\u95ee",
                    "has been blocked|is blocked|blocked by|been blocked|blocked due|blocked because|company policy|web filter|content filter|content filtering|filtering policy|security policy|internet policy|usage policy|network policy|policy violation|network administrator|system administrator|it department|not permitted by|corporate policy|organization's policy|prohibited by|blocked page|blocked in accordance|denied by policy|access control configuration|court order|legislation|phishing|malware|internet usage policy|your organization|bloccato|gesperrt|blockiert|\u5df2\u88ab\u963b\u6b62|\u88ab\u62e6\u622a|\u7981\u6b62\u8bbf\u95ee|\u963b\u65ad|\u62e6\u622a",
                ),
                shown(lambda seen: _redirects(seen), "a redirect to a block page inside the network"),
            ),
        ),
        only(
            lambda seen: (
                seen.issuer is not None
                and seen.issuer.means in {Means.INSPECTION, Means.BLOCK}
                and seen.status in {301, 302, 303, 307, 308}
            ),
            shown(lambda _seen: True, "a product signed the certificate and redirects away", Basis.NAMED),
        ),
    ),
    authors=None,
    outranks=(
        "network.tls_inspection",
        "network.tls_certificate",
        "edge.",
        "service.",
        "auth.",
        "request.",
        "network.proxy_denied",
        "network.proxy_upstream_error_hint",
    ),
)
