"""Who answers when the provider does not: what is sent there, what the app gets, and what nobody else hears of."""

import asyncio
import ssl
from typing import Any

import aiohttp
import orjson
import pytest

from gateway.egress.breaker import FAILURES_MIN
from gateway.egress.resolve import LoopError
from gateway.egress.send import Outgoing
from gateway.identify.estimate import Estimates
from gateway.identify.identify import Identifier
from gateway.identify.locate import Locator
from gateway.limit.gate import LimitRule
from gateway.model.call import Origin
from gateway.model.cause import Cause
from gateway.model.event import Live
from gateway.model.exchange import Concluded
from gateway.model.failure import Phase
from gateway.model.fallback import Fallback
from gateway.providers.azure_openai import PROVIDER as AZURE
from gateway.providers.gemini import PROVIDER as GEMINI
from gateway.providers.groq import PROVIDER as GROQ
from gateway.providers.openai import PROVIDER as OPENAI
from gateway.record.row import closed_row
from gateway.stages import Stages
from tests.gateway.driver import CHAT, HEADERS, Exchange, ask, nothing_is_held, only_row, until
from tests.gateway.factories import (
    ANTHROPIC_ORIGIN,
    OPENAI_ORIGIN,
    SECRET,
    Answer,
    ScriptedUpstream,
    error_answer,
    json_answer,
    stages,
    stream_answer,
)
from tests.gateway.limit.timed import TimedLoop, timed

LOCAL_ORIGIN = Origin("http", "127.0.0.1", 11_434)
LOCAL = Fallback(name="local", origin=LOCAL_ORIGIN, models=(("gpt-*", "llama3.2"),))
TEXT = Fallback(name="sorry", text="Not just now.")
SCHEME = aiohttp.client_reqrep.ConnectionKey(
    "h", 1, is_ssl=False, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None, server_hostname=None
)
REFUSED = aiohttp.ClientConnectorError(SCHEME, ConnectionRefusedError(111, "Connection refused"))
RESET = ConnectionResetError(104, "Connection reset by peer")
CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}\n\n'
LAST = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
STREAMED = b'{"model":"gpt-5","stream":true,"messages":[{"role":"user","content":"hello"}]}'


def good() -> Answer:
    return json_answer({"choices": [], "usage": {"prompt_tokens": 70, "completion_tokens": 80}})


def down(*script: Answer | Exception | asyncio.Event, **changes: Any) -> Stages:
    """A provider that refuses every connection, with the script behind it."""
    tries = changes.pop("tries", 3)
    values = {"fallbacks": (LOCAL,)} | changes
    return stages(upstream=ScriptedUpstream([REFUSED] * tries + list(script), phase=Phase.CONNECT), **values)


def sent(made: Stages) -> list[Outgoing]:
    """What went to the fallback."""
    assert isinstance(made.upstream, ScriptedUpstream)
    return [one for one in made.upstream.asked if one.origin == LOCAL_ORIGIN]


def evidence(row: Concluded) -> str:
    assert row.diagnosis is not None
    return "\n".join(row.diagnosis.evidence)


# what the app gets


async def test_a_provider_that_cannot_be_reached_is_answered_for_and_the_row_says_both() -> None:
    made = down(good())
    exchange = await ask(made)
    assert (exchange.status, orjson.loads(exchange.body)["choices"]) == (200, [])
    assert exchange.header("x-whygate-fallback") == "local"
    assert exchange.header("x-whygate-cause") == "network.tcp_refused"
    assert exchange.header("x-whygate-fault") == "network"
    assert exchange.header("x-whygate-attempts") == "3", "at the provider"
    for absent in ("x-should-retry", "cache-status", "retry-after", "proxy-status"):
        assert exchange.header(absent) is None
    row = only_row(made)
    assert (row.answered.outcome.fallback, row.cache, row.answered.outcome.complete) == ("local", "none", True)
    assert row.diagnosis is not None
    assert row.diagnosis.cause is Cause.NETWORK_TCP_REFUSED
    assert "the fallback local answered in its place" in row.diagnosis.evidence
    assert [attempt.fallback for attempt in row.answered.attempts] == ["", "", "", "local"]
    stored = closed_row(Live(call=row.answered.admitted.call, route=row.answered.admitted.route), row)
    assert (stored.status, stored.fallback, stored.cause) == (200, "local", "network.tcp_refused")
    assert [attempt.get("fallback", "") for attempt in stored.attempts] == ["", "", "", "local"]
    assert stored.tokens_in is None


