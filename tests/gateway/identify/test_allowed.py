"""What is open to a tenant, wherever a call names it; and with whose key it goes out."""

import json
from typing import Any

import pytest

from gateway.identify.allowed import equipped, not_allowed
from gateway.model.call import Call, Mode, Origin
from gateway.model.cause import Cause
from gateway.model.tenant import Tenant
from tests.gateway.factories import ANTHROPIC_ORIGIN, a_call, a_route, an_identifier

PICKY = Tenant(name="picky", providers=("openai",), models=("gpt-4o-mini*", "small"))
KEY = b"sk-of-the-tenant"


def asking(document: Any = None, **changes: Any) -> Call:
    body = b"" if document is None else json.dumps(document).encode()
    return a_call(body=body, **changes)


def refused(call: Call, tenant: Tenant = PICKY, **how: Any) -> str:
    found = not_allowed(tenant, call, a_route(call), **how)
    assert found is None or (found.cause, found.status) == (Cause.PROXY_NOT_ALLOWED, 403)
    return "" if found is None else found.why


@pytest.mark.parametrize(
    "document", [{"model": "gpt-4o-mini"}, {"model": "gpt-4o-mini-2024-07-18"}, {"model": "small"}]
)
def test_what_is_open_passes(document: Any) -> None:
    assert not refused(asking(document))


@pytest.mark.parametrize(
    "document",
    [
        {"model": "gpt-4o"},
        {"model": "GPT-4O-MINI"},
        {"model": "gpt-4o-mini", "models": ["gpt-4o"]},
        {"model": "gpt-4o-mini", "Model": "gpt-4o"},
        {"model": ["gpt-4o"]},
        {"model": 7},
        {"models": []},
        {},
        None,
    ],
)
def test_what_is_not_or_cannot_be_read_does_not(document: Any) -> None:
    why = refused(asking(document))
    assert "the tenant picky" in why
    assert "gpt-4o-mini*, small" in why


def test_every_place_counts_that_may_name_a_model() -> None:
    assert refused(asking({"model": "small"}, target=b"/v1/realtime?model=gpt-4o", method="GET"))
    assert refused(asking({"model": "small"}, target=b"/v1/chat/completions?deployment=gpt-4o"))


def test_what_reads_needs_no_model_but_a_websocket_does() -> None:
    assert not refused(asking(method="GET", target=b"/v1/models"))
    assert refused(asking(method="GET", target=b"/v1/responses"), upgrade=True)
    assert not refused(asking(method="GET", target=b"/v1/realtime?model=small"), upgrade=True)


def test_another_provider_is_told_with_what_is_open() -> None:
    why = refused(asking({"model": "small"}, origin=ANTHROPIC_ORIGIN, target=b"/v1/messages"))
    assert why == "the tenant picky asked for the provider anthropic, and only openai is open to it"


def test_who_may_use_all_is_asked_nothing() -> None:
    assert Tenant(name="free").may_use_all
    assert not refused(asking(None), Tenant(name="free"))


def with_key(call: Call, name: str = "openai") -> Call:
    return equipped(Tenant(name="keyless", keys={name: KEY}), call, an_identifier().place)


def test_the_tenants_key_takes_the_place_of_all_that_the_app_sent() -> None:
    call = a_call(headers=((b"authorization", b"Bearer theirs"), (b"x", b"y"), (b"authorization", b"Bearer two")))
    assert with_key(call).headers == ((b"x", b"y"), (b"authorization", b"Bearer " + KEY))


def test_a_provider_with_a_header_of_its_own_has_it_there() -> None:
    call = a_call(
        origin=ANTHROPIC_ORIGIN, target=b"/v1/messages", headers=((b"x-api-key", b"a"), (b"authorization", b"Bearer b"))
    )
    assert with_key(call, "anthropic").headers == ((b"x-api-key", KEY),)
    assert with_key(call, "openai") is call


def test_by_base_url_too() -> None:
    call = a_call(mode=Mode.BASE_URL, origin=Origin("http", "127.0.0.1", 8080), target=b"/openai/v1/chat/completions")
    assert (b"authorization", b"Bearer " + KEY) in with_key(call).headers


def test_no_key_goes_out_in_plain_text() -> None:
    call = a_call(origin=Origin("http", "api.openai.com", 80))
    assert [name for name, _ in with_key(call).headers] == [b"host", b"content-type"]
