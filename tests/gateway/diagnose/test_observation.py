"""Evidence, read once: what the rules see of it."""

from typing import Any

import orjson
import pytest

from gateway.diagnose.author import Kind
from gateway.diagnose.evidence import Certificate, Evidence
from gateway.diagnose.observation import Observation
from gateway.diagnose.vendors import Means
from gateway.model.attempt import ReplyHead
from gateway.model.cause import Cause
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.providers.gemini import PROVIDER as GEMINI
from gateway.providers.openai import PROVIDER as OPENAI

JSON = (b"content-type", b"application/json")
HTML = (b"content-type", b"text/html; charset=utf-8")


def _seen(status: int = 400, text: object = "", *headers: tuple[bytes, bytes], **changes: Any) -> Observation:
    values: dict[str, Any] = {
        "provider": OPENAI,
        "host": "api.openai.com",
        "head": ReplyHead(status=status, headers=headers) if status else None,
        "text": text if isinstance(text, str) else orjson.dumps(text).decode(),
    }
    return Observation(Evidence(**(values | changes)))


# status and headers


@pytest.mark.parametrize(
    ("wire", "document", "meant"),
    [
        (429, {"error": {"message": "no"}}, 429),
        (200, {"error": {"message": "no", "code": 402}}, 402),
        (200, {"error": {"message": "no", "code": "x"}}, 400),
        (200, {"choices": [{"message": {"content": "402"}}]}, 200),
        (200, "plain", 200),
        (404, {"error": {"message": "no", "code": 500}}, 404),
    ],
)
def test_an_error_inside_a_success_has_the_status_that_it_names(wire: int, document: object, meant: int) -> None:
    seen = _seen(wire, document, JSON)
    assert (seen.wire_status, seen.status) == (wire, meant)


def test_without_an_answer_there_is_no_status() -> None:
    seen = _seen(0)
    assert (seen.wire_status, seen.status, seen.answered, seen.headers) == (0, 0, False, {})


def test_the_first_of_each_header_counts_in_any_case() -> None:
    seen = _seen(400, "", (b"Server", b"one"), (b"server", b"two"), (b"X-A", b"\xe9"))
    assert seen.headers == {"server": "one", "x-a": "\u00e9"}


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ((b"x-amzn-errortype", b"ThrottlingException:http://internal.amazon.com/"), "throttlingexception"),
        ((b"x-ms-error-code", b"DeploymentNotFound"), "deploymentnotfound"),
    ],
)
def test_codes_in_headers_are_codes(headers: tuple[bytes, bytes], code: str) -> None:
    assert code in _seen(400, "", headers).read.codes


# texts


def test_a_page_is_what_a_reader_of_it_sees() -> None:
    page = "<html><head><title> Not \n here </title><script>var balance = 'gone';</script><style>p{}</style></head><body><!-- hidden words --><p>Caf&eacute; is closed</p></body></html>"
    seen = _seen(404, page, HTML)
    assert seen.is_page
    assert seen.title == "not here"
    assert seen.message.has("caf\u00e9 is closed")
    assert not seen.message.has("balance", "hidden words", "var", "html")


@pytest.mark.parametrize(
    ("text", "headers", "is_page"),
    [
        ("<!doctype html><p>x</p>", (), True),
        ("  <p>x", (), True),
        ("sorry </b>", (), True),
        ("anything", (HTML,), True),
        ("", (HTML,), False),
        ('{"a": 1}', (JSON,), False),
        ("plain", (), False),
    ],
)
def test_what_is_a_web_page(text: str, headers: tuple[tuple[bytes, bytes], ...], is_page: bool) -> None:
    assert _seen(404, text, *headers).is_page is is_page


def test_a_message_is_the_envelopes_and_not_all_of_the_body() -> None:
    seen = _seen(400, {"error": {"message": "Too long."}, "input": "my balance"}, JSON)
    assert seen.message.has("too long")
    assert not seen.message.has("balance")


def test_a_parameter_that_is_a_sentence_belongs_to_the_message() -> None:
    assert _seen(400, {"error": {"message": "no", "param": "must be a string"}}, JSON).message.has("must be a string")
    assert not _seen(400, {"error": {"message": "no", "param": "must"}}, JSON).message.has("must")


def test_a_redirect_may_say_why() -> None:
    seen = _seen(302, "", (b"location", b"https://auth.example/?error_description=Session+expired&x=1"))
    assert seen.message.has("session expired")


