"""What a rule of the operator covers, and nothing else."""

import hashlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cache.rule import CacheRule, system_sha256, system_text
from gateway.model.call import Call
from tests.gateway.factories import a_call, a_route, with_headers

SYSTEM = "You classify."
HASH = hashlib.sha256(SYSTEM.encode()).hexdigest()
DOCUMENT: dict[str, Any] = {
    "model": "gpt-5",
    "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "x"}],
    "metadata": {"task": "classify", "n": 1, "on": True},
}


def _call(document: dict[str, Any] = DOCUMENT) -> Call:
    return a_call(headers=with_headers(a_call(), (b"x-job", b"nightly-7")), body=orjson.dumps(document))


def _covers(call: Call | None = None, **rule: Any) -> bool:
    call = call or _call()
    return CacheRule(name="r", ttl_seconds=1.0, **rule).covers(call, a_route(call))


def test_a_rule_that_names_nothing_covers_every_call() -> None:
    assert _covers()


@pytest.mark.parametrize(
    ("rule", "other"),
    [
        ({"provider": "openai"}, {"provider": "anthropic"}),
        ({"endpoint": "chat.*"}, {"endpoint": "responses"}),
        ({"model": "gpt-5*"}, {"model": "gpt-4*"}),
        ({"system_sha256": ("0" * 64, HASH)}, {"system_sha256": ("0" * 64,)}),
        ({"header": ((b"x-job", "nightly-*"),)}, {"header": ((b"x-job", "daily"),)}),
        ({"header": ((b"x-job", "*"),)}, {"header": ((b"x-other", "*"),)}),
        ({"match": (("metadata.task", "classify"),)}, {"match": (("metadata.task", "chat"),)}),
        ({"match": (("messages.0.role", "system"),)}, {"match": (("messages.1.role", "system"),)}),
        ({"match": (("metadata.on", True),)}, {"match": (("metadata.on", 1),)}),
        ({"match": (("metadata.n", 1),)}, {"match": (("metadata.n", True),)}),
    ],
)
def test_what_is_named_must_be_so(rule: dict[str, Any], other: dict[str, Any]) -> None:
    assert _covers(**rule)
    assert not _covers(**other)
    assert not _covers(**(other | {name: value for name, value in rule.items() if name not in other}))


@pytest.mark.parametrize(
    "path",
    ["nothing", "metadata.task.deeper", "messages.9.role", "messages.-1.role", "messages.x", "messages.0.0", "²"],
)
def test_a_path_that_leads_nowhere_covers_nothing(path: str) -> None:
    assert not _covers(match=((path, "system"),))


@pytest.mark.parametrize(
    "document",
    [
        {"messages": [{"role": "developer", "content": [{"type": "text", "text": SYSTEM}]}]},
        {"instructions": SYSTEM, "input": "x"},
        {"input": [{"role": "developer", "content": [{"type": "input_text", "text": SYSTEM}]}]},
        {"system": SYSTEM},
        {"system": [{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}]},
        {"systemInstruction": {"parts": [{"text": SYSTEM}]}},
        {"system_instruction": {"parts": {"text": SYSTEM}}},
    ],
)
def test_the_system_prompt_is_found_in_every_protocol(document: dict[str, Any]) -> None:
    assert system_text(document) == SYSTEM
    assert system_sha256(document) == HASH


def test_without_a_system_prompt_there_is_no_hash() -> None:
    assert system_sha256({"messages": [{"role": "user", "content": "x"}]}) == ""
    assert system_sha256(None) == ""


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["messages", "role", "content", "system", "parts", "text", "x"]), inner, max_size=3
        )
    ),
)


def test_a_prompt_that_is_nested_without_end_is_none() -> None:
    assert system_text({"system": orjson.loads(b"[" * 900 + b'"x"' + b"]" * 900)}) == ""


@given(document=st.dictionaries(st.sampled_from(["messages", "input", "system", "systemInstruction"]), _JSON))
def test_any_document_has_some_system_prompt_or_none(document: dict[str, Any]) -> None:
    assert isinstance(system_text(document), str)
