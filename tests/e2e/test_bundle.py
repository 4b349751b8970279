"""A failure is handed over: what was written holds what support needs, and no key and no prompt in any of its bytes."""

import asyncio
import json
import subprocess
import sys
import uuid
import zipfile
from pathlib import Path

import fastjsonschema

from tests.e2e.world import MARK, World, job, new_key
from tests.running import CLEAN, ROOT

SCHEMA = (ROOT / "tests" / "gateway" / "record" / "har_schema.json").read_bytes()


def whygate(world: World, cwd: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    """Run a verb as somebody does whose environment holds a key."""
    command = [sys.executable, "-m", "gateway", *words, "--state", str(world.gateway.state)]
    env = CLEAN | {"PYTHONPATH": str(ROOT), "OPENAI_API_KEY": new_key(), "HOME": str(world.directory)}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done


def written(directory: Path) -> dict[str, bytes]:
    """Give every file that was written, and what is in those that are archives."""
    files = {file.name: file.read_bytes() for file in directory.iterdir()}
    for name in [name for name in files if name.endswith(".zip")]:
        with zipfile.ZipFile(directory / name) as archive:
            assert archive.testzip() is None
            files |= {inside: archive.read(inside) for inside in archive.namelist()}
    return files


async def test_a_failure_is_handed_over_without_any_key_or_prompt(world: World, tmp_path: Path) -> None:
    prompt = f"prompt {uuid.uuid4().hex}"
    jobs = [
        job("chat", prompt=prompt),
        job("chat", prompt=prompt, key=f"sk-proj-{MARK}-bad-{'y' * 24}", max_retries=0),
        job("messages", prompt=prompt, model="simulate:service.stream_error", stream=True),
        job("chat", prompt=prompt, model="simulate:network.connection_reset", max_retries=0),
        job("chat", prompt=prompt, headers={"cookie": new_key(), "x-api-key": new_key()}, max_retries=0),
        job("chat", prompt=prompt, more={"extra_query": {"api_key": new_key(), "key": new_key()}}),
    ]
    results = await asyncio.to_thread(world.proxied.ask, jobs)
    bad = world.row(results[1])
    assert bad["cause"] == "auth.invalid_key"
    await asyncio.to_thread(whygate, world, tmp_path, "bundle", "b.zip")
    await asyncio.to_thread(whygate, world, tmp_path, "export", "--har", "a.har", "--jsonl", "a.jsonl")
    files = written(tmp_path)
    secrets = (MARK, prompt.split()[1], str(world.directory), world.gateway.runtime["token"])
    assert [(name, secret) for secret in secrets for name, data in files.items() if secret.encode() in data] == []
    assert bad["id"].encode() in files["flows.jsonl"]
    assert bad["id"].encode() in files["verdicts.txt"]
    assert f"reproduce/{bad['id']}.sh" in files
    valid = fastjsonschema.compile(json.loads(SCHEMA))
    for name in ("flows.har", "a.har"):
        entries = valid(json.loads(files[name]))["log"]["entries"]
        assert bad["id"] in {entry["_whygate"]["id"] for entry in entries}
    told = json.loads(files["environment.json"])
    assert "python" in {client.get("language") for client in told["clients"]}


async def test_a_key_that_reached_the_log_by_an_odd_way_stops_the_bundle(world: World, tmp_path: Path) -> None:
    """Nothing else knows that this word of a path is somebody's token."""
    token = uuid.uuid4().hex
    asked = job("chat", model=f"gpt-{token}", key=f"sk-proj-{MARK}-bad-{'y' * 24}", max_retries=0)
    world.row(await asyncio.to_thread(world.proxied.ask_one, asked))
    command = [sys.executable, "-m", "gateway", "bundle", "b.zip", "--state", str(world.gateway.state)]
    env = CLEAN | {"PYTHONPATH": str(ROOT), "GH_TOKEN": token}
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=tmp_path, env=env, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert b"value of the environment variable GH_TOKEN" in done.stderr
    assert token.encode() not in done.stderr
    assert written(tmp_path) == {}