def test_the_start_and_the_end_of_what_a_client_said_are_read() -> None:
    seen = _seen(0, exception="first words\n" + "x" * 20_000 + "\nlast words")
    assert seen.words.has("first words")
    assert seen.words.has("last words")


def test_names_of_exceptions_are_read_whole_and_word_by_word() -> None:
    words = _seen(0, exception="httpx.ConnectTimeoutError: 1").words
    assert words.has("connecttimeouterror")
    assert words.has("connect timeout error")


def test_an_event_of_a_stream_is_read_like_a_body() -> None:
    seen = _seen(200, "", stream_error=b'data: {"error":{"message":"It broke.","code":"server_error"}}\n\n')
    assert seen.enveloped
    assert seen.streamed
    assert seen.declared.message == "It broke."
    assert seen.author.kind is Kind.PROVIDER


# tables


def test_the_providers_own_table_is_asked_with_the_codes_of_the_envelope() -> None:
    assert _seen(429, {"error": {"code": "insufficient_quota", "message": "no"}}).documented is Cause.QUOTA_EXHAUSTED
    assert _seen(429, {"error": {"code": "unheard_of", "message": "no"}}).documented is None
    assert _seen(429, "insufficient_quota").documented is None
    assert _seen(429, {"error": {"code": "insufficient_quota", "message": "no"}}, provider=None).documented is None


def test_what_only_the_message_tells_a_provider_is_documented_too() -> None:
    document = {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "API key expired. Please renew it."}}
    assert _seen(400, document, provider=GEMINI).documented is Cause.AUTH_EXPIRED_KEY


# surroundings


def test_the_product_that_signed_is_read_from_the_certificate_or_from_what_a_tool_printed() -> None:
    issuer = "CN=Zscaler Intermediate Root CA,O=Zscaler Inc."
    served = _seen(0, certificate=Certificate(issuer=issuer))
    printed = _seen(0, exception=f"curl: (60) SSL certificate problem\n*  issuer: {issuer}\nmore")
    for seen in (served, printed):
        assert seen.issuer is not None
        assert (seen.issuer.vendor, seen.issuer.means) == ("Zscaler", Means.INSPECTION)
        assert "zscaler" in seen.issuer_text
    assert _seen(0).issuer is None
    assert _seen(0, exception="a line about Zscaler").issuer is None


def test_an_address_is_somebodys() -> None:
    found = _seen(0, addresses=("162.159.140.245", "198.18.0.9")).resolved
    assert found is not None
    assert found.means is Means.FAKE_IP
    assert _seen(0, addresses=("162.159.140.245",)).resolved is None
    assert _seen(0, addresses=("not an address",)).resolved is None


def test_what_egress_found_can_be_asked_for() -> None:
    failure = NetFailure(phase=Phase.TLS, code=NetCode.TLS_CERTIFICATE, detail="", sent=False)
    seen = _seen(0, failure=failure)
    assert seen.failed(NetCode.TLS_CERTIFICATE)
    assert seen.failed(NetCode.TLS_CERTIFICATE, phase=Phase.TLS)
    assert not seen.failed(NetCode.TLS_CERTIFICATE, phase=Phase.BODY)
    assert not _seen().failed(NetCode.TLS_CERTIFICATE)


def test_a_stated_wait_is_found_wherever_it_stands() -> None:
    assert _seen(429, "", (b"retry-after", b"7")).wait_seconds == 7.0
    assert _seen(429, {"error": {"message": "Please try again in 20s."}}).wait_seconds == 20.0
    assert _seen(429, "slow down, retry after 5 seconds").wait_seconds == 5.0
    assert _seen(429, {"error": {"message": "no", "resets_in_seconds": 60}}).wait_seconds == 60.0
    assert _seen(429, "no").wait_seconds is None


@pytest.mark.parametrize("text", ["", "x", "<", "{", "\x00", "\ud800", "\u4f59", "data:", "<title>", "[" * 5_000])
def test_everything_can_be_read_of_anything(text: str) -> None:
    seen = _seen(400, text, exception=text)
    for name in ("status", "read", "enveloped", "is_page", "title", "message", "page", "words", "author", "documented", "issuer", "issuer_text", "resolved", "wait_seconds", "answered", "streamed", "location", "raw"):  # fmt: skip
        getattr(seen, name)