async def test_without_one_nothing_changes() -> None:
    made = down(fallbacks=())
    exchange = await ask(made)
    assert (exchange.status, exchange.header("x-whygate-fallback")) == (502, None)
    assert exchange.header("x-should-retry") == "false"
    assert "fallback" not in evidence(only_row(made))


async def test_a_stream_is_relayed_event_by_event_up_to_its_end_mark() -> None:
    more = asyncio.Event()
    made = down(stream_answer(CHUNK, more, LAST))
    exchange = Exchange(made, body=STREAMED)
    await exchange.until(pieces=1)
    assert exchange.body == CHUNK
    more.set()
    assert await exchange.done()
    assert exchange.body == CHUNK + LAST
    assert exchange.header("x-whygate-fallback") == "local"
    assert only_row(made).answered.outcome.complete


@pytest.mark.parametrize("end", [RESET, b""], ids=["reset", "no end mark"])
async def test_a_stream_of_the_fallback_that_breaks_ends_in_one_error_event_that_names_the_fallback(
    end: Exception | bytes,
) -> None:
    made = down(stream_answer(CHUNK, end))
    exchange = Exchange(made, body=STREAMED)
    assert not await exchange.done()
    told = orjson.loads(exchange.body.removeprefix(CHUNK).removeprefix(b"data: "))
    assert told["error"]["message"].startswith("whygate: local: ")
    assert "api.openai.com" not in told["error"]["message"]
    row = only_row(made)
    assert row.diagnosis is not None
    assert (row.diagnosis.cause, row.answered.outcome.complete) == (Cause.NETWORK_TCP_REFUSED, False)
    assert "the fallback local answered in its place, and its answer broke off" in evidence(row)
    nothing_is_held(made)


async def test_the_answer_of_a_fallback_is_nobodys_measure() -> None:
    """No estimate, limit, breaker, budget or history of the provider hears of it."""
    limited = json_answer(
        {"choices": [], "usage": {"prompt_tokens": 70, "completion_tokens": 80}},
        200,
        (b"x-ratelimit-limit-requests", b"1"),
        (b"x-ratelimit-remaining-requests", b"0"),
        (b"x-ratelimit-reset-requests", b"60s"),
    )
    rules = [LimitRule(provider="openai", model="*", tokens_per_minute=100_000)]
    made = down(limited, rules=rules)
    before = made.estimates.tokens_in("gpt-5", 1000, 0)
    await ask(made)
    row = only_row(made)
    assert row.answered.outcome.usage is None
    assert row.answered.outcome.body is None
    assert made.estimates.tokens_in("gpt-5", 1000, 0) == before
    assert made.breaker.why("api.openai.com", row.answered.admitted.route.key)[0] == 3
    again = await ask(down(good(), tries=0, gate=made.gate, fallbacks=()))
    assert (again.status, again.header("x-whygate-queue-ms")) == (200, "0")


async def test_the_place_at_the_provider_is_free_while_the_fallback_answers() -> None:
    more = asyncio.Event()
    made = down(stream_answer(CHUNK, more, LAST), rules=[LimitRule(provider="openai", model="*", concurrency=1)])
    exchange = Exchange(made, body=STREAMED)
    await exchange.until(pieces=1)
    nothing_is_held(made)
    more.set()
    await exchange.done()
    only_row(made)


# what is sent


