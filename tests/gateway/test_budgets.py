"""What a tenant may use in a day: taken off before, corrected after, begun anew at midnight UTC."""

from pathlib import Path
from typing import Any

import pytest

from gateway.budgets import Budgets, LocalBudgets
from gateway.budgets_kept import KeptBudgets
from gateway.model.attempt import Attempt, ReplyHead
from gateway.model.cause import Cause
from gateway.model.decision import Forward, StatedPolicy
from gateway.model.exchange import Admitted, Answered, Outcome
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.model.provider import Usage
from gateway.model.tenant import Budget, Spent, Tenant, day_of, seconds_left
from gateway.prices import cost
from tests.gateway.factories import HandClock, a_call, a_route

MIDNIGHT = 1_790_035_200.0
ROUTE = a_route(model="gpt-4o", input_tokens=100, output_tokens=900)
GONE = NetFailure(phase=Phase.CONNECT, code=NetCode.CONNECTION_RESET, detail="", sent=False)


class Clock(HandClock):
    """Begins at noon, UTC."""

    def wall(self) -> float:
        return MIDNIGHT + 43_200 + self.seconds - 1000.0


class Counting:
    """Budgets of one tenant, with what they have counted."""

    def __init__(self, **budget: Any) -> None:
        self.clock, self.store = Clock(), LocalBudgets()
        self.tenant = Tenant(name="poor", budget=Budget(**budget))
        self.budgets = Budgets(self.store, self.clock, cost)

    async def reserve(self, call_id: str = "one", *, asks: bool = True) -> Any:
        return await self.budgets.reserve(self.tenant, call_id, ROUTE, asks=asks)

    def settle(self, call_id: str = "one", *, attempts: tuple[Attempt, ...] = (), **outcome: Any) -> Spent:
        admitted = Admitted(call=a_call(id=call_id), route=ROUTE, decision=Forward())
        self.budgets.settle(Answered(admitted=admitted, attempts=attempts, outcome=Outcome(**outcome)))
        return self.used

    @property
    def used(self) -> Spent:
        return self.store.used("poor", day_of(self.clock.wall()))


def tried(status: int | None = 200, **changes: Any) -> tuple[Attempt, ...]:
    head = None if status is None else ReplyHead(status=status, headers=())
    values: dict[str, Any] = {"number": 1, "waited_seconds": 0.0, "marks": (), "head": head, "failure": None}
    return (Attempt(**(values | changes)),)


async def test_an_estimate_is_taken_off_before_the_call() -> None:
    counting = Counting(requests=10, tokens=5_000, dollars=1.0)
    assert await counting.reserve() is None
    assert counting.used[:2] == (1, 1_000)
    assert counting.used.dollars == pytest.approx(0.00925)


@pytest.mark.parametrize(
    ("how", "tokens"),
    [
        pytest.param({"attempts": tried(), "usage": Usage(90, 10)}, 100, id="as the provider counts"),
        pytest.param({"attempts": tried(), "usage": Usage(None, 10)}, 110, id="half of it"),
        pytest.param({"attempts": tried()}, 1_000, id="nothing said"),
        pytest.param({"attempts": tried(), "client_left": True, "usage": Usage(100, 7)}, 107, id="left in the middle"),
        pytest.param({"attempts": tried(None), "client_left": True}, 1_000, id="left before the head"),
        pytest.param({"attempts": tried(429)}, 0, id="refused"),
        pytest.param({"attempts": tried(None, failure=GONE)}, 0, id="never came through"),
        pytest.param({"cache": "hit", "usage": Usage(90, 10)}, 0, id="from the cache"),
        pytest.param({"cache": "collapsed", "usage": Usage(90, 10)}, 0, id="asked by an equal call"),
        pytest.param({"attempts": tried(500), "cache": "stale", "usage": Usage(90, 10)}, 0, id="an older answer"),
        pytest.param({"attempts": tried(None, failure=GONE), "fallback": "local"}, 0, id="answered by a fallback"),
    ],
)
async def test_what_a_call_took_is_what_counts_in_the_end(how: dict[str, Any], tokens: int) -> None:
    counting = Counting(requests=10, tokens=5_000, dollars=1.0)
    await counting.reserve()
    used = counting.settle(**how)
    assert (used.requests, used.tokens) == (1, tokens)
    assert (used.dollars > 0) == (tokens > 0)
    assert counting.settle(**how) == used, "a second time changes nothing"


async def test_a_call_that_whygate_refused_itself_counts_for_nothing() -> None:
    counting = Counting(requests=10)
    await counting.reserve()
    assert counting.settle() == Spent()


@pytest.mark.parametrize(
    ("budget", "kind", "said"),
    [
        ({"requests": 2}, "requests", "of 2 requests a day for the tenant poor 2 requests are used; it begins anew"),
        ({"tokens": 2_500}, "tokens", "2,000 tokens are used, and this call takes about 1,000 tokens; it begins anew"),
        ({"dollars": 0.02}, "dollars", "$0.0200 a day for the tenant poor $0.0185 are used, and this call takes about"),
    ],
)
async def test_what_does_not_fit_is_refused_with_what_is_used_and_until_when(
    budget: dict[str, Any], kind: str, said: str
) -> None:
    counting = Counting(**budget)
    assert [await counting.reserve(one) for one in "ab"] == [None, None]
    refused = await counting.reserve("c")
    assert (refused.cause, refused.status) == (Cause.PROXY_BUDGET_EXCEEDED, 429)
    assert said in refused.why
    assert "midnight UTC after 2026-09-22, in 12 h 0 min" in refused.why
    assert refused.retry_after_seconds == pytest.approx(43_200)
    assert refused.policy is None or isinstance(refused.policy, StatedPolicy)
    assert (refused.policy is None) == (kind == "dollars")
    assert counting.used.requests == 2


async def test_at_midnight_it_begins_anew_and_yesterdays_calls_do_not_count_today() -> None:
    counting = Counting(requests=1)
    assert await counting.reserve("late") is None
    counting.clock.seconds += 43_199
    assert await counting.reserve("too late") is not None
    counting.clock.seconds += 1
    assert await counting.reserve("early") is None
    assert counting.settle("late") == Spent(1, 1_000)


@pytest.mark.parametrize(("at", "left"), [(MIDNIGHT, 86_400), (MIDNIGHT + 86_399.5, 1), (MIDNIGHT + 1, 86_399)])
def test_the_day_is_that_of_utc(at: float, left: float) -> None:
    assert day_of(at) == "2026-09-22"
    assert seconds_left(at) == pytest.approx(left)


async def test_a_restart_brings_no_new_budget(tmp_path: Path) -> None:
    counting = Counting(requests=2, dollars=3.0)
    await counting.reserve()
    KeptBudgets(tmp_path / "budgets.json", counting.store).save()
    again = LocalBudgets()
    KeptBudgets(tmp_path / "budgets.json", again).load()
    assert again.counted == counting.store.counted


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"version":2,"tenants":{}}', '{"version":1,"tenants":{"poor":["2026-09-22",-1,0,0.0]}}',
     '{"version":1,"tenants":{"poor":["2026-09-22",1,1,1e999]}}', '{"version":1,"tenants":{"poor":[]}}',
     '{"version":1,"tenants":[1]}', '{"version":1,"tenants":{"poor":["2026-09-22",true,0,0]}}'],
)  # fmt: skip
def test_a_damaged_file_is_told_and_counting_begins_anew(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "budgets.json"
    file.touch(0o600)
    file.write_text(text)
    counted = LocalBudgets()
    KeptBudgets(file, counted).load()
    assert counted.counted == {}
    assert "counted anew" in caplog.text
