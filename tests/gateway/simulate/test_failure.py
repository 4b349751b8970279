"""Failures as data: every file is good, and is answered as it says."""

import importlib
from importlib import resources

import anthropic
import openai
import orjson
import pytest

from gateway.simulate import SimulatorConfig, build, known_failures
from gateway.simulate.failure import Behaviour, UnknownFailureError, asked_failure, find
from gateway.simulate.provider import Provider
from gateway.simulate.routes import all_faces
from tests.gateway.simulate.world import KEY, Start, ask, chat_body


def shown() -> list[tuple[str, Provider]]:
    """Return every cause with every provider that shows it."""
    pairs = []
    for cause in known_failures():
        for provider in Provider:
            try:
                find(cause, provider)
            except UnknownFailureError:
                continue
            pairs.append((cause, provider))
    return pairs


ANSWERED = [pair for pair in shown() if find(*pair).behaviour is Behaviour.ANSWER]


@pytest.mark.parametrize("cause", known_failures())
def test_every_file_is_a_cause_of_the_closed_set(cause: str) -> None:
    """A failure file cannot invent a verdict."""
    causes = importlib.import_module("gateway.model.cause")
    assert causes.Cause(cause).value == cause


@pytest.mark.parametrize(("cause", "provider"), shown())
def test_every_file_names_its_source_and_can_be_performed(cause: str, provider: Provider) -> None:
    """Each table says where its wording comes from and has what its behaviour needs."""
    failure = find(cause, provider)
    assert failure.source
    if failure.behaviour in {Behaviour.ANSWER, Behaviour.ERROR_EVENT}:
        assert failure.status is not None
        assert failure.body
    if "json" in failure.content_type and failure.body and failure.behaviour is not Behaviour.MALFORMED_HEAD:
        values = {"request_id": 'a"b', "model": 'm"\\', "key": "k", "reset_unix": "1", "ray": "r"}
        assert orjson.loads(failure.rendered_body(values))


@pytest.mark.parametrize("provider", list(Provider))
@pytest.mark.parametrize(
    "cause",
    [
        "request.invalid_url",
        "request.method_not_allowed",
        "auth.missing_key",
        "auth.malformed_header",
        "auth.invalid_key",
        "request.unsupported_media_type",
        "request.invalid_json",
        "request.missing_parameter",
        "request.invalid_parameter",
        "request.model_not_found",
        "request.payload_too_large",
        "rate_limit.requests",
        "rate_limit.tokens",
        "rate_limit.concurrency",
    ],
)
def test_what_is_refused_unasked_is_in_every_envelope(provider: Provider, cause: str) -> None:
    """The simulator's own refusals have a file for each provider."""
    assert find(cause, provider).cause == cause


def test_what_a_query_must_hold_is_refused_in_its_envelope() -> None:
    """The causes that faces name exist for their providers."""
    for face in all_faces():
        for cause in face.required_query.values():
            assert find(cause, face.provider).cause == cause


