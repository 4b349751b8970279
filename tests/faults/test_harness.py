"""The harness itself, where it could be wrong without anybody noticing: each check is seen to fail."""

import asyncio
import hashlib
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import trustme

from tests.faults.bystander import GAP_SECONDS, Bystander, HurtError
from tests.faults.clients import ClientRow, Seen
from tests.faults.field import SITE, Case, Field, server_context
from tests.faults.inject.after_events import after_events
from tests.faults.inject.answer import answer
from tests.faults.inject.refused import broken, overloaded
from tests.faults.inject.reset_before_head import reset_before_head
from tests.faults.inject.silence import silence
from tests.faults.inject.slow import slow
from tests.faults.inject.tls_server import tls_server
from tests.faults.inject.with_headers import with_headers
from tests.faults.ledgers import LedgersDifferError, fingerprint, reconcile
from tests.faults.never_sent import refused
from tests.faults.rest import NotAtRestError
from tests.faults.upstream import Exchange, Row
from tests.running import CLEAN, close_opened, plain, read_answer

SECRET = b"s" * 32
Ledgers = tuple[list[ClientRow], list[dict[str, Any]], list[Row]]

# the comparison


def attempt(n: int, status: int | None, code: str = "", *, sent: bool = True, fresh: bool = False) -> dict[str, Any]:
    failure = {"phase": "first_byte", "code": code, "detail": "", "sent": sent} if code else None
    phases = [{"name": name} for name in (("connect", "first_byte") if fresh else ("first_byte",))]
    return {"n": n, "status": status, "failure": failure, "phases": phases}


def agreeing() -> Ledgers:
    """Give a call whose SDK asked twice: refused after a refused attempt, then answered."""
    client = ClientRow(
        mark="m", key="k", requests=2, outcome="answer", status=200,
        answers=[Seen(503, {"x-whygate-flow-id": "f1", "x-whygate-cause": "service.overloaded"}),
                 Seen(200, {"x-whygate-flow-id": "f2"})],
    )  # fmt: skip
    common = {
        "key": fingerprint("k", SECRET), "state": "done", "method": "POST", "host": "h", "path": "/p",
        "possible_duplicate": False,
    }  # fmt: skip
    flows = [
        {"id": "f1", "seq": 1, "status": 503, "cause": "service.overloaded",
         "attempts": [attempt(1, None, "connection_refused", sent=False), attempt(2, 503)], **common},
        {"id": "f2", "seq": 2, "status": 200, "cause": None, "attempts": [attempt(1, 200)], **common},
    ]  # fmt: skip
    received = [_row(1, 503), _row(2, 200)]
    return [client], flows, received


def _row(number: int, status: int | None, mark: str = "m") -> Row:
    return Row(mark, number, 1, "POST", "/p", has_credential=True, whole=True, status=status, ended="answered")


def _billed_twice(ledgers: Ledgers) -> None:
    ledgers[1][1]["attempts"] = [attempt(1, 500), attempt(2, 200)]
    ledgers[2].insert(1, _row(2, 500))


def _set(index: int, name: str, value: object) -> Callable[[Ledgers], None]:
    """Change one field of the last row of one ledger."""

    def change(ledgers: Ledgers) -> None:
        row = ledgers[index][-1]
        if isinstance(row, dict):
            row[name] = value
        else:
            setattr(row, name, value)

    return change


