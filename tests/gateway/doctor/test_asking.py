"""From what a person wants to a case."""

from dataclasses import replace

import pytest

from gateway.doctor.asking import case_of
from gateway.doctor.replies import url_of
from gateway.egress.network import Ways, parse_via
from gateway.providers.openai import PROVIDER as OPENAI

HERE, COMPANY = parse_via("http://localhost:40123"), parse_via("http://proxy.firm.test:3128")


@pytest.mark.parametrize(("via", "expected"), [(HERE, None), (COMPANY, COMPANY)])
def test_the_gateway_that_runs_here_is_no_companys_proxy(via: object, expected: object) -> None:
    ways = Ways(https=via, http=via)  # type: ignore[arg-type]
    case = case_of(
        providers=(OPENAI,),
        ways=ways,
        environ={},
        host="api.openai.com",
        own=(("127.0.0.1", 40123), ("127.0.0.1", 40124)),
    )
    assert case.via == expected
    assert case.target.host == "api.openai.com"


@pytest.mark.parametrize(
    ("host", "plain"), [("http://localhost:11434", True), ("https://llm.firm.test", False), ("llm.firm.test", False)]
)
def test_a_host_that_is_called_over_plain_http_stays_one(host: str, plain: object) -> None:
    target = case_of(providers=(OPENAI,), ways=Ways(), environ={}, host=host).target
    assert (target.plain, url_of(target).startswith("http://")) == (plain, plain)


def test_so_does_an_upstream_of_the_settings() -> None:
    provider = replace(OPENAI, upstream="http://localhost:11434/v1")
    target = case_of(providers=(provider,), ways=Ways(), environ={}).target
    assert url_of(target) == "http://localhost:11434/v1/models"
