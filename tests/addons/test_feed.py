"""What mitmproxy's UIs are given, and what is kept from them."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http, master, options
from mitmproxy.addons.view import View
from mitmproxy.test import tflow

from addons import feed as feed_module
from addons.feed import Feed, Waiting, _made
from addons.shown import ANSWER_BYTES, FAILED, Seen, flow_of, flow_of_row, judge, size_of
from addons.veil import UNPACKED_BYTES, Veil, _is_suspect, covered, covered_body
from gateway.identify.nowhere import nowhere
from gateway.model.call import Call, Mode, Origin
from gateway.model.cause import Cause
from gateway.model.decision import Refuse
from gateway.model.event import Live
from gateway.model.exchange import Admitted, Answered, Concluded, Outcome
from gateway.model.flow import FlowRow, State
from gateway.record.redact import credentials_of, scrub
from gateway.rows import refused_verdict

KEY = "sk-proj-" + "a1B2" * 8
OWN = (KEY,)


def call_of(number: int = 0, **more: Any) -> Call:
    given_: dict[str, Any] = {
        "id": f"{number:026x}", "arrived_at": 1000.0 + number, "arrived": 50.0, "client": "127.0.0.1:5000",
        "mode": Mode.PROXY, "method": "POST", "origin": Origin("https", "api.openai.com", 443),
        "target": b"/v1/chat/completions", "headers": ((b"host", b"api.openai.com"), (b"authorization", b"Bearer " + KEY.encode())),
        "body": b"{}",
    }  # fmt: skip
    return Call(**given_ | more)


def concluded_of(call: Call, **outcome: Any) -> Concluded:
    decision = Refuse(cause=Cause.REQUEST_INVALID_URL, status=404, why="no provider")
    admitted = Admitted(call=call, route=nowhere(call), decision=decision)
    return Concluded(
        answered=Answered(admitted=admitted, attempts=(), outcome=Outcome(complete=True, **outcome)),
        diagnosis=None,
        ended=51.5,
    )


def seen_of(body: bytes = b"{}", **more: Any) -> Seen:
    seen = Seen(
        status=200, headers=((b"content-type", b"application/json"),), started_at=1001.0, ended_at=1001.5, **more
    )
    seen.keep(body)
    return seen


class Record:
    """A record that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def opened(self, live: Live) -> None:
        self.told.append(live)

    def closed(self, live: Live, concluded: Concluded) -> None:
        self.told.append((live, concluded))

    def recorded(self, row: FlowRow) -> None:
        self.told.append(row)


@pytest.fixture
async def shown() -> AsyncIterator[tuple[Feed, View, Record]]:
    """A feed that runs, in a master of mitmproxy's without anything else."""
    record = Record()
    feed, view = Feed(record), View()
    feed.attach(view)
    made = master.Master(options.Options())
    made.addons.add(feed, view)
    feed.running()
    yield feed, view, record
    await feed.done()
    await made.done()


