"""``whygate start --ui``: the real master, page and API of mitmproxy around a real gateway, in one process."""

import asyncio
import base64
import contextlib
import fcntl
import hashlib
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from wsproto import ConnectionType, WSConnection, events

from tests.e2e.world import MARK, MIB, Provider, new_key
from tests.running import CLEAN, ROOT, GatewayProcess, RawUpstream, config_for, lane, plain

EDITED = '[listen]\nedit = ["openai/v1/responses*"]\n'
SCRIPT = """
import json

def request(flow):
    if flow.request.path.startswith("/v1/responses") and "scripted" in flow.request.text:
        flow.request.text = flow.request.text.replace("scripted", "rewritten")

def response(flow):
    flow.response.headers["x-from-script"] = flow.request.headers["authorization"]
"""


class Mitmweb:
    """Its API, as its page uses it: opened by the printed link alone."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self.link = gateway.until(lambda: re.search(r"mitmweb +(http\S+)\n", gateway.log.read_text()))[1]
        self.http = httpx2.Client(base_url=self.link.partition("?")[0], trust_env=False, timeout=20)
        opened = self.http.get(self.link)
        assert opened.status_code == 200
        assert "<title>mitmproxy</title>" in opened.text
        # Its page gets this cookie with its WebSocket; what counts is that header and cookie are the same.
        self.http.headers["x-xsrftoken"] = "0123456789abcdef"
        self.http.cookies["_mitmproxy_xsrf"] = "0123456789abcdef"
        assert self.http.get("/state").status_code == 200  # by the cookie from now on

    def flows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get("/flows").raise_for_status().json()
        return found

    def flow(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 10) -> dict[str, Any]:
        """Wait for a flow."""
        return GatewayProcess.until(lambda: next((flow for flow in self.flows() if wanted(flow)), None), seconds)

    def of(self, answer: httpx2.Response) -> dict[str, Any]:
        """Wait for the flow of a call: it has the id that the app was told."""
        return self.flow(lambda flow: flow["id"] == answer.headers["x-whygate-flow-id"])

    def body(self, flow: dict[str, Any], part: str) -> bytes:
        """Give a body, nothing when there is no such part."""
        answer = self.http.get(f"/flows/{flow['id']}/{part}/content.data") if part in flow else None
        return answer.raise_for_status().content if answer is not None else b""

    def set(self, **options: Any) -> httpx2.Response:
        return self.http.put("/options", json=options)


class Scene:
    """Provider, gateway with mitmweb, and an app's way of calling."""

    def __init__(self, directory: Path) -> None:
        self.provider, self.raw = Provider(), RawUpstream()
        directory.mkdir(parents=True, exist_ok=True)
        self.script = directory / "edit.py"
        self.script.write_text(SCRIPT)
        try:
            relay = f'[[providers]]\nname = "relay"\nkind = "openai"\nupstream = "http://127.0.0.1:{self.raw.port}"\n'
            config = config_for(self.provider.port, relay + EDITED)
            self.gateway = GatewayProcess(directory, config, "--ui", "mitmweb", "--set", f"scripts={self.script}")
            self.web = Mitmweb(self.gateway)
        except BaseException:
            self.close()
            raise

    def call(self, path: str = "chat/completions", *, key: str | None = None, **body: Any) -> httpx2.Response:
        said = {} if "input" in body else {"messages": [{"role": "user", "content": "one two"}]}
        asked = {"model": "gpt-4o-mini"} | said | body
        with self.gateway.client() as client:
            return client.post(
                f"https://api.openai.com/v1/{path}", json=asked, headers={"authorization": f"Bearer {key or new_key()}"}
            )

    def close(self) -> None:
        if hasattr(self, "web"):
            self.web.http.close()
        if hasattr(self, "gateway"):
            self.gateway.stop()
        self.provider.close()
        self.raw.close()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """At its end, no key that any of its tests used may stand in what mitmweb gives."""
    with contextlib.closing(Scene(tmp_path_factory.mktemp("uis"))) as made:
        yield made
        for path in ("/flows", "/events", "/options", "/flows/dump"):
            answer = made.web.http.get(path)
            assert answer.status_code == 200
            assert MARK not in answer.text, path
        for flow in made.web.flows():
            for part in ("request", "response"):
                assert MARK.encode() not in made.web.body(flow, part), (flow, part)


def headers_of(message: dict[str, Any]) -> dict[str, str]:
    return {name.lower(): value for name, value in message["headers"]}


