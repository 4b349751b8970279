"""What a call means."""

import re
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identify.estimate import Estimates
from gateway.identify.identify import DEFAULT_TIMEOUT_SECONDS, PARSED_BYTES, Identifier
from gateway.identify.locate import Locator
from gateway.model.call import Call, Mode, Origin
from gateway.model.route import Route
from gateway.providers.openai import PROVIDER as OPENAI
from tests.gateway.factories import ANTHROPIC_ORIGIN, OPENAI_ORIGIN, a_call, a_route, an_identifier, with_headers


def _route(target: bytes = b"/v1/chat/completions", *headers: tuple[bytes, bytes], **document: Any) -> Route:
    return a_route(
        a_call(target=target, headers=with_headers(a_call(), *headers), body=orjson.dumps({"model": "m"} | document))
    )


def _messages(*headers: tuple[bytes, bytes], **document: Any) -> Route:
    return a_route(
        a_call(
            origin=ANTHROPIC_ORIGIN,
            target=b"/v1/messages",
            headers=((b"x-api-key", b"sk-ant"), *headers),
            body=orjson.dumps({"model": "m"} | document),
        )
    )


# secrets


def test_a_credential_becomes_a_fingerprint_that_only_the_secret_explains() -> None:
    route = a_route()
    assert re.fullmatch("[0-9a-f]{8}", route.key)
    assert "sk-test" not in repr(route)
    other = Identifier(Locator((OPENAI,)), b"another secret", Estimates()).route(a_call())
    assert other is not None
    assert other.key != route.key


def test_a_call_without_a_credential_says_so() -> None:
    assert a_route(a_call(headers=())).key == "none"
    assert a_route(a_call(headers=((b"authorization", b"Bearer "),))).key == "none"


def test_the_same_key_is_the_same_person_wherever_it_stands() -> None:
    bearer = a_route(
        a_call(origin=ANTHROPIC_ORIGIN, target=b"/v1/messages", headers=((b"authorization", b"Bearer sk-ant"),))
    )
    assert bearer.key == _messages().key


def test_limits_are_counted_by_organisation_and_project_where_they_are_named() -> None:
    plain = _route()
    assert plain.scope == plain.key
    named = [
        _route(b"/v1/chat/completions", (b"openai-organization", a), (b"openai-project", b)).scope
        for a, b in ((b"o", b""), (b"", b"o"), (b"o", b"p"), (b"op", b""))
    ]
    assert len({plain.scope, *named}) == 5


# endpoints


@pytest.mark.parametrize(
    ("target", "name", "pure"),
    [
        (b"/v1/chat/completions", "chat.completions", True),
        (b"/v1/chat/completions/", "chat.completions", True),
        (b"/v1/chat/completions?api-version=1", "chat.completions", True),
        (b"/v1/chat/completions/chatcmpl-1", "chat.completions", False),
        (b"/v1/responses", "responses", True),
        (b"/v1/responses/resp_1/cancel", "responses", False),
        (b"/relay/v1/embeddings", "embeddings", True),
        (b"/v1/files", "files", False),
        (b"/v1/files/v1/chat/completions", "files", False),
        (b"/v1/unheard/of", "other", False),
        (b"/", "other", False),
        (b"", "other", False),
        (b"/v1/chat/completions%2f", "other", False),
        (b"/v1/\xff", "other", False),
    ],
)
def test_only_an_exact_path_is_pure(target: bytes, name: str, pure: bool) -> None:
    route = _route(target)
    assert (route.endpoint.name, route.pure) == (name, pure)


def _configured(target: bytes, *, add: tuple[str, ...] = (), remove: tuple[str, ...] = (), **changes: Any) -> bool:
    identifier = Identifier(Locator((OPENAI,)), b"secret", Estimates(), pure_add=add, pure_remove=remove)
    route = identifier.route(a_call(target=target, **changes))
    assert route is not None
    return route.pure