@pytest.mark.parametrize(
    ("cause", "path"),
    [
        ("rate_limit.requests", ["error", "details", 0, "violations", 0, "quotaId"]),
        ("auth.invalid_key", ["error", "details", 0, "reason"]),
    ],
)
def test_googles_details_are_where_its_clients_look(cause: str, path: list[str | int]) -> None:
    """What tells two causes of one status apart stands in the details."""
    found = orjson.loads(find(cause, Provider.GEMINI).rendered_body({"model": "m"}))
    for step in path:
        found = found[step]
    assert found in {"GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "API_KEY_INVALID"}


def test_a_table_can_be_like_another() -> None:
    """What Azure relays is written once, and only its source is its own."""
    relayed, original = (find("request.context_length", one) for one in (Provider.AZURE, Provider.OPENAI))
    assert (relayed.status, relayed.body) == (original.status, original.body)
    assert relayed.source != original.source


def test_no_shipped_file_is_left_out() -> None:
    """Every TOML file of the package is a known failure."""
    folder = resources.files("gateway.simulate").joinpath("failures")
    names = {entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")}
    assert names == set(known_failures())


@pytest.mark.parametrize(("cause", "provider"), ANSWERED)
async def test_every_answer_comes_as_declared(start: Start, cause: str, provider: Provider) -> None:
    """Asked for by the model's name, a failure shows its status, its headers and a body with no open placeholder."""
    failure = find(cause, provider)
    http = await (await start()).http()
    path, headers, body = ask(provider, f"simulate:{cause}")
    answer = await http.post(path, json=body, headers=headers)
    assert answer.status_code == failure.status
    assert {name for name, _ in failure.headers} <= set(answer.headers)
    assert answer.headers["content-type"] == failure.content_type
    assert "$" not in answer.text
    assert len(answer.headers.get_list("server")) <= 1
    if "json" in failure.content_type:
        assert answer.json()["error"]


@pytest.mark.parametrize("stream", [False, True])
async def test_the_header_asks_like_the_model_does(start: Start, stream: bool) -> None:
    """A call with any model fails when the header names a cause, streamed or not."""
    http = await (await start()).http()
    headers = {"x-simulate": "quota.exhausted"}
    answer = await http.post("/v1/chat/completions", json=chat_body(stream=stream), headers=headers)
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "insufficient_quota"


async def test_the_header_reaches_routes_that_have_no_face(start: Start) -> None:
    """An upload can be made to fail, and succeeds once it failed often enough."""
    http = await (await start()).http()
    headers = {"x-simulate": "service.server_error?times=1"}
    answers = [await http.post("/v1/files", content=b"bytes", headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [500, 200]


async def test_times_counts_per_key_model_and_body(start: Start) -> None:
    """Only the first calls of one and the same request fail; another key starts from the beginning."""
    http = await (await start()).http()

    async def status(text: str, key: str = KEY) -> int:
        body = chat_body(text, model="simulate:service.overloaded?times=2")
        answer = await http.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})
        return answer.status_code

    assert [await status("a") for _ in range(4)] == [503, 503, 200, 200]
    assert await status("b") == 503
    assert await status("a", key="sk-second-key") == 503


async def test_the_official_client_gets_over_one_overload(start: Start) -> None:
    """A retrying client meets the failure once and succeeds at its second attempt."""
    world = await start()
    client = await world.openai(retries=1)
    answer = await client.chat.completions.create(**chat_body(model="simulate:service.overloaded?times=1"))  # type: ignore[call-overload]
    assert answer.choices[0].finish_reason == "stop"
    rows = world.simulator.ledger.rows
    assert [(row.status, row.billable, row.retry_count) for row in rows] == [(503, False, 0), (200, True, 1)]


@pytest.mark.parametrize(
    "request_text",
    [
        "no.such_cause",
        "",
        "quota.exhausted?times=x",
        "quota.exhausted?times=-1",
        "quota.exhausted?colour=red",
        "quota.exhausted?behaviour=dance",
        "request.api_version",
    ],
)
async def test_an_unknown_failure_is_refused(start: Start, request_text: str) -> None:
    """A mistyped request is never answered as if all were well."""
    client = await (await start()).openai()
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(**chat_body(model=f"simulate:{request_text}"))  # type: ignore[call-overload]
    assert caught.value.code == "simulate_misuse"
    if "?" not in request_text:
        assert f"Cannot simulate {request_text!r} as openai." in caught.value.message
        assert "whygate explain" in caught.value.message


async def test_anthropic_is_told_of_misuse_in_its_own_shape(start: Start) -> None:
    """The other client can read it as well."""
    client = await (await start()).anthropic()
    with pytest.raises(anthropic.BadRequestError, match=r"Perhaps service\.overloaded"):
        await client.messages.create(
            model="simulate:service.overload", max_tokens=9, messages=[{"role": "user", "content": "x"}]
        )


async def test_every_nth_call_fails_by_schedule(start: Start) -> None:
    """With fail_every = 3 the third and the sixth call fail, and nothing else does."""
    http = await (await start(fail_every=3)).http()
    answers = [await http.post("/v1/chat/completions", json=chat_body()) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200, 200, 503, 200, 200, 503]


async def test_a_schedule_spares_providers_that_do_not_fail_so(start: Start) -> None:
    """A cause that only some providers show befalls their calls alone, and is no mistake."""
    http = await (await start(fail_every=1, fail_cause="account.verification")).http()
    statuses = []
    for provider in (Provider.OPENAI, Provider.GEMINI):
        path, headers, body = ask(provider, "gpt-4o")
        statuses.append((await http.post(path, json=body, headers=headers)).status_code)
    assert statuses == [400, 200]


async def test_a_scheduled_failure_keeps_to_its_times(start: Start) -> None:
    """With times=1 no call meets the schedule twice, so that a retry is sure to get through."""
    http = await (await start(fail_every=1, fail_cause="service.overloaded?times=1")).http()
    bodies = [chat_body("one"), chat_body("one"), chat_body("two"), chat_body("one"), chat_body("two")]
    answers = [await http.post("/v1/chat/completions", json=body) for body in bodies]
    assert [answer.status_code for answer in answers] == [503, 200, 503, 200, 200]


def test_a_schedule_with_an_unknown_cause_is_refused_at_once() -> None:
    """A mistake in the configuration does not wait for the n-th call."""
    with pytest.raises(UnknownFailureError):
        build(SimulatorConfig(fail_every=2, fail_cause="no.such_cause"))


def test_a_cause_that_is_misspelt_is_answered_with_those_that_are_spelt_alike() -> None:
    with pytest.raises(UnknownFailureError, match=r"Perhaps service\.overloaded.*\? All causes"):
        find("provider.overloaded", Provider.OPENAI)


def test_parameters_override_the_file() -> None:
    """What stands behind the question mark wins."""
    failure = asked_failure("network.stream_interrupted?after_events=1&seconds=2.5&behaviour=reset", Provider.OPENAI)
    assert (failure.after_events, failure.seconds, failure.behaviour) == (1, 2.5, Behaviour.RESET)
