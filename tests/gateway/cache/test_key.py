"""Equal requests have equal keys, and no others have."""

import itertools
import json
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.cache.key import Keys, canonical_json, keys_of
from gateway.model.call import Call, Origin
from gateway.model.route import Route
from gateway.providers.anthropic import PROVIDER as ANTHROPIC
from gateway.providers.gemini import PROVIDER as GEMINI
from tests.gateway.factories import SECRET, a_call, a_route, with_headers

CALL = a_call(headers=with_headers(a_call(), (b"openai-organization", b"org-1"), (b"openai-beta", b"a")))
ROUTE = a_route(CALL)


def _keys(call: Call = CALL, route: Route = ROUTE, *, lent: bool = False) -> Keys:
    return keys_of(call, replace(route, document=None), SECRET, lent=lent)


def _key(call: Call = CALL, route: Route = ROUTE) -> bytes:
    return _keys(call, route).answer


def _with(call: Call, name: bytes, value: bytes) -> Call:
    return replace(call, headers=tuple((n, value if n == name else v) for n, v in call.headers))


def test_the_same_request_has_the_same_key() -> None:
    assert len(_key()) == 32
    assert _key(replace(CALL, id="x" * 26, arrived=5.0, client="10.0.0.1:1")) == _key()


def test_order_of_keys_and_white_space_do_not_matter() -> None:
    body = b'{ "messages" : [{"content":"hello", "role":"user"}],\n"model":"gpt-5"}'
    assert _key(replace(CALL, body=body)) == _key()


def test_headers_that_change_nothing_do_not_matter() -> None:
    more = ((b"user-agent", b"x"), (b"x-stainless-retry-count", b"1"), *CALL.headers, (b"x-request-id", b"7"))
    assert _key(replace(CALL, headers=more)) == _key()


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(replace(CALL, method="PUT"), id="method"),
        pytest.param(replace(CALL, body=CALL.body.replace(b"hello", b"Hello")), id="body"),
        pytest.param(_with(CALL, b"authorization", b"Bearer sk-other"), id="credential"),
        pytest.param(_with(CALL, b"openai-organization", b"org-2"), id="organisation"),
        pytest.param(_with(CALL, b"openai-organization", b""), id="empty organisation"),
        pytest.param(replace(CALL, headers=with_headers(CALL, (b"openai-project", b""))), id="project that is empty"),
        pytest.param(_with(CALL, b"openai-beta", b"b"), id="version"),
        pytest.param(_with(CALL, b"content-type", b"text/plain"), id="content type"),
        pytest.param(replace(CALL, headers=with_headers(CALL, (b"accept", b"text/event-stream"))), id="accept"),
        pytest.param(replace(CALL, headers=with_headers(CALL, (b"accept-encoding", b"gzip"))), id="encoding"),
        pytest.param(replace(CALL, headers=with_headers(CALL, (b"openai-beta", b"a"))), id="a version said twice"),
    ],
)
def test_a_call_that_differs_in_one_field_has_another_key(call: Call) -> None:
    assert _key(call) != _key()


@pytest.mark.parametrize(
    "changes",
    [
        {"tenant": "other"},
        {"key": "00000000"},
        {"scope": "00000000"},
        {"provider": ANTHROPIC},
        {"upstream": Origin("https", "api.openai.com", 8443)},
        {"upstream": Origin("http", "api.openai.com", 443)},
        {"target": b"/v1/chat/completions?a=1"},
    ],
    ids="-".join,
)
def test_a_route_that_differs_in_one_field_has_another_key(changes: dict[str, Any]) -> None:
    assert _key(route=replace(ROUTE, **changes)) != _key()


def test_another_installation_has_other_keys() -> None:
    assert keys_of(CALL, ROUTE, b"another") != keys_of(CALL, ROUTE, SECRET)


def test_of_a_header_that_comes_twice_every_value_counts() -> None:
    """Betas come as one header each; an index of the last would take one request for the other."""
    calls = [
        replace(CALL, headers=with_headers(CALL, (b"openai-beta", one), (b"openai-beta", b"last")))
        for one in (b"x", b"y")
    ]
    assert _key(calls[0]) != _key(calls[1])


def test_what_moves_from_one_part_to_the_next_is_seen() -> None:
    """Lengths stand in front, so a border cannot be moved."""
    routes = [replace(ROUTE, tenant=a, key=b, scope=c) for a, b, c in itertools.permutations(("ab", "a", "b"))]
    keys = [_key(route=route) for route in (*routes, replace(ROUTE, tenant="aba", key="", scope="b"))]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"t":1}', b'{"t":1.0}'),
        (b'{"t":1}', b'{"t":"1"}'),
        (b'{"t":1}', b'{"t":true}'),
        (b'{"t":0}', b'{"t":-0}'),
        (b'{"t":1}', b'{"t":1e0}'),
        (b'{"t":null}', b"{}"),
        (b'{"t":[]}', b'{"t":{}}'),
        (b'{"t":["a","b"]}', b'{"t":["b","a"]}'),
        (b'{"t":["a","b"]}', b'{"t":["ab"]}'),
        (b'{"t":[["a"],"b"]}', b'{"t":["a",["b"]]}'),
        (b'{"a":{"b":1},"c":1}', b'{"a":{"b":1,"c":1}}'),
        (b'{"t":1,"t":2}', b'{"t":2}'),
        (b'{"t":1,"t":2}', b'{"t":2,"t":1}'),
        (b'{"t":NaN}', b'{"t":"NaN"}'),
        (b'{"t":"\\ud800"}', b'{"t":"\\udc00"}'),
        (b'{"t":123456789012345678901}', b'{"t":123456789012345678902}'),
        (b"", b"null"),
        (b'"x"', b"x"),
    ],
)
def test_documents_that_may_mean_different_things_differ(one: bytes, other: bytes) -> None:
    assert canonical_json(one) != canonical_json(other)


