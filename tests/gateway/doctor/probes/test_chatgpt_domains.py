"""ChatGPT's domains: what each state of them is called, and what a look at them sees."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import dns.message
import dns.rdatatype
import dns.rrset
import pytest
import trustme

from gateway.diagnose.remedy import fill
from gateway.doctor.case import Case, Target
from gateway.doctor.chat_seen import Looker
from gateway.doctor.chatgpt import NEEDS, Entry, entries
from gateway.doctor.lists import Lists, Resolver
from gateway.doctor.measured import (
    ChatHosts,
    Connects,
    Handshakes,
    HostSeen,
    Lookup,
    Machine,
    Reached,
    Shaken,
)
from gateway.doctor.probe import Check, Done, Status
from gateway.doctor.probes.chatgpt_domains import PROBE
from gateway.doctor.wire import Served
from gateway.egress.network import Via
from gateway.model.cause import Cause, Precision
from gateway.model.failure import NetCode, NetFailure, Phase

PUBLIC = Served(
    subject="CN=chatgpt.com", issuer="CN=WE1,O=Google Trust Services,C=US", begins="2026-10-01 00:00 UTC",
    ends="2027-01-01 00:00 UTC", issuers=("CN=WE1,O=Google Trust Services,C=US",),
)  # fmt: skip
ZSCALER = replace(PUBLIC, issuer="CN=Zscaler Intermediate Root CA,O=Zscaler Inc.,C=US", issuers=("CN=Zscaler Root CA",))
APPLE = replace(
    PUBLIC, issuer="CN=Apple Server Authentication CA,OU=Certification Authority,O=Apple Inc.,C=US", issuers=()
)
CASE = Case(target=Target(host="api.openai.com"), chatgpt=True)
TRUE = "104.18.41.241"


def _good(entry: Entry) -> HostSeen:
    return HostSeen(
        host=entry.member, pattern=entry.pattern, need=entry.need, vital=entry.vital, pinned=entry.pinned,
        lookup=Lookup(by="system", addresses=(TRUE,)),
        connect=Connects(address=TRUE, port=443, connect_ms=(20.0,)),
        shaken=Shaken(address=TRUE, name=entry.member, version="TLSv1.3", served=PUBLIC),
    )  # fmt: skip


EVERY = tuple(_good(entry) for entry in entries() if entry.member)


def _failed(code: NetCode, phase: Phase = Phase.TLS, detail: str = "it broke") -> NetFailure:
    return NetFailure(phase=phase, code=code, detail=detail, sent=False)


def _checks(seen: ChatHosts, *more: object, case: Case = CASE) -> dict[str, Check]:
    return {check.about: check for check in PROBE.judge(case, Done(seen, *more))}


def _changed(hosts: tuple[str, ...], **fields: object) -> ChatHosts:
    return ChatHosts(each=tuple(replace(one, **fields) if one.host in hosts else one for one in EVERY))  # type: ignore[arg-type]


def _only(checks: dict[str, Check], about: str) -> Check:
    """Give the one check that found something."""
    found = {name: one for name, one in checks.items() if one.status in {Status.WARN, Status.FAIL}}
    assert list(found) == [about]
    return found[about]


def _evidence(check: Check) -> str:
    assert check.diagnosis is not None
    return "\n".join(check.diagnosis.evidence)


def test_where_all_answer_each_need_has_one_line_and_nothing_is_found() -> None:
    checks = _checks(ChatHosts(each=EVERY))
    assert tuple(checks) == NEEDS
    assert {check.status for check in checks.values()} == {Status.OK}


def test_nothing_is_said_without_a_measurement() -> None:
    assert list(PROBE.judge(CASE, Done())) == []


def test_a_machine_without_a_way_out_is_told_by_another_check() -> None:
    gone = replace(EVERY[0], lookup=Lookup(by="system", code="servfail"), connect=None, shaken=None)
    (check,) = PROBE.judge(CASE, Done(ChatHosts(each=(gone,)), Machine(ipv4=False, ipv6=False)))
    assert check.status is Status.SKIPPED


def test_a_sunk_sign_in_is_tampering_that_the_control_confirms() -> None:
    bad = _failed(NetCode.CONNECTION_REFUSED, Phase.CONNECT)
    seen = _changed(
        ("auth.openai.com",),
        lookup=Lookup(by="system", addresses=("0.0.0.0",)),
        connect=Connects(address="0.0.0.0", port=443, failures=(bad,)),
        shaken=None,
        control=Lookup(by="Cloudflare", addresses=(TRUE,), cnames=("auth.openai.com.cdn.cloudflare.net",)),
        aliases=(("auth.openai.com.cdn.cloudflare.net", Lookup(by="system", addresses=("0.0.0.0",))),),
        elsewhere=Shaken(address=TRUE, name="auth.openai.com", by="control", version="TLSv1.3"),
    )
    check = _only(_checks(seen), "sign-in")
    assert check.status is Status.FAIL
    assert check.diagnosis is not None
    assert (check.diagnosis.cause, check.diagnosis.precision) == (Cause.NETWORK_DNS_TAMPERED, Precision.CONFIRMED)
    assert "auth.openai.com.cdn.cloudflare.net, which this network's resolver answers with 0.0.0.0" in _evidence(check)
    assert f"Cloudflare over HTTPS gives {TRUE}" in _evidence(check)
    assert Cause.SERVICE_UNAVAILABLE in {one.cause for one in check.diagnosis.ruled_out}


def test_telemetry_that_a_list_sinks_is_a_warning_that_names_the_sign_in() -> None:
    seen = _changed(
        ("api.oaistatsig.com", "o33249.ingest.sentry.io"),
        lookup=Lookup(by="system", code="nxdomain", detail="Name or service not known"),
        connect=None,
        shaken=None,
        control=Lookup(by="Google", addresses=(TRUE,)),
        elsewhere=Shaken(address=TRUE, name="api.oaistatsig.com", by="control"),
    )
    check = _only(_checks(seen), "telemetry")
    assert check.status is Status.WARN
    assert check.diagnosis is not None
    assert (check.diagnosis.cause, check.diagnosis.precision) == (Cause.NETWORK_DNS_FAILURE, Precision.CONFIRMED)
    assert "apps then hang while signing in" in _evidence(check) or "hang while signing in" in _evidence(check)
    assert "Google over HTTPS gives" in _evidence(check)
    assert "the request was never sent" not in _evidence(check), "there was none"
    assert "ad blocker" in check.steps[0].text


def test_without_a_control_nothing_is_confirmed_and_the_line_says_so() -> None:
    seen = _changed(
        ("files.oaiusercontent.com",), lookup=Lookup(by="system", code="nxdomain"), connect=None, shaken=None
    )
    check = _only(_checks(seen), "upload")
    assert check.status is Status.FAIL
    assert check.diagnosis is not None
    assert check.diagnosis.precision is Precision.INFERRED
    assert "there was no control" in _evidence(check)


def test_a_name_that_nobody_knows_any_more_is_no_trouble() -> None:
    gone = Lookup(by="system", code="nxdomain")
    seen = _changed(
        ("tcr9i.chat.openai.com",), lookup=gone, connect=None, shaken=None, control=Lookup(by="Quad9", code="nxdomain")
    )
    checks = _checks(seen)
    assert checks["sign-in"].status is Status.OK
    assert "tcr9i.chat.openai.com" in dict(checks["sign-in"].told.facts)["names"]


def test_apples_hosts_that_are_inspected_fail_and_name_the_exemption() -> None:
    hosts = ("register.appattest.apple.com", "data.appattest.apple.com")
    seen = _changed(hosts, shaken=Shaken(address=TRUE, name=hosts[0], version="TLSv1.3", served=ZSCALER))
    check = _only(_checks(seen), "attest")
    assert check.status is Status.FAIL
    assert check.diagnosis is not None
    assert (check.diagnosis.cause, check.diagnosis.precision) == (Cause.NETWORK_TLS_INSPECTION, Precision.CONFIRMED)
    assert check.diagnosis.vendor == "Zscaler"
    exempt = fill(check.steps[0].text, dict(check.steps[0].facts))
    assert exempt.endswith("leave register.appattest.apple.com, data.appattest.apple.com out of TLS inspection")


def test_apples_own_authority_is_no_inspection_where_this_machine_does_not_know_it() -> None:
    bad = _failed(NetCode.TLS_UNTRUSTED_ISSUER)
    for shaken in (
        Shaken(address=TRUE, name="humb.apple.com", served=APPLE, failure=bad),
        Shaken(address=TRUE, name="humb.apple.com", served=APPLE, version="TLSv1.3"),
    ):
        checks = _checks(_changed(("humb.apple.com",), shaken=shaken))
        assert checks["attest"].status is Status.OK or not checks["attest"].diagnosis


def test_inspection_that_browsers_accept_is_a_note_and_fails_only_where_apps_pin() -> None:
    seen = ChatHosts(
        each=tuple(replace(one, shaken=replace(one.shaken, served=ZSCALER)) if one.shaken else one for one in EVERY)
    )
    checks = _checks(seen)
    assert {name for name, check in checks.items() if check.status is Status.FAIL} == {"apps", "attest"}
    assert checks["core"].status is Status.NOTE
    assert "Zscaler" in dict(checks["core"].told.facts)["issuer"]


def test_inspection_that_nothing_here_trusts_is_told_once_for_all_needs() -> None:
    bad = _failed(NetCode.TLS_UNTRUSTED_ISSUER, detail="self-signed certificate in certificate chain")
    seen = ChatHosts(
        each=tuple(
            replace(one, shaken=Shaken(address=TRUE, name=one.host, served=ZSCALER, failure=bad)) for one in EVERY
        )
    )
    checks = _checks(seen)
    check = _only(checks, "core")
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.NETWORK_TLS_INSPECTION
    assert {one.status for name, one in checks.items() if name != "core"} == {Status.SKIPPED}


def test_a_reset_of_one_name_beside_another_at_the_same_address_is_confirmed() -> None:
    bad = _failed(NetCode.CONNECTION_RESET, detail="Connection reset by peer")
    seen = _changed(("chatgpt.com",), shaken=Shaken(address=TRUE, name="chatgpt.com", failure=bad))
    check = _only(_checks(seen), "core")
    assert check.diagnosis is not None
    assert (check.diagnosis.cause, check.diagnosis.precision) == (Cause.NETWORK_CONNECTION_RESET, Precision.CONFIRMED)
    why = {one.cause: one.why for one in check.diagnosis.ruled_out}
    assert "another name at the same address completes its handshake" in why[Cause.SERVICE_UNAVAILABLE]


def test_a_reset_at_an_address_of_its_own_stays_inferred_and_rules_out_only_that_one_is_offline() -> None:
    bad = _failed(NetCode.CONNECTION_RESET, detail="Connection reset by peer")
    own = "172.64.155.209"
    seen = _changed(
        ("chatgpt.com",),
        lookup=Lookup(by="system", addresses=(own,)),
        shaken=Shaken(address=own, name="chatgpt.com", failure=bad),
    )
    check = _only(_checks(seen), "core")
    assert check.diagnosis is not None
    assert check.diagnosis.precision is Precision.INFERRED
    causes = {one.cause for one in check.diagnosis.ruled_out}
    assert Cause.NETWORK_OFFLINE in causes
    assert Cause.SERVICE_UNAVAILABLE not in causes


def test_a_connection_that_is_dropped_is_a_timeout() -> None:
    bad = _failed(NetCode.CONNECT_TIMEOUT, Phase.CONNECT, "no connection within 1.5 s")
    seen = _changed(("cdn.oaistatic.com",), connect=Connects(address=TRUE, port=443, failures=(bad,)), shaken=None)
    check = _only(_checks(seen), "assets")
    assert check.status is Status.FAIL
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.NETWORK_TCP_TIMEOUT


def test_single_sign_on_alone_is_a_warning() -> None:
    bad = _failed(NetCode.CONNECT_TIMEOUT, Phase.CONNECT)
    seen = _changed(
        ("cdn.workos.com", "setup.workos.com"), connect=Connects(address=TRUE, port=443, failures=(bad,)), shaken=None
    )
    assert _only(_checks(seen), "sso").status is Status.WARN


def test_another_name_at_a_false_address_that_serves_somebody_elses_certificate_is_tampering() -> None:
    bad = _failed(NetCode.TLS_CERTIFICATE, detail="Hostname mismatch")
    false = "31.13.94.36"
    seen = _changed(
        ("chatgpt.com",),
        lookup=Lookup(by="system", addresses=(false,)),
        shaken=Shaken(
            address=false, name="chatgpt.com", failure=bad, served=replace(PUBLIC, subject="CN=*.facebook.com")
        ),
        control=Lookup(by="Google", addresses=(TRUE,)),
        elsewhere=Shaken(address=TRUE, name="chatgpt.com", by="control", version="TLSv1.3"),
    )
    check = _only(_checks(seen), "core")
    assert check.diagnosis is not None
    assert (check.diagnosis.cause, check.diagnosis.precision) == (Cause.NETWORK_DNS_TAMPERED, Precision.CONFIRMED)


def test_the_target_is_left_to_the_probes_of_the_target() -> None:
    bad = Shaken(address=TRUE, name="chatgpt.com", failure=_failed(NetCode.CONNECTION_RESET))
    seen = _changed(("chatgpt.com",), shaken=bad)
    case = replace(CASE, target=Target(host="chatgpt.com"))
    checks = _checks(seen, Handshakes(each=(bad,)), case=case)
    assert not [name for name, check in checks.items() if check.diagnosis]


def test_a_trouble_of_everything_is_told_by_the_probes_of_the_target_alone() -> None:
    bad = _failed(NetCode.CONNECT_TIMEOUT, Phase.CONNECT)
    dead = Connects(address=TRUE, port=443, failures=(bad,))
    seen = ChatHosts(each=tuple(replace(one, connect=dead, shaken=None) for one in EVERY))
    (check,) = PROBE.judge(CASE, Done(seen, Reached(targets=(dead,))))
    assert check.status is Status.SKIPPED


def test_through_a_proxy_names_need_no_address_here() -> None:
    case = replace(CASE, via=Via("http", "proxy.corp", 3128))
    seen = ChatHosts(each=tuple(replace(one, lookup=Lookup(by="proxy")) for one in EVERY))
    assert {check.status for check in _checks(seen, case=case).values()} == {Status.OK}


def test_a_proxy_that_refuses_uploads_is_named_with_its_host() -> None:
    case = replace(CASE, via=Via("http", "proxy.corp", 3128))
    bad = _failed(NetCode.PROXY_DENIED, Phase.CONNECT, "the proxy answered 403 Forbidden")
    seen = ChatHosts(
        each=tuple(
            replace(one, lookup=Lookup(by="proxy"))
            if one.need != "upload"
            else replace(
                one, lookup=Lookup(by="proxy"), shaken=None, connect=Connects(address="", port=443, failures=(bad,))
            )
            for one in EVERY
        )
    )
    check = _only(_checks(seen, case=case), "upload")
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.NETWORK_PROXY_DENIED
    assert "proxy.corp:3128" in _evidence(check)


def test_the_probe_is_left_out_unless_asked_for() -> None:
    assert PROBE.leave_out(replace(CASE, chatgpt=False))
    assert not PROBE.leave_out(CASE)
    assert "chatgpt.com:443" in set(PROBE.touches(CASE))


# measured on loopback


@asynccontextmanager
async def _tls_server(authority: trustme.CA, *names: str, address: str = "") -> AsyncIterator[int]:
    """A server that says nothing, or a resolver over HTTPS that gives every name this address."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while address:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                writer.write(_resolved(await reader.readexactly(length), address))
            await reader.read(1)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


