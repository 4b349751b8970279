"""A call by base URL is told as one to its provider, where every gateway knows that one."""

import pytest

from gateway.cli.handing import aimed
from tests.gateway.record.made import a_row


@pytest.mark.parametrize(
    ("provider", "path", "host", "target"),
    [
        ("openai", "/openai/v1/responses", "api.openai.com", "/v1/responses"),
        ("openai", "/~[redacted]/openai/v1/responses", "api.openai.com", "/v1/responses"),
        ("anthropic", "/anthropic/v1/messages?beta=true", "api.anthropic.com", "/v1/messages?beta=true"),
        ("azure", "/azure/mine/openai/v1/responses", "mine.openai.azure.com", "/openai/v1/responses"),
    ],
)
@pytest.mark.parametrize("own", ["127.0.0.1", "localhost", "gateway.example.com", "[::1]"])
def test_the_provider_s_own_address_stands_in(provider: str, path: str, host: str, target: str, own: str) -> None:
    told = aimed(a_row(1, provider=provider, host=own, path=path).as_dict())
    assert (told["host"], told["path"]) == (host, target)


@pytest.mark.parametrize(
    ("provider", "host", "path"),
    [
        ("openai", "api.openai.com", "/openai/v1/responses"),
        ("relay-example-com", "127.0.0.1", "/relay-example-com/v1/responses"),
        ("openai", "127.0.0.1", "/anthropic/v1/messages"),
        ("", "chatgpt.com", ""),
        ("openai", "", "/\u20ac"),
        ("openai", "x:y:z", ""),
    ],
)
def test_any_other_call_stays_as_it_is(provider: str, host: str, path: str) -> None:
    row = a_row(1, provider=provider, host=host, path=path).as_dict()
    assert aimed(row) == row


def test_a_websocket_by_base_url_has_its_provider_s_path() -> None:
    row = a_row(1, kind="websocket", provider="openai", host="api.openai.com", path="/openai/v1/realtime").as_dict()
    assert (aimed(row)["host"], aimed(row)["path"]) == ("api.openai.com", "/v1/realtime")
    row["path"] = "/v1/realtime"
    assert aimed(row) == row