async def test_only_the_model_of_the_body_changes_and_no_credential_goes_out() -> None:
    """Whatever it is called, and wherever else the app has put the same secret."""
    key = b"sk-proj-aaaaaaaaaaaaaaaaaaaaaaaa"
    headers = (
        (b"host", b"api.openai.com"),
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(CHAT)),
        (b"authorization", b"Bearer " + key),
        (b"openai-organization", b"org-mine"),
        (b"openai-project", b"proj_mine"),
        (b"cookie", b"session=1"),
        (b"x-api-key", b"sk-ant-other"),
        (b"api-key", b"azure"),
        (b"x-goog-api-key", b"AIza"),
        (b"x-goog-user-project", b"mine"),
        (b"chatgpt-account-id", b"mine"),
        (b"x-custom", b"see " + key),
        (b"x-session-kind", b"application"),
        (b"x-stainless-lang", b"python"),
        (b"user-agent", b"OpenAI/Python"),
        (b"x-whygate-timeout-ms", b"60000"),
    )
    body = b'{ "temperature": 0.70, "model":"gpt-5-mini", "messages":[{"role":"user","content":"\\u00e9"}], "seed": 7 }'
    made = down(good())
    await ask(made, body=body, headers=headers, target=b"/v1/chat/completions?beta=true&api_key=" + key)
    (request,) = sent(made)
    assert (request.method, request.target) == ("POST", b"/v1/chat/completions?beta=true")
    names = dict(request.headers)
    hop = names.pop(b"x-whygate-hop")
    assert hop == b"this-gateway"
    assert names == {
        b"host": b"127.0.0.1:11434",
        b"content-type": b"application/json",
        b"content-length": b"%d" % len(request.body),
        b"x-stainless-lang": b"python",
        b"user-agent": b"OpenAI/Python",
    }
    assert orjson.loads(request.body) == {**orjson.loads(body), "model": "llama3.2"}
    assert key not in request.head() + request.body


async def test_every_header_that_a_provider_calls_a_credential_or_an_account_stays_here() -> None:
    from gateway._discover import discover
    from gateway.model.provider import Provider

    known = discover("gateway.providers", "PROVIDER", Provider).values()
    named = {name for one in known for name in (*one.key_headers, *one.scope_headers)}
    made = down(good())
    await ask(made, headers=(HEADERS[0], *((name, b"something") for name in sorted(named))))
    (request,) = sent(made)
    assert named
    assert not named & {name for name, _ in request.headers}


async def test_without_a_table_of_models_the_body_goes_out_as_it_came() -> None:
    made = down(good(), fallbacks=(Fallback(name="relay", origin=LOCAL_ORIGIN),))
    await ask(made)
    assert sent(made)[0].body == CHAT


@pytest.mark.parametrize(
    ("provider", "host", "target", "prefix", "expected"),
    [
        (OPENAI, "api.openai.com", b"/v1/chat/completions", b"/v1", b"/v1/chat/completions"),
        (OPENAI, "api.openai.com", b"/v1/responses", b"/relay", b"/relay/v1/responses"),
        (OPENAI, "api.openai.com", b"/v1/completions", b"/relay/v1", b"/relay/v1/completions"),
        (GROQ, "api.groq.com", b"/openai/v1/chat/completions", b"", b"/v1/chat/completions"),
        (GEMINI, "generativelanguage.googleapis.com", b"/v1beta/openai/chat/completions?key=k", b"", b"/v1/chat/completions"),
        (AZURE, "me.openai.azure.com", b"/openai/v1/chat/completions", b"", b"/v1/chat/completions"),
    ],
)  # fmt: skip
async def test_the_path_is_the_one_that_other_servers_of_the_protocol_have(
    provider: Any, host: str, target: bytes, prefix: bytes, expected: bytes
) -> None:
    identifier = Identifier(Locator((provider,)), SECRET, Estimates())
    there = Fallback(name="local", origin=LOCAL_ORIGIN, prefix=prefix)
    made = down(good(), identifier=identifier, fallbacks=(there,))
    exchange = await ask(
        made, target=target, origin=Origin("https", host, 443), headers=((b"host", host.encode()), *HEADERS[1:])
    )
    assert exchange.status == 200
    assert sent(made)[0].target == expected


async def test_a_message_goes_to_the_same_path_in_its_own_protocol() -> None:
    made = down(good(), fallbacks=(Fallback(name="local", origin=LOCAL_ORIGIN, models=(("*", "qwen3"),)),))
    headers = ((b"host", b"api.anthropic.com"), (b"x-api-key", b"sk-ant-1"), (b"anthropic-version", b"2023-06-01"))
    body = b'{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[]}'
    await ask(made, target=b"/v1/messages", origin=ANTHROPIC_ORIGIN, headers=headers, body=body)
    (request,) = sent(made)
    assert (request.target, orjson.loads(request.body)["model"]) == (b"/v1/messages", "qwen3")
    assert dict(request.headers)[b"anthropic-version"] == b"2023-06-01"


