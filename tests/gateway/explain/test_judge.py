"""From what somebody shows to the verdict: the same evidence and the same engine as on the path."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.explain.judge import Judge, parts_port
from gateway.explain.seen import Seen
from gateway.model.cause import Cause, Precision

JUDGE = Judge()
QUOTA = orjson.dumps({"error": {"code": "insufficient_quota", "message": "You exceeded your current quota."}}).decode()


def _judged(**seen: Any) -> Cause:
    return JUDGE.judge(Seen(**seen)).cause


# whose host it is


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("api.openai.com", "openai"),
        ("chatgpt.com", "openai"),
        ("api.githubcopilot.com", "openai"),
        ("api.anthropic.com", "anthropic"),
        ("claude.ai", "anthropic"),
        ("generativelanguage.googleapis.com", "gemini"),
        ("us-central1-aiplatform.googleapis.com", "gemini"),
        ("mine.openai.azure.com", "azure"),
        ("gateway.azure-api.net", "azure"),
        ("dashscope.aliyuncs.com", "dashscope"),
        ("codestral.mistral.ai", "mistral"),
        ("openrouter.ai", "openrouter"),
        ("relay.example", "openai_compatible"),
        ("localhost", "openai_compatible"),
        ("notopenai.com", "openai_compatible"),
        ("openai.com.evil.example", "openai_compatible"),
    ],
)
def test_a_host_belongs_to_a_house(host: str, name: str) -> None:
    found = JUDGE.provider(host, 443)
    assert found is not None
    assert found.name == name


def test_no_host_is_nobodys() -> None:
    assert JUDGE.provider("", 443) is None


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("https://api.openai.com/v1", 443),
        ("http://api.openai.com/v1", 80),
        ("ws://api.openai.com/v1", 80),
        ("wss://api.openai.com/v1", 443),
        ("http://localhost:11434/v1", 11_434),
        ("http://[::1]:8080/v1", 8_080),
        ("https://api.openai.com:99999/v1", 443),
        ("https://[::1", 443),
        ("", 443),
    ],
)
def test_the_port_is_the_urls_or_its_schemes(url: str, port: int) -> None:
    assert parts_port(url) == port


# evidence


def test_what_was_seen_becomes_evidence_and_nothing_is_invented() -> None:
    seen = Seen(
        method="POST",
        url="http://api.openai.com:8080/v1/chat/completions?api-version=2026-01-01",
        model="gpt-5",
        request_headers=(("content-type", "text/plain"),),
        request_body="x" * 7,
        status=429,
        headers=(("retry-after", "7"),),
        location="https://elsewhere.example/",
        body="no",
        cert_issuer="CN=x",
        cert_subject="CN=y",
        dns_answers=("1.2.3.4",),
        notes="openai-project set",
    )
    evidence = JUDGE.evidence(seen)
    assert (evidence.host, evidence.model, evidence.text) == ("api.openai.com", "gpt-5", "no")
    call = evidence.call
    assert (call.method, call.path, call.plain) == ("POST", "/v1/chat/completions", True)
    assert (call.content_type, call.size_bytes, call.notes) == ("text/plain", 7, "openai-project set")
    assert evidence.head is not None
    assert evidence.head.status == 429
    assert evidence.head.headers == ((b"retry-after", b"7"), (b"location", b"https://elsewhere.example/"))
    assert (evidence.certificate.issuer, evidence.certificate.subject) == ("CN=x", "CN=y")
    assert evidence.addresses == ("1.2.3.4",)


def test_nothing_seen_is_no_answer() -> None:
    evidence = JUDGE.evidence(Seen())
    assert (evidence.head, evidence.provider, evidence.host) == (None, None, "")
    verdict = JUDGE.judge(Seen())
    assert (verdict.cause, verdict.precision, verdict.author) == (Cause.UNKNOWN, Precision.INFERRED, "")


def test_a_body_alone_is_an_answer_without_a_status() -> None:
    evidence = JUDGE.evidence(Seen(body=QUOTA))
    assert evidence.head is not None
    assert evidence.head.status == 0
    assert _judged(body=QUOTA) is Cause.QUOTA_EXHAUSTED


# answers inside a client's words


RAISED = f"openai.RateLimitError: Error code: 429 - {QUOTA}"


def test_an_answer_that_stands_only_in_the_words_of_a_client_is_taken_out_of_them() -> None:
    evidence = JUDGE.evidence(Seen(url="https://api.openai.com/v1/chat/completions", exception=RAISED))
    assert evidence.head is not None
    assert evidence.head.status == 429
    assert "insufficient_quota" in evidence.text
    assert evidence.exception == RAISED
    assert _judged(exception=RAISED) is Cause.QUOTA_EXHAUSTED


def test_what_was_seen_goes_before_what_a_client_says() -> None:
    evidence = JUDGE.evidence(Seen(status=503, body="upstream connect error", exception=RAISED))
    assert evidence.head is not None
    assert (evidence.head.status, evidence.text) == (503, "upstream connect error")


@pytest.mark.parametrize("stage", ["dns", "tcp", "tls", "proxy"])
def test_where_the_host_was_never_reached_its_answer_is_not_looked_for(stage: str) -> None:
    assert "insufficient_quota" not in JUDGE.evidence(Seen(stage=stage, exception=RAISED)).text


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("Received HTTP code 407 from proxy after CONNECT", 407),
        ("Tunnel connection failed: 502 Bad Gateway", 502),
        ("proxy 10.0.403.1:503 says no", 0),
        ("connect to proxy.corp:4030 failed", 0),
    ],
)
def test_the_status_of_a_proxys_answer_is_found_in_the_words(words: str, status: int) -> None:
    evidence = JUDGE.evidence(Seen(stage="proxy", exception=words))
    assert (evidence.head.status if evidence.head is not None else 0) == status


# verdicts


@pytest.mark.parametrize(
    ("seen", "cause"),
    [
        ({"url": "https://api.openai.com/v1/x", "status": 429, "body": QUOTA}, Cause.QUOTA_EXHAUSTED),
        ({"url": "https://relay.example/v1/x", "status": 429, "body": QUOTA}, Cause.QUOTA_EXHAUSTED),
        ({"stage": "dns", "exception": "getaddrinfo ENOTFOUND api.openai.com"}, Cause.NETWORK_DNS_FAILURE),
        ({"stage": "tls", "exception": "self-signed certificate in certificate chain", "cert_issuer": "CN=Zscaler Root CA,O=Zscaler Inc."}, Cause.NETWORK_TLS_INSPECTION),
        ({"stage": "proxy", "exception": "Received HTTP code 407 from proxy after CONNECT"}, Cause.NETWORK_PROXY_AUTH),
        ({"url": "https://api.openai.com/v1/x", "dns_answers": ("0.0.0.0",), "exception": "Connection refused"}, Cause.NETWORK_DNS_TAMPERED),
    ],
)  # fmt: skip
def test_the_engine_of_the_path_judges(seen: dict[str, Any], cause: Cause) -> None:
    assert _judged(**seen) is cause


@pytest.mark.parametrize(
    "document",
    [
        {"object": "list", "data": [{"id": "gpt-5", "object": "model"}]},
        {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}], "model": "x"},
        {"id": "resp_1", "object": "response", "status": "completed", "error": None, "output": []},
    ],
)
def test_nothing_is_wrong_with_a_good_answer(document: dict[str, Any]) -> None:
    seen = {"url": "https://api.openai.com/v1/x", "status": 200, "body": orjson.dumps(document).decode()}
    assert _judged(headers=(("content-type", "application/json"),), **seen) is Cause.UNKNOWN


_TEXT = st.text(max_size=100)
_PAIRS = st.lists(st.tuples(st.sampled_from(["server", "content-type", "retry-after", "date"]), _TEXT), max_size=4).map(
    tuple
)


@settings(max_examples=100, deadline=None)
@given(
    seen=st.builds(
        Seen,
        method=_TEXT,
        url=_TEXT | _TEXT.map(lambda text: f"https://{text}") | st.sampled_from(["https://[", "http://[::1]:x/", "//", "https://api.openai.com/v1"]),
        model=_TEXT,
        request_headers=_PAIRS,
        request_body=_TEXT,
        stage=st.sampled_from(["", "dns", "tcp", "tls", "proxy", "http"]),
        status=st.none() | st.integers(0, 999),
        headers=_PAIRS,
        body=_TEXT | st.just(QUOTA),
        location=_TEXT,
        exception=_TEXT | st.just(RAISED),
        cert_issuer=_TEXT,
        cert_subject=_TEXT,
        dns_answers=st.lists(_TEXT | st.just("0.0.0.0"), max_size=2).map(tuple),
        notes=_TEXT,
    )
)  # fmt: skip
def test_whatever_is_shown_has_a_verdict(seen: Seen) -> None:
    verdict = JUDGE.judge(seen)
    assert verdict == JUDGE.judge(seen)
    assert verdict.cause is not Cause.PROXY_INTERNAL_ERROR
    assert verdict.sentence()