DISAGREEMENTS: dict[str, tuple[Callable[[Ledgers], Any], str]] = {
    "a request without a flow": (_set(0, "requests", 3), "3 requests, the log has 2 flows"),
    "a flow without a request": (_set(0, "requests", 1), "1 requests, the log has 2 flows"),
    "a flow that never ends": (_set(1, "state", "streaming"), "flow f2 is streaming"),
    "a flow of nobody": (lambda all_: all_[1].append({**all_[1][1], "id": "f3", "key": "x"}), "f3 (POST h/p) is of no"),
    "an attempt that came to nobody": (lambda all_: all_[2].pop(), "attempt 1 of flow f2 was sent"),
    "an attempt that is not in the log": (lambda all_: all_[2].append(_row(3, 200)), "1 more than the log's"),
    "an attempt that was sent after all": (
        lambda all_: all_[2].insert(0, _row(0, None)),
        "has status 503, the upstream wrote None",
    ),
    "a reset of what nobody got": (
        lambda all_: all_[1][1].update(attempts=[attempt(1, None, "connection_reset", fresh=True), attempt(2, 200)]),
        "attempt 1 of flow f2 has status None, the upstream wrote 200",
    ),
    "a whole answer told as none": (
        lambda all_: all_[1][1].update(attempts=[attempt(1, None, "read_timeout")]),
        "attempt 1 of flow f2 has status None",
    ),
    "another status": (_set(2, "status", 201), "has status 200, the upstream wrote 201"),
    "another order": (lambda all_: all_[2].reverse(), "has status 503, the upstream wrote 200"),
    "billed twice": (_billed_twice, "billed 2 times"),
    "a request of nobody": (lambda all_: all_[2].append(_row(1, 200, "stranger")), "mark stranger"),
    "a request without a mark": (lambda all_: all_[2].append(_row(1, 200, "")), "mark none"),
    "failure told as success": (_set(1, "cause", "service.stream_truncated"), "answer for the client, service.stream"),
    "success told as failure": (_set(0, "outcome", "exception"), "exception for the client, success in the log"),
    "a client that left, told as success": (_set(0, "outcome", "left"), "left for the client, success in the log"),
    "another verdict": (
        lambda all_: all_[1][0].update(cause="rate_limit.unknown"),
        "was told service.overloaded, flow f1 says rate_limit.unknown",
    ),
    "another status for the client": (lambda all_: all_[1][0].update(status=502), "saw status 503, flow f1 says 502"),
    "an answer of no flow": (lambda all_: all_[0][0].answers.append(Seen(200, {})), "names flow none"),
    "a mark that is not one call's": (lambda all_: all_[0].append(replace(all_[0][0])), "the mark of 2 calls"),
}


def test_ledgers_that_agree_are_left_alone() -> None:
    reconcile(*agreeing(), secret=SECRET)


@pytest.mark.parametrize("kind", DISAGREEMENTS)
def test_the_comparison_sees_every_kind_of_disagreement(kind: str) -> None:
    change, told = DISAGREEMENTS[kind]
    ledgers = agreeing()
    change(ledgers)
    with pytest.raises(LedgersDifferError) as caught:
        reconcile(*ledgers, secret=SECRET)
    problems, _, table = str(caught.value).partition("client   m:")
    assert told in problems
    assert "server m attempt" in table


def test_what_says_that_it_may_be_a_duplicate_may_be_billed_twice() -> None:
    ledgers = agreeing()
    _billed_twice(ledgers)
    ledgers[1][1]["possible_duplicate"] = True
    reconcile(*ledgers, secret=SECRET)


def test_a_request_on_a_connection_that_was_closing_may_have_come_to_nobody() -> None:
    clients, flows, received = agreeing()
    flows[1]["attempts"] = [attempt(1, None, "connection_reset"), attempt(2, 200)]
    reconcile(clients, flows, received, secret=SECRET)


@pytest.mark.parametrize(("code", "ended"), [("truncated", "closed"), ("connection_reset", "reset"), ("", "left")])
def test_a_head_may_be_lost_with_what_broke_or_with_who_left(code: str, ended: str) -> None:
    clients, flows, received = agreeing()
    flows[1]["attempts"] = [attempt(1, None, code, fresh=True)]
    received[1].ended = ended
    reconcile(clients, flows, received, secret=SECRET)


def _shared() -> Ledgers:
    """Give two calls of one key: one heard its flow's id, the other left while it was under way."""
    clients, flows, received = agreeing()
    clients.append(ClientRow(mark="m.2", key="k", requests=1, outcome="left"))
    cut = {"n": 1, "status": None, "failure": None, "phases": [{"name": "first_byte"}]}
    flows.insert(0, {**flows[0], "id": "f0", "seq": 0, "cause": "client.disconnected", "attempts": [cut]})
    return clients, flows, [_row(1, None, "m.2"), *received]


def test_calls_that_share_a_key_are_told_apart_by_what_they_heard() -> None:
    reconcile(*_shared(), secret=SECRET)