def test_a_call_of_the_lane_is_shown_as_its_app_saw_it(scene: Scene) -> None:
    answer = scene.call()
    flow = scene.web.of(answer)
    request, response = flow["request"], flow["response"]
    assert (request["method"], request["scheme"], request["path"]) == ("POST", "http", "/v1/chat/completions")
    assert (request["host"], request["port"]) == ("127.0.0.1", scene.provider.port)
    assert headers_of(request)["authorization"] == "Bearer [redacted]"
    assert json.loads(scene.web.body(flow, "request"))["messages"][0]["content"] == "one two"
    assert response["status_code"] == 200
    assert headers_of(response)["x-whygate-flow-id"] == flow["id"]
    assert scene.web.body(flow, "response") == answer.content
    assert (flow["marked"], flow["comment"]) == ("", "")
    assert flow["client_conn"]["tls_established"] is True
    times = [request["timestamp_start"], request["timestamp_end"], response["timestamp_start"]]
    times.append(response["timestamp_end"])
    assert times == sorted(times)
    assert 0 < times[-1] - times[0] < 10


def test_a_stream_is_shown_whole(scene: Scene) -> None:
    answer = scene.call(stream=True)
    assert b"data: [DONE]" in answer.content
    flow = scene.web.of(answer)
    assert scene.web.body(flow, "response") == answer.content
    assert flow["marked"] == ""


def test_a_failed_call_has_a_mark_and_its_verdict(scene: Scene) -> None:
    answer = scene.call(model="simulate:auth.invalid_key")
    flow = scene.web.of(answer)
    assert flow["response"]["status_code"] == 401
    assert flow["marked"] == "🔴"
    assert flow["comment"].startswith("auth.invalid_key: ")
    assert "\n" not in flow["comment"]
    assert len(flow["comment"].split(". ")) >= 2


def test_a_cut_stream_has_an_error_too(scene: Scene) -> None:
    with pytest.raises(httpx2.HTTPError):
        scene.call(model="simulate:network.stream_interrupted", stream=True)
    flow = scene.web.flow(lambda flow: "error" in flow)
    assert flow["comment"].startswith("network.stream_interrupted: ")
    assert flow["marked"] == "🔴"
    assert flow["error"]["msg"] == flow["comment"]
    assert b"network.stream_interrupted" in scene.web.body(flow, "response")


def test_what_the_cache_answered_says_so(scene: Scene) -> None:
    key = new_key()
    first, second = (scene.call(temperature=0, key=key) for _ in range(2))
    assert first.content == second.content
    assert scene.web.of(first)["comment"] == ""
    flow = scene.web.of(second)
    assert flow["comment"] == "cache hit: answered by whygate, the provider was not asked"
    assert flow["marked"] == ""
    assert scene.web.body(flow, "response") == second.content


def test_what_we_refuse_is_shown(scene: Scene) -> None:
    refused = httpx2.get(f"{scene.gateway.proxy}/nowhere/v1", trust_env=False)
    flow = scene.web.of(refused)
    assert (flow["marked"], flow["comment"].partition(":")[0]) == ("🔴", "request.invalid_url")


