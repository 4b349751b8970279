"""The headers of calls say which SDKs and runtimes made them."""

from typing import Any

from gateway.record.sdks import clients_seen
from tests.gateway.record.made import a_row


def by(*headers: tuple[str, str]) -> dict[str, Any]:
    return a_row(1, request_headers=headers).as_dict()


def test_each_kind_of_client_is_named_once_the_busiest_first() -> None:
    python = (("user-agent", "OpenAI/Python 3.54.0"), ("x-stainless-lang", "python"),
              ("x-stainless-package-version", "3.54.0"), ("x-stainless-runtime", "CPython"),
              ("x-stainless-runtime-version", "3.13.0"), ("x-stainless-retry-count", "1"))  # fmt: skip
    assert clients_seen([by(("user-agent", "curl/8.5.0")), by(*python), by(*python)]) == [
        {"user_agent": "OpenAI/Python 3.54.0", "language": "python", "version": "3.54.0", "runtime": "CPython",
         "runtime_version": "3.13.0", "calls": 2},
        {"user_agent": "curl/8.5.0", "calls": 1},
    ]  # fmt: skip


def test_calls_that_say_nothing_are_counted() -> None:
    assert clients_seen([by()]) == [{"calls": 1}]
    assert clients_seen([]) == []


def test_very_many_kinds_are_cut_off() -> None:
    assert len(clients_seen(by(("user-agent", f"app/{number}")) for number in range(300))) == 100
