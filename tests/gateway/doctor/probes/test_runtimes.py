"""Runtimes of this machine, asked by canaries."""

import asyncio
import shutil
import sys
import time
from pathlib import Path

from gateway.doctor import runtime_asking
from gateway.doctor.case import Case
from gateway.doctor.measured_here import Runtimes, RuntimeSeen, Trust
from gateway.doctor.probe import Check, Done, Status
from gateway.doctor.probes.runtimes import PROBE
from gateway.doctor.report import said
from gateway.model.cause import Cause
from tests.gateway.doctor.probes.far import a_case

OWN = (("127.0.0.1", 8080), ("127.0.0.1", 8081))
PROXY = {"HTTPS_PROXY": "http://proxy.corp.example:3128"}


def judged(*each: RuntimeSeen, case: Case | None = None, trust: Trust | None = None) -> list[Check]:
    seen = Runtimes(each=each)
    return list(PROBE.judge(case or a_case(environ=PROXY), Done(seen) if trust is None else Done(seen, trust)))


def python(*means: tuple[str, str], problem: str = "") -> RuntimeSeen:
    return RuntimeSeen(name="python", version="Python 3.13.0", means=means, problem=problem)


def test_what_goes_through_and_what_goes_past() -> None:
    through, past = python(("urllib", "yes"), ("httpx", "yes")), python(("urllib", "yes"), ("aiohttp", "no"))
    assert judged(through)[0].status is Status.OK
    (check,) = judged(past)
    assert check.status is Status.NOTE
    assert ("names", "aiohttp") in check.told.facts
    (check,) = judged(python(("urllib", "base URL")))
    assert check.status is Status.NOTE
    assert "base URL" in check.told.text
    assert judged()[0].status is Status.NOTE


def test_the_base_url_counts_where_it_leads_to_the_gateway() -> None:
    environ = {"HTTPS_PROXY": "http://127.0.0.1:8080", "OPENAI_BASE_URL": "http://127.0.0.1:8080/openai/v1/"}
    assert runtime_asking._base_url(a_case(own=OWN, environ=environ)) == "http://127.0.0.1:8080/openai/v1"
    for other in ("http://127.0.0.1:9999/openai/v1", "https://relay.example.com/v1", "", "http://[x/v1"):
        assert runtime_asking._base_url(a_case(own=OWN, environ=environ | {"OPENAI_BASE_URL": other})) == ""


def test_a_certificate_that_is_not_trusted_is_said_once() -> None:
    case = a_case(own=OWN, environ={"HTTPS_PROXY": "http://127.0.0.1:8080"})
    untrusted = python(("urllib", "no trust"))
    (check,) = judged(untrusted, case=case)
    assert check.status is Status.WARN
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.CLIENT_CA_NOT_TRUSTED
    trust = Trust(roots=1, versions=(), library="", variables=(("SSL_CERT_FILE", "unset"),))
    assert judged(untrusted, case=case, trust=trust)[0].status is Status.NOTE


def test_a_runtime_that_cannot_be_asked_is_no_trouble() -> None:
    assert judged(python(problem="it did not end within 5 s"))[0].status is Status.NOTE


def test_it_is_left_out_where_it_would_say_nothing() -> None:
    assert "no gateway runs" in said(PROBE.leave_out(a_case()), "en")
    assert "whygate run" in said(PROBE.leave_out(a_case(own=OWN)), "en")
    assert PROBE.leave_out(a_case(environ=PROXY, asked=False))
    assert not PROBE.leave_out(a_case(environ=PROXY))
    assert not PROBE.unasked


def programs(folder: Path, **scripts: str) -> str:
    """A PATH with just these programs, and what they need."""
    folder.mkdir()
    for name, script in scripts.items():
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    return str(folder)


async def test_who_would_ask_the_proxy_is_seen_without_asking_it(tmp_path: Path) -> None:
    bin_ = Path(programs(tmp_path / "bin"))
    (bin_ / "python3").symlink_to(sys.executable)
    for tool in ("curl", "sed", "tr", "tail"):
        if there := shutil.which(tool):
            (bin_ / tool).symlink_to(there)
    case = a_case(environ={"PATH": str(bin_), **PROXY})
    seen = await runtime_asking.runtimes_of(case, seconds=20)
    assert [one.name for one in seen][:1] == ["python"]
    for one in seen:
        assert not one.problem
        assert one.means[0][1] == "yes", one


async def test_a_runtime_that_hangs_ends_with_its_children(tmp_path: Path) -> None:
    left = tmp_path / "pid"
    sleeping = f"#!/bin/sh\nsleep 60 & echo $! > {left}\nwait\n"
    path = programs(tmp_path / "bin", python3=sleeping)
    began = time.monotonic()
    (seen,) = await runtime_asking.runtimes_of(
        a_case(environ={"PATH": path + ":" + _only(tmp_path, "sleep"), **PROXY}), seconds=1
    )
    assert time.monotonic() - began < 5
    assert "did not end" in seen.problem
    async with asyncio.timeout(5):
        while _runs(int(left.read_text())):  # noqa: ASYNC110 - another program's end has no event
            await asyncio.sleep(0.02)


def _only(folder: Path, name: str) -> str:
    there = folder / "tools"
    there.mkdir()
    (there / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    return str(there)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except OSError:
        return False


async def test_one_that_says_nothing_or_cannot_run_says_so(tmp_path: Path) -> None:
    path = programs(tmp_path / "bin", python3="#!/bin/sh\necho broken >&2\nexit 3\n", node="#!/no/such/interpreter\n")
    seen = {
        one.name: one.problem
        for one in await runtime_asking.runtimes_of(a_case(environ={"PATH": path, **PROXY}), seconds=5)
    }
    assert seen["python"] == "broken"
    assert seen.get("node", "x")


async def test_without_runtimes_there_is_nothing(tmp_path: Path) -> None:
    assert await runtime_asking.runtimes_of(a_case(environ={"PATH": str(tmp_path), **PROXY}), seconds=5) == ()