def test_a_document_too_deep_to_read_is_compared_byte_for_byte() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    assert canonical_json(deep) == b"raw" + deep


_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)
_DOCUMENTS = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


def _dump(document: object) -> bytes:
    return json.dumps(document, allow_nan=False).encode()


def _strict(node: object) -> object:
    """Give a form in which Python's ``1 == 1.0 == True`` does not hold."""
    match node:
        case dict():
            return "d", frozenset((key, _strict(value)) for key, value in node.items())
        case list():
            return "l", tuple(map(_strict, node))
        case _:
            return type(node).__name__, repr(node)


@given(one=_DOCUMENTS, other=_DOCUMENTS)
@example(one={"a": 1, "b": 2}, other={"b": 2, "a": 1})
@example(one=[1], other=[True])
def test_two_documents_have_one_form_exactly_when_they_are_the_same(one: object, other: object) -> None:
    assert (canonical_json(_dump(one)) == canonical_json(_dump(other))) == (_strict(one) == _strict(other))


@given(document=st.dictionaries(st.text(max_size=3), _DOCUMENTS, max_size=4))
@example(document={"\ue000": 1, "\U00010000": 2})
def test_reading_it_with_what_is_parsed_already_changes_nothing(document: dict[str, object]) -> None:
    """Most bodies are written as the fast parser writes them, and take a shorter way to the same form."""
    try:
        body = orjson.dumps(document)
    except TypeError:
        return
    assert canonical_json(body, orjson.loads(body)) == canonical_json(body)


def test_what_is_parsed_already_hides_no_repeated_key() -> None:
    body = b'{"t":1,"t":2}'
    assert canonical_json(body, orjson.loads(body)) == b"raw" + body


@given(document=st.dictionaries(st.text(max_size=3), _DOCUMENTS, max_size=4), data=st.data())
def test_any_order_of_keys_gives_the_same_form(document: dict[str, object], data: st.DataObject) -> None:
    shuffled = {key: document[key] for key in data.draw(st.permutations(list(document)))}
    assert canonical_json(_dump(document)) == canonical_json(_dump(shuffled))


@given(body=st.binary(max_size=200))
def test_bytes_that_are_no_text_stay_as_they_are(body: bytes) -> None:
    assert canonical_json(b"\xfe" + body) == b"raw\xfe" + body


# answers that a rule lends


LENT = _keys(lent=True)


def test_a_lent_answer_has_one_key_for_every_credential_and_its_own_flight() -> None:
    other = _with(CALL, b"authorization", b"Bearer sk-other")
    keys = _keys(other, replace(ROUTE, key="00000000", scope="11111111"), lent=True)
    assert keys.answer == LENT.answer
    assert keys.flight != LENT.flight


def test_nothing_is_lent_from_one_tenant_to_another() -> None:
    keys = _keys(CALL, replace(ROUTE, tenant="other"), lent=True)
    assert keys.answer != LENT.answer
    assert keys.flight != LENT.flight


def test_no_key_of_what_is_lent_is_one_of_what_is_not() -> None:
    assert LENT.answer != _key()
    assert LENT.flight == _keys().flight


@pytest.mark.parametrize(
    ("call", "changes"),
    [
        pytest.param(replace(CALL, method="PUT"), {}, id="method"),
        pytest.param(replace(CALL, body=CALL.body.replace(b"hello", b"Hello")), {}, id="body"),
        pytest.param(_with(CALL, b"openai-organization", b"org-2"), {}, id="organisation"),
        pytest.param(_with(CALL, b"openai-beta", b"b"), {}, id="version"),
        pytest.param(replace(CALL, headers=with_headers(CALL, (b"accept", b"text/event-stream"))), {}, id="accept"),
        pytest.param(CALL, {"provider": ANTHROPIC}, id="provider"),
        pytest.param(CALL, {"upstream": Origin("https", "api.openai.com", 8443)}, id="upstream"),
        pytest.param(CALL, {"target": b"/v1/chat/completions?a=1"}, id="target"),
    ],
)
def test_a_lent_answer_is_still_one_to_the_same_question(call: Call, changes: dict[str, Any]) -> None:
    assert _keys(call, replace(ROUTE, **changes), lent=True).answer != LENT.answer


def test_a_credential_in_the_query_is_left_out_of_what_is_lent_and_nothing_else_is() -> None:
    def lent(target: bytes) -> bytes:
        return _keys(route=replace(ROUTE, provider=GEMINI, target=target), lent=True).answer

    assert lent(b"/v1beta/m?key=a&alt=sse") == lent(b"/v1beta/m?alt=sse&key=b")
    assert lent(b"/v1beta/m?k%65y=a&alt=sse") == lent(b"/v1beta/m?alt=sse")
    assert lent(b"/v1beta/m?key=a&alt=sse") != lent(b"/v1beta/m?key=a&alt=json")
