"""`Identifier.route`: the whole of Identify for one call."""

import math
import re
from fnmatch import fnmatchcase
from urllib.parse import parse_qsl

import orjson

from gateway.identify.estimate import Estimates, input_characters
from gateway.identify.locate import Locator, Place
from gateway.keyed import keyed_digest
from gateway.model.call import Call, Mode, Origin
from gateway.model.provider import Endpoint, Provider
from gateway.model.route import Route

DEFAULT_TIMEOUT_SECONDS = 60.0
PARSED_BYTES = 8_388_608
_DATE = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{8})$")
_ACTING_TOOLS = ("mcp", "code_interpreter", "code_execution", "codeExecution", "computer", "image_generation")
"""Beginnings of their types, or of the one field that Gemini names a tool by; some providers put a date behind."""
_TIMEOUT_HEADERS = ((b"x-whygate-timeout-ms", 0.001), (b"x-stainless-read-timeout", 1.0), (b"x-stainless-timeout", 1.0))
_OTHER = Endpoint(name="other")


class Identifier:
    """Gives calls their meaning.

    Args:
        pure_add: Globs over ``provider/path`` of routes that are pure besides the known ones.
        pure_remove: Globs of routes that are not. They win.
        secret: The key of fingerprints, 32 bytes; only whoever holds it can tell which credential a fingerprint is of.
    """

    def __init__(
        self,
        locator: Locator,
        secret: bytes,
        estimates: Estimates,
        *,
        pure_add: tuple[str, ...] = (),
        pure_remove: tuple[str, ...] = (),
    ) -> None:
        self._locator, self._secret, self._estimates = locator, secret, estimates
        self._pure_add, self._pure_remove = pure_add, pure_remove

    def route(self, call: Call) -> Route | None:
        """Give the call's route, or None when it is for no provider."""
        place = self._locator.find(None if call.mode is Mode.BASE_URL else call.origin, call.target)
        if place is None:
            return None
        provider = place.provider
        credential = self._credential(call, provider)
        key = self._fingerprint(credential) if credential else "none"
        named = b"\0".join(call.index.get(name, b"") for name in provider.scope_headers)
        named_there = provider.name_target(place.target)
        endpoint, exact = _endpoint(provider, named_there.path)
        document = _document(call)
        model = _text(document, "model") or named_there.model[:200] or _in_query(place.target)
        characters, media = input_characters(document, endpoint.prompt_fields) if document else (0, 0)
        stated = next((n for name in endpoint.max_output_fields if (n := _positive(document, name)) is not None), None)
        group = _DATE.sub("", model)
        return Route(
            provider=provider,
            endpoint=endpoint,
            upstream=place.upstream,
            target=place.target,
            pure=call.method == "POST" and self._is_pure(place, document, known=exact and endpoint.pure),
            tenant=call.tenant,
            key=key,
            scope=self._fingerprint(credential + b"\0" + named) if named.strip(b"\0") else key,
            model=model,
            model_group=group,
            stream=endpoint.streams or (document is not None and document.get("stream") is True),
            input_tokens=self._estimates.tokens_in(group, characters, media),
            output_tokens=self._estimates.tokens_out(group, stated) if endpoint.max_output_fields else 0,
            retry_count=_count(call.index.get(b"x-stainless-retry-count")),
            timeout_seconds=_timeout(call),
            document=document,
        )

    def is_provider(self, host: str, port: int) -> bool:
        """Whether it is a provider's host, so that calls to it are decrypted. ``host`` is lower case."""
        return self._locator.provider_of(host, port) is not None

    def place(self, origin: Origin | None, target: bytes) -> Place | None:
        """Say where a request goes, None when to no provider."""
        return self._locator.find(origin, target)

    def adopt(self, url: str) -> str | None:
        """See `Locator.adopt`."""
        return self._locator.adopt(url)

    def hand_over(self, locator: Locator) -> None:
        """Have another locator know what was adopted here."""
        locator.take_over(self._locator)

    def _is_pure(self, place: Place, document: dict[str, object] | None, *, known: bool) -> bool:
        if not (self._pure_add or self._pure_remove):
            return known and not _acts(document)
        path = place.provider.name + place.target.partition(b"?")[0].decode("latin-1")
        if any(fnmatchcase(path, route) for route in self._pure_remove):
            return False
        if any(fnmatchcase(path, route) for route in self._pure_add):
            return document is None or not _acts(document)
        return known and not _acts(document)

    def _credential(self, call: Call, provider: Provider) -> bytes:
        value = next((v for name in provider.key_headers if (v := call.index.get(name))), b"")
        if not value and provider.key_query:
            query = dict(parse_qsl(call.target.partition(b"?")[2]))
            value = next((v for name in provider.key_query if (v := query.get(name))), b"")
        return value.removeprefix(b"Bearer ").strip()

    def fingerprint(self, text: str) -> str:
        """Give the fingerprint of what an account is called."""
        return self._fingerprint(text.encode("latin-1", "replace"))

    def _fingerprint(self, value: bytes) -> str:
        return keyed_digest(self._secret, value).hex()[:8]


def _endpoint(provider: Provider, path: str) -> tuple[Endpoint, bool]:
    path = path.rstrip("/")
    exact = provider.endpoints.get(path)
    if exact is not None:
        return exact, True
    parent = path
    while parent := parent.rpartition("/")[0]:
        if (endpoint := provider.endpoints.get(parent)) is not None:
            return endpoint, False
    return _OTHER, False


def _document(call: Call) -> dict[str, object] | None:
    body = call.body
    if not body or not call.body_complete or len(body) > PARSED_BYTES or body.lstrip()[:1] != b"{":
        return None
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def _text(document: dict[str, object] | None, name: str) -> str:
    value = document.get(name) if document is not None else None
    return value[:200] if isinstance(value, str) else ""


def _in_query(target: bytes) -> str:
    """Give the model that a query names, as Realtime does."""
    if b"model=" not in target and b"deployment=" not in target:
        return ""
    query = dict(parse_qsl(target.partition(b"?")[2].decode("latin-1")))
    return (query.get("model") or query.get("deployment") or "")[:200]


def _positive(document: dict[str, object] | None, name: str) -> int | None:
    value: object = document
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _acts(document: dict[str, object] | None) -> bool:
    """Whether the provider would do something that lasts: keep state that we must not double, or run a tool."""
    if document is None:
        return True
    if document.get("background") or document.get("conversation") or document.get("mcp_servers"):
        return True
    tools = document.get("tools")
    return isinstance(tools, list) and any(
        isinstance(name, str) and name.startswith(_ACTING_TOOLS)
        for tool in tools
        if isinstance(tool, dict)
        for name in (tool.get("type"), *tool)
    )


def _count(value: bytes | None) -> int:
    return int(value) if value is not None and value.isdigit() and len(value) < 4 else 0


def _timeout(call: Call) -> float:
    for name, unit in _TIMEOUT_HEADERS:
        value = call.index.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) * unit
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds > 0:
            return seconds
    return DEFAULT_TIMEOUT_SECONDS