class Socket:
    """A WebSocket of an app, by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer, self._wire = reader, writer, WSConnection(ConnectionType.CLIENT)
        self._events: list[Any] = []

    async def send(self, event: events.Event) -> None:
        self._writer.write(self._wire.send(event))
        await self._writer.drain()

    async def next(self) -> Any:
        """Give the next event; OSError or a wsproto error when it is cut."""
        while not self._events:
            data = await asyncio.wait_for(self._reader.read(65_536), 10)
            self._wire.receive_data(data or None)
            self._events = list(self._wire.events())
        return self._events.pop(0)

    async def open(self, host: str, target: str) -> Any:
        """Ask for it; give what is said first."""
        signed = [(b"authorization", f"Bearer {new_key()}".encode())]
        await self.send(events.Request(host=host, target=target, extra_headers=signed))
        return await self.next()

    async def converse(self, prompt: str) -> None:
        """Ask for an answer in text, and wait for its end."""
        said = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": prompt}]}
        for event in ({"type": "conversation.item.create", "item": said}, {"type": "response.create"}):
            await self.send(events.TextMessage(data=json.dumps(event)))
        while json.loads((await self.next()).data)["type"] != "response.done":
            pass


async def test_a_websocket_is_shown_live_with_its_messages(scene: Scene) -> None:
    def talks(flow: dict[str, Any]) -> bool:
        return bool(flow.get("websocket", {}).get("messages_meta", {}).get("count", 0) > 2)

    socket = Socket(*await lane(scene.gateway))
    assert isinstance(await socket.open("api.openai.com", "/v1/realtime?model=gpt-realtime"), events.AcceptConnection)
    await socket.converse("one two")
    flow = await asyncio.to_thread(scene.web.flow, talks)
    assert flow["websocket"]["close_code"] is None
    assert headers_of(flow["request"])["authorization"] == "Bearer [redacted]"
    await socket.send(events.CloseConnection(code=1000))
    ended = await asyncio.to_thread(scene.web.flow, lambda f: f["id"] == flow["id"] and f["websocket"]["close_code"])
    assert (ended["marked"], ended["websocket"]["close_code"]) == ("", 1000)
    said = await asyncio.to_thread(scene.web.http.get, f"/flows/{flow['id']}/messages/content/auto.json")
    assert "one two" in said.text


async def test_a_websocket_that_was_cut_has_its_verdict(scene: Scene) -> None:
    async def cut(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        key = next(
            line.split(b": ")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")
        )
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        writer.write(
            b"HTTP/1.1 101 S\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: %b\r\n\r\n" % accept
        )
        await reader.read(100)
        writer.transport.abort()

    token = scene.raw.on(cut).partition("?")[2]
    socket = Socket(*await plain(scene.gateway))
    assert isinstance(
        await socket.open(scene.gateway.runtime["listen"], f"/relay/v1/realtime?{token}&model=m"),
        events.AcceptConnection,
    )
    await socket.send(events.TextMessage(data="one"))
    flow = await asyncio.to_thread(scene.web.flow, lambda flow: bool(flow.get("websocket")) and flow["marked"])
    assert flow["comment"].startswith("network.stream_interrupted: ")


async def test_a_websocket_that_was_refused_has_its_verdict(scene: Scene) -> None:
    async def refuse(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = (
            b'{"error": {"message": "Incorrect API key", "type": "invalid_request_error", "code": "invalid_api_key"}}'
        )
        head = b"HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        writer.write(head % len(body) + body)

    token = scene.raw.on(refuse).partition("?")[2]
    socket = Socket(*await plain(scene.gateway))
    refused = await socket.open(scene.gateway.runtime["listen"], f"/relay/v1/realtime?{token}&model=refuse")
    assert (type(refused), refused.status_code) == (events.RejectConnection, 401)
    flow = await asyncio.to_thread(scene.web.flow, lambda flow: "model=refuse" in flow["request"]["path"])
    assert (flow["request"]["method"], flow["response"]["status_code"], flow["marked"]) == ("GET", 401, "🔴")
    assert flow["comment"].startswith("auth.invalid_key: ")


def test_an_edited_route_is_mitmproxy_s_and_its_secrets_are_not_shown(scene: Scene) -> None:
    key = new_key()
    answer = scene.call("responses", input="one two", key=key)
    assert answer.status_code == 200
    assert scene.provider.rows(key), "the provider got the real key"
    flow = scene.web.flow(
        lambda flow: flow["request"]["path"] == "/v1/responses" and scene.web.body(flow, "response") == answer.content
    )
    assert re.fullmatch(r"Bearer \[redacted-[0-9a-f]{16}\]", headers_of(flow["request"])["authorization"])
    assert headers_of(flow["request"])["host"] == f"127.0.0.1:{scene.provider.port}"
    assert answer.headers["x-from-script"] == f"Bearer {key}"  # what a script copies is put back as well
    row = scene.gateway.flow(flow["id"])
    assert (row["status"], row["provider"], row["path"]) == (200, "openai", "/v1/responses")


@pytest.mark.parametrize("model", ["text-embedding-3-small", "simulate:quota.exhausted"])
def test_a_client_of_http2_alone_is_shown_as_well(scene: Scene, model: str) -> None:
    key = new_key()
    with scene.gateway.client(http1=False, http2=True) as client:
        answer = client.post(
            "https://api.openai.com/v1/embeddings",
            json={"model": model, "input": "one two"},
            headers={"authorization": f"Bearer {key}"},
        )
    assert scene.provider.rows(key), "the provider got the real key"
    flow = scene.web.flow(
        lambda flow: (
            flow["request"]["http_version"] == "HTTP/2.0" and scene.web.body(flow, "response") == answer.content
        )
    )
    assert json.loads(scene.web.body(flow, "request"))["input"] == "one two"
    assert flow["response"]["status_code"] == answer.status_code
    assert flow["comment"].partition(":")[0] == ("" if answer.status_code == 200 else "quota.exhausted")


def test_an_edited_route_s_failure_has_its_verdict(scene: Scene) -> None:
    scene.call("responses", input="one two", model="simulate:quota.exhausted")
    flow = scene.web.flow(lambda flow: flow["request"]["path"] == "/v1/responses" and flow["marked"])
    assert flow["comment"].startswith("quota.exhausted: ")


def test_a_script_changes_an_edited_call(scene: Scene) -> None:
    answer = scene.call("responses", input="a scripted prompt")
    assert "rewritten" in answer.text


def test_an_intercepted_call_waits_is_changed_and_goes_on(scene: Scene) -> None:
    assert scene.web.set(intercept="~u responses & ~q").status_code == 200
    with ThreadPoolExecutor(1) as pool:
        try:
            waiting = pool.submit(scene.call, "responses", input="before")
            flow = scene.web.flow(lambda flow: flow["intercepted"])
            threading.Event().wait(0.3)
            assert not waiting.done()
            asked = json.loads(scene.web.body(flow, "request"))
            change = {"request": {"content": json.dumps(asked | {"input": "afterwards"})}}
            assert scene.web.http.put(f"/flows/{flow['id']}", json=change).status_code == 200
            assert scene.web.http.post(f"/flows/{flow['id']}/resume").status_code == 200
            answer = waiting.result(20)
        finally:
            scene.web.set(intercept="")
    assert answer.status_code == 200
    assert "afterwards" in answer.text
    assert "before" not in answer.text


def test_an_answer_can_be_changed_on_its_way(scene: Scene) -> None:
    assert scene.web.set(intercept="~u responses & ~s").status_code == 200
    with ThreadPoolExecutor(1) as pool:
        try:
            waiting = pool.submit(scene.call, "responses", input="whatever")
            flow = scene.web.flow(lambda flow: flow["intercepted"])
            change = {"response": {"code": 418, "content": '{"mine": true}'}}
            assert scene.web.http.put(f"/flows/{flow['id']}", json=change).status_code == 200
            scene.web.http.post(f"/flows/{flow['id']}/resume")
            answer = waiting.result(20)
        finally:
            scene.web.set(intercept="")
    assert (answer.status_code, answer.json()) == (418, {"mine": True})


@pytest.mark.parametrize(
    "change", [{"mode": ["regular"]}, {"ssl_insecure": True}, {"confdir": "/"}, {"save_stream_file": "/x"}]
)
def test_what_the_gateway_stands_on_cannot_be_changed(scene: Scene, change: dict[str, Any]) -> None:
    refused = scene.web.set(**change)
    assert refused.status_code == 400
    assert "whygate" in refused.text
    name, value = next(iter(change.items()))
    assert scene.web.http.get("/options").json()[name]["value"] != value
    assert scene.call().status_code == 200


def test_resetting_all_options_changes_nothing_that_matters(scene: Scene) -> None:
    scene.web.http.post("/commands/options.reset", json={"arguments": []})
    assert scene.web.http.get("/options").json()["mode"]["value"] == ["gateway"]
    assert scene.call().status_code == 200
    scene.web.set(scripts=[str(scene.script)])


def test_nobody_gets_in_without_the_token(scene: Scene) -> None:
    assert httpx2.get(f"{scene.web.http.base_url}flows", trust_env=False).status_code == 403


def test_nothing_of_theirs_replays_or_listens(scene: Scene) -> None:
    answer = scene.call()
    flow, rows = scene.web.of(answer), len(scene.gateway.flows())
    assert scene.web.http.post(f"/flows/{flow['id']}/replay").status_code == 200
    assert "not sent again" in scene.web.http.get("/events").text
    assert len(scene.gateway.flows()) == rows
    servers = scene.web.http.get("/state").json()["servers"]
    assert list(servers) == ["gateway"]


def test_a_saved_file_can_be_looked_at_and_is_no_call(scene: Scene) -> None:
    answer = scene.call()
    scene.web.of(answer)
    rows = len(scene.gateway.flows())
    saved = scene.web.http.get("/flows/dump").content
    assert scene.web.http.post("/flows/dump", content=saved).status_code == 200
    assert scene.web.of(answer)
    assert len(scene.gateway.flows()) == rows


def test_three_thousand_calls_leave_a_bounded_view(tmp_path: Path) -> None:
    provider = Provider()
    gateway = GatewayProcess(tmp_path, config_for(provider.port), "--ui", "mitmweb")
    try:
        web = Mitmweb(gateway)
        process = psutil.Process(gateway.process.pid)
        url = f"{gateway.proxy}/openai/v1/chat/completions"
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "x" * 1000}]}

        def some(count: int) -> None:
            with httpx2.Client(trust_env=False, timeout=30, headers={"authorization": f"Bearer {new_key()}"}) as client:
                for _ in range(count):
                    assert client.post(url, json=body).status_code == 200

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(some, [500] * 6))
        newest = gateway.flows(limit=1)[0]["id"]
        web.flow(lambda flow: flow["id"] == newest, 40)
        assert len(web.flows()) == 2000
        web.http.close()
        assert process.memory_info().rss < 400 * MIB
        assert gateway.stop() == 0
    finally:
        gateway.stop()
        provider.close()
    assert "Traceback" not in gateway.log.read_text()


def test_it_ends_as_without_a_ui(tmp_path: Path) -> None:
    provider = Provider()
    gateway = GatewayProcess(tmp_path, config_for(provider.port), "--ui", "mitmweb")
    try:
        Mitmweb(gateway).http.close()
        with ThreadPoolExecutor(1) as pool, httpx2.Client(trust_env=False, timeout=20) as client:
            running = pool.submit(
                client.post, f"{gateway.proxy}/openai/v1/chat/completions",
                json={"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]},
                headers={"authorization": f"Bearer {new_key()}", "x-simulate-first-byte-ms": "1500"},
            )  # fmt: skip
            gateway.until(lambda: provider.in_flight)
            assert gateway.stop() == 0
            assert running.result(10).status_code == 200
    finally:
        gateway.stop()
        provider.close()
    assert "Traceback" not in gateway.log.read_text()


class Terminal:
    """``whygate start --ui console`` in a terminal of its own."""

    def __init__(self, directory: Path, port: int) -> None:
        self.state, config = directory / "state", directory / "whygate.toml"
        config.write_text(config_for(port))
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "gateway", "start", "--state", str(self.state), "--config", str(config),
                "--listen", "127.0.0.1:0", "--page", "127.0.0.1:0", "--ui", "console",
            ],
            stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, start_new_session=True,
            env=CLEAN | {"TERM": "xterm-256color", "LANG": "C.UTF-8"},
        )  # fmt: skip
        os.close(theirs)
        self.screen = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self.runtime = GatewayProcess.until(self._runtime, 20)

    def _runtime(self) -> dict[str, Any] | None:
        file = self.state / "runtime.json"
        return json.loads(file.read_text()) if file.exists() else None

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(self._ours, 65_536):
                self.screen += data

    @property
    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[\x0e\x0f]", "", self.screen.decode("utf-8", "replace"))

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(5)
        self._thread.join(5)
        os.close(self._ours)


@pytest.mark.parametrize("end", ["q", "SIGTERM"])
def test_the_console_shows_calls_and_gives_the_terminal_back(tmp_path: Path, end: str) -> None:
    provider = Provider()
    with contextlib.closing(provider), contextlib.closing(Terminal(tmp_path, provider.port)) as terminal:
        answer = httpx2.post(
            f"http://{terminal.runtime['listen']}/openai/v1/chat/completions", trust_env=False,
            json={"model": "simulate:auth.invalid_key", "messages": [{"role": "user", "content": "hi"}]},
            headers={"authorization": f"Bearer {new_key()}"},
        )  # fmt: skip
        assert answer.status_code == 401
        GatewayProcess.until(lambda: "/v1/chat/completions" in terminal.text)
        assert "whygate is ready" not in terminal.text  # it would tear the screen; it is in the event log
        terminal.type("E")
        GatewayProcess.until(lambda: "whygate is ready" in terminal.text)
        if end == "q":
            terminal.type("q")
            terminal.type("q")
            GatewayProcess.until(lambda: "Quit (yes,no)?" in terminal.text)
            terminal.type("y")
        else:
            terminal.process.send_signal(signal.SIGTERM)
        assert terminal.process.wait(10) == 0
    assert b"\x1b[?1049l" in terminal.screen  # back from the other screen
    assert "Traceback" not in terminal.text
    assert MARK not in terminal.text


def test_who_wants_no_ui_imports_none() -> None:
    program = (
        "import sys; from gateway.light import lighten; lighten(); import gateway.app;"
        "print(sorted({'tornado', 'urwid', 'addons.feed', 'addons.uis', 'addons.veil', 'zstandard'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() in {"[]", "['zstandard']"}  # mitmproxy itself may want the last


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--set", "intercept=~q"), "--ui"),
        (("--ui", "console"), "needs a terminal"),
        (("--ui", "mitmweb", "--set", "mode=regular"), "mode"),
        (("--ui", "mitmweb", "--set", "scripts=/nowhere.py"), "No such script"),
    ],
)
def test_a_wish_that_cannot_be_met_is_told(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(RuntimeError, match=words) as failed:
        GatewayProcess(tmp_path, "", *arguments)
    assert "Traceback" not in str(failed.value)
    assert "bug" not in str(failed.value)
