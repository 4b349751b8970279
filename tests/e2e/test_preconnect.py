"""A connection that is open before the first call."""

import httpx2
import pytest

from tests.running import GatewayProcess, config_for, gateway_and_upstream


def pool_of(gateway: GatewayProcess) -> dict[str, int]:
    answer = httpx2.get(
        f"http://{gateway.runtime['page']}/api/health",
        headers={"authorization": f"Bearer {gateway.runtime['token']}"},
        trust_env=False,
    )
    pool: dict[str, int] = answer.raise_for_status().json()["pool"]
    return pool


def test_a_wanted_provider_is_connected_to_at_start_and_the_pool_is_shown(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    directory = tmp_path_factory.mktemp("ahead")
    with gateway_and_upstream(directory, '[network]\npreconnect = ["openai"]\n') as (gateway, upstream):
        assert GatewayProcess.until(lambda: pool_of(gateway) == {"busy": 0, "idle": 1})
        assert upstream.connections == 1
        assert gateway.stop() == 0
        assert "Traceback" not in gateway.log.read_text()


def test_nobody_is_connected_to_unasked(tmp_path_factory: pytest.TempPathFactory) -> None:
    with gateway_and_upstream(tmp_path_factory.mktemp("plain")) as (gateway, upstream):
        assert pool_of(gateway) == {"busy": 0, "idle": 0}
        assert upstream.connections == 0


def test_a_provider_that_is_down_is_told_and_stops_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    gateway = GatewayProcess(tmp_path_factory.mktemp("down"), config_for(1, '[network]\npreconnect = ["openai"]\n'))
    try:
        words = "no connection could be opened ahead to openai"
        assert GatewayProcess.until(lambda: words in gateway.log.read_text())
    finally:
        assert gateway.stop() == 0
    assert "Traceback" not in gateway.log.read_text()
