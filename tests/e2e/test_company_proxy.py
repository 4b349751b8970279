"""Behind a company's proxy (Squid): whatever an app does goes out through it, logged in where it asks for that."""

import asyncio
import hashlib
import json
import random
import ssl
import string
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.e2e.office import Office, ask_for_tunnel, leaks, name_of
from tests.e2e.sockets import client_of, converse, realtime
from tests.e2e.squid import LOGIN, USER, Squid, squid
from tests.e2e.world import World, job, new_key
from tests.running import plain, read_answer


@pytest.fixture(scope="module")
def silent(firm: Office) -> Iterator[Squid]:
    """One that does not say in a request that it was there."""
    with squid(firm.authority) as made:
        yield made


@pytest.fixture(scope="module")
def talkative(firm: Office) -> Iterator[Squid]:
    """One that does (Via, X-Forwarded-For)."""
    with squid(firm.authority, via=True) as made:
        yield made


class Desk(NamedTuple):
    """A gateway, and the proxy that it has to use."""

    world: World
    squid: Squid
    login: str | None
    office: Office

    @property
    def user(self) -> str:
        return USER if self.login else "-"


@pytest.fixture(scope="module", params=["environment", "environment, login", "settings", "settings, login"])
def desk(
    request: pytest.FixtureRequest, firm: Office, silent: Squid, talkative: Squid,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Desk]:  # fmt: skip
    """At its end, the proxy's credential may stand nowhere."""
    login = LOGIN if "login" in request.param else None
    directory = tmp_path_factory.mktemp("desk")
    if "settings" in request.param:
        used = talkative
        extra, env = f'[network]\nproxy = "{used.address(login)}"\n', {"HTTPS_PROXY": "http://127.0.0.1:1"}
    else:
        used = silent
        extra, env = "", {"HTTPS_PROXY": used.address(login), "http_proxy": used.address(login)}
    with firm.world(directory, extra + '[listen]\nedit = ["openai/v1/embeddings"]\n', env) as world:
        yield Desk(world, used, login, firm)
        assert leaks(world) == []
        sent = b"\n".join(name.lower() + b": " + value for name, value in firm.provider.headers)
        assert b"proxy-authorization" not in sent


async def test_the_official_sdk_is_answered_through_it_plain_and_streamed(desk: Desk) -> None:
    whole, streamed = job(prompt="one two three"), job(prompt="four five six", stream=True)
    results = await asyncio.to_thread(desk.world.proxied.ask, [whole, streamed])
    assert [result["error"] for result in results] == [None, None]
    assert [result["text"] for result in results] == ["Echo: one two three", "Echo: four five six"]
    rows = [await asyncio.to_thread(desk.world.row, result) for result in results]
    assert [(row["status"], row["provider"], row["cause"]) for row in rows] == [(200, "openai", None)] * 2


def test_an_upload_too_large_to_be_kept_arrives_whole(desk: Desk) -> None:
    key, letters = new_key(), random.Random(5).choices(string.ascii_letters, k=64 * 1024)
    prompt = "".join(letters) * 150  # 9.4 MiB
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": prompt}]}).encode()
    with desk.world.gateway.client() as client:
        answer = client.post(
            "https://api.openai.com/v1/chat/completions",
            content=body,
            headers={"authorization": f"Bearer {key}", "content-type": "application/json", "x-simulate-bytes": "9"},
        )
    assert answer.status_code == 200
    (row,) = desk.office.provider.rows(key)
    assert (row.body_bytes, row.body_sha256) == (len(body), hashlib.sha256(body).hexdigest())


async def test_a_realtime_conversation_goes_through_a_tunnel(desk: Desk) -> None:
    async with realtime(desk.world.gateway) as socket:
        text, kinds = await asyncio.wait_for(converse(socket, "seven eight"), 10)
        client = client_of(socket)
    assert text == "Echo: seven eight"
    assert kinds[0] == "session.created"
    (row,) = await asyncio.to_thread(desk.world.gateway.rows_of, client)
    assert (row["kind"], row["status"], row["provider"], row["cause"]) == ("websocket", 101, "openai", None)


async def test_a_tunnel_leads_through_it_to_the_other_sides_own_certificate(desk: Desk) -> None:
    target = f"elsewhere.test:{desk.office.secure.port}"
    status, _, reader, writer = await ask_for_tunnel(desk.world.gateway, target)
    assert status == 200
    client = name_of(writer)
    trusting = ssl.create_default_context()
    desk.office.authority.configure_trust(trusting)
    await writer.start_tls(trusting, server_hostname="elsewhere.test")
    writer.write(b"GET / HTTP/1.1\r\nHost: elsewhere.test\r\nConnection: close\r\n\r\n")
    assert (await asyncio.wait_for(read_answer(reader), 10))[1] == b"elsewhere"
    writer.close()
    (row,) = await asyncio.to_thread(desk.world.gateway.rows_of, client)
    assert (row["kind"], row["status"], row["host"], row["cause"]) == ("tunnel", 200, target, None)
    asked = (200, "CONNECT", target, desk.user)
    assert await asyncio.to_thread(desk.world.gateway.until, lambda: asked in desk.squid.asked_for)


async def test_a_plain_request_to_another_host_is_asked_of_it_by_its_whole_url(desk: Desk) -> None:
    reader, writer = await plain(desk.world.gateway)
    authority, path = f"elsewhere.test:{desk.office.plain.port}", f"/{new_key()}"
    url = f"http://{authority}{path}"
    head = f"GET {url} HTTP/1.1\r\nHost: {authority}\r\nProxy-Authorization: Basic bWluZTpteQ==\r\nProxy-Connection: keep-alive\r\n\r\n"
    for _ in range(2):
        writer.write(head.encode())
        answer, body = await read_answer(reader)
        assert (answer.split(b" ", 2)[1], body) == (b"200", b"elsewhere")
        assert b"x-whygate" not in answer
    seen = [headers for asked, headers in desk.office.plain.seen if asked == path]
    assert len(seen) == 2
    assert all(not name.startswith(("proxy-", "x-whygate")) for headers in seen for name in headers)
    assert [bool({"via", "x-forwarded-for"} & headers.keys()) for headers in seen] == [desk.squid.talks] * 2
    rows = await asyncio.to_thread(desk.world.gateway.rows_of, name_of(writer))
    assert [(row["status"], row["host"], row["cause"]) for row in rows] == [(200, authority, None)] * 2
    assert desk.squid.asked_for.count((200, "GET", url, desk.user)) == 2


@pytest.mark.parametrize("case", ["a client of HTTP/2 alone", "an edited route"])
def test_what_mitmproxy_carries_goes_through_it_too(desk: Desk, case: str) -> None:
    path, versions = ("models", {"http1": False, "http2": True}) if "HTTP/2" in case else ("embeddings", {})
    key = new_key()
    with desk.world.gateway.client(**versions) as client:
        answer = client.request(
            "GET" if path == "models" else "POST",
            f"https://api.openai.com/v1/{path}?order={case.rsplit(maxsplit=1)[-1]}",
            headers={"authorization": f"Bearer {key}"},
            json=None if path == "models" else {"model": "text-embedding-3-small", "input": "x"},
        )
    assert answer.status_code == 200, answer.text
    assert "x-whygate-flow-id" not in answer.headers
    assert [row.status for row in desk.office.provider.rows(key)] == [200]
    row = desk.world.gateway.until(
        lambda: next(
            (r for r in desk.world.gateway.flows() if r["path"].endswith(f"={case.rsplit(maxsplit=1)[-1]}")), None
        )
    )
    assert (row["provider"], row["status"], row["cause"]) == ("openai", 200, None)
