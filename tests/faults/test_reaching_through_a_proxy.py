"""F08: the company's proxy stands in the way, and the verdict is about it, not about the API."""

from collections.abc import Iterator

import pytest

from tests.faults.field import Case, Field, open_field
from tests.faults.inject.closed_port import closed_port
from tests.faults.inject.corporate_proxy import AUTH, DENIED, CorporateProxy, page
from tests.faults.never_sent import BACKOFF_SECONDS, SLACK_SECONDS, TRIES, longest_seconds, refused

BLOCK_PAGE = page(
    "<html><head><title>Web Page Blocked!</title></head><body><h1>FortiGuard Intrusion Prevention - Access Blocked</h1>"
    "<p>You have tried to access a web page which is in violation of your internet usage policy.</p></body></html>"
)
SAID = {"auth.fault.test": AUTH, "denied.fault.test": DENIED, "page.fault.test": BLOCK_PAGE}


@pytest.fixture(scope="module")
def company() -> Iterator[CorporateProxy]:
    with closed_port() as port:
        yield CorporateProxy(port, SAID)


@pytest.fixture(scope="module")
def office(company: CorporateProxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """A field whose gateway has to go through the company's proxy."""
    settings = f'[network]\nproxy = "http://127.0.0.1:{company.port}"\n'
    with open_field(tmp_path_factory.mktemp("office"), settings) as made:
        yield made


@pytest.fixture
def desk(office: Field, *, full: bool) -> Iterator[Case]:
    made = Case(office, full=full)
    yield made
    made.finish()


@pytest.mark.parametrize(
    ("host", "cause", "code"),
    [
        ("auth.fault.test", "network.proxy_auth", "proxy_auth"),
        ("denied.fault.test", "network.proxy_denied", "proxy_denied"),
        ("page.fault.test", "network.blocked_page", "proxy_denied"),
    ],
)
async def test_what_a_proxy_refuses_is_asked_once_and_the_verdict_is_about_the_proxy(
    desk: Case, company: CorporateProxy, host: str, cause: str, code: str
) -> None:
    before = company.tunnels(host)
    with company.up():
        call = await desk.sdk(desk.plan(), base_url=desk.field.https_url(443, host), max_retries=2)
    flow = refused(desk, call, cause, code)
    assert len(flow["attempts"]) == company.tunnels(host) - before == 1
    assert call.seconds < SLACK_SECONDS
    assert call.answers[0].headers["x-should-retry"] == "false"
    assert {"network.blocked_page": "Forti"}.get(cause, "proxy") in call.message


async def test_a_proxy_that_is_down_is_tried_three_times_and_named(desk: Case, company: CorporateProxy) -> None:
    call = await desk.sdk(desk.plan(), base_url=desk.field.https_url(443, "auth.fault.test"), max_retries=2)
    flow = refused(desk, call, "network.proxy_unreachable", "proxy_unreachable")
    assert len(flow["attempts"]) == TRIES
    assert longest_seconds(flow) < 1
    assert call.seconds < BACKOFF_SECONDS + SLACK_SECONDS
    assert str(company.port) in call.message
