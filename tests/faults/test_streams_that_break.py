"""F31 to F34: a stream that breaks never looks finished, whatever broke it, and what came before the break is given on."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any, Literal

import pytest

from tests.faults.clients import ClientRow, Style
from tests.faults.field import Case, Field, open_field
from tests.faults.inject.answer import answer
from tests.faults.inject.stream_of import Ending, by_fin, by_reset, in_order, inside_a_chunk, stream_of
from tests.faults.listening import asking, listening_to
from tests.faults.never_sent import BACKOFF_SECONDS, SLACK_SECONDS, TRIES
from tests.faults.upstream import Fault
from tests.faults.words import CHAT, MESSAGES, RESPONSES, Face

GAP_SECONDS = 0.05
"""So that what comes first is out when the rest comes: a stream that has failed by then is asked for again."""

Api = Literal["chat", "responses", "messages"]
FACES: dict[Api, Face] = {"chat": CHAT, "responses": RESPONSES, "messages": MESSAGES}

INTERRUPTED, TRUNCATED = "network.stream_interrupted", "service.stream_truncated"
VARIANTS: dict[str, tuple[Ending, str, bytes, bool]] = {
    "FIN inside a chunk": (inside_a_chunk, INTERRUPTED, b"", True),
    "RST": (by_reset, INTERRUPTED, b"", True),
    "a proper end without the end mark": (in_order, TRUNCATED, b"", True),
    "FIN of a body without length": (by_fin, TRUNCATED, b"", False),
    "a proper end inside an event": (in_order, TRUNCATED, b"data: {", True),
    "FIN inside an event": (inside_a_chunk, INTERRUPTED, b"event: response.output", True),
    "a proper end inside a character": (in_order, TRUNCATED, b'data: {"x":"\xe4\xb8', True),
    "RST inside a character": (by_reset, INTERRUPTED, b'data: {"x":"\xf0\x9f\x98', True),
}
"""How it ends, the verdict, what stands behind the last whole event, and whether it is sent in chunks."""


def breaking(face: Face, variant: str, events: int = 3) -> Fault:
    ending, _, rest, chunked = VARIANTS[variant]
    whole = [*face.opening, *(face.event(f"w{number} ") for number in range(events))]
    return stream_of([*whole, *([rest] if rest else [])], ending, chunked=chunked)


# F31, F32, F33


@pytest.mark.parametrize("style", ["async", "sync"])
@pytest.mark.parametrize("api", FACES)
async def test_every_kind_of_break_raises_in_the_sdk_after_what_came_before_it(
    case: Case, api: Api, style: Style
) -> None:
    async def broken(variant: str) -> ClientRow:
        mark = case.plan(breaking(FACES[api], variant))
        sdk: Any = "anthropic" if api == "messages" else "openai"
        return await case.sdk(mark, sdk=sdk, api=api, style=style, stream=True, max_retries=2)

    calls = await asyncio.gather(*map(broken, VARIANTS))
    for call, (variant, (_, cause, _, _)) in zip(calls, VARIANTS.items(), strict=True):
        assert call.outcome in {"exception", "error"}, variant  # Anthropic's has the status of the head
        assert call.text == "w0 w1 w2 ", variant
        assert call.exception[0] in {"APIError", "APIStatusError"}, (variant, call.exception)
        assert "whygate: " in call.message, variant
        assert (call.requests, len(case.received(call))) == (1, 1), variant
        flow = case.flow(call)
        assert (flow["status"], flow["cause"], len(flow["attempts"])) == (200, cause, 1), variant
        assert not flow["possible_duplicate"]
        assert flow["total_ms"] < 3 * SLACK_SECONDS * 1000  # eight SDKs at once share one interpreter with the provider


@pytest.mark.parametrize("variant", VARIANTS)
async def test_a_stream_that_breaks_before_its_first_event_is_asked_for_again(case: Case, variant: str) -> None:
    ending, _, _, chunked = VARIANTS[variant]
    call = await case.sdk(case.plan(stream_of([], ending, chunked=chunked), answer()), stream=True)
    assert (call.outcome, call.text) == ("answer", "words" * 3)
    assert call.answers[0].headers["x-whygate-possible-duplicate"] == "true"
    flow = case.flow(call)
    assert (len(flow["attempts"]), flow["possible_duplicate"]) == (2, True)


@pytest.mark.parametrize(
    ("ending", "cause"), [(inside_a_chunk, INTERRUPTED), (by_reset, INTERRUPTED), (in_order, TRUNCATED)]
)
@pytest.mark.parametrize("api", FACES)
async def test_one_that_always_breaks_before_its_first_event_is_a_clear_502_after_three_tries(
    case: Case, api: Api, ending: Ending, cause: str
) -> None:
    mark = case.plan(stream_of([], ending))
    sdk: Any = "anthropic" if api == "messages" else "openai"
    call = await case.sdk(mark, sdk=sdk, api=api, stream=True, max_retries=2)
    assert (call.outcome, call.status, call.requests) == ("error", 502, 1)
    assert call.answers[0].headers["x-should-retry"] == "false"
    flow = case.flow(call)
    assert (flow["status"], flow["cause"], flow["possible_duplicate"]) == (502, cause, True)
    assert len(flow["attempts"]) == len(case.received(call)) == TRIES
    assert flow["total_ms"] < (BACKOFF_SECONDS + SLACK_SECONDS) * 1000


# The shape of the error event


GEMINI = b'data: {"candidates":[{"content":{"parts":[{"text":"words"}],"role":"model"}}]}\n\n'
GEMINI_BODY = b'{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}'
PLACES = {
    "openai chat": ("api.openai.com", "/v1/chat/completions", asking(), CHAT.event("words")),
    "openai responses": ("api.openai.com", "/v1/responses", asking(input="hi"), RESPONSES.event("words")),
    "anthropic": ("api.anthropic.com", "/v1/messages", asking(max_tokens=9), MESSAGES.event("words")),
    "azure": (
        "firm.openai.azure.com",
        "/openai/deployments/d1/chat/completions?api-version=2024-10-21",
        asking(),
        CHAT.event("words"),
    ),
    "gemini": (
        "generativelanguage.googleapis.com",
        "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
        GEMINI_BODY,
        GEMINI,
    ),
}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """A field that sends azure and gemini to its upstream, too."""
    extra = "".join(
        f'[[providers]]\nname = "{name}"\nupstream = "http://127.0.0.1:{{port}}"\n' for name in ("azure", "gemini")
    )
    with open_field(tmp_path_factory.mktemp("many"), extra) as made:
        yield made


@pytest.fixture
def wide(many: Field, *, full: bool) -> Iterator[Case]:
    made = Case(many, full=full)
    yield made
    made.finish()


def _is_told(place: str, name: bytes, error: dict[str, Any]) -> bool:
    told: Any = error["error"]
    if place == "gemini":
        return not name and type(told["code"]) is int and bool(told["status"])
    kind = {"openai responses": (b"error", "error"), "anthropic": (b"error", "error")}.get(place, (b"", None))
    return (name, error.get("type")) == kind and ("sequence_number" in error) == (place == "openai responses")


@pytest.mark.parametrize("ending", [inside_a_chunk, by_reset, in_order])
@pytest.mark.parametrize("place", PLACES)
async def test_the_last_event_tells_the_verdict_in_the_protocol_and_then_the_connection_is_cut(
    wide: Case, place: str, ending: Ending
) -> None:
    host, path, body, event = PLACES[place]
    mark = wide.plan(stream_of([event] * 3, ending))
    async with listening_to(wide, mark, host=host, path=path, body=body) as stream:
        heard = await stream.to_end()
    assert stream.whole is False
    assert heard.startswith(event * 3)
    told = heard.removeprefix(event * 3)
    lines = told.rstrip(b"\n").split(b"\n")
    assert told.endswith(b"\n\n")
    assert told.count(b"\n\n") == 1
    name = b"".join(line[7:] for line in lines if line.startswith(b"event: "))
    (data,) = [line[6:] for line in lines if line.startswith(b"data: ")]
    error = json.loads(data)
    assert _is_told(place, name, error), told
    flow = wide.flow(stream.row)
    assert flow["cause"] in told.decode()
    assert "whygate: " in error["error"]["message"]


async def test_a_break_inside_an_event_that_is_out_in_part_is_a_cut_and_nothing_else(case: Case) -> None:
    """What an error event would become part of is a broken one."""
    large = b'data: {"x":"' + b"y" * 300_000
    async with listening_to(case, case.plan(stream_of([CHAT.event("words"), large], inside_a_chunk))) as stream:
        heard = await stream.to_end()
    assert stream.whole is False
    assert heard == CHAT.event("words") + large
    assert case.flow(stream.row)["cause"] == INTERRUPTED


# F34

ERRORS: dict[str, tuple[Api, bytes, set[str]]] = {
    "chat": (
        "chat",
        b'data: {"error":{"message":"The server had an error processing your request","type":"server_error","code":null}}\n\n',
        {"service.stream_error", "service.server_error"},
    ),
    "responses": (
        "responses",
        (
            b'event: error\ndata: {"type":"error","sequence_number":4,"error":{"type":"server_error","code":"server_error",'
            b'"message":"The server had an error","param":null}}\n\n'
        ),
        {"service.stream_error", "service.server_error"},
    ),
    "messages": (
        "messages",
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
        {"service.overloaded"},
    ),
}


@pytest.mark.parametrize("which", ERRORS)
async def test_an_error_event_of_the_provider_is_passed_on_byte_for_byte_and_never_asked_again(
    case: Case, which: str
) -> None:
    api, error, causes = ERRORS[which]
    face = FACES[api]
    pieces = [*face.opening, face.event("words"), error]
    mark = case.plan(stream_of(pieces, in_order, gap_seconds=GAP_SECONDS))
    host = "api.anthropic.com" if api == "messages" else "api.openai.com"
    path = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}[api]
    async with listening_to(case, mark, host=host, path=path, body=asking(input="hi", max_tokens=9)) as stream:
        heard = await stream.to_end()
        stream.told = True
    assert heard == b"".join(pieces)
    flow = case.flow(stream.row)
    assert flow["cause"] in causes
    assert (flow["status"], len(flow["attempts"])) == (200, 1)
    assert stream.whole


WAIT_SECONDS = 1.5
_WORDS = b"Rate limit reached for gpt-4o-mini on requests per min (RPM). Please try again in 1.5s."
TOO_FAST: dict[Api, bytes] = {
    "chat": b'data: {"error":{"message":"%b","type":"requests","code":"rate_limit_exceeded"}}\n\n' % _WORDS,
    "responses": (
        b'event: response.failed\ndata: {"type":"response.failed","sequence_number":4,"response":{"id":"r1",'
        b'"object":"response","status":"failed","error":{"code":"rate_limit_exceeded","message":"%b"}}}\n\n' % _WORDS
    ),
    "messages": (
        b'event: error\ndata: {"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your'
        b" organization's rate limit of 50 requests per minute. Please try again in 1.5s.\"}}\n\n"
    ),
}


@pytest.mark.parametrize("api", FACES)
async def test_a_refusal_for_speed_inside_a_stream_holds_the_next_call_of_the_key(case: Case, api: Api) -> None:
    sdk: Any = "anthropic" if api == "messages" else "openai"
    begun = [*FACES[api].opening, FACES[api].event("words")]
    mark = case.plan(stream_of([*begun, TOO_FAST[api]], in_order, gap_seconds=GAP_SECONDS))
    first = await case.sdk(mark, sdk=sdk, api=api, stream=True, max_retries=0)
    assert (first.text, first.requests) == ("words", 1)
    first.outcome = "exception"  # of Responses, the SDK gives it to the app as an event
    assert case.flow(first)["cause"] == "rate_limit.requests"
    second = await case.sdk(case.plan(answer()), sdk=sdk, api=api, key=first.key)
    assert second.outcome == "answer"
    refused, held = case.flows(first)
    assert (len(refused["attempts"]), held["cause"]) == (1, None)
    (ended,), (asked,) = case.received(first), case.received(second)
    assert asked.at - ended.ended_at >= WAIT_SECONDS - 4 * GAP_SECONDS  # the app leaves with the event, before the end
    assert held["queue_ms"] <= (WAIT_SECONDS + SLACK_SECONDS) * 1000


@pytest.mark.parametrize("api", ["chat", "messages"])
async def test_a_stream_that_begins_with_a_refusal_for_speed_is_asked_for_again_when_it_says(
    case: Case, api: Api
) -> None:
    sdk: Any = "anthropic" if api == "messages" else "openai"
    mark = case.plan(stream_of([TOO_FAST[api]], in_order), answer())
    call = await case.sdk(mark, sdk=sdk, api=api, stream=True, max_retries=0)
    assert (call.outcome, call.text) == ("answer", "words" * 3)
    flow = case.flow(call)
    assert (flow["cause"], flow["possible_duplicate"]) == (None, True)
    assert [one["status"] for one in flow["attempts"]] == [200, 200]
    first, second = case.received(call)
    assert second.at - first.at >= WAIT_SECONDS


@pytest.mark.parametrize("api", FACES)
async def test_the_sdk_raises_the_providers_own_words_for_it(case: Case, api: Api) -> None:
    _, error, causes = ERRORS[api]
    face = FACES[api]
    sdk: Any = "anthropic" if api == "messages" else "openai"
    mark = case.plan(stream_of([*face.opening, face.event("words"), error], in_order, gap_seconds=GAP_SECONDS))
    call = await case.sdk(mark, sdk=sdk, api=api, stream=True, max_retries=2)
    assert call.outcome in {"exception", "error"}
    assert (call.text, call.requests) == ("words", 1)
    assert "whygate" not in call.message
    assert case.flow(call)["cause"] in causes