@pytest.mark.parametrize("lost", ["flow", "request"])
def test_a_call_of_a_shared_key_that_nobody_answered_is_still_one(lost: str) -> None:
    clients, flows, received = _shared()
    if lost == "flow":
        del flows[0]
    else:
        clients[1].requests = 0
    with pytest.raises(LedgersDifferError, match=r"the log has 0 flows|is of no client"):
        reconcile(clients, flows, received, secret=SECRET)


@pytest.mark.parametrize("status", [None, 200])
def test_what_was_cut_by_its_client_may_have_come_or_not(status: int | None) -> None:
    clients, flows, received = _shared()
    received[0].status = status
    reconcile(clients, flows, received, secret=SECRET)
    reconcile(clients, flows, received[1:], secret=SECRET)


def test_a_look_at_who_is_there_is_no_call() -> None:
    clients, flows, received = agreeing()
    look = Row("", 1, 9, "GET", "/", has_credential=False)
    reconcile(clients, flows, [*received, look], secret=SECRET)


# rest


async def test_what_a_call_holds_is_seen_until_it_has_ended(case: Case) -> None:
    held = asyncio.ensure_future(case.raw(case.plan(silence), leave_after_seconds=1.0))
    await asyncio.to_thread(case.field.gateway.until, lambda: case.field.upstream.rows_since(case.received_before))
    with pytest.raises(NotAtRestError) as caught:
        await asyncio.to_thread(case.field.watch.back_at_rest, 0.2)
    for name in ("descriptors", "tasks", "reservations", "busy", "connections", "running"):
        assert f"{name} " in str(caught.value)
    assert (await held).outcome == "left"


async def test_a_connection_that_nobody_closed_is_seen(field: Field) -> None:
    reader, writer = await plain(field.gateway)
    writer.write(b"GET /openai/v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await read_answer(reader)
    with pytest.raises(NotAtRestError, match=r"descriptors .*connections"):
        await asyncio.to_thread(field.watch.back_at_rest, 0.2)
    await close_opened()
    await asyncio.to_thread(field.watch.back_at_rest)


# clients and upstream


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("sdk", "style"), [("openai", "sync"), ("openai", "async"), ("anthropic", "sync"), ("anthropic", "async")]
)
async def test_every_client_takes_a_plan_to_its_end(case: Case, sdk: Any, style: Any, stream: bool) -> None:
    call = await case.sdk(case.plan(overloaded(), answer("words")), sdk=sdk, style=style, stream=stream)
    assert (call.outcome, call.text) == ("answer", "words" * 3 if stream else "words")
    assert [row.status for row in case.received(call)] == [503, 200]
    assert [row.billable for row in case.received(call)] == [False, True]
    assert len(call.flow_ids) == call.requests == 1


async def test_the_retries_of_an_sdk_are_requests_of_one_call(case: Case) -> None:
    """A response in the background may do something that lasts, so the gateway leaves it to the app to ask again."""
    first = with_headers(broken(), ("x-request-id", "r1"))
    call = await case.sdk(case.plan(first, answer()), api="responses", max_retries=1, more={"background": True})
    assert (call.outcome, call.requests, [seen.status for seen in call.answers]) == ("answer", 2, [500, 200])
    assert call.answers[0].headers["x-request-id"] == "r1"
    assert call.flow_ids == [flow["id"] for flow in case.flows(call)]


async def test_a_broken_stream_an_exception_and_a_hang_up_are_told_apart(case: Case) -> None:
    cut, hung, left = await asyncio.gather(
        case.sdk(case.plan(after_events(3, Exchange.reset)), stream=True),
        case.sdk(case.plan(answer(events=1000, gap_seconds=GAP_SECONDS)), stream=True, leave_after_events=2),
        case.sdk(case.plan(slow(30, answer())), leave_after_seconds=0.3),
    )
    assert (cut.outcome, cut.exception[0], cut.text) == ("exception", "APIError", "words" * 3)
    assert cut.cause == case.flow(cut)["cause"]
    assert (hung.outcome, hung.text, left.outcome) == ("left", "words" * 2, "left")
    assert {case.flow(hung)["cause"], case.flow(left)["cause"]} == {"client.disconnected"}