def test_routes_can_be_added_to_the_pure_ones_and_taken_from_them() -> None:
    chat, audio = b"/v1/chat/completions?x=1", b"/v1/audio/transcriptions"
    assert _configured(chat, add=("openai/v1/audio/*",))
    assert not _configured(chat, remove=("openai/v1/chat/*",))
    assert not _configured(chat, add=("openai/v1/chat/*",), remove=("openai/v1/chat/*",))
    assert not _configured(audio)
    assert _configured(audio, add=("openai/v1/audio/*",), body=b"--boundary")
    assert not _configured(audio, add=("openai/v1/audio/*",), method="GET")
    assert not _configured(audio, add=("anthropic/v1/audio/*",))


def test_a_route_that_was_added_is_not_pure_for_a_call_that_acts() -> None:
    acting = orjson.dumps({"model": "m", "tools": [{"type": "mcp"}]})
    assert not _configured(b"/v1/new", add=("openai/v1/new",), body=acting)


def test_only_a_post_is_pure() -> None:
    assert not a_route(a_call(method="GET")).pure


@pytest.mark.parametrize(
    "document",
    [
        {"background": True},
        {"conversation": "conv_1"},
        {"tools": [{"type": "mcp"}]},
        {"tools": [{"type": "function"}, {"type": "code_interpreter"}]},
        {"tools": [{"type": "computer_use_preview"}]},
        {"tools": [{"type": "image_generation"}]},
    ],
    ids=str,
)
def test_a_response_that_acts_is_not_pure(document: dict[str, Any]) -> None:
    assert not _route(b"/v1/responses", **document).pure


@pytest.mark.parametrize(
    "document",
    [
        {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]},
        {"tools": [{"type": "mcp_toolset", "mcp_server_name": "x"}]},
        {"mcp_servers": [{"type": "url", "url": "https://tools.example"}]},
    ],
    ids=str,
)
def test_a_message_that_lets_the_provider_act_is_not_pure(document: dict[str, Any]) -> None:
    assert not _messages(**document).pure
    assert _messages().pure


@pytest.mark.parametrize(
    "tools", [None, [], "mcp", [7], [{"type": 7}], [{"type": "function"}], [{"type": "web_search"}]]
)
def test_tools_that_the_app_runs_itself_change_nothing(tools: object) -> None:
    assert _route(b"/v1/responses", tools=tools).pure


@pytest.mark.parametrize(
    "changes",
    [
        {"body": b""},
        {"body": b"[1]"},
        {"body": b'{"model":'},
        {"body": b"\x1f\x8b"},
        {"body_complete": False},
        {"body": b'{"model":"m","x":"' + b"x" * PARSED_BYTES + b'"}'},
    ],
    ids=["empty", "a list", "broken", "packed", "still coming", "huge"],
)
def test_what_cannot_be_read_is_not_pure_and_names_no_model(changes: dict[str, Any]) -> None:
    route = a_route(a_call(**changes))
    assert (route.document, route.model, route.pure, route.stream) == (None, "", False, False)


# what is asked