async def until(look: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not look():  # noqa: ASYNC110 - the feed tells nobody
            await asyncio.sleep(0.005)


# The feed


async def test_a_finished_call_is_in_the_record_and_in_the_view(shown: tuple[Feed, View, Record]) -> None:
    feed, view, record = shown

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        live = Live(call=call_of(7))
        feed.opened(live)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-whygate-flow-id", b"7")]})
        await send({"type": "http.response.body", "body": b"he", "more_body": True})
        await send({"type": "http.response.body", "body": b"llo"})
        feed.closed(live, concluded_of(live.call))

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await asyncio.gather(*(feed.hearing(app)({"type": "http", "state": {}}, receive, send) for _ in range(1)))
    await until(lambda: len(view))
    assert len(record.told) == 2
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body", "http.response.body"]
    flow = view[0]
    assert (flow.id, flow.response.status_code, flow.response.content) == (call_of(7).id, 200, b"hello")


async def test_two_exchanges_at_once_are_not_mixed_up(shown: tuple[Feed, View, Record]) -> None:
    feed, view, _ = shown

    async def app(scope: Any, receive: Any, send: Any) -> None:
        number = scope["number"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(3):
            await send({"type": "http.response.body", "body": b"%d," % number, "more_body": True})
        live = Live(call=call_of(number))
        feed.closed(live, concluded_of(live.call))

    async def send(message: Any) -> None:
        await asyncio.sleep(0.001)

    await asyncio.gather(*(feed.hearing(app)({"type": "http", "number": n}, send, send) for n in range(20)))
    await until(lambda: len(view) == 20)
    assert [flow.response.content for flow in view] == [b"%d," % n * 3 for n in range(20)]


async def test_the_ring_is_bounded_in_calls_and_in_bytes(shown: tuple[Feed, View, Record]) -> None:
    feed, _, record = shown
    for number in range(feed_module.RING_CALLS + 10):  # in one turn of the loop: nothing can be shown meanwhile
        live = Live(call=call_of(number))
        feed.closed(live, concluded_of(live.call))
    assert feed.left_out == 10
    assert len(record.told) == feed_module.RING_CALLS + 10  # the record has them all
    large = b"x" * (8 * 1024 * 1024)
    for number in range(20):
        live = Live(call=call_of(5000 + number, body=large))
        feed.closed(live, concluded_of(live.call))
    assert feed._ring_bytes <= feed_module.RING_BYTES


async def test_the_view_is_bounded_and_keeps_what_still_runs(
    shown: tuple[Feed, View, Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    feed, view, _ = shown
    monkeypatch.setattr(feed_module, "VIEW_FLOWS", 20)
    running = tflow.tflow()
    running.live = True
    feed._add(running)
    for number in range(100):
        live = Live(call=call_of(number))
        feed.closed(live, concluded_of(live.call))
    await until(lambda: view.get_by_id(call_of(99).id))
    assert len(view) == 20
    assert running in view
    assert view.get_by_id(call_of(80).id) is None
    monkeypatch.setattr(feed_module, "VIEW_BYTES", 100_000)
    for number in range(200, 210):
        live = Live(call=call_of(number, body=b"x" * 30_000))
        feed.closed(live, concluded_of(live.call))
    await until(lambda: view.get_by_id(call_of(209).id))
    assert sum(size_of(flow) for flow in view) <= 100_000 == feed_module.VIEW_BYTES
    assert feed._held_bytes == sum(size_of(flow) for flow in view)


async def test_a_cleared_view_is_counted_anew(shown: tuple[Feed, View, Record]) -> None:
    feed, view, _ = shown
    live = Live(call=call_of())
    feed.closed(live, concluded_of(live.call))
    await until(lambda: len(view))
    view.clear()
    assert (feed._held_bytes, len(feed._held)) == (0, 0)


async def test_what_cannot_be_shown_hinders_nothing(
    shown: tuple[Feed, View, Record], caplog: pytest.LogCaptureFixture
) -> None:
    feed, view, _ = shown
    bad = Live(call=call_of(1, client="no address:x"))
    feed.closed(bad, concluded_of(bad.call))
    good = Live(call=call_of(2))
    feed.closed(good, concluded_of(good.call))
    await until(lambda: len(view))
    assert view[0].id == good.call.id
    assert "cannot be shown" in caplog.text


async def test_what_streams_through_is_shown_and_passed_on(shown: tuple[Feed, View, Record]) -> None:
    feed, _, _ = shown
    flow: Any = tflow.tflow(resp=True)
    passed: list[bytes] = []

    def before(data: bytes) -> bytes:
        passed.append(data)
        return data

    flow.request.stream, flow.response.stream = True, before
    feed.requestheaders(flow)
    feed.responseheaders(flow)
    for part in (b"one", b"x" * ANSWER_BYTES, b""):
        assert flow.request.stream(part) == part
        assert flow.response.stream(part) == part
    feed.request(flow)
    feed.response(flow)
    assert flow.response.raw_content == flow.request.raw_content == (b"one" + b"x" * ANSWER_BYTES)[:ANSWER_BYTES]
    assert len(passed) == 3


async def test_a_long_websocket_keeps_its_last_messages(shown: tuple[Feed, View, Record]) -> None:
    feed, view, _ = shown
    flow: Any = tflow.twebsocketflow()
    message = flow.websocket.messages[0]
    flow.websocket.messages.clear()
    flow.request.path, flow.request.headers["authorization"] = (
        "/v1/realtime?key=secret-of-mine&model=m",
        f"Bearer {KEY}",
    )
    feed.websocket_start(flow)
    assert flow in view
    assert (flow.request.path, flow.request.headers["authorization"]) == (
        "/v1/realtime?key=[redacted]&model=m", "Bearer [redacted]",
    )  # fmt: skip
    for _ in range(feed_module.SOCKET_MESSAGES + 5):
        flow.websocket.messages.append(message.copy())
        feed.websocket_message(flow)
    assert len(flow.websocket.messages) == feed_module.SOCKET_MESSAGES
    message.content = b"x" * (feed_module.SOCKET_BYTES // 2)
    for _ in range(5):
        flow.websocket.messages.append(message.copy())
        feed.websocket_message(flow)
    assert len(flow.websocket.messages) <= 3


async def test_the_verdict_of_a_row_reaches_the_flow_of_its_id(shown: tuple[Feed, View, Record]) -> None:
    feed, view, _ = shown
    flow = tflow.tflow(resp=True)
    flow.request.headers["authorization"] = f"Bearer {KEY}"
    feed.requestheaders(flow)
    view.add([flow])
    words = {"what_happened": f"The key {KEY} is\nnot known.", "what_to_do": ["Copy it again.", "Or ask."]}
    feed.recorded(row_of(id=flow.id, cause="auth.invalid_key", diagnosis=words))
    assert flow.marked == FAILED
    assert flow.comment == "auth.invalid_key: The key [redacted] is not known. Copy it again."


async def test_what_never_was_a_call_is_shown_from_its_row(shown: tuple[Feed, View, Record]) -> None:
    feed, view, _ = shown
    feed.recorded(
        row_of(status=400, cause="client.malformed_request", diagnosis={"what_happened": "No.", "what_to_do": []})
    )
    feed.recorded(row_of(id="f" * 26, kind="tunnel"))
    await until(lambda: len(view))
    await asyncio.sleep(0.05)
    assert [(flow.response.status_code, flow.marked) for flow in view] == [(400, FAILED)]


def row_of(**more: Any) -> FlowRow:
    usual: dict[str, Any] = {
        "id": "0" * 26, "seq": 0, "rev": 1, "state": State.DONE, "started_at": "2026-11-20T10:00:00.000Z",
        "client": "127.0.0.1:5000", "host": "api.openai.com",
    }  # fmt: skip
    return FlowRow(**usual | more)


# A flow


def test_a_flow_says_what_happened_and_when() -> None:
    call = call_of(body=b'{"q": 1}')
    flow: Any = flow_of(Live(call=call), concluded_of(call), seen_of(b'{"a": 2}', read_at=1000.2))
    assert flow.request.url == "https://api.openai.com/v1/chat/completions"
    assert (flow.request.content, flow.response.content) == (b'{"q": 1}', b'{"a": 2}')
    assert (flow.request.timestamp_start, flow.request.timestamp_end) == (1000.0, 1000.2)
    assert (flow.response.timestamp_start, flow.response.timestamp_end) == (1001.0, 1001.5)
    assert flow.client_conn.peername == ("127.0.0.1", 5000)
    assert (flow.marked, flow.comment, flow.error, flow.live) == ("", "", None, False)
    flow.get_state()  # it can be saved


def test_a_failed_flow_has_its_verdict_in_one_line_without_secrets() -> None:
    call = call_of()
    verdict = refused_verdict(Cause.AUTH_INVALID_KEY, "x", 401, "api.openai.com")
    verdict = replace(verdict, what_happened=f"It says:\n{KEY} is wrong.")
    concluded = replace(concluded_of(call), diagnosis=verdict)
    flow: Any = flow_of(Live(call=call), concluded, seen_of())
    assert flow.marked == FAILED
    assert flow.comment.startswith("auth.invalid_key: It says: [redacted] is wrong. ")
    assert "\n" not in flow.comment


def test_an_app_that_left_before_the_answer_is_an_error_without_one() -> None:
    call = call_of()
    concluded = concluded_of(call, client_left=True)
    verdict = refused_verdict(Cause.UNKNOWN, "x", None, "h")
    flow: Any = flow_of(Live(call=call), replace(concluded, diagnosis=verdict), Seen())
    assert flow.response is None
    assert flow.error is not None
    assert flow.error.timestamp == 1001.5
    assert flow.error.msg == flow.comment


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cache": "hit"}, "cache hit: answered by whygate, the provider was not asked"),
        ({"queued": 1.25}, "waited 1.2 s for its turn"),
        ({"body_complete": False}, "only the start of the request is shown"),
        ({"size": ANSWER_BYTES + 1}, "only the first MiB of 1,048,577 bytes is shown"),
    ],
)
def test_what_was_done_for_a_call_that_went_well_is_said(change: dict[str, Any], words: str) -> None:
    call = call_of(body_complete=change.get("body_complete", True))
    concluded = replace(concluded_of(call), cache=change.get("cache", "none"))
    concluded = replace(concluded, answered=replace(concluded.answered, queued_seconds=change.get("queued", 0.0)))
    flow: Any = flow_of(Live(call=call), concluded, seen_of(b"x" * change.get("size", 2)))
    assert flow.comment == words
    assert len(flow.response.raw_content) <= ANSWER_BYTES


def test_a_row_without_a_verdict_leaves_what_a_user_wrote() -> None:
    flow = flow_of_row(row_of(status=101, kind="websocket"), 5.0)
    flow.comment = "mine"
    judge(flow, row_of())
    assert (flow.comment, flow.marked) == ("mine", "")


# Secrets


def test_every_header_is_named_and_only_harmless_ones_have_values() -> None:
    headers = (
        (b"authorization", f"Bearer {KEY}".encode()), (b"x-api-key", KEY.encode()), (b"cookie", b"a=b"), (b"accept", b"*/*"),
        (b"user-agent", f"me {KEY}".encode()), (b"www-authenticate", b"Basic realm=x"), (b"sec-websocket-version", b"13"),
    )  # fmt: skip
    assert covered(headers) == (
        (b"authorization", b"Bearer [redacted]"), (b"x-api-key", b"[redacted]"), (b"cookie", b"[redacted]"), (b"accept", b"*/*"),
        (b"user-agent", b"[redacted]"), (b"www-authenticate", b"Basic realm=x"), (b"sec-websocket-version", b"13"),
    )  # fmt: skip


def test_a_veil_is_lifted_for_the_wire_alone() -> None:
    veil = Veil()
    request = http.Request.make(
        "POST", f"https://h/v1?key={KEY}&model=m&{KEY}", b"body", ((b"Authorization", b"Bearer " + KEY.encode()),)
    )
    was = request.copy()
    veil.cover(request)
    assert KEY not in str(request.headers.fields) + request.path
    assert "model=m" in request.path
    request.headers["x-copied-by-a-script"] = request.headers["authorization"]
    sent = veil.lifted(request)
    assert sent is not request
    assert (sent.path, sent.headers["authorization"], sent.content) == (was.path, was.headers["authorization"], b"body")
    assert sent.headers["x-copied-by-a-script"] == f"Bearer {KEY}"
    assert KEY not in str(request.get_state())
    again = http.Request.make("GET", "https://h/", headers=((b"authorization", b"Bearer " + KEY.encode()),))
    veil.cover(again)
    assert again.headers["authorization"] == request.headers["authorization"]  # one key, one stand-in


def test_what_needs_no_veil_goes_on_as_it_is() -> None:
    veil, answer = Veil(), http.Response.make(200, b"x", {"content-type": "text/plain"})
    veil.cover(answer)
    assert veil.lifted(answer) is answer
    assert veil.lift(b"[redacted-0123456789abcdef]") == b"[redacted-0123456789abcdef]"  # nobody guesses one


PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes, "gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress, "x-gzip": gzip.compress,
}  # fmt: skip
UNPACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes, "gzip": gzip.decompress, "deflate": lambda b: zlib.decompress(b, -15 if b[:1] != b"\x78" else 15),
    "br": brotli.decompress, "zstd": lambda b: zstandard.ZstdDecompressor().decompressobj().decompress(b), "x-gzip": gzip.decompress,
}  # fmt: skip


@pytest.mark.parametrize("coding", PACK)
def test_a_body_without_secrets_is_as_it_came_and_one_with_them_is_not(coding: str) -> None:
    good = PACK[coding](b'{"answer": "' + b"fine " * 5000 + b'"}')
    assert covered_body(good, coding, OWN, whole=True) == good
    bad = PACK[coding](b'{"error": "' + b"fine " * 5000 + f'key {KEY} and "api_key": "{KEY[:-1]}"'.encode() + b'"}')
    text = UNPACK[coding](covered_body(bad, coding, OWN, whole=True))
    assert KEY[:-1].encode() not in text
    assert b"[redacted]" in text


@pytest.mark.parametrize("coding", [name for name in PACK if name])
def test_a_packed_body_is_bounded_and_one_that_was_cut_can_be_read(coding: str) -> None:
    bomb = covered_body(PACK[coding](bytes(100 * UNPACKED_BYTES)), coding, OWN, whole=True)
    assert len(UNPACK[coding](bomb)) <= 2 * UNPACKED_BYTES
    noise = b"".join(b"%x " % hash(n) for n in range(20_000))
    cut = PACK[coding](noise)[:20_000]
    assert noise.startswith(UNPACK[coding](covered_body(cut, coding, OWN, whole=False)))


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "compress"])
def test_what_cannot_be_read_is_not_shown(coding: str) -> None:
    shown = covered_body(KEY.encode() * 3, coding, OWN, whole=True)
    assert KEY.encode() not in shown