def _resolved(wire: bytes, address: str) -> bytes:
    message = dns.message.make_response(dns.message.from_wire(wire))
    name = message.question[0].name.to_text()
    message.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", "alias.test."))
    if message.question[0].rdtype == dns.rdatatype.A:
        message.answer.append(dns.rrset.from_text("alias.test.", 60, "IN", "A", address))
    body = message.to_wire()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/dns-message\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


async def test_a_look_sees_a_good_handshake_a_foreign_signer_and_a_closed_port(
    authority: trustme.CA, trusted: str
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        async with _tls_server(authority, "good.test") as good, _tls_server(trustme.CA(), "bad.test") as bad:
            places = {"good.test:443": good, "bad.test:443": bad, "shut.test:443": closed.getsockname()[1]}
            lists = Lists(connect_to={name: f"127.0.0.1:{port}" for name, port in places.items()}, resolvers=())
            case = replace(CASE, lists=lists, ca_file=trusted)
            wanted = tuple(
                Entry(f"{name}.test", f"{name}.test", "core", True, False, "") for name in ("good", "bad", "shut")
            )
            found = {one.host: one for one in (await Looker(case).look(wanted)).each}
    assert found["good.test"].shaken is not None
    assert found["good.test"].shaken.version == "TLSv1.3"
    assert found["good.test"].control is None
    assert found["bad.test"].shaken is not None
    assert found["bad.test"].shaken.failure is not None
    assert found["bad.test"].shaken.failure.code is NetCode.TLS_UNTRUSTED_ISSUER
    assert found["bad.test"].shaken.served is not None
    assert "trustme" in found["bad.test"].shaken.served.issuer
    assert found["shut.test"].connect is not None
    assert found["shut.test"].connect.failures[0].code is NetCode.CONNECTION_REFUSED


async def test_a_name_that_does_not_resolve_is_asked_of_a_public_resolver_with_its_aliases(
    authority: trustme.CA, trusted: str
) -> None:
    async with _tls_server(authority, "127.0.0.1", address="127.0.0.77") as port:
        lists = Lists(resolvers=(Resolver(name="Near", address="127.0.0.1", port=port),))
        case = replace(CASE, lists=lists, ca_file=trusted)
        (seen,) = (await Looker(case).look((Entry("gone.test", "gone.test", "core", True, False, ""),))).each
    assert seen.lookup.code in {"nxdomain", "servfail", "nodata"}
    assert seen.control is not None
    assert (seen.control.addresses, seen.control.cnames) == (("127.0.0.77",), ("alias.test",))
    assert [name for name, _ in seen.aliases] == ["alias.test"]
    assert seen.elsewhere is None or seen.elsewhere.failure is not None


async def test_nobody_else_is_asked_when_nobody_asked_for_it() -> None:
    lists = Lists(resolvers=(Resolver(name="Near", address="127.0.0.1", port=9),))
    case = replace(CASE, lists=lists, asked=False)
    (seen,) = (await Looker(case).look((Entry("gone.test", "gone.test", "core", True, False, ""),))).each
    assert seen.control is None


async def test_what_took_too_long_once_is_tried_again_before_it_is_called_blocked(
    authority: trustme.CA, trusted: str
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("slow.test").configure_cert(context)
    came = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        came += 1
        if came > 1:
            with contextlib.suppress(OSError):
                await writer.start_tls(context)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        case = replace(CASE, lists=Lists(connect_to={"slow.test:443": place}, resolvers=()), ca_file=trusted)
        (seen,) = (await Looker(case).look((Entry("slow.test", "slow.test", "core", True, False, ""),))).each
    assert came == 2
    assert seen.shaken is not None
    assert seen.shaken.failure is None


async def test_silence_is_told_in_words() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        case = replace(CASE, lists=Lists(connect_to={"mute.test:443": place}, resolvers=()))
        (seen,) = (await Looker(case).look((Entry("mute.test", "mute.test", "core", True, False, ""),))).each
    assert seen.shaken is not None
    assert seen.shaken.failure is not None
    assert seen.shaken.failure.detail == "no answer within 1.5 s"


async def test_through_a_proxy_it_is_the_tunnel_that_counts(authority: trustme.CA, trusted: str) -> None:
    async with _tls_server(authority, "good.test") as upstream:

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"CONNECT good.test:443 "):
                writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
                writer.close()
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", upstream)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await asyncio.gather(_pipe(reader, far_writer), _pipe(far_reader, writer))

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            via = Via("http", "127.0.0.1", server.sockets[0].getsockname()[1])
            case = replace(CASE, via=via, ca_file=trusted)
            wanted = tuple(Entry(name, name, "core", True, False, "") for name in ("good.test", "bad.test"))
            good, bad = (await Looker(case).look(wanted)).each
    assert good.shaken is not None
    assert (good.shaken.failure, good.shaken.by, good.lookup.by) == (None, "proxy", "proxy")
    assert bad.shaken is None
    assert bad.connect is not None
    assert bad.connect.failures[0].code is NetCode.PROXY_DENIED
    assert bad.control is None


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65_536):
            writer.write(piece)
    writer.close()