async def test_the_ledger_knows_what_came_and_how_it_ended(case: Case) -> None:
    body = b'{"model":"gpt-4o-mini","messages":[]}'
    call = await case.raw(case.plan(reset_before_head), body=body)
    row = case.received(call)[0]
    assert (row.body_bytes, row.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    assert (row.whole, row.status, row.sent_bytes, row.ended, row.billable) == (True, None, 0, "reset", True)


async def test_a_body_in_chunks_is_read_to_its_end(case: Case) -> None:
    body = b'{"model":"gpt-4o-mini","messages":[],"pad":"' + b"x" * 100_000 + b'"}'
    parts = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:70_000], body[70_000:], b""))
    reader, writer = await asyncio.open_connection("127.0.0.1", case.field.upstream.port)
    try:
        writer.write(b"POST /v1/x HTTP/1.1\r\nx-test-id: chunks\r\ntransfer-encoding: chunked\r\n\r\n" + parts)
        await read_answer(reader)
        (row,) = (row for row in case.field.upstream.rows_since(case.received_before) if row.mark == "chunks")
        assert (row.whole, row.body_bytes, row.sha256) == (True, len(body), hashlib.sha256(body).hexdigest())
        case.field.upstream.rows.remove(row)
    finally:
        writer.close()


async def test_a_tls_server_has_the_certificate_and_the_versions_that_it_is_given(case: Case) -> None:
    stranger = server_context(trustme.CA(), "localhost")
    modern = server_context(case.field.authority, "localhost")
    modern.minimum_version = ssl.TLSVersion.TLSv1_3
    with tls_server(stranger) as one, tls_server(modern) as other:
        call = await case.sdk(case.plan(), base_url=case.field.https_url(one.port))
        old = ssl.create_default_context(cadata=case.field.authority.cert_pem.bytes().decode())
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
            await asyncio.open_connection("localhost", other.port, ssl=old)
    refused(case, call, "network.tls_inspection", "tls_untrusted_issuer")
    assert one.dials > 0
    assert all(first.startswith(b"GET / HTTP/1.1\r\n") for first in one.received), "a look, and never the call"
    assert (other.dials, other.received) == (1, [])


async def test_the_upstream_speaks_tls_too_and_counts_who_came(case: Case) -> None:
    call = await case.sdk(case.plan(answer()), base_url=case.field.https_url(case.field.upstream.tls_port))
    assert (call.outcome, len(case.received(call))) == ("answer", 1)
    assert case.field.upstream.dials["tls"] > 0


# the innocent


async def test_an_innocent_stream_is_not_hurt_by_a_healthy_call(case: Case) -> None:
    with case.bystander() as other:
        await case.sdk(case.plan(answer()))
    assert len(other.late_seconds) > other.before > 0


@pytest.mark.parametrize("late_seconds", [[0.2] * 10 + [0.001] * 45, [0.001] * 99 + [0.6]], ids=["often", "once"])
def test_an_innocent_stream_that_was_held_up_is_told(field: Field, late_seconds: list[float]) -> None:
    row = ClientRow("b", "k", outcome="answer", status=200)
    other = Bystander(field.gateway, row, threading.Event(), [0.001] * 25 + late_seconds, before=25)
    with pytest.raises(HurtError, match="late"):
        other.judge()


# names


def test_names_have_the_behaviour_that_they_say() -> None:
    program = (
        "import socket, time\n"
        "def ask(name):\n"
        "    began = time.monotonic()\n"
        "    try:\n"
        "        found = [one[4][0] for one in socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)]\n"
        "    except socket.gaierror as error:\n"
        "        found = error.errno == socket.EAI_AGAIN and 'again' or 'none'\n"
        "    print(found, time.monotonic() - began > 0.2)\n"
        "for name in ('x--two-127.0.0.2-127.0.0.1', 'slow-0.3', 'servfail', 'nxdomain', 'fine'):\n"
        "    ask(name + '.fault.test')\n"
        "ask('x.invalid')\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program],
        env={**CLEAN, "PYTHONPATH": str(SITE)},
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert told.stdout.splitlines() == [
        "['127.0.0.2', '127.0.0.1'] False",
        "['127.0.0.1'] True",
        "again False",
        "none False",
        "['127.0.0.1'] False",
        "none False",
    ], told.stderr
