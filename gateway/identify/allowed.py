"""What a tenant may ask for, and with whose key its calls go out. Pure.

A call is refused when anything that it names is not open: the model may stand in the body, in the path, in the query,
or in a list of those to try one after the other, and which of them counts is the provider's to say.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import parse_qsl, unquote_plus

from gateway.identify.locate import Place
from gateway.model.call import Call, Mode, Origin
from gateway.model.cause import Cause
from gateway.model.decision import Refuse
from gateway.model.provider import Provider
from gateway.model.route import Route
from gateway.model.tenant import Tenant

STATUS = 403
READS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})
"""Calls of these methods cost nothing, so they need name no model."""

_NAMED_MAX = 32
_SHOWN_MAX = 12


def not_allowed(tenant: Tenant, call: Call, route: Route, *, upgrade: bool = False) -> Refuse | None:
    """Give why a call is refused, None when it is open to its tenant.

    Args:
        upgrade: It asks for a WebSocket, on which anything may be asked for.
    """
    if route.foreign:
        return None
    if not tenant.may_ask(route.provider.name):
        open_to_it = _listed(tenant.providers)
        return refused(
            f"{_who(tenant)} asked for the provider {route.provider.name}, and only {open_to_it} is open to it"
        )
    if "*" in tenant.models:
        return None
    named = list(_models(route))
    closed = next((model for model in named if not tenant.may_use(model)), None)
    if closed is not None or len(named) > _NAMED_MAX:
        asked = f"the model {closed[:80]}" if closed is not None else f"more than {_NAMED_MAX} models"
        return refused(f"{_who(tenant)} asked for {asked}, and only {_listed(tenant.models)} is open to it")
    if not named and (upgrade or call.method not in READS):
        return refused(
            f"{_who(tenant)} may only use {_listed(tenant.models)}, and {call.method} {call.path[:80]} names no model"
            " that whygate can read"
        )
    return None


def refused(why: str) -> Refuse:
    """Give the refusal of something that is not open."""
    return Refuse(cause=Cause.PROXY_NOT_ALLOWED, status=STATUS, why=why)


def equipped(tenant: Tenant, call: Call, place: Callable[[Origin | None, bytes], Place | None]) -> Call:
    """Give the call with the tenant's key for its provider in the place of whatever the app sent.

    No key goes out in plain text but where the settings lead a provider's calls so.
    """
    found = place(None if call.mode is Mode.BASE_URL else call.origin, call.target) if tenant.keys else None
    key = None if found is None else tenant.keys.get(found.provider.name)
    if found is None or key is None or not found.provider.key_headers:
        return call
    provider = found.provider
    headers = tuple(pair for pair in call.headers if pair[0] not in provider.key_headers)
    if found.upstream.scheme == "https" or provider.upstream is not None:
        name = provider.key_headers[0]
        headers += ((name, b"Bearer " + key if name == b"authorization" else key),)
    return replace(call, headers=headers, target=_without_key(call.target, provider))


def _without_key(target: bytes, provider: Provider) -> bytes:
    path, mark, query = target.partition(b"?")
    if not mark or not provider.key_query:
        return target
    kept = [
        pair
        for pair in query.split(b"&")
        if unquote_plus(pair.partition(b"=")[0].decode("latin-1")).encode("latin-1", "replace")
        not in provider.key_query
    ]
    return path + (mark + b"&".join(kept) if kept else b"")


def _models(route: Route) -> Iterator[str]:
    """Give every model that a call names."""
    for field, value in (route.document or {}).items():
        if field.lower() in {"model", "models"}:  # some servers read names in any case
            yield from (named for named in (value if isinstance(value, list) else [value]) if isinstance(named, str))
    if in_path := route.provider.name_target(route.target).model:
        yield in_path
    for name, value in parse_qsl(route.target.partition(b"?")[2].decode("latin-1")):
        if name in {"model", "deployment"}:
            yield value


def _who(tenant: Tenant) -> str:
    return f"the tenant {tenant.name}"


def _listed(globs: tuple[str, ...]) -> str:
    more = f" and {len(globs) - _SHOWN_MAX} more" if len(globs) > _SHOWN_MAX else ""
    return ", ".join(glob[:80] for glob in globs[:_SHOWN_MAX]) + more
