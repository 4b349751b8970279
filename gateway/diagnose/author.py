"""Who wrote this answer: the provider, an edge in front of it, a middlebox on the way, a relay, or we ourselves.

It is asked before the status is read: a 503 of a firewall is no outage, and a 403 of an edge says nothing of a key.
Order: our own mark, the provider's own headers or envelope, a product on the path by page, header or redirect, the
edge's pages, a relay's envelope, a web server's stock page, a mesh's text. What shows none of these is `unknown`.

The marks stand in two tables with their sources: `vendors` for what is on the client's path, `edges` for what stands in
front of the service.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from gateway.diagnose import edges, vendors
from gateway.diagnose.vendors import Mark, Means
from gateway.model.provider import Provider


class Kind(StrEnum):
    """Who can write an answer."""

    OURSELVES = "ourselves"
    PROVIDER = "provider"
    RELAY = "relay"
    EDGE = "edge"
    MIDDLEBOX = "middlebox"
    MESH = "mesh"
    SERVER = "server"
    UNKNOWN = "unknown"


class Author(NamedTuple):
    """Who it was.

    Attributes:
        name: Of the edge, product, relay or server; the provider's own name; empty when it has none.
        clue: What gave it away, as the text of a `Clue`.
        mark: What stands for ``{mark}`` in it.
        means: For a product on the path: what its mark stands for.
        edge: The same for what stands in front of the service.
    """

    kind: Kind
    name: str = ""
    clue: str = ""
    mark: str = ""
    means: Means | None = None
    edge: edges.Means | None = None


_PROVIDER_HEADERS = (
    ("openai-processing-ms", "OpenAI"), ("openai-version", "OpenAI"), ("x-openai-proxy-wasm", "OpenAI"),
    ("anthropic-organization-id", "Anthropic"), ("apim-request-id", "Azure"), ("x-groq-region", "Groq"),
    ("x-codex-active-limit", "OpenAI"),
)  # fmt: skip
"""Names that only the API itself sets; a request id alone could be anybody's."""

_RELAYS = (
    ("one_api_error", "one-api"), ("new_api_error", "new-api"), ("(request id: 2", "one-api or new-api"),
    ("litellm", "LiteLLM"), ("x-portkey-", "Portkey"), ("cf-aig-", "Cloudflare AI Gateway"), ("helicone-", "Helicone"),
    ("x-litellm-", "LiteLLM"), ("x-kong-", "Kong"), ("x-oneapi-request-id", "one-api or new-api"),
)  # fmt: skip

_CODE_ONLY = re.compile(r"^\s*error code:? ?(\d{3,4})\s*$")
_TITLED = re.compile(r"<title>[^<|]{1,120}\| (5\d\d): ?[^<]{0,80}")
_AKAMAI = re.compile(r"reference\s?(?:&#32;|&nbsp;)?(?:&#35;|#)\d")
"""Shapes that no fixed text stands for."""

_CLUES = {
    "page": "the page carries the mark \u201c{mark}\u201d",
    "header": "the header \u201c{mark}\u201d gives it away",
    "redirect": "it redirects to \u201c{mark}\u201d",
    "cookie": "it sets the cookie \u201c{mark}\u201d",
    "issuer": "the certificate names \u201c{mark}\u201d",
    "address": "the address belongs to \u201c{mark}\u201d",
}

_OF_EDGE = {
    edges.Means.MESH: Kind.MESH,
    edges.Means.SERVER: Kind.SERVER,
}
_SPEAKS = frozenset({edges.Means.CHALLENGE, edges.Means.BLOCK, edges.Means.RATE, edges.Means.ORIGIN})