def test_sound_stays_sound() -> None:
    body = b"\x00\x01" + bytes(range(256)) * 10 + KEY.encode()
    assert covered_body(body, "", OWN, whole=True) == body.replace(KEY.encode(), b"[redacted]")


SECRETS = [
    KEY, "Bearer abcdefgh12345", "basic abcdefgh12345", "?api_key=abc", "token=abc", "sig=abc", "password=abc", "passwd=a",
    '"x-api-key": "abc"', '"authorization":"abc"', '"refresh_token": "abc"', '"client_secret": "abc"', "https://me:pw@host/",
    "eyJhbGciOi.eyJzdWIi.x", "xai-" + "a" * 20, "pplx-" + "a" * 20, "gsk_" + "a" * 9, "hf_" + "a" * 9, "AIza" + "a" * 20,
    "AKIA" + "A" * 16, "ghp_" + "a" * 9, "xoxb" + "-" + "a" * 9, "ya29." + "a" * 9, "org-" + "a" * 9, "whsec_" + "a" * 9,
    "key=abc", "access-token=abc", "signature=abc", "client-secret=abc", '"cookie":"a"', "nvapi-" + "a" * 9, "glpat-" + "a" * 9,
]  # fmt: skip


@pytest.mark.parametrize("secret", SECRETS)
def test_the_quick_look_misses_nothing_that_the_record_strikes(secret: str) -> None:
    text = f"before {secret} after"
    assert scrub(text) != text
    assert _is_suspect(text)
    body = ("nothing here,\n" * 2000 + text + "\n" + "nothing here,\n" * 2000).encode()
    assert covered_body(body, "", (), whole=True) != body