# which calls


@pytest.mark.parametrize(
    ("target", "body"),
    [
        (b"/v1/embeddings", b'{"model":"gpt-embed","input":"x"}'),
        (b"/v1/moderations", b'{"model":"gpt-mod","input":"x"}'),
        (b"/v1/images/generations", b'{"model":"gpt-image-1","prompt":"x"}'),
        (b"/v1/responses/resp_1/cancel", b"{}"),
        (b"/v1/files", b"{}"),
    ],
)
async def test_what_is_not_answered_with_text_never_falls_back(target: bytes, body: bytes) -> None:
    for fallback in (LOCAL, TEXT):
        made = down(good(), fallbacks=(fallback,))
        exchange = await ask(made, target=target, body=body)
        assert (exchange.status, exchange.header("x-whygate-fallback")) == (502, None)
        assert not sent(made)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"body": b'{"model":"o9","messages":[]}'}, "it has no model that stands for o9"),
        ({"body": b'{"messages":[]}'}, "does not name its model"),
        ({"body": b"not json"}, "could not be read"),
        (
            {"target": b"/v1/responses", "body": b'{"model":"gpt-5","input":"x","previous_response_id":"resp_1"}'},
            "continues what only the provider has kept",
        ),
        (
            {"target": b"/v1/responses", "body": b'{"model":"gpt-5","input":"x","tools":[{"type":"mcp"}]}'},
            "this call acts",
        ),
    ],
)
async def test_a_call_that_cannot_be_answered_there_is_not_sent_there_and_the_verdict_says_why(
    changes: dict[str, Any], told: str
) -> None:
    made = down(good())
    exchange = await ask(made, **changes)
    assert (exchange.status, exchange.header("x-whygate-fallback")) == (502, None)
    assert not sent(made)
    assert told in evidence(only_row(made))


@pytest.mark.parametrize(
    ("provider", "host", "target"),
    [
        (GEMINI, "generativelanguage.googleapis.com", b"/v1beta/models/gemini-2.5-flash:generateContent"),
        (AZURE, "me.openai.azure.com", b"/openai/deployments/mine/chat/completions?api-version=1"),
    ],
)
async def test_a_call_whose_path_names_the_model_is_left_to_its_provider(
    provider: Any, host: str, target: bytes
) -> None:
    identifier = Identifier(Locator((provider,)), SECRET, Estimates())
    made = down(good(), identifier=identifier, fallbacks=(Fallback(name="local", origin=LOCAL_ORIGIN),))
    headers = ((b"host", host.encode()), *HEADERS[1:])
    exchange = await ask(made, target=target, origin=Origin("https", host, 443), headers=headers)
    assert exchange.status == 502
    assert not sent(made)
    assert "the fallback local was not asked" in evidence(only_row(made))


async def test_an_upload_that_cannot_be_sent_again_does_not_fall_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.asgi.KEEP_BYTES", 16, raising=False)
    made = down(good(), tries=1)
    exchange = Exchange(made, body=None)
    exchange.upload(b'{"model":"gpt-5","messages":[', more=True)
    for _ in range(300):
        exchange.upload(b" " * 65_536, more=True)
    exchange.upload(b"]}")
    await exchange.done()
    assert exchange.status == 502
    assert not sent(made)
    assert "the request was not kept as a whole" in evidence(only_row(made))


@pytest.mark.parametrize(
    ("answer", "causes", "falls"),
    [
        (error_answer(401, "invalid_api_key"), ("network.*", "service.*", "edge.*"), False),
        (error_answer(429, "insufficient_quota"), ("network.*", "service.*", "edge.*"), False),
        (error_answer(400, "invalid_value"), ("network.*", "service.*", "edge.*"), False),
        (error_answer(500, "server_error"), ("network.*",), False),
        (error_answer(500, "server_error"), ("network.*", "service.*"), True),
    ],
)
async def test_it_answers_for_the_causes_that_it_is_for(answer: Answer, causes: tuple[str, ...], falls: bool) -> None:
    there = Fallback(name="local", origin=LOCAL_ORIGIN, causes=causes)
    script: list[Any] = [answer, answer, answer] if answer.status >= 500 else [answer]
    made = stages(*script, good(), fallbacks=(there,))
    exchange = await ask(made)
    assert (exchange.status == 200) is falls
    assert bool(sent(made)) is falls
    only_row(made)


