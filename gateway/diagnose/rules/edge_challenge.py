"""The edge wants to see a browser: JavaScript and cookies."""

from gateway.diagnose.author import Kind
from gateway.diagnose.edges import Means
from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import Basis, Rule, first, only, said, shown
from gateway.model.cause import Cause

_MARKS = (
    "cf_chl_opt",
    "challenge-platform",
    "challenge-form",
    "challenge-error-text",
    "challenge-running",
    "cf-please-wait",
    "_cf_chl",
    "cf-turnstile",
    "hcaptcha",
    "g-recaptcha",
    "px-captcha",
    "awswafchallenge",
    "challenge.js",
)


def _nothing_else(seen: Observation) -> bool:
    return len(seen.page.whole.split()) < 8


RULE = Rule(
    cause=Cause.EDGE_CHALLENGE,
    match=first(
        shown(lambda seen: seen.author.edge is Means.CHALLENGE, "a page that wants to see a browser", Basis.NAMED),
        shown(
            lambda seen: seen.headers.get("x-amzn-waf-action", "") in {"challenge", "captcha"},
            "the header x-amzn-waf-action asks for a browser",
            Basis.NAMED,
        ),
        said(
            "anti robot|are you a robot|are you human|not a robot|captcha|just a moment|checking your browser|"
            "checking if the site connection is secure|enable javascript and cookies|"
            "needs to review the security of your connection|verify you are human|verifying you are human|"
            "please turn javascript on|security checkpoint|one more step|complete the security check|"
            "prove you are human|please wait while we verify|javascript is required"
        ),
        shown(lambda seen: any(mark in seen.raw for mark in _MARKS), "a challenge page", Basis.NAMED),
        shown(
            lambda seen: seen.headers.get("cf-mitigated", "") == "challenge",
            "the header cf-mitigated says challenge",
            Basis.NAMED,
        ),
        only(
            lambda seen: (
                seen.status in {403, 503}
                and seen.by(Kind.EDGE)
                and seen.is_page
                and not seen.title
                and _nothing_else(seen)
            ),
            shown(lambda _seen: True, "a bare page from the edge", Basis.STATUS),
        ),
    ),
    authors=frozenset({Kind.EDGE, Kind.UNKNOWN}),
    outranks=(
        "edge.blocked",
        "auth.",
        "request.invalid_parameter",
        "request.not_found",
        "service.",
        "network.captive_portal",
        "edge.origin_error",
    ),
)