@given(st.lists(st.sampled_from([*SECRETS, "a", " ", '"', "\n", '",', "=", ":", "é", "-", "_"]), max_size=12))
def test_the_quick_look_is_never_less_strict(parts: list[str]) -> None:
    text = "".join(parts)
    assert _is_suspect(text) or scrub(text) == text


def test_no_secret_of_a_call_is_anywhere_in_its_flow() -> None:
    call = call_of(
        target=b"/v1/x?key=" + KEY.encode(), body=f'{{"text": "my key is {KEY}"}}'.encode(),
        headers=((b"host", b"h"), (b"x-goog-api-key", b"another-secret-of-mine")),
    )  # fmt: skip
    seen = Seen(status=401, headers=((b"set-cookie", b"session=abc"), (b"content-encoding", b"gzip")))
    seen.keep(gzip.compress(b"no such key: another-secret-of-mine"))
    assert credentials_of(call.headers, call.target.decode()) == (KEY, "another-secret-of-mine")
    flow = _made([Waiting(Live(call=call), concluded_of(call), seen, None, 0)])[0]
    assert flow.response is not None
    told = f"{flow.get_state()}{flow.request.text}{flow.response.text}"
    for secret in (KEY, "another-secret-of-mine", "session=abc"):
        assert secret not in told