def author(
    *,
    status: int,
    headers: Mapping[str, str],
    body: str,
    provider: Provider | None,
    enveloped: bool,
    own: bool,
    location: str = "",
    stage: str = "",
) -> Author:
    """Say who wrote an answer. Total; every text is bounded by the caller.

    Args:
        headers: Names in lower case.
        body: In lower case, white space as it came.
        enveloped: It is an error envelope of somebody's.
        own: It is this provider's documented one.
    """
    if "x-whygate-flow-id" in headers or '"whygate_error"' in body[:4096]:
        return Author(Kind.OURSELVES, "whygate", "it carries whygate's own mark")
    if '"cloudflare_error"' in body[:8192]:
        return Author(Kind.EDGE, "Cloudflare", "it is the edge's problem document")
    for name, who in _PROVIDER_HEADERS:
        if name in headers and not body.lstrip().startswith("<"):
            return Author(
                Kind.PROVIDER,
                provider.name if provider is not None else who,
                "the header {mark} is one that only the API sets",
                name,
            )
    relay = _relay(headers, body)
    if enveloped and stage != "proxy":
        return _of_envelope(provider, relay, own=own)
    mark = _on_the_path(headers, body, location)
    if mark is not None and (mark.means is not Means.PRESENCE or stage == "proxy" or not headers.get("cf-ray")):
        return Author(Kind.MIDDLEBOX, mark.vendor, _CLUES[mark.place.value], mark.mark, means=mark.means)
    if stage == "proxy":
        return Author(Kind.MIDDLEBOX, "", "it answered in place of the host")
    return _of_page(status, headers, body) or (relay if relay is not None else Author(Kind.UNKNOWN))


def _relay(headers: Mapping[str, str], body: str) -> Author | None:
    names = " ".join(headers)
    for mark, name in _RELAYS:
        if mark in body[:8192] or mark in names:
            return Author(Kind.RELAY, name, "a relay leaves the mark \u201c{mark}\u201d", mark.rstrip("-"))
    return None


def _of_envelope(provider: Provider | None, relay: Author | None, *, own: bool) -> Author:
    if relay is not None:
        return relay
    if provider is not None and provider.hosts and own:
        return Author(Kind.PROVIDER, provider.name, "it is the provider's documented error envelope")
    if provider is not None and provider.hosts:
        return Author(Kind.PROVIDER, provider.name, "it is an error envelope, and comes from the provider's host")
    if provider is not None:
        return Author(Kind.RELAY, "", "it is an error envelope from a host that is no known provider's")
    return Author(Kind.PROVIDER, "", "it is an error envelope of an API")


def _on_the_path(headers: Mapping[str, str], body: str, location: str) -> Mark | None:
    found = (
        vendors.in_redirect(location) if location else None,
        vendors.on_page(body) if body else None,
        vendors.in_headers(headers.items()),
    )
    marks = [mark for mark in found if mark is not None]
    strong = [mark for mark in marks if mark.means is not Means.PRESENCE]
    return next(iter(strong or marks), None)


def _of_page(status: int, headers: Mapping[str, str], body: str) -> Author | None:
    html = body.lstrip().startswith("<") or headers.get("content-type", "").startswith("text/html")
    page, front = edges.on_page(body) if body else None, edges.in_headers(headers.items())
    if front is not None and front.means in _SPEAKS and (page is None or page.means not in _SPEAKS):
        return _by_mark(front)
    if page is not None and page.means is not edges.Means.PRESENCE:
        return _by_mark(page)
    if _CODE_ONLY.match(body[:60]) or _TITLED.search(body[:2048]):
        return Author(Kind.EDGE, "Cloudflare", "it is the edge's error page")
    if _AKAMAI.search(body[:4096]):
        return Author(Kind.EDGE, "Akamai", "it bears the edge's reference number")
    if not headers.get("cf-ray") and (product := vendors.mentioned(body)):
        return Author(Kind.MIDDLEBOX, product, "the page names the product", means=Means.PRESENCE)
    if page is not None:
        return _by_mark(page)
    if front is not None and (html or not body.strip()):
        # On an answer that is no API's, whoever stands in front of the service wrote it.
        return _by_mark(front)
    return (
        Author(Kind.UNKNOWN, "", "it is a web page where an API's answer belongs") if html and status >= 400 else None
    )


def _by_mark(mark: edges.EdgeMark) -> Author:
    kind = _OF_EDGE.get(mark.means, Kind.EDGE)
    return Author(
        kind, mark.name, _CLUES[mark.place.value], mark.mark, edge=mark.means if mark.means in _SPEAKS else None
    )
