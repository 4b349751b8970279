"""A security product's page, header or redirect answers in place of the service."""

import re

from gateway.diagnose import vendors
from gateway.diagnose.author import Kind
from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import Basis, Rule, first, only, said, shown, unless
from gateway.diagnose.vendors import Means
from gateway.model.cause import Cause
from gateway.model.failure import NetCode

_WORDS = (
    "block",
    "blok",
    "bloqu",
    "blocc",
    "sperr",
    "deny",
    "denied",
    "warn",
    "filter",
    "webcat",
    "forbidden",
    "policy",
    "restrict",
    "notify",
)


def _redirects(seen: Observation) -> bool:
    location = seen.location.lower()
    return bool(location) and any(word in location for word in _WORDS) and seen.status // 100 in {0, 3}


def _may_be_a_site(seen: Observation) -> bool:
    """Whether the address can be that of somebody's own web interface: a relay's, a local server's."""
    provider = seen.evidence.provider
    return bool(seen.evidence.host) and (provider is None or not provider.hosts)


_LOGIN = (
    "log in",
    "login",
    "sign in",
    "sign on",
    "voucher",
    "wifi",
    "wi fi",
    "hotspot",
    "captive",
    "guest",
    "terms of use",
    "portal",
    "room number",
    "accesso",
    "anmelden",
)


def _plainly_denied(seen: Observation) -> bool:
    """Whether a proxy refused CONNECT by its own list: its page is no filter's, and nobody ever sees it."""
    return seen.failed(NetCode.PROXY_DENIED) and seen.author.means is not Means.BLOCK


_URL = re.compile(r"https?://[^\s\"'<>)]{4,400}")


def _names_a_block_page(seen: Observation) -> bool:
    """Whether an address in the client's words is that of a product's page."""
    marks = (vendors.in_redirect(url) for url in _URL.findall(seen.evidence.exception[:8000])[:10])
    return any(mark is not None and mark.means is Means.BLOCK for mark in marks)


RULE = Rule(
    cause=Cause.NETWORK_BLOCKED_PAGE,
    match=unless(
        shown(_plainly_denied, ""),
        first(
            only(
                lambda seen: not seen.enveloped and seen.by(Kind.UNKNOWN) and "block" in seen.title,
                shown(lambda _seen: True, "the title of the page speaks of blocking"),
            ),
            shown(_names_a_block_page, "the client was led to a block page", Basis.NAMED),
            shown(lambda seen: seen.author.means is Means.BLOCK, "a product's block page", Basis.NAMED),
            only(
                lambda seen: seen.author.means is Means.DENIED,
                shown(
                    lambda seen: seen.is_page or seen.evidence.stage != "proxy", "a proxy's refusal page", Basis.NAMED
                ),
            ),
            only(
                lambda seen: (
                    seen.by(Kind.MIDDLEBOX)
                    and seen.author.means is Means.PRESENCE
                    and (seen.evidence.stage != "proxy" or seen.is_page)
                ),
                unless(
                    said(
                        "unable to connect|could not connect|connection failed|connection refused|timed out|"
                        "host not found|could not resolve|no such domain"
                    ),
                    shown(
                        lambda seen: not seen.enveloped, "a product on the path, and no answer of the API", Basis.SAID
                    ),
                ),
            ),
            said(
                "corporate|company|internet policy|web policy|acceptable use|it policy|url category|web category|"
                "network policy|your organization|administrator",
                "internet policy|web filter|generative ai|category|access to this site|access to this website|"
                "website blocked|url blocked|site blocked",
                "violat|blocked|denied|restricted|prohibited",
            ),
            only(
                lambda seen: not seen.enveloped and seen.is_page and seen.by(Kind.UNKNOWN, Kind.MIDDLEBOX),
                first(
                    shown(
                        lambda seen: (
                            seen.status == 200
                            and not _may_be_a_site(seen)
                            and bool(seen.page)
                            and not seen.page.has(*_LOGIN)
                        ),
                        "a web page with status 200 where an API answers JSON",
                    ),
                    shown(
                        lambda seen: seen.status in {403, 451} and "cf-ray" not in seen.headers,
                        "a web page that refuses, and no mark of the provider or its edge",
                        Basis.STATUS,
                    ),
                ),
            ),
            only(
                lambda seen: not seen.enveloped and seen.by(Kind.UNKNOWN, Kind.SERVER, Kind.MIDDLEBOX),
                first(
                    said(
                        "operation|action|web page|website|web site|site|page|url|domain|access|category|request|"
                        "destination|content|application|internet|link|доступ|ресурс|sitio|pagina|página|situs|"
                        "sito|seite|网站|网页|访问",
                        "has been blocked|is blocked|blocked by|been blocked|blocked due|blocked because|"
                        "company policy|web filter|content filter|content filtering|filtering policy|"
                        "security policy|internet policy|usage policy|network policy|policy violation|"
                        "network administrator|system administrator|it department|it administrator|"
                        "your administrator|not permitted by|corporate policy|restricted by|is restricted|"
                        "blocked url|non raggiungibile|organization's policy|prohibited by|blocked page|"
                        "blocked in accordance|denied by policy|access control configuration|court order|"
                        "legislation|phishing|malware|internet usage policy|your organization|ограничен|"
                        "заблокирован|bloqueado|bloqué|engellen|diblokir|bị chặn|bloccato|gesperrt|blockiert|"
                        "已被阻止|被拦截|禁止访问|阻断|拦截",
                    ),
                    shown(_redirects, "a redirect to a block page inside the network"),
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
    ),
)
