"""The API tells what a call cost, and what has changed since it last worked."""

from typing import Any

import pytest

from gateway.model.attempt import ReplyHead
from gateway.model.cause import Cause
from gateway.model.exchange import Outcome
from gateway.model.provider import Usage
from gateway.prices import cost
from tests.gateway.record.made import EPOCH, a_call, a_concluded, a_live, a_route, until
from tests.gateway.show.served import Served
from tests.gateway.show.told import TITLES, a_verdict

HEAD = ReplyHead(status=200, headers=())
USAGE = Usage(1_000, 200)
REFUSED = ReplyHead(status=429, headers=())


def run(served: Served, *, fails: bool = False, at: float = 0.0, call: Any = None, **route: Any) -> str:
    """Let a call end, well or not, and give its id."""
    call = call or a_call(arrived_at=EPOCH + at)
    way = a_route(**({"model": "gpt-4o"} | route))
    live = a_live(call, route=way)
    served.recorder.opened(live)
    outcome = Outcome(head=REFUSED if fails else HEAD, complete=True, usage=None if fails else USAGE)
    diagnosis = a_verdict(Cause.QUOTA_EXHAUSTED) if fails else None
    served.recorder.closed(live, a_concluded(call, route=way, outcome=outcome, diagnosis=diagnosis))
    return str(call.id)


def before(served: Served, flow_id: str, **query: str) -> Any:
    with served.client() as client:
        answer = client.get(f"/api/flows/{flow_id}/before", params=query)
    assert answer.status_code == 200
    return answer.json()


def flow(served: Served, flow_id: str) -> Any:
    with served.client() as client:
        one = client.get(f"/api/flows/{flow_id}").json()
        listed = client.get("/api/flows").json()["flows"]
    row = next(row for row in listed if row["id"] == flow_id)
    assert {name: row[name] for name in ("cost_usd", "saved_usd")} == {
        name: one[name] for name in ("cost_usd", "saved_usd")
    }
    return one


def test_a_call_that_was_bought_says_what_it_cost(served: Served) -> None:
    told = flow(served, run(served))
    assert told["cost_usd"] == pytest.approx(cost("openai", "gpt-4o", 1_000, 200))
    assert told["cost_usd"] > 0
    assert told["saved_usd"] is None


def test_a_price_that_is_not_known_is_null(served: Served) -> None:
    assert flow(served, run(served, model="no-such-model"))["cost_usd"] is None
    assert flow(served, run(served, fails=True))["cost_usd"] is None


@pytest.mark.parametrize("word", ["hit", "collapsed", "stale"])
def test_what_the_cache_answered_cost_nothing_and_saved_something(served: Served, word: str) -> None:
    call, route = a_call(), a_route(model="gpt-4o")
    live = a_live(call, route=route)
    served.recorder.opened(live)
    outcome = Outcome(head=HEAD, complete=True, usage=USAGE)
    served.recorder.closed(live, a_concluded(call, route=route, outcome=outcome, attempts=(), cache=word))
    told = flow(served, call.id)
    assert told["cost_usd"] == 0
    assert told["saved_usd"] == pytest.approx(cost("openai", "gpt-4o", 1_000, 200))


def test_what_a_fallback_answered_has_no_price_here(served: Served) -> None:
    """It was bought elsewhere."""
    call, route = a_call(), a_route(model="gpt-4o")
    live = a_live(call, route=route)
    served.recorder.opened(live)
    outcome = Outcome(head=HEAD, complete=True, usage=USAGE, fallback="local")
    verdict = a_verdict()
    served.recorder.closed(live, a_concluded(call, route=route, outcome=outcome, diagnosis=verdict))
    assert flow(served, call.id)["cost_usd"] is None


def test_the_last_good_call_is_told_with_what_has_changed(served: Served) -> None:
    """Whether or not it is in the file yet."""
    run(served, model="gpt-4o", at=0)
    good = run(served, model="gpt-4o", at=60)
    run(served, fails=True, model="gpt-5", at=600)
    failed = run(served, fails=True, model="gpt-5", at=780)
    for _ in range(2):
        told = before(served, failed)
        assert told["last_good"]["id"] == good
        assert told["last_good"]["body"] is None
        assert told["last_good"]["cost_usd"] > 0
        assert told["changes"] == [{"field": "model", "before": "gpt-4o", "now": "gpt-5"}]
        until(lambda: served.recorder.health()["written"] == 4)


def test_one_of_the_same_model_and_key_is_preferred(served: Served) -> None:
    """Over a newer one of another."""
    good = run(served)
    run(served, model="gpt-5")
    run(served, key="99887766")
    failed = run(served, fails=True)
    assert before(served, failed) == {"last_good": flow(served, good) | {"body": None}, "changes": []}


def test_it_is_found_behind_many_of_another_model(served: Served) -> None:
    good = run(served)
    for _ in range(450):
        run(served, model="gpt-5")
    assert before(served, run(served, fails=True))["last_good"]["id"] == good


def test_later_calls_are_not_looked_at(served: Served) -> None:
    failed = run(served, fails=True)
    run(served)
    assert before(served, failed) == {"last_good": None, "changes": []}


def test_a_call_that_worked_is_compared_with_nothing(served: Served) -> None:
    run(served)
    assert before(served, run(served)) == {"last_good": None, "changes": []}


def test_nobody_is_told_of_a_call_that_is_not_there(served: Served) -> None:
    with served.client() as client:
        answer = client.get("/api/flows/nothing/before")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_such_flow")
        assert client.get("/api/flows/nothing/before", params={"lang": "xx"}).status_code == 400
    with served.bare() as client:
        assert client.get("/api/flows/nothing/before").status_code == 401


def test_the_reader_gets_his_language(served: Served) -> None:
    """Of what the page shows of a call that did not work."""
    failed = run(served, fails=True)
    with served.client() as client:
        answer = client.get(f"/api/flows/{failed}/before", params={"lang": "it"})
        assert answer.headers["content-language"] == "it"
        assert client.get(f"/api/flows/{failed}", params={"lang": "it"}).json()["diagnosis"]["title"] == TITLES["it"]
