"""What rules are built of: tests, conditions, and how they are put together."""

from typing import Any

import orjson
import pytest

from gateway.diagnose.evidence import Evidence
from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import (
    Basis,
    Finding,
    Layer,
    Rule,
    failed,
    first,
    heard,
    hinted,
    in_status,
    named,
    only,
    said,
    shown,
    status,
    unless,
)
from gateway.model.attempt import ReplyHead
from gateway.model.cause import Cause
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.providers.openai import PROVIDER as OPENAI

JSON = (b"content-type", b"application/json")


def _seen(code: int = 400, message: str = "", name: str = "", **changes: Any) -> Observation:
    document = {"error": {"message": message, "code": name}}
    values: dict[str, Any] = {
        "provider": OPENAI,
        "host": "api.openai.com",
        "head": ReplyHead(status=code, headers=(JSON,)),
        "text": orjson.dumps(document).decode(),
    }
    return Observation(Evidence(**(values | changes)))


def _yes(basis: Basis, text: str = "yes") -> Any:
    return shown(lambda _seen: True, text, basis)


def _no() -> Any:
    return shown(lambda _seen: False, "no")


def test_what_an_answer_says_and_what_a_client_says_are_two_things() -> None:
    answer = _seen(message="The balance is too low.")
    client = _seen(head=None, text="", exception="The balance is too low.")
    rule = "balance", "too low"
    assert said(*rule)(answer) == (Basis.SAID, "its words")
    assert heard(*rule)(answer) is None
    assert said(*rule)(client) is None
    assert heard(*rule)(client) == (Basis.SAID, "the client's words")


def test_a_general_term_is_weaker_than_words() -> None:
    client = _seen(head=None, text="", exception="curl: (60) SSL certificate problem")
    finding = hinted("curl 60 ")(client)
    assert finding is not None
    assert finding.basis is Basis.SHOWN
    assert hinted("curl 6 ")(client) is None


def test_a_code_is_found_in_any_case() -> None:
    assert named("Insufficient_Quota")(_seen(name="INSUFFICIENT_QUOTA")) == (Basis.NAMED, "the code insufficient_quota")
    assert named("insufficient_quota")(_seen(name="insufficient_quota_x")) is None


def test_a_status_is_the_weakest() -> None:
    assert status(404, 400)(_seen(400)) == (Basis.STATUS, "status 400")
    assert status(404)(_seen(400)) is None


def test_a_failure_may_be_asked_for_with_its_phase() -> None:
    failure = NetFailure(phase=Phase.BODY, code=NetCode.READ_TIMEOUT, detail="", sent=True)
    seen = Observation(Evidence(provider=None, host="", failure=failure))
    assert failed(NetCode.READ_TIMEOUT)(seen) is not None
    assert failed(NetCode.READ_TIMEOUT, phase=Phase.BODY)(seen) is not None
    assert failed(NetCode.READ_TIMEOUT, phase=Phase.TLS)(seen) is None
    assert failed(NetCode.TRUNCATED, NetCode.CONNECTION_RESET)(seen) is None
    assert failed(NetCode.READ_TIMEOUT)(_seen()) is None


def test_of_several_the_strongest_counts_and_of_equals_the_first() -> None:
    seen = _seen()
    assert first(_yes(Basis.STATUS), _yes(Basis.NAMED, "named"), _yes(Basis.SAID))(seen) == (Basis.NAMED, "named")
    assert first(_yes(Basis.SAID, "one"), _yes(Basis.SAID, "other"))(seen) == (Basis.SAID, "one")
    assert first(_no(), _no())(seen) is None
    assert first()(seen) is None


def test_a_test_can_be_narrowed() -> None:
    seen = _seen()
    assert only(lambda _seen: True, _yes(Basis.SAID))(seen) is not None
    assert only(lambda _seen: False, _yes(Basis.SAID))(seen) is None
    assert unless(_no(), _yes(Basis.SAID))(seen) is not None
    assert unless(_yes(Basis.STATUS), _yes(Basis.NAMED))(seen) is None
    assert unless(_no(), _no())(seen) is None


@pytest.mark.parametrize(
    ("numbers", "holds"),
    [((4,), True), ((5,), False), ((404, 429), True), ((400,), False), ((5, 404), True), ((0,), False)],
)
def test_a_hundred_stands_for_all_of_its_statuses(numbers: tuple[int, ...], holds: bool) -> None:
    assert in_status(*numbers)(_seen(404)) is holds


def test_no_answer_is_the_hundred_of_zero() -> None:
    assert in_status(0)(_seen(head=None, text=""))


def test_bases_are_ordered_by_what_they_weigh() -> None:
    assert sorted(Basis) == [Basis.STATUS, Basis.SHOWN, Basis.SAID, Basis.NAMED]
    assert sorted(Layer) == [Layer.NETWORK, Layer.ANSWER, Layer.CLIENT]


def test_a_rule_reads_by_default_who_may_speak_for_the_service() -> None:
    rule = Rule(cause=Cause.QUOTA_EXHAUSTED, match=_yes(Basis.SAID))
    assert rule.authors is not None
    assert {kind.value for kind in rule.authors} == {"provider", "relay", "mesh", "server", "unknown"}
    assert rule.match(_seen()) == Finding(Basis.SAID, "yes")
