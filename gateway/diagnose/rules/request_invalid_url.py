"""The path or the host is none of the API's: an unknown route, a doubled /v1, the address of a web site."""

from gateway.diagnose.author import Kind
from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import (
    WROTE_ANSWERS,
    Basis,
    Rule,
    first,
    heard,
    in_status,
    named,
    only,
    said,
    shown,
    status,
    unless,
)
from gateway.model.cause import Cause

_SITES = (
    "platform.openai.com",
    "console.anthropic.com",
    "platform.claude.com",
    "openai.com",
    "www.openai.com",
    "anthropic.com",
    "www.anthropic.com",
    "aistudio.google.com",
    "console.groq.com",
    "console.mistral.ai",
    "platform.deepseek.com",
    "docs.anthropic.com",
    "docs.claude.com",
    "beta.openai.com",
    "cookbook.openai.com",
    "console.x.ai",
    "platform.moonshot.cn",
    "bailian.console.aliyun.com",
)
"""Web sites of providers: people paste them for a base URL."""


def _is_site(seen: Observation) -> bool:
    return seen.evidence.host in _SITES


_THINGS = (
    "batch",
    "file",
    "thread",
    "message",
    "response",
    "job",
    "model",
    "deployment",
    "run ",
    "engine ",
    "assistant",
    "item",
    "object",
)


def _says_only_not_found(seen: Observation) -> bool:
    words = seen.message.whole.split()
    return len(words) <= 6 and "not" in words and "found" in words and not seen.message.has(*_THINGS)


def _is_interface(seen: Observation) -> bool:
    """A page with status 200 from an address that is no provider's: somebody's own web interface."""
    provider = seen.evidence.provider
    own = bool(seen.evidence.host) and (provider is None or not provider.hosts)
    return (
        own and seen.wire_status == 200 and seen.is_page and not seen.enveloped and seen.by(Kind.UNKNOWN, Kind.SERVER)
    )


RULE = Rule(
    cause=Cause.REQUEST_INVALID_URL,
    match=first(
        heard(
            "request url|base url|invalid url|url|uri",
            "missing an http|missing a protocol|unsupported protocol|no scheme supplied|no host supplied|"
            "only absolute urls|is not an absolute|must be absolute|failed to parse url|invalid url",
        ),
        only(_is_interface, shown(lambda _seen: True, "a web interface answers where an API is asked")),
        only(
            in_status(404, 403, 400, 405, 301, 308, 307, 200),
            first(
                named(
                    "unknown_url|invalid_url|route_not_found|no_route|endpoint_not_found|"
                    "unknownoperationexception|not_found_path"
                ),
                only(
                    lambda seen: not seen.declared.param,
                    said(
                        "url|path|route|endpoint|uri|路径|接口",
                        "invalid url|unknown request url|unknown url|no route|not found|does not exist|"
                        "could not be found|no matching|no such route|not a valid|check the url|unrecognized|"
                        "invalid|unknown|no handler|不存在|无效",
                    ),
                ),
                said(
                    "api not found|no such api|can not post|can not get|unexpected endpoint|unknown endpoint|"
                    "unsupported endpoint|no route matched|no static resource|page not found|404 page"
                ),
                unless(
                    first(
                        named("not_found_error"),
                        said("batch|file|thread|message|response|job|id |model|deployment|run "),
                    ),
                    said("requested resource|resource", "not found|was not found|could not be found"),
                ),
            ),
        ),
        only(
            _is_site,
            shown(
                lambda seen: seen.status >= 300 or seen.is_page,
                "the address is a web site's, not the API's",
                Basis.NAMED,
            ),
        ),
        only(
            lambda seen: seen.status == 404 and _says_only_not_found(seen),
            shown(lambda _seen: True, "a 404 that names neither a model nor an id"),
        ),
        only(lambda seen: seen.is_page and not seen.enveloped, status(404)),
    ),
    authors=WROTE_ANSWERS | {Kind.EDGE},
    outranks=("request.not_found", "edge.challenge", "edge.blocked", "edge.origin_error"),
    reads_pages=True,
)
