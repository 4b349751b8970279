"""F10 to F15: TLS with the upstream. A certificate that is not right is not believed, asked again or worked round."""

import re
import ssl
import warnings
from collections.abc import Iterator

import pytest

from tests.faults.clients import ClientRow
from tests.faults.field import Case, Field, open_field
from tests.faults.inject import wrong_certificate
from tests.faults.inject.answer import EVENTS, JSON, begin
from tests.faults.inject.fin_without_close_notify import fin_without_close_notify
from tests.faults.inject.listener import Listener
from tests.faults.inject.tls_alert import HANDSHAKE_FAILURE, PROTOCOL_VERSION, tls_alert
from tests.faults.inject.tls_server import tls_server
from tests.faults.ledgers import Flow
from tests.faults.never_sent import AT_ONCE_SECONDS, TRIES, refused
from tests.faults.upstream import Exchange, Fault

LOOKS = 1
"""A second handshake that believes anybody, to see the certificate; it sends no credential."""
SECOND_LOOK = 3
"""Where that leaves a doubt: a handshake as calls make it, one that believes anybody, and one that asks for the page."""


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """A field whose gateway may look a second time."""
    with open_field(tmp_path_factory.mktemp("seeing"), '[diagnose]\nprobes = "target"\n') as made:
        yield made


@pytest.fixture
def looked(seeing: Field, full: bool) -> Iterator[Case]:
    """A case on it."""
    made = Case(seeing, full=full)
    yield made
    made.finish()


async def met(case: Case, context: ssl.SSLContext) -> tuple[ClientRow, Listener]:
    """Call a server with these TLS settings, with an SDK that would try again."""
    with tls_server(context) as listener:
        call = await case.sdk(case.plan(), base_url=case.field.https_url(listener.port), max_retries=2)
    return call, listener


def not_believed(case: Case, call: ClientRow, listener: Listener, cause: str, code: str) -> Flow:
    """See that it was asked once, told at once, and given nothing; give the flow."""
    flow = refused(case, call, cause, code)
    assert len(flow["attempts"]) == 1
    assert 1 + LOOKS <= listener.dials <= 1 + LOOKS + SECOND_LOOK
    assert all(call.key.encode() not in told and told.startswith(b"GET / ") for told in listener.received)
    assert call.answers[0].headers["x-should-retry"] == "false"
    assert call.seconds < AT_ONCE_SECONDS
    return flow


def said(flow: Flow) -> str:
    return " | ".join([flow["diagnosis"]["what_happened"], *flow["diagnosis"]["evidence"]])


# F10


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (wrong_certificate.expired, "certificate has expired"),
        (wrong_certificate.not_yet_valid, "certificate is not yet valid"),
    ],
)
async def test_a_certificate_out_of_its_time_is_told_with_its_dates_and_this_clock(
    looked: Case, make: wrong_certificate.Dated, words: str
) -> None:
    context, date = make(looked.field.authority)
    call, listener = await met(looked, context)
    flow = not_believed(looked, call, listener, "network.tls_certificate", "tls_certificate")
    assert words in call.message
    assert f"{date:%Y-%m-%d %H:%M} UTC" in said(flow)
    assert re.search(r"this machine's clock says \d{4}-\d\d-\d\d \d\d:\d\d UTC", said(flow))


# F11


async def test_a_certificate_of_another_name_is_told_with_the_name_that_was_asked_for(looked: Case) -> None:
    call, listener = await met(looked, wrong_certificate.of_another_name(looked.field.authority))
    flow = not_believed(looked, call, listener, "network.tls_certificate", "tls_certificate")
    assert "Hostname mismatch, certificate is not valid for 'localhost'" in call.message
    assert "this machine's clock" not in said(flow)


# F12


async def test_a_product_that_signs_anew_is_named_and_sure(looked: Case) -> None:
    call, listener = await met(looked, wrong_certificate.signed_by("Zscaler Inc."))
    flow = not_believed(looked, call, listener, "network.tls_inspection", "tls_untrusted_issuer")
    assert "Zscaler Inc." in call.message
    assert (flow["diagnosis"]["vendor"], flow["diagnosis"]["precision"]) == ("Zscaler", "confirmed")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: wrong_certificate.signed_by("Example Works"), ("Example Works", "unable to get local issuer")),
        (wrong_certificate.self_signed, ("my laptop", "self-signed certificate")),
    ],
    ids=["a company's own", "self-signed"],
)
async def test_an_issuer_that_is_no_product_is_named_and_only_inferred(
    looked: Case, make: wrong_certificate.Plain, words: tuple[str, str]
) -> None:
    call, listener = await met(looked, make())
    flow = not_believed(looked, call, listener, "network.tls_inspection", "tls_untrusted_issuer")
    assert all(word in call.message for word in words)
    assert (flow["diagnosis"]["vendor"], flow["diagnosis"]["precision"]) == ("", "inferred")


