"""What programs of this machine trust."""

from pathlib import Path

import pytest
import trustme

from gateway import trust
from gateway.doctor.case import Case
from gateway.doctor.measured_here import Trust
from gateway.doctor.probe import Check, Done, Status
from gateway.doctor.probes.trust import PROBE
from gateway.model.cause import Cause
from tests.gateway.doctor.probes.far import a_case


async def measured(case: Case) -> Trust:
    seen = await PROBE.measure(case, Done())
    assert isinstance(seen, Trust)
    return seen


def judged(seen: Trust, case: Case | None = None) -> list[Check]:
    return list(PROBE.judge(case or a_case(), Done(seen)))


def pem(path: Path) -> Path:
    trustme.CA().cert_pem.write_to_path(str(path))
    return path


async def test_a_machine_without_variables_is_well() -> None:
    seen = await measured(a_case())
    assert seen.variables == ()
    assert "TLSv1.3" in seen.versions
    assert seen.library.startswith(("OpenSSL", "LibreSSL"))
    (check,) = judged(seen)
    assert check.status is Status.OK


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (str, "missing"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_bytes(b"\n \n"), "empty"),
        (lambda path: path.write_bytes(b"<html>"), "not_pem"),
        (lambda path: path.write_bytes(b"\x30\x82\x01\x00"), "not_pem"),
        (lambda path: path.mkdir(), "folder"),
        (pem, ""),
    ],
)
async def test_what_a_variable_names_is_looked_at(tmp_path: Path, make: object, what: str) -> None:
    path = tmp_path / "corp.pem"
    assert callable(make)
    make(path)
    seen = await measured(a_case(environ={"REQUESTS_CA_BUNDLE": str(path), "HOME": "/root"}))
    assert seen.variables == (("REQUESTS_CA_BUNDLE", what),)
    (check,) = judged(seen)
    if not what:
        assert check.status is Status.OK
        return
    assert check.status is Status.FAIL
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.CLIENT_CA_BUNDLE_MISCONFIGURED
    assert any("REQUESTS_CA_BUNDLE" in line for line in check.diagnosis.evidence)
    assert any("unset REQUESTS_CA_BUNDLE" in step for step in check.diagnosis.what_to_do)
    assert str(path) not in repr(check), "a variable's value may hold what is nobody's business"


async def test_a_folder_that_is_not_there_or_a_tools_own_file_is_a_warning(tmp_path: Path) -> None:
    seen = await measured(
        a_case(environ={"SSL_CERT_DIR": str(tmp_path / "none"), "PIP_CERT": "/none", "NODE_EXTRA_CA_CERTS": "/none"})
    )
    assert [check.status for check in judged(seen)] == [Status.WARN] * 3
    seen = await measured(a_case(environ={"SSL_CERT_DIR": f"{tmp_path / 'none'}:{tmp_path}"}))
    assert judged(seen)[0].status is Status.OK


async def test_a_value_that_is_no_path_is_no_crash() -> None:
    seen = await measured(a_case(environ={"SSL_CERT_FILE": "a\0b"}))
    assert seen.variables == (("SSL_CERT_FILE", "unreadable"),)


def own(state: Path, **more: str) -> Case:
    pem(state / "ca.pem")
    environ = {"HTTPS_PROXY": "http://127.0.0.1:8080"} | more
    return a_case(state=state, own=(("127.0.0.1", 8080), ("127.0.0.1", 8081)), environ=environ)


async def test_a_file_that_lacks_our_certificate_matters_when_the_proxy_is_ours(tmp_path: Path) -> None:
    corp = str(pem(tmp_path / "corp.pem"))
    case = own(tmp_path, REQUESTS_CA_BUNDLE=corp)
    check = judged(await measured(case), case)[0]
    assert check.status is Status.WARN
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.CLIENT_CA_NOT_TRUSTED
    elsewhere = a_case(state=tmp_path, environ={"REQUESTS_CA_BUNDLE": corp})
    assert [one.status for one in judged(await measured(elsewhere))] == [Status.OK]


async def test_no_variable_at_all_is_the_same_when_the_proxy_is_ours(tmp_path: Path) -> None:
    case = own(tmp_path)
    check = judged(await measured(case), case)[0]
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.CLIENT_CA_NOT_TRUSTED


async def test_a_bundle_with_our_certificate_is_well(tmp_path: Path) -> None:
    case = own(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(
        pem(tmp_path / "corp.pem").read_bytes() + (tmp_path / "ca.pem").read_bytes().replace(b"\n", b"\r\n")
    )
    case = a_case(state=tmp_path, own=case.own, environ={**case.environ, "SSL_CERT_FILE": str(both)})
    assert [one.status for one in judged(await measured(case), case)] == [Status.OK]


def test_a_machine_without_any_list_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (check,) = judged(Trust(roots=0, versions=("TLSv1.3",), library="OpenSSL 3"))
    assert check.status is Status.FAIL
    assert judged(Trust(roots=None, versions=(), library="OpenSSL 3"))[0].status is Status.OK
    assert trust.system_roots() != 0


@pytest.mark.parametrize(
    ("roots", "variables", "broken"),
    [
        (140, (), False),
        (None, (), False),
        (0, (), True),
        (140, (("SSL_CERT_FILE", "missing"),), True),
        (140, (("SSL_CERT_FILE", "lacks_ours"),), False),
        (140, (("REQUESTS_CA_BUNDLE", "missing"),), False),
    ],
)
def test_our_own_handshakes_need_a_list_as_well(
    roots: int | None, variables: tuple[tuple[str, str], ...], broken: bool
) -> None:
    assert Trust(roots=roots, versions=(), library="", variables=variables).is_broken is broken
