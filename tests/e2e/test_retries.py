"""A failure that passes is not seen by the app; one that stays is told in words that help."""

import base64
from collections.abc import Iterator

import pytest

from tests.e2e.world import App, World, job
from tests.running import GatewayProcess, RawUpstream

UNREACHABLE = """
[[providers]]
name = "openai"
upstream = "http://127.0.0.1:{port}"
[[providers]]
name = "anthropic"
upstream = "https://nowhere.invalid"
"""


@pytest.fixture(scope="session")
def cut_off(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Behind this gateway nothing can be reached: a closed port, and a name that does not exist."""
    upstream = RawUpstream()
    upstream.close()
    directory = tmp_path_factory.mktemp("cut-off")
    gateway = GatewayProcess(directory, UNREACHABLE.format(port=upstream.port))
    world = World(provider=None, gateway=gateway, directory=directory)  # type: ignore[arg-type]
    app: App = world.proxied
    yield world
    app.close()
    gateway.stop()


def test_an_app_does_not_see_a_rate_limit_that_ends_after_the_stated_time(world: World) -> None:
    asked = job(model="simulate:rate_limit.requests?times=1", max_retries=0)
    result = world.proxied.ask_one(asked)
    assert result["error"] is None
    assert result["text"] == "Echo: one two three"
    assert [row.status for row in world.provider.rows(asked["key"])] == [429, 200]
    row = world.row(result)
    assert [attempt["status"] for attempt in row["attempts"]] == [429, 200]
    assert row["cause"] is None
    assert 999 <= row["attempts"][1]["waited_ms"] < 2000  # it hears of the answer a moment after it was written
    first, second = world.provider.rows(asked["key"])
    assert second.started_at - first.ended_at >= 1.0


@pytest.mark.parametrize("api", ["chat", "messages"])
def test_an_app_does_not_see_two_overloads(world: World, api: str) -> None:
    asked = job(api, model="simulate:service.overloaded?times=2", max_retries=0)
    result = world.proxied.ask_one(asked)
    assert result["error"] is None
    status = 529 if api == "messages" else 503
    assert [row.status for row in world.provider.rows(asked["key"])] == [status, status, 200]
    assert [attempt["status"] for attempt in world.row(result)["attempts"]] == [status, status, 200]


def test_a_503_of_an_unknown_author_is_tried_again_as_well(world: World) -> None:
    """A mesh's plain text: whoever refused it, the call was refused."""
    asked = job(model="simulate:service.unavailable?times=2", max_retries=0)
    result = world.proxied.ask_one(asked)
    assert result["error"] is None
    assert [row.status for row in world.provider.rows(asked["key"])] == [503, 503, 200]


def test_an_overload_that_stays_is_passed_on_and_the_sdk_is_told_that_we_have_tried(world: World) -> None:
    """Three attempts by us, and not three times three."""
    asked = job(model="simulate:service.overloaded")
    result = world.proxied.ask_one(asked)
    assert result["error"]["status"] == 503
    assert result["error"]["headers"]["x-should-retry"] == "false"
    assert len(world.provider.rows(asked["key"])) == 3
    assert base64.b64decode(result["error"]["content"]) == world.provider.sent(asked)[-1]


def test_a_loop_around_the_retries_of_an_sdk_is_called_what_it_is(world: World) -> None:
    """The app repeats three times what its SDK repeats three times; we do not repeat a call that acts."""
    tools = [{"type": "mcp", "server_label": "tickets", "server_url": "https://tickets.example.com"}]
    asked = job("responses", "do it", model="simulate:service.server_error", more={"tools": tools})
    results = world.proxied.ask([asked] * 3, together=False)
    assert len(world.provider.rows(asked["key"])) == 8, "from then on the SDK is told to stop"
    *_, last = [result["error"]["headers"] for result in results]
    assert (last["x-whygate-cause"], last["x-should-retry"]) == ("client.retry_storm", "false")
    assert last["x-whygate-attempts"] == "1"


def test_a_refused_port_is_told_with_what_to_do_after_three_attempts(cut_off: World) -> None:
    result = cut_off.proxied.ask_one(job("chat"))
    error = result["error"]
    assert "APIStatusError" in error["kinds"]
    assert error["status"] == 502
    assert error["body"]["code"] == error["headers"]["x-whygate-cause"] == "network.tcp_refused"
    row = cut_off.row(result)
    assert row["diagnosis"]["what_to_do"][0].split(".")[0] in error["message"]
    assert "127.0.0.1" in error["message"]
    assert error["headers"]["x-should-retry"] == "false"
    assert "connection_refused" in error["headers"]["proxy-status"]
    assert [attempt["failure"]["code"] for attempt in row["attempts"]] == ["connection_refused"] * 3
    assert not any(attempt["failure"]["sent"] for attempt in row["attempts"])
    assert row["cause"] == "network.tcp_refused"


def test_a_name_that_does_not_exist_is_told_with_what_to_do(cut_off: World) -> None:
    result = cut_off.proxied.ask_one(job("messages"))
    error = result["error"]
    assert "APIStatusError" in error["kinds"]
    assert error["status"] == 502
    assert error["headers"]["x-whygate-cause"] == "network.dns_failure"
    assert error["body"]["error"]["code"] == "network.dns_failure"
    assert "nowhere.invalid" in error["message"]
    assert "dns_error" in error["headers"]["proxy-status"]
    assert len(cut_off.row(result)["attempts"]) == 3


@pytest.mark.parametrize("api", ["chat", "messages"])
def test_a_stream_that_cannot_begin_is_an_error_like_any_other(cut_off: World, api: str) -> None:
    result = cut_off.proxied.ask_one(job(api, stream=True, max_retries=0))
    assert result["error"]["status"] == 502