async def test_a_host_that_is_not_asked_for_a_moment_counts_as_what_it_failed_of() -> None:
    made = down(good(), tries=0)
    key = made.identifier.fingerprint("sk-test")
    for _ in range(FAILURES_MIN):
        made.breaker.failed("api.openai.com", key, made.clock.now(), Cause.NETWORK_TCP_REFUSED)
    exchange = await ask(made)
    assert (exchange.status, exchange.header("x-whygate-fallback")) == (200, "local")
    assert exchange.header("x-whygate-cause") == "proxy.circuit_open"
    assert exchange.header("x-whygate-attempts") == "0"
    assert exchange.header("retry-after") is None
    assert only_row(made).answered.outcome.fallback == "local"


async def test_a_fallback_that_fails_while_the_host_is_not_asked_is_told_with_the_refusal() -> None:
    made = down(REFUSED, tries=0)
    key = made.identifier.fingerprint("sk-test")
    for _ in range(FAILURES_MIN):
        made.breaker.failed("api.openai.com", key, made.clock.now(), Cause.NETWORK_TCP_REFUSED)
    exchange = await ask(made)
    assert (exchange.status, exchange.header("x-whygate-cause")) == (503, "proxy.circuit_open")
    assert exchange.header("x-whygate-fallback") is None
    assert "the fallback local was asked, too, and gave no answer" in evidence(only_row(made))


async def test_the_first_that_fits_counts_and_no_other_is_tried() -> None:
    for_others = Fallback(name="others", provider="anthropic", text="no")
    for_o = Fallback(name="o", model="o*", text="no")
    made = down(REFUSED, fallbacks=(for_others, for_o, LOCAL, TEXT))
    exchange = await ask(made)
    assert exchange.status == 502
    assert len(sent(made)) == 1
    assert "the fallback local was asked" in evidence(only_row(made))


# a fallback that fails


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (REFUSED, "gave no answer: [Errno 111] Connection refused"),
        (error_answer(404, None, "model 'llama3.2' not found"), "status 404: model 'llama3.2' not found"),
        (
            Answer(404, ((b"content-type", b"text/plain"),), (b"404 page not found\n",)),
            "status 404: 404 page not found",
        ),
        (LoopError("it would reach this gateway itself"), "gave no answer: it would reach this gateway itself"),
        (Answer(status=302, headers=((b"location", b"http://elsewhere/"),)), "an error, status 302"),
        (Answer(headers=((b"content-type", b"text/html"),), pieces=(b"<html>hello</html>",)), "an error, status 200"),
        (json_answer({"error": {"message": "out of memory"}}), "status 200: out of memory"),
        (Answer(pieces=(b'{"choi', RESET)), "gave no answer"),
        (stream_answer(), "gave no answer: it ended before its first event"),
        (stream_answer(b'data: {"error":{"message":"out of memory"}}\n\n'), "with an error, status 200"),
    ],
)
async def test_a_fallback_that_fails_changes_nothing_but_a_line_of_evidence(
    answer: Answer | Exception, told: str
) -> None:
    made = down(answer)
    exchange = await ask(made)
    assert (exchange.status, exchange.header("x-whygate-fallback")) == (502, None)
    assert exchange.header("x-whygate-cause") == "network.tcp_refused"
    assert exchange.header("x-whygate-attempts") == "3"
    row = only_row(made)
    assert told in evidence(row)
    assert row.answered.outcome.fallback == ""
    assert [attempt.fallback for attempt in row.answered.attempts] == ["", "", "", "local"]
    if isinstance(answer, Answer):
        assert answer.aborted


