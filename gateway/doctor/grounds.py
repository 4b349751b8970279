"""What several judges must know before they judge. Pure.

Whether anything gets out, whether a login page stands before all, whether the name leads to somebody else, whether the
clock is wrong.

A trouble is reported by one check; the others read here that there is no ground for their own.
"""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gateway.diagnose import vendors
from gateway.diagnose.engine import diagnose
from gateway.diagnose.evidence import Evidence
from gateway.diagnose.observation import Observation
from gateway.diagnose.vendors import Mark, Means
from gateway.doctor.case import Case
from gateway.doctor.finding import evidence_for
from gateway.doctor.lists import Portal
from gateway.doctor.measured import Handshakes, Machine, Names, Portals, Reached, Shaken
from gateway.doctor.measured_here import Clock
from gateway.doctor.probe import Done
from gateway.doctor.wire import Answer, Served
from gateway.model.attempt import ReplyHead
from gateway.model.cause import Cause
from gateway.model.failure import NetCode

_CARRIES_DATES = "%Y-%m-%d %H:%M UTC"
_INNER = (".local", ".internal", ".lan", ".corp", ".home.arpa", ".test", ".invalid", ".localhost", ".intranet")
_NO_WAY = frozenset({"timeout", "unreachable"})


RIGHT_NAME_STEPS = (
    "ask whoever runs this network's DNS[ ({server})] why {host} cannot be looked up: the name is right",
    "look up another name, as with `nslookup example.com`: if that fails too, all of the network's DNS is down",
    "in Docker, look into /etc/resolv.conf of the container, and restart it after a change of networks",
)
"""Where a name that surely exists is not found: nobody has misspelled it."""


def is_inner(host: str) -> bool:
    """Whether a name is one of an inner network or of this machine, of which public resolvers know nothing."""
    return "." not in host or host.endswith(_INNER)


def is_address(host: str) -> bool:
    """Whether it is an address in place of a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_nowhere(address: str) -> bool:
    """Whether no server of the internet can have it (OONI probe-cli, internal/netxlite/bogon.go, 2026-11)."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    reserved = found.version == 4 and found.is_reserved
    return found.is_loopback or found.is_unspecified or found.is_multicast or found.is_link_local or reserved


