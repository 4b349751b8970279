"""What the path expects of every provider. A test module of a provider subclasses this and adds what is its own."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.model.call import Headers, Origin
from gateway.model.cause import Cause
from gateway.model.provider import Declared, Provider, StatedLimit, StreamNews, StreamShape, Usage

Stated = tuple[str, int | None, int | None, float | None, float | None]
"""A `StatedLimit` as a plain tuple."""

LINE_ENDS = (b"\n", b"\r\n", b"\r")
# The contract's tests run in subclasses, and many of these share their code.
_inherited = settings(suppress_health_check=[HealthCheck.differing_executors], max_examples=50)
_WORDS = st.text(max_size=60)
_NAMES = (
    *(
        "error",
        "type",
        "code",
        "message",
        "usage",
        "details",
        "input_tokens",
        "response",
        "detail",
        "loc",
        "msg",
        "status",
    ),
    *("metadata", "raw", "object", "reason", "violations", "quotaId", "quotaValue", "innererror", "statusCode"),
    *("headers", "X-RateLimit-Limit", "X-RateLimit-Reset", "quota_limit", "quota_limit_value"),
    *("usageMetadata", "promptTokenCount", "candidates", "finishReason", "promptFeedback", "blockReason"),
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | _WORDS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(_NAMES) | _WORDS,
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


STRANGERS = (
    b"",
    b"{}",
    b"[]",
    b"[[]]",
    b"null",
    b'"error"',
    b"<html>error</html>",
    b'{"error":[1]}',
    b'{"error":null}',
    b'{"id":"chatcmpl-1","choices":[{"message":{"content":"error"}}]}',
    b'{"candidates":[{"content":{"parts":[{"text":"error"}]}}]}',
)
_TARGETS = st.lists(
    st.sampled_from(
        [
            b"/",
            b"v1",
            b"v1beta",
            b"openai",
            b"deployments",
            b"models",
            b":",
            b"?",
            b"alt=sse",
            b"&",
            b"upload",
            b"a",
            b"%",
        ]
    ),
    max_size=12,
).map(b"".join)
_VALUES = st.binary(max_size=30) | st.sampled_from(
    (
        *(b"0", b"-1", b"500", b"9" * 13, b"9" * 400, b"6m0s", b"20ms", b"1h1m1s1ms", b"1e9", b"inf", b"nan", b"s"),
        *(b"2026-11-20T10:00:00Z", b"9999-12-31T23:59:59+23:59", b"Fri, 20 Nov 2026 09:59:50 GMT", b"1795168800000"),
    )
)


_ANSWERED = ((b"date", b"Fri, 20 Nov 2026 10:00:00 GMT"),)
KINDS = {"requests", "tokens", "input_tokens", "output_tokens", "concurrency"}
SAYINGS = st.lists(
    st.sampled_from(
        (
            *("Limit", "limit:", "rate limit of", "Used", "Requested", "Remaining:", "RPM", "(TPM):", "tokens per min"),
            *("requests", "/", "min", "per", "second", "max concurrency:", "concurrent requests", "Limit type:", "."),
            *("Current limit:", "(actual/limit):", "5/4", "0.6", "0", "40,000", "10k", "9" * 13, "1,2,3", "upgrade"),
            *(
                "Quota exceeded for metric: a/b_requests, limit:",
                "1分钟内最多请求60次",
                "每天",
                "次",
                "free-models-per-day",
            ),
        )
    ),
    max_size=14,
).map(" ".join)


def _worded(message: str) -> bytes:
    return orjson.dumps({"error": {"message": message, "type": "requests"}})


def sane(stated: StatedLimit) -> None:
    """Whatever stood in an answer: this is a limit that somebody could mean."""
    assert stated.kind in KINDS
    assert stated.limit is not None or stated.remaining is not None
    assert stated.limit is None or 0 < stated.limit <= 10**12
    assert stated.remaining is None or 0 <= stated.remaining <= 10**12
    assert stated.reset_seconds is None or 0 <= stated.reset_seconds < 10**7
    assert stated.window_seconds is None or 0 < stated.window_seconds < 10**7


class ProviderContract(ABC):
    """Subclasses give the provider and bodies in the shapes it has been seen to send.

    Attributes:
        errors: status and body -> the cause that they mean.
        streams: endpoint -> the events of a whole answer, the last of which is the end mark.
        finish: endpoint -> an event that announces the end without being its mark, None when there is none.
        failures: endpoint -> an error event of the provider's own.
        usages: bodies or events -> what they say about tokens.
        targets: path and query -> the endpoint's name and the model that the path names.
        limits: headers of an answer -> what they state.
        refusals: body of a 429 -> what its words state.
        strangers: Bodies that are nobody's envelope.
        has_hosts: False for a protocol that has no provider of its own.
    """

    provider: ClassVar[Provider]
    errors: ClassVar[tuple[tuple[int, bytes, Cause], ...]]
    streams: ClassVar[Mapping[str, tuple[bytes, ...]]]
    finish: ClassVar[Mapping[str, bytes | None]]
    failures: ClassVar[Mapping[str, bytes]]
    usages: ClassVar[tuple[tuple[bytes, Usage | None], ...]]
    targets: ClassVar[tuple[tuple[bytes, str, str], ...]]
    limits: ClassVar[tuple[tuple[Headers, tuple[Stated, ...]], ...]] = ()
    refusals: ClassVar[tuple[tuple[bytes, tuple[Stated, ...]], ...]] = ()
    strangers: ClassVar[tuple[bytes, ...]] = (*STRANGERS, b'{"error": "no"}', b'{"message": "no"}')
    has_hosts: ClassVar[bool] = True

    # names

    def test_its_name_fits_in_a_base_url_and_its_hosts_are_lower_case(self) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9_-]*", self.provider.name)
        assert bool(self.provider.hosts) is self.has_hosts
        assert all(host == host.lower() and "/" not in host for host in self.provider.hosts)
        assert all(re.fullmatch(r"[A-Z0-9_]+", name) for name in self.provider.base_url_variables)

    def test_a_host_pattern_has_its_star_in_front_and_a_label_fits_in_it(self) -> None:
        for host in self.provider.hosts:
            assert host.removeprefix("*.").count("*") == 0
            assert "." in host.removeprefix("*.")
        if resource := self.provider.resource_host:
            assert resource.format("*") in self.provider.hosts

    def test_all_header_names_are_written_in_lower_case(self) -> None:
        provider = self.provider
        names = (
            *provider.key_headers,
            *provider.scope_headers,
            *provider.version_headers,
            *provider.request_id_headers,
            *provider.account_headers,
        )
        assert provider.key_headers
        assert all(name == name.lower() for name in names)

    def test_endpoints_are_paths_below_the_host_with_names_of_their_own(self) -> None:
        endpoints = self.provider.endpoints
        assert all(path.startswith("/") and not path.endswith("/") for path in endpoints)
        names = [endpoint.name for endpoint in endpoints.values()]
        assert sorted(set(names)) == sorted(names)

    def test_what_streams_also_says_where_its_prompt_stands(self) -> None:
        for endpoint in self.provider.endpoints.values():
            assert endpoint.stream is None or endpoint.prompt_fields

    def test_a_path_names_its_endpoint_and_its_model(self) -> None:
        endpoints = self.provider.endpoints
        for target, name, model in self.targets:
            named = self.provider.name_target(target)
            endpoint = endpoints.get(named.path)
            assert (target, endpoint.name if endpoint else "other", named.model) == (target, name, model)

    @_inherited
    @given(target=st.binary(max_size=80) | _TARGETS)
    def test_naming_a_target_is_total(self, target: bytes) -> None:
        named = self.provider.name_target(target)
        assert isinstance(named.path, str)
        assert isinstance(named.model, str)

    # limits

    def test_limits_are_read_from_recorded_headers(self) -> None:
        for headers, stated in self.limits:
            assert self.provider.read_limits(headers) == stated

    @_inherited
    @given(data=st.data())
    def test_reading_limits_is_total_and_says_nothing_absurd(self, data: st.DataObject) -> None:
        known = sorted({name for headers, _ in self.limits for name, _ in headers} | {b"date", b"x-ratelimit-limit"})
        headers = data.draw(st.lists(st.tuples(st.sampled_from(known), _VALUES), max_size=8).map(tuple))
        for stated in self.provider.read_limits(headers):
            sane(stated)

    def test_a_limit_of_none_at_all_is_no_statement(self) -> None:
        for headers, _ in self.limits:
            nothing = tuple((name, b"0" if b"limit" in name and value.isdigit() else value) for name, value in headers)
            assert not [one for one in self.provider.read_limits(nothing) if one.limit == 0]

    def test_an_answer_without_limits_states_none(self) -> None:
        assert self.provider.read_limits(((b"date", b"Fri, 20 Nov 2026 10:00:00 GMT"), (b"server", b"x"))) == ()

    # refusals

    def test_limits_are_read_from_the_words_of_a_refusal(self) -> None:
        for body, stated in self.refusals:
            assert self.provider.read_refusal(body, _ANSWERED) == stated, body

    @_inherited
    @given(body=st.binary(max_size=300) | _JSON.map(orjson.dumps) | SAYINGS.map(_worded) | SAYINGS.map(str.encode))
    def test_reading_a_refusal_is_total_and_says_nothing_absurd(self, body: bytes) -> None:
        for stated in self.provider.read_refusal(body, _ANSWERED):
            sane(stated)

    # errors

    def test_each_recorded_error_has_the_cause_that_its_documentation_gives(self) -> None:
        said = [(status, body, self._cause(status, body)) for status, body, _ in self.errors]
        assert list(self.errors) == said

    def test_every_declared_code_is_recognised_in_the_providers_own_envelope(self) -> None:
        for (status, code), cause in self.provider.declared.items():
            word, _, kind = code.partition("/")
            declared = self.provider.read_error(self._envelope(word, kind))
            assert declared is not None
            assert word in (declared.code, declared.type)
            assert self.provider.refine(status, cause, declared) is cause

    def test_an_error_of_ours_reads_like_one_of_the_provider(self) -> None:
        for status in (400, 401, 403, 404, 413, 421, 429, 500, 502, 503, 504, 508):
            body = self.provider.write_error(status, "proxy.queue_full", "whygate: it is full")
            declared = self.provider.read_error(body)
            assert declared is not None
            assert declared.message == "whygate: it is full"
            assert b'"proxy.queue_full"' in body

    def test_no_slug_of_ours_is_mistaken_for_a_code_of_the_provider(self) -> None:
        assert not {code for _, code in self.provider.declared} & {cause.value for cause in Cause}

    def test_a_refused_limit_is_no_failure_of_the_service(self) -> None:
        for (status, _), cause in self.provider.declared.items():
            assert status != 429 or cause.value.startswith(("rate_limit.", "quota.", "service."))
        assert self.provider.by_status[429].value.startswith("rate_limit.")

    @_inherited
    @given(body=st.binary(max_size=300) | _JSON.map(orjson.dumps), status=st.integers(0, 999))
    def test_reading_an_error_is_total(self, body: bytes, status: int) -> None:
        declared = self.provider.read_error(body)
        if declared is not None:
            assert all(isinstance(word, str) for word in declared)
            self.provider.refine(status, None, declared)

    @_inherited
    @given(words=st.tuples(_WORDS, _WORDS, _WORDS, _WORDS), status=st.integers(0, 999))
    def test_refining_is_total_and_keeps_what_it_does_not_know(
        self, words: tuple[str, str, str, str], status: int
    ) -> None:
        found = self.provider.refine(status, Cause.UNKNOWN, Declared(*words))
        assert isinstance(found, Cause)

    def test_what_is_no_envelope_is_not_taken_for_one(self) -> None:
        for body in self.strangers:
            assert self.provider.read_error(body) is None, body

    # usage

    def test_usage_is_read_from_each_recorded_body(self) -> None:
        for body, usage in self.usages:
            assert self.provider.read_usage(orjson.loads(body)) == usage

    def test_usage_inside_a_stream_stands_in_a_field_that_is_looked_for(self) -> None:
        for _, events in self._streams():
            for event in events:
                data = event.partition(b"data: ")[2].strip()
                if data.startswith(b"{") and self.provider.read_usage(orjson.loads(data)) is not None:
                    assert any(field + b":{" in data for field in self.provider.usage_fields)

    @_inherited
    @given(
        document=st.dictionaries(st.sampled_from(["usage", "message", "response", "usageMetadata"]), _JSON, max_size=3)
    )
    def test_reading_usage_is_total_and_never_negative(self, document: dict[str, object]) -> None:
        usage = self.provider.read_usage(document)
        if usage is not None:
            assert all(count is None or (type(count) is int and count >= 0) for count in usage)

    # streams

    def test_a_recorded_stream_ends_at_its_mark_and_not_before(self) -> None:
        for shape, events in self._streams():
            for end in LINE_ENDS:
                *before, last = (event.replace(b"\n", end) for event in events)
                assert [shape.read(event) for event in before] == [StreamNews.GOING] * len(before)
                for piece in (last, b"".join((*before, last))):
                    news = shape.read(piece)
                    assert news is StreamNews.ENDED or (news is StreamNews.GOING and shape.finished(piece))

    def test_a_finish_reason_announces_the_end(self) -> None:
        for name, event in self.finish.items():
            shape, events = self._shape(name), self.streams[name]
            before = b"".join(events[:1])
            assert not shape.finished(before)
            if event is not None:
                assert shape.finished(event)
                assert shape.finished(before + event)

    def test_an_error_event_of_the_provider_is_a_failure(self) -> None:
        for name, event in self.failures.items():
            shape = self._shape(name)
            for end in LINE_ENDS:
                assert shape.read(event.replace(b"\n", end)) is StreamNews.FAILED
            assert shape.read(self.streams[name][0] + event) is StreamNews.FAILED

    def test_an_error_event_of_ours_is_one_whole_event_that_reads_as_a_failure(self) -> None:
        for name in self.streams:
            shape = self._shape(name)
            event = shape.error_event("network.stream_interrupted", 'it said "no"\r\nand left', 7)
            assert event.endswith(b"\n\n")
            assert event.count(b"\n\n") == 1
            assert b"\r" not in event
            assert shape.read(event) is StreamNews.FAILED
            data = orjson.loads(event.partition(b"data: ")[2])
            assert b'"network.stream_interrupted"' in event
            assert data["error"]["message"] == 'it said "no"\r\nand left'

    def test_a_model_may_talk_about_marks_and_errors(self) -> None:
        """Words inside an answer are not the protocol."""
        talk = (
            'data: [DONE]\n\nevent: error\n\n"error": {"finish_reason": "stop"} "stop_reason": "x" response.completed'
        )
        for name in self.streams:
            event = b'event: x\ndata: {"text": ' + orjson.dumps(talk) + b"}\n\n"
            assert self._shape(name).read(event) is StreamNews.GOING
            assert not self._shape(name).finished(event)

    @_inherited
    @given(events=st.binary(max_size=300))
    def test_reading_events_is_total(self, events: bytes) -> None:
        for name in self.streams:
            shape = self._shape(name)
            assert shape.read(events) in StreamNews
            assert shape.finished(events) in {True, False}

    def test_the_upstream_of_a_base_url_is_a_plain_origin(self) -> None:
        for host in self.provider.hosts:
            assert str(Origin("https", host, 443)) == f"https://{host}"

    @abstractmethod
    def _envelope(self, code: str, kind: str) -> bytes:
        """Give an error with this code and type as the provider writes it."""

    def _cause(self, status: int, body: bytes) -> Cause | None:
        """Follow the documented order: code with type, code, type; then the message; then the status."""
        declared = self.provider.read_error(body)
        assert declared is not None
        keys = (f"{declared.code}/{declared.type}", declared.code, declared.type)
        table = self.provider.declared
        found = next((c for key in keys if key for at in (status, 0) if (c := table.get((at, key)))), None)
        return self.provider.refine(status, found, declared) or self.provider.by_status.get(status)

    def _shape(self, name: str) -> StreamShape:
        shape = next(e.stream for e in self.provider.endpoints.values() if e.name == name)
        assert shape is not None
        return shape

    def _streams(self) -> Iterator[tuple[StreamShape, tuple[bytes, ...]]]:
        for name, events in self.streams.items():
            yield self._shape(name), events
