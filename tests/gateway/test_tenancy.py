"""What stands between a call and the path because of who asks."""

from typing import Any

import pytest

from gateway.budgets import Budgets, LocalBudgets
from gateway.model.cause import Cause
from gateway.model.tenant import Budget, Tenant
from gateway.prices import cost
from gateway.tenancy import NOBODY, Tenancy
from gateway.upgrade import Declined, upgrade
from tests.gateway.factories import HandClock, a_call, a_route, json_answer, stages


def a_tenancy(**tenant: Any) -> Tenancy:
    return Tenancy([Tenant(name="poor", **tenant)], Budgets(LocalBudgets(), HandClock(), cost))


def test_what_is_not_counted_is_only_for_those_of_whom_nothing_is_counted() -> None:
    assert NOBODY.may_go_uncounted("default")
    assert a_tenancy().may_go_uncounted("poor")
    for bound in (
        {"budget": Budget(requests=1)},
        {"models": ("x",)},
        {"providers": ("openai",)},
        {"keys": {"x": b"k"}},
    ):
        assert not a_tenancy(**bound).may_go_uncounted("poor")
        assert a_tenancy(**bound).may_go_uncounted("default")


def test_a_call_without_a_price_is_refused_where_dollars_are_counted() -> None:
    tenancy, call = a_tenancy(budget=Budget(dollars=1.0)), a_call(tenant="poor")
    refused = tenancy.refusal(call, a_route(call, model="a-model-of-tomorrow"))
    assert refused is not None
    assert refused.cause is Cause.PROXY_NOT_ALLOWED
    assert "no price is known for the model a-model-of-tomorrow of openai; [team] prices_file" in refused.why
    assert tenancy.refusal(call, a_route(call, model="gpt-4o")) is None
    listing = a_call(tenant="poor", method="GET", target=b"/v1/models", body=b"")
    assert tenancy.refusal(listing, a_route(listing)) is None


@pytest.mark.parametrize(
    ("bound", "cause"),
    [
        ({"budget": Budget(tokens=10_000)}, "proxy.not_allowed"),
        ({"budget": Budget(requests=0)}, "proxy.budget_exceeded"),
        ({"models": ("gpt-4o",)}, "proxy.not_allowed"),
        ({"providers": ("anthropic",)}, "proxy.not_allowed"),
    ],
)
async def test_a_websocket_that_could_not_be_bounded_is_refused_before_anybody_is_asked(
    bound: dict[str, Any], cause: str
) -> None:
    made = stages(tenancy=a_tenancy(**bound))
    found = await upgrade(made, a_call(tenant="poor", method="GET", target=b"/v1/responses", body=b""))
    assert isinstance(found, Declined)
    assert found.diagnosis.cause == cause
    assert made.upstream.asked == []  # type: ignore[attr-defined]


async def test_a_websocket_counts_as_one_call() -> None:
    made = stages(json_answer({}, 400), json_answer({}, 400), tenancy=a_tenancy(budget=Budget(requests=1)))
    call = a_call(tenant="poor", method="GET", target=b"/v1/realtime?model=gpt-4o", body=b"")
    causes = [await upgrade(made, call) for _ in range(2)]
    assert [isinstance(one, Declined) and one.diagnosis.cause == "proxy.budget_exceeded" for one in causes] == [
        False,
        True,
    ]