def is_private(address: str) -> bool:
    """Whether it belongs to an inner network, and to nobody whom we know by it."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return found.is_private and not is_nowhere(address) and vendors.of_address(address) is None


def forged(address: str) -> Mark | None:
    """Give who is known to hand out this address, or name, in place of the true one."""
    mark = vendors.of_address(address)
    return mark if mark is not None and mark.means in {Means.SINKHOLE, Means.POISON, Means.PORTAL} else None


def is_invented(address: str) -> bool:
    """Whether a VPN client on this machine made it up (fake-IP mode)."""
    mark = vendors.of_address(address)
    return mark is not None and mark.means is Means.FAKE_IP


# -- nothing gets out -------------------------------------------------------------------------------------------------


def no_route(done: Done) -> bool:
    """Whether the machine has no way out at all."""
    machine = done.get(Machine)
    return machine is not None and not machine.ipv4 and not machine.ipv6


def silent(case: Case, done: Done) -> bool:
    """Whether there is a way, and nobody whatever answered on it: no name server, no control, no plain page."""
    names = done.get(Names)
    if case.via is not None or names is None or names.system.addresses or not names.controls:
        return False
    if any(one.code not in _NO_WAY for one in names.controls):
        return False
    if names.direct is not None and names.direct.code not in _NO_WAY and not _on_this_machine(names.direct.by):
        return False
    reached, portals = done.get(Reached), done.get(Portals)
    connected = reached is not None and any(one.connect_ms for one in (*reached.targets, *reached.controls))
    answered = portals is not None and any(answer.status for _, answer in portals.each)
    return not connected and not answered


def _on_this_machine(server: str) -> bool:
    return server.startswith("127.") or server == "::1"


def offline(case: Case, done: Done) -> bool:
    """Whether `machine` has the word."""
    return no_route(done) or silent(case, done)


# -- a login page before all ------------------------------------------------------------------------------------------


def is_own(page: Portal, answer: Answer) -> bool:
    """Whether the true page answered."""
    same = answer.status == page.status and page.holds in answer.text
    return same or (page.status == 204 and answer.status == 200 and not answer.text.strip())


def replaced(case: Case, done: Done) -> tuple[tuple[str, Answer], ...]:
    """Give the answers that somebody else gave in place of the well-known pages: another page, a redirect, a 511.

    A refusal (403, 407) or a failing server (5xx) is a proxy's policy, not a login page.
    """
    seen = done.get(Portals)
    if seen is None:
        return ()
    pages = {page.url: page for page in case.lists.portals}
    return tuple(
        (url, answer)
        for url, answer in seen.each
        if url in pages and not is_own(pages[url], answer) and _stands_in(answer)
    )


def _stands_in(answer: Answer) -> bool:
    return answer.status in {200, 511} or 300 <= answer.status < 400


def says_login(case: Case, answer: Answer) -> bool:
    """Whether the engine knows an answer as that of a login page."""
    return diagnose(answered(case, answer)).cause is Cause.NETWORK_CAPTIVE_PORTAL


def is_block(case: Case, answer: Answer) -> bool:
    """Whether an answer bears the mark of a product that forbids: a filter, and nobody who wants a login."""
    return Observation(answered(case, answer)).author.means in {Means.BLOCK, Means.DENIED}


def answered(case: Case, answer: Answer) -> Evidence:
    """Give an answer as evidence."""
    return evidence_for(case, head=ReplyHead(status=answer.status, headers=answer.headers), text=answer.text)


def portal(case: Case, done: Done) -> bool:
    """Whether a login page stands before all, so that nothing else can be judged.

    Two pages that are not the true ones, or one that leads to a login; but not where calls get through all the same.
    """
    others = replaced(case, done)
    handshakes = done.get(Handshakes)
    if not others or case.via is not None or (handshakes is not None and handshakes.valid):
        return False
    if any(is_block(case, answer) for _, answer in others):
        return False
    return len(others) > 1 or any(says_login(case, answer) for _, answer in others)


# -- the name leads to somebody else ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Astray:
    """Addresses that the system gives for the name, and that are not the service's.

    Attributes:
        addresses: Them, or the name on the way that is a filter's.
        kind: ``hosts`` (by this machine's own file), ``filter`` (the address or name of a known filter or forgery),
            ``nowhere``, ``private``, ``invented`` (by a VPN client), ``other`` (somebody else answers there, while the
            control's addresses are right), ``dead`` (nobody does, while they are right).
        partly: Other addresses of the same answer are right.
    """

    addresses: tuple[str, ...]
    kind: str
    partly: bool = False


def astray(case: Case, done: Done) -> Astray | None:
    """Find out, by whom the addresses belong to, by the controls, and by who completes a handshake there.

    An address where a handshake valid for the name was completed is right, whatever its range (OONI, extension E001).
    """
    names = done.get(Names)
    if names is None or case.via is not None or is_address(names.host):
        return None
    good = _valid(done)
    open_to_doubt = tuple(one for one in names.system.addresses if one not in good)
    if not open_to_doubt:
        return None
    partly = len(open_to_doubt) < len(names.system.addresses)
    for kind, found in _suspects(case, names, open_to_doubt, done):
        if found:
            return Astray(found, kind, partly or len(found) < len(names.system.addresses))
    return None


def _suspects(case: Case, names: Names, doubtful: tuple[str, ...], done: Done) -> list[tuple[str, tuple[str, ...]]]:
    """Give kinds with their addresses, the plainest first."""
    agreed = set(names.control)
    lone = tuple(one for one in doubtful if one not in agreed)
    inner = is_inner(names.host)
    hosts = tuple(one for one in lone if one in names.hosts_file and _wrong_in_hosts(names, one, done))
    sunk = tuple(one for one in names.system.cnames if forged(one) is not None)
    private = tuple(one for one in lone if is_private(one)) if _private_is_wrong(case, names) else ()
    return [
        ("hosts", () if inner else hosts),
        ("invented", tuple(one for one in doubtful if is_invented(one) and _fails(done, one))),
        ("filter", sunk or tuple(one for one in lone if forged(one) is not None)),
        ("nowhere", () if inner else tuple(one for one in lone if is_nowhere(one))),
        ("private", () if inner else private),
        ("other", () if inner else _where_others_answer(names, lone, done)),
        ("dead", () if inner else _where_nobody_answers(names, lone, done)),
    ]


def _wrong_in_hosts(names: Names, address: str, done: Done) -> bool:
    return is_nowhere(address) or bool(names.control) or forged(address) is not None or _fails(done, address)


def _private_is_wrong(case: Case, names: Names) -> bool:
    """A company may give its own names inner addresses within: only a provider's, and only against a control."""
    known = any(one.addresses for one in names.controls)
    return case.target.provider is not None and known and not any(is_private(one) for one in names.control)


def _where_others_answer(names: Names, lone: tuple[str, ...], done: Done) -> tuple[str, ...]:
    if not _valid(done) & set(names.control):
        return ()
    shown = {one.address for one in _shaken(done) if one.failure is not None and one.failure.code in _OTHER}
    return tuple(one for one in lone if one in shown)


_OTHER = frozenset({NetCode.TLS_CERTIFICATE, NetCode.TLS_UNTRUSTED_ISSUER})


def _where_nobody_answers(names: Names, lone: tuple[str, ...], done: Done) -> tuple[str, ...]:
    """All that the system knows is dead, and what the control knows is right."""
    right = _valid(done) & set(names.control)
    if not right or set(lone) != set(names.system.addresses):
        return ()
    if not {":" in one for one in lone} & {":" in one for one in right}:
        return ()  # then it may be the family that leads nowhere
    return lone if all(_fails(done, one) for one in lone) else ()


def shaken_at(done: Done, addresses: tuple[str, ...]) -> Shaken | None:
    """Give what was shown at one of these addresses, a certificate if possible."""
    found = [one for one in _shaken(done) if one.address in addresses]
    return next((one for one in found if one.served is not None), found[0] if found else None)


def _fails(done: Done, address: str) -> bool:
    """Whether no connection or no handshake came about there; False where nobody tried."""
    if any(one.address == address and one.failure is not None for one in _shaken(done)):
        return True
    reached = done.get(Reached)
    tried = [] if reached is None else [one for one in reached.targets if one.address == address]
    return any(one.tries and not one.connect_ms for one in tried)


def _shaken(done: Done) -> tuple[Shaken, ...]:
    handshakes = done.get(Handshakes)
    return () if handshakes is None else handshakes.each


def _valid(done: Done) -> set[str]:
    handshakes = done.get(Handshakes)
    return set() if handshakes is None else set(handshakes.valid)


# -- the clock --------------------------------------------------------------------------------------------------------


def refused_for_dates(done: Done) -> Served | None:
    """Give a certificate that was refused and is not valid by this machine's clock, or is by it and not in truth."""
    for one in _shaken(done):
        if one.failure is not None and one.failure.code is NetCode.TLS_CERTIFICATE and one.served is not None:
            return one.served
    return None


def clock_explains(done: Done, now: datetime | None = None) -> Served | None:
    """Give a refused certificate that would be valid if this machine's clock were right.

    Args:
        now: What this machine's clock says; for tests.
    """
    clock, served = done.get(Clock), refused_for_dates(done)
    if clock is None or clock.skew_seconds is None or served is None:
        return None
    here = now or datetime.now(UTC)
    there = here - timedelta(seconds=clock.skew_seconds)
    return served if not _holds(served, here) and _holds(served, there) else None


def _holds(served: Served, at: datetime) -> bool:
    try:
        begins, ends = (
            datetime.strptime(one, _CARRIES_DATES).replace(tzinfo=UTC) for one in (served.begins, served.ends)
        )
    except ValueError:
        return False
    return begins <= at <= ends
