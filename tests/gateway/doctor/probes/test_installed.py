"""The gateway's own files: what is wrong with them, and what is mended."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway import authority
from gateway.authority import load_or_create
from gateway.doctor import own_files
from gateway.doctor.case import Case
from gateway.doctor.fix import fix
from gateway.doctor.measured_here import Installed
from gateway.doctor.probe import Done, Status
from gateway.doctor.probes.installed import PROBE
from gateway.model.cause import Cause
from gateway.state import Runtime, State
from tests.gateway.doctor.probes.far import a_case


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State.open(tmp_path / "state")


def case_of(state: State, **environ: str) -> Case:
    return a_case(state=state.directory, environ=environ)


async def measured(case: Case) -> Installed:
    seen = await PROBE.measure(case, Done())
    assert isinstance(seen, Installed)
    return seen


def make_expired(state: State) -> None:
    authority._create(state, datetime.now(UTC) - timedelta(days=3_653))


def words(seen: Installed) -> list[str]:
    return [what for what, _ in seen.problems]


def runtime(**more: object) -> Runtime:
    values = {"pid": 2**22 + 1, "listen": "127.0.0.1:8080", "page": "127.0.0.1:8081", "token": "t", "started_at": "x"}
    return Runtime(**(values | more))  # type: ignore[arg-type]


async def test_files_in_order_and_no_files_are_both_well(state: State, tmp_path: Path) -> None:
    load_or_create(state)
    for case in (case_of(state), a_case(state=tmp_path / "none")):
        seen = await measured(case)
        assert (seen.problems, seen.fixable, seen.running) == ((), (), "")
        (check,) = PROBE.judge(case, Done(seen))
        assert check.status is Status.OK


async def test_a_gateway_that_runs_is_named() -> None:
    case = a_case(own=(("127.0.0.1", 8080),), environ={"WHYGATE_STATE": "/nonexistent/x"})
    seen = await measured(case)
    assert seen.running == "127.0.0.1:8080"
    (check,) = PROBE.judge(case, Done(seen))
    assert ("place", "127.0.0.1:8080") in check.told.facts


async def test_an_open_directory_is_found_and_closed(state: State) -> None:
    state.directory.chmod(0o755)
    case = a_case(environ={"WHYGATE_STATE": str(state.directory)})
    seen = await measured(case)
    assert words(seen) == [own_files.PERMISSIONS]
    (check,) = PROBE.judge(case, Done(seen))
    assert check.status is Status.WARN
    assert check.diagnosis is not None
    assert any("--fix" in step for step in check.diagnosis.what_to_do)
    (said,) = fix(case, seen)
    assert "0700" in said
    assert state.directory.stat().st_mode & 0o777 == 0o700
    assert (await measured(case)).problems == ()
    assert fix(case, seen) == ()


async def test_what_an_open_directory_hides_is_mended_in_the_same_go(state: State) -> None:
    load_or_create(state)
    state.ca_key.chmod(0o644)
    state.directory.chmod(0o755)
    case = case_of(state)
    said = fix(case, await measured(case))
    assert len(said) == 2
    assert state.ca_key.stat().st_mode & 0o777 == 0o600
    assert (await measured(case)).problems == ()


async def test_an_authority_that_has_run_out_is_made_anew(state: State) -> None:
    make_expired(state)
    case = case_of(state)
    seen = await measured(case)
    assert words(seen) == [own_files.CA_EXPIRED]
    (check,) = PROBE.judge(case, Done(seen))
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.CLIENT_CA_NOT_TRUSTED
    before = state.ca_pem.read_bytes()
    (said,) = fix(case, seen)
    assert "new certificate authority" in said
    assert state.ca_pem.read_bytes() != before
    assert (await measured(case)).problems == ()


async def test_an_authority_in_use_is_left_alone(state: State) -> None:
    make_expired(state)
    case = case_of(state)
    before = state.ca_pem.read_bytes()
    with state.lock():
        (said,) = fix(case, await measured(case))
    assert "Stop that first" in said
    assert state.ca_pem.read_bytes() == before


@pytest.mark.parametrize("name", ["ca.pem", "ca.key"])
async def test_half_an_authority_is_named_and_not_touched(state: State, name: str) -> None:
    load_or_create(state)
    (state.directory / name).unlink()
    case = case_of(state)
    seen = await measured(case)
    assert words(seen) == [own_files.CA]
    assert seen.fixable == ()
    assert fix(case, seen) == ()
    (check,) = PROBE.judge(case, Done(seen))
    assert check.status is Status.WARN
    assert check.diagnosis is not None
    assert any("whygate ca remove" in step for step in check.diagnosis.what_to_do)


async def test_a_pair_that_does_not_belong_together_is_named(state: State, tmp_path: Path) -> None:
    load_or_create(state)
    other = State.open(tmp_path / "other")
    load_or_create(other)
    state.ca_key.write_bytes(other.ca_key.read_bytes())
    assert words(await measured(case_of(state))) == [own_files.CA]


async def test_what_a_gateway_left_behind_is_a_note_and_is_removed(state: State) -> None:
    runtime().write(state)
    case = case_of(state)
    seen = await measured(case)
    assert words(seen) == [own_files.STALE_RUNTIME]
    assert [check.status for check in PROBE.judge(case, Done(seen))] == [Status.NOTE, Status.OK]
    assert len(fix(case, seen)) == 1
    assert not state.runtime_json.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
async def test_a_directory_that_cannot_be_written_is_named(state: State) -> None:
    state.directory.chmod(0o500)
    assert words(await measured(case_of(state))) == [own_files.PLACE]


async def test_a_link_in_its_place_is_named_and_not_followed(state: State, tmp_path: Path) -> None:
    state.directory.chmod(0o755)
    link = tmp_path / "link"
    link.symlink_to(state.directory)
    case = a_case(state=link)
    seen = await measured(case)
    assert words(seen) == [own_files.PLACE]
    assert fix(case, seen) == ()
    assert state.directory.stat().st_mode & 0o777 == 0o755


async def test_variables_of_an_earlier_gateway_can_be_mended(state: State) -> None:
    stale = case_of(
        state, HTTPS_PROXY="http://whygate:abcdefgh@127.0.0.1:9", http_proxy="http://proxy.corp.example:3128"
    )
    assert (await measured(stale)).fixable == ("stale_variables",)
    theirs = case_of(state, HTTPS_PROXY="http://127.0.0.1:7890")
    assert (await measured(theirs)).fixable == ()
