"""A headless Chromium, spoken to in WebDriver's own words."""

import base64
import contextlib
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any

import httpx2

from tests.gateway.record.made import until
from tests.tools import require_tool

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
)
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """One window."""

    def __init__(self, client: httpx2.Client, session: str) -> None:
        self._client = client
        self._session = session

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._client.request(method, f"/session/{self._session}{path}", json=body)
        value = answer.json()["value"]
        assert answer.is_success, value
        return value

    def go(self, url: str) -> None:
        """Open an address and wait until it is loaded."""
        self._ask("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript in the page; ``return`` gives a value."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def keys(self, text: str) -> None:
        """Type as a person does, into whatever has the focus."""
        strokes = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": strokes}]})

    def click(self, selector: str) -> None:
        """Click what a CSS selector finds first; once more, as a person would, if it was drawn anew meanwhile."""
        for is_last in (False, False, True):
            found = self._ask("POST", "/element", {"using": "css selector", "value": selector})
            try:
                self._ask("POST", f"/element/{found[_ELEMENT]}/click", {})
            except AssertionError as problem:
                if is_last or "stale element" not in str(problem):
                    raise
            else:
                return

    def text(self, selector: str) -> str:
        """Give the visible text of what a CSS selector finds first, empty when there is none."""
        return str(self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def wait(self, condition: str, seconds: float = 8.0) -> None:
        """Wait until a JavaScript expression is true."""
        until(lambda: self.run(f"return Boolean({condition})"), seconds)

    def look_like(self, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Set the size and the colour scheme."""
        self._devtools(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._devtools("Emulation.setEmulatedMedia", {"features": scheme})

    def screenshot(self) -> bytes:
        """Give what is seen, as PNG."""
        return base64.b64decode(self._ask("GET", "/screenshot"))

    def complaints(self) -> list[str]:
        """Give what the console says at level severe: script errors, refused resources.

        What the page of an earlier test still asked of a server that had ended is not this one's.
        """
        entries = self._ask("POST", "/se/log", {"type": "browser"})
        severe = [entry["message"] for entry in entries if entry["level"] == "SEVERE"]
        return [message for message in severe if "ERR_CONNECTION_REFUSED" not in message]

    def _devtools(self, command: str, parameters: dict[str, Any]) -> None:
        self._ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})


@contextlib.contextmanager
def open_browser() -> Iterator[Browser]:
    """Give a browser with an empty profile; skips the test when there is none on this machine."""
    how = "apt-get install chromium chromium-driver"
    driver = require_tool("chromedriver", how)
    chromium = shutil.which("chromium") or shutil.which("google-chrome") or require_tool("chromium", how)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([driver, f"--port={port}", "--silent"], stdout=subprocess.DEVNULL)
    try:
        with (
            tempfile.TemporaryDirectory() as profile,
            httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client,
        ):
            until(lambda: _answers(client), 15)
            options = {"binary": chromium, "args": [*_FLAGS, f"--user-data-dir={profile}"]}
            wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
            answer = client.post("/session", json={"capabilities": {"alwaysMatch": wanted}})
            assert answer.is_success, answer.text
            session = answer.json()["value"]["sessionId"]
            try:
                yield Browser(client, session)
            finally:
                client.delete(f"/session/{session}")
    finally:
        process.terminate()
        process.wait(10)


def _answers(client: httpx2.Client) -> bool:
    try:
        return client.get("/status").is_success
    except httpx2.TransportError:
        return False
