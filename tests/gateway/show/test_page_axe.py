"""axe-core finds nothing in any state of the page, in both colour schemes and on a phone."""

from pathlib import Path
from typing import Any

import pytest

from gateway.record.row import utc_text
from tests.gateway.record.made import EPOCH, a_row, until
from tests.gateway.show.browser import Browser
from tests.gateway.show.served import Served
from tests.gateway.show.test_page_overview import SCOPE
from tests.gateway.show.test_web import fail_one
from tests.gateway.show.test_web_doctor import a_report

AXE = Path(__file__).parents[2] / "e2e/runtimes/node/node_modules/axe-core/axe.min.js"
RUN = "return axe.run(document, {resultTypes: ['violations']}).then((found) => found.violations)"
STATES = {
    "list": "",
    "call": "document.querySelector('tbody.flow.warn button').click()",
    "filters": "document.querySelector('#more-filters summary').click()",
    "keys": "document.querySelector('#help').showModal()",
    "doctor": "document.querySelector('#doctor-open').click()",
    "chosen": "const one = document.getElementById('status'); one.value = '4xx'; one.dispatchEvent(new Event('change'))",
    "nothing": "const one = document.getElementById('q'); one.value = 'nowhere'; one.dispatchEvent(new Event('input'))",
}
READY = {
    "call": "document.querySelector('#drawer').innerText.includes('Facts')",
    "filters": "document.querySelector('#more-filters').open",
    "doctor": "document.querySelector('#doctor .likely') !== null",
    "chosen": "!document.querySelector('#chosen').hidden",
    "nothing": "!document.querySelector('#empty').hidden",
}

pytestmark = pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: bash tests/e2e/runtimes/install")


def _faults(browser: Browser) -> list[str]:
    browser.run(AXE.read_text())
    found: list[dict[str, Any]] = browser.run(RUN)
    return [
        f"{one['impact']}: {one['id']}: {one['help']}: {node['html'][:160]} {node.get('any') and node['any'][0]['message']}"
        for one in found
        for node in one["nodes"]
    ]


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (360, False)])
@pytest.mark.parametrize("state", STATES)
def test_nothing_stands_in_the_way_of_any_reader(
    served: Served, browser: Browser, state: str, width: int, dark: bool
) -> None:
    fail_one(served)
    for seq in range(1, 30):
        failed = {"status": 503, "cause": "provider.server_error", "fault": "provider"} if seq % 3 else {}
        served.recorder.recorded(
            a_row(
                seq, started_at=utc_text(EPOCH - seq), host="api.openai.com", attempts=({"n": 1, "phases": []},), cache="hit",
                app="python3 app.py (pid 7)", ttft_ms=100.0, total_ms=200.0, tokens_in=5, tokens_out=5, **failed,
            )
        )  # fmt: skip
    until(lambda: served.recorder.health()["written"] == 30)
    served.doctor.report = a_report()
    served.limits.update(waiting=12, scopes=[SCOPE])
    browser.look_like(width=width, dark=dark)
    browser.go(served.link)
    browser.wait("document.querySelectorAll('tbody.flow').length > 3")
    if not browser.run("return document.querySelector('#overview').open"):
        browser.keys("o")
    browser.wait("document.querySelector('.card.apps li')")
    browser.run(STATES[state])
    if state in READY:
        browser.wait(READY[state])
    assert _faults(browser) == []