async def test_what_the_provider_said_is_given_byte_for_byte_when_the_fallback_fails() -> None:
    there = Fallback(name="local", origin=LOCAL_ORIGIN, causes=("service.*",))
    refusals = [error_answer(500, "server_error", f"no {number}") for number in range(3)]
    said = refusals[2].pieces[0]
    made = stages(*refusals, REFUSED, fallbacks=(there,))
    exchange = await ask(made)
    assert (exchange.status, exchange.body) == (500, said)
    assert "gave no answer" in evidence(only_row(made))


def test_a_fallback_that_says_nothing_is_waited_for_no_longer_than_its_time() -> None:
    async def main(loop: TimedLoop) -> None:
        never = asyncio.Event()
        there = Fallback(name="slow", origin=LOCAL_ORIGIN, timeout_seconds=7.0)
        made = down(never, good(), clock=loop, sleep=asyncio.sleep, fallbacks=(there,))
        began = loop.now()
        exchange = await ask(made)
        assert exchange.status == 502
        assert 7.0 <= loop.now() - began < 12.0
        assert "gave no answer: its answer did not begin within 7 s" in evidence(only_row(made))

    timed(main)


# an app that leaves


@pytest.mark.parametrize("when", ["before its head", "inside its stream"])
async def test_an_app_that_hangs_up_gives_everything_back(when: str) -> None:
    never = asyncio.Event()
    answer = stream_answer(CHUNK, never, LAST)
    made = down(*([never] if when == "before its head" else []), answer)
    exchange = Exchange(made, body=STREAMED)
    if when == "before its head":
        await until(lambda: sent(made))
    else:
        await exchange.until(pieces=1)
    exchange.hang_up()
    await exchange.done()
    row = only_row(made)
    assert row.answered.outcome.client_left
    assert [attempt.fallback for attempt in row.answered.attempts] == ["", "", "", "local"]
    assert all(attempt.failure is not None for attempt in row.answered.attempts[:3])
    assert answer.aborted is (when == "inside its stream")


# a text


@pytest.mark.parametrize("stream", [False, True])
async def test_a_text_is_given_as_the_model_would_give_it(stream: bool) -> None:
    made = down(fallbacks=(TEXT,))
    exchange = await ask(made, body=STREAMED if stream else CHAT)
    assert exchange.status == 200
    assert exchange.header("x-whygate-fallback") == "sorry"
    assert exchange.header("content-length") == str(len(exchange.body))
    kind = exchange.header("content-type") or ""
    assert kind.startswith("text/event-stream" if stream else "application/json")
    assert b"Not just now." in exchange.body
    assert exchange.body.endswith(b"data: [DONE]\n\n") is stream
    row = only_row(made)
    assert (row.answered.outcome.fallback, len(row.answered.attempts)) == ("sorry", 3)
    assert "the fallback sorry answered in its place" in evidence(row)


async def test_gemini_has_its_text_although_its_path_names_the_model() -> None:
    identifier = Identifier(Locator((GEMINI,)), SECRET, Estimates())
    made = down(identifier=identifier, fallbacks=(TEXT,))
    host = b"generativelanguage.googleapis.com"
    exchange = await ask(
        made,
        target=b"/v1beta/models/gemini-2.5-flash:streamGenerateContent",
        origin=Origin("https", host.decode(), 443),
        headers=((b"host", host), *HEADERS[1:]),
        body=b'{"contents":[]}',
    )
    assert exchange.status == 200
    (chunk,) = orjson.loads(exchange.body)
    assert chunk["candidates"][0]["content"]["parts"][0]["text"] == "Not just now."
    assert chunk["modelVersion"] == "gemini-2.5-flash"


async def test_a_certificate_that_is_refused_counts_as_the_network() -> None:
    error = aiohttp.ClientConnectorCertificateError(
        SCHEME, ssl.SSLCertVerificationError(1, "certificate verify failed: certificate has expired")
    )
    made = stages(upstream=ScriptedUpstream([error, error, error, good()], phase=Phase.TLS), fallbacks=(LOCAL,))
    exchange = await ask(made, origin=OPENAI_ORIGIN)
    assert exchange.header("x-whygate-fallback") == "local"
    assert (exchange.header("x-whygate-cause") or "").startswith("network.tls_")
    only_row(made)