@pytest.mark.parametrize(
    ("model", "group"),
    [
        ("gpt-5-2025-08-07", "gpt-5"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("gpt-5", "gpt-5"),
        ("m-20250929-x", "m-20250929-x"),
        ("x" * 500, "x" * 200),
        (7, ""),
        (None, ""),
    ],
)
def test_a_model_group_is_the_model_without_its_date(model: object, group: str) -> None:
    assert _route(model=model).model_group == group


@pytest.mark.parametrize(
    ("value", "streams"), [(True, True), (False, False), ("true", False), (1, False), (None, False)]
)
def test_only_a_true_asks_for_a_stream(value: object, streams: bool) -> None:
    assert _route(stream=value).stream is streams


def test_tokens_are_estimated_from_the_prompt_and_the_stated_maximum() -> None:
    route = _route(messages=[{"content": "x" * 400}], max_tokens=77, user="y" * 4_000)
    assert (route.input_tokens, route.output_tokens) == (100, 77)
    assert _route(max_completion_tokens=5, max_tokens=77).output_tokens == 5
    assert _route(max_tokens=True).output_tokens == _route(max_tokens=-1).output_tokens == 512
    assert _route(b"/v1/embeddings", input="x").output_tokens == 0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ((), DEFAULT_TIMEOUT_SECONDS),
        (((b"x-stainless-timeout", b"600"),), 600.0),
        (((b"x-stainless-timeout", b"600"), (b"x-stainless-read-timeout", b"20.5")), 20.5),
        (((b"x-stainless-read-timeout", b"20"), (b"x-whygate-timeout-ms", b"1500")), 1.5),
        (((b"x-whygate-timeout-ms", b"soon"), (b"x-stainless-timeout", b"9")), 9.0),
        (((b"x-whygate-timeout-ms", b"-1"),), DEFAULT_TIMEOUT_SECONDS),
        (((b"x-whygate-timeout-ms", b"nan"),), DEFAULT_TIMEOUT_SECONDS),
        (((b"x-whygate-timeout-ms", b"1e999"),), DEFAULT_TIMEOUT_SECONDS),
        (((b"x-whygate-timeout-ms", b"\xff"),), DEFAULT_TIMEOUT_SECONDS),
    ],
)
def test_the_deadline_is_what_the_app_says_most_exactly(
    headers: tuple[tuple[bytes, bytes], ...], seconds: float
) -> None:
    assert _route(b"/v1/chat/completions", *headers).timeout_seconds == seconds


@pytest.mark.parametrize(("value", "count"), [(b"2", 2), (b"-1", 0), (b"x", 0), (b"", 0), (b"9999", 0), (b"\xb2", 0)])
def test_retries_of_the_sdk_are_counted_as_it_says(value: bytes, count: int) -> None:
    assert _route(b"/v1/chat/completions", (b"x-stainless-retry-count", value)).retry_count == count


# the rest


def test_a_call_for_no_provider_has_no_route() -> None:
    assert an_identifier().route(a_call(origin=Origin("https", "example.com", 443))) is None
    assert an_identifier().route(a_call(mode=Mode.BASE_URL, target=b"/nobody/v1")) is None


def test_a_base_url_and_the_proxy_lead_to_the_same_route() -> None:
    local = a_route(a_call(mode=Mode.BASE_URL, target=b"/openai/v1/chat/completions"))
    assert local == a_route()


def test_an_upgrade_goes_where_the_same_request_would() -> None:
    identifier = an_identifier()
    proxied = identifier.place(OPENAI_ORIGIN, b"/v1/realtime?model=x")
    based = identifier.place(None, b"/openai/v1/realtime")
    assert proxied is not None
    assert based is not None
    assert proxied[1:] == (OPENAI_ORIGIN, b"/v1/realtime?model=x")
    assert based[1:] == (OPENAI_ORIGIN, b"/v1/realtime")
    assert identifier.place(None, b"/nobody/v1/realtime") is None
    assert identifier.is_provider("api.anthropic.com", 443)
    assert not identifier.is_provider("api.anthropic.com", 80)


@given(
    target=st.binary(max_size=40),
    body=st.binary(max_size=100)
    | st.dictionaries(
        st.sampled_from(["model", "tools", "stream", "messages", "max_tokens", "temperature"]),
        st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5), st.lists, max_leaves=5),
    ).map(orjson.dumps),
    value=st.binary(max_size=20),
)
def test_identifying_is_total(target: bytes, body: bytes, value: bytes) -> None:
    names = (b"authorization", b"x-whygate-timeout-ms", b"x-stainless-retry-count", b"openai-project")
    call: Call = a_call(target=target, body=body, headers=tuple((name, value) for name in names))
    assert a_route(call).timeout_seconds > 0
