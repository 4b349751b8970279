"""No key that an app sends is ever written to disk, whatever becomes of its call."""

import asyncio
import uuid
from pathlib import Path

from tests.e2e.world import MARK, World, job, new_key
from tests.running import plain


def holding(directory: Path, words: bytes) -> list[Path]:
    """Give the files that hold these bytes."""
    return [file for file in directory.rglob("*") if file.is_file() and words in file.read_bytes()]


async def test_no_key_is_in_any_file_of_the_state_directory(world: World) -> None:
    """Good and bad calls, an echo of the key by the provider, keys in odd places, and tunnels."""
    proof = f"proof-{uuid.uuid4().hex}"
    unknown = f"sk-proj-{MARK}-bad-{'y' * 24}"
    jobs = [
        job("chat", model=proof),
        job("chat", key=unknown, max_retries=0),
        job("messages", key=unknown.replace("proj", "ant"), max_retries=0),
        job("chat", key=f"odd {MARK} key without a known shape", max_retries=0),
        job("messages", model="simulate:service.stream_error", stream=True),
        job("chat", model="simulate:network.connection_reset", max_retries=0),
        job(
            "chat", headers={"cookie": new_key(), "x-api-key": new_key(), "proxy-authorization": f"Bearer {new_key()}"}
        ),
        job("chat", model="gpt-4o", more={"extra_query": {"api_key": new_key(), "key": new_key()}}),
        job("chat", model=new_key(), max_retries=0),
    ]
    results = await asyncio.to_thread(world.proxied.ask, jobs)
    assert results[0]["error"] is None
    assert "incorrect api key" in results[1]["error"]["message"].lower()
    for request in (
        f"CONNECT {MARK}x.invalid:443 HTTP/1.1\r\nProxy-Authorization: Bearer {new_key()}\r\n\r\n",
        f"GET http://nowhere.invalid/?key={new_key()} HTTP/1.1\r\nHost: nowhere.invalid\r\n\r\n",
        f"GET /openai/v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {new_key()}\r\nBad Header: x\r\n\r\n",
    ):
        reader, writer = await plain(world.gateway)
        writer.write(request.replace(f"{MARK}x.", "nowhere.").encode())
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        writer.transport.abort()
    for result in results:
        if result["headers"] or (result["error"] and result["error"].get("headers")):
            await asyncio.to_thread(world.row, result)
    state = world.gateway.state
    assert holding(state, proof.encode()), "nothing was written: the test would prove nothing"
    assert holding(world.gateway.directory, MARK.encode()) == []