# F13


async def test_a_chain_without_its_link_is_no_inspection_and_told_as_incomplete(looked: Case) -> None:
    call, listener = await met(looked, wrong_certificate.without_its_link(looked.field.authority))
    flow = not_believed(looked, call, listener, "network.tls_certificate", "tls_untrusted_issuer")
    assert "the chain to it is incomplete" in said(flow)
    assert "DigiCert" in call.message


# F14


@pytest.mark.parametrize("alert", [HANDSHAKE_FAILURE, PROTOCOL_VERSION])
async def test_a_server_that_refuses_the_handshake_is_asked_once(case: Case, alert: int) -> None:
    with tls_alert(alert) as listener:
        call = await case.sdk(case.plan(), base_url=case.field.https_url(listener.port), max_retries=2)
    flow = refused(case, call, "network.tls_handshake", "tls_refused")
    assert len(flow["attempts"]) == listener.dials == 1
    assert call.answers[0].headers["x-should-retry"] == "false"
    assert call.seconds < AT_ONCE_SECONDS


async def test_a_server_that_speaks_only_tls_1_0_is_asked_once(case: Case) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    case.field.authority.issue_cert("localhost").configure_cert(old)
    with warnings.catch_warnings(action="ignore"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1
    old.set_ciphers("ALL:@SECLEVEL=0")
    call, listener = await met(case, old)
    flow = refused(case, call, "network.tls_handshake", "tls_refused")
    assert len(flow["attempts"]) == listener.dials == 1
    assert call.answers[0].headers["x-should-retry"] == "false"
    assert "protocol version" in call.message


# F15


def half(framing: str, body: bytes) -> Fault:
    """Begin an answer of twice this body, and cut the connection below TLS."""
    framed = {"length": f"content-length: {2 * len(body)}", "chunks": "transfer-encoding: chunked", "close": "x: y"}

    async def fault(exchange: Exchange) -> None:
        await exchange.receive()
        exchange.row.status = 200
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {JSON['content-type']}\r\n{framed[framing]}\r\n\r\n"
        await exchange.write(head.encode())
        await (exchange.chunk(body) if framing == "chunks" else exchange.write(body))
        await fin_without_close_notify(exchange)

    return fault


async def half_a_stream(exchange: Exchange) -> None:
    await exchange.receive()
    await begin(exchange, 3)
    await fin_without_close_notify(exchange)


async def half_a_stream_to_the_close(exchange: Exchange) -> None:
    await exchange.receive()
    exchange.row.status = 200
    await exchange.write(f"HTTP/1.1 200 OK\r\ncontent-type: {EVENTS['content-type']}\r\n\r\n".encode())
    await exchange.write(b'data: {"choices":[{"index":0,"delta":{"content":"words"}}]}\n\n')
    await fin_without_close_notify(exchange)


@pytest.mark.parametrize("framing", ["length", "chunks", "close"])
async def test_a_body_that_tls_did_not_end_is_cut_for_the_app_too(case: Case, framing: str) -> None:
    url = case.field.https_url(case.field.upstream.tls_port)
    call = await case.sdk(case.plan(half(framing, b'{"id":"' + b"x" * 100_000)), base_url=url)
    flow = case.flow(call)
    assert call.outcome == "exception"
    assert "APIConnectionError" in call.exception
    assert (flow["status"], flow["cause"], len(flow["attempts"])) == (200, "service.stream_truncated", 1)


@pytest.mark.parametrize("path", ["/chat/completions", "/files"])
async def test_a_small_body_that_tls_did_not_end_is_never_a_short_answer(case: Case, path: str) -> None:
    """On a route where that only costs money it is asked for again, and marked; nowhere else."""
    base = case.field.adopt(f"https://localhost:{case.field.upstream.tls_port}/v1")
    path_there = base.removeprefix(case.field.gateway.proxy) + path
    call = await case.raw(case.plan(half("length", b'{"id":"x"')), way="plain", path=path_there)
    flow = case.flow(call)
    assert (call.outcome, call.status, call.cause) == ("error", 502, "service.stream_truncated")
    assert len(flow["attempts"]) == (TRIES if path == "/chat/completions" else 1)
    assert flow["possible_duplicate"] == (path == "/chat/completions")


@pytest.mark.parametrize("fault", [half_a_stream, half_a_stream_to_the_close])
async def test_a_stream_that_tls_did_not_end_raises_in_the_app_with_the_verdict(case: Case, fault: Fault) -> None:
    url = case.field.https_url(case.field.upstream.tls_port)
    call = await case.sdk(case.plan(fault), base_url=url, stream=True)
    flow = case.flow(call)
    assert (call.outcome, call.exception[0]) == ("exception", "APIError")
    assert call.cause == flow["cause"]
    assert flow["cause"] in {"service.stream_truncated", "network.stream_interrupted"}
    assert call.text.startswith("words")
