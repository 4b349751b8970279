"""Whether this machine has any way out: its routing table says so without a packet, and the other probes' silence."""

import ipaddress
import socket
from collections.abc import Iterator

from gateway.diagnose.evidence import Evidence
from gateway.doctor.case import Case
from gateway.doctor.finding import clue, evidence_for, named, not_this, note, ok, trouble
from gateway.doctor.grounds import is_invented, silent
from gateway.doctor.measured import Machine, Names, Reached
from gateway.doctor.probe import Check, Done, Group, Probe, Status
from gateway.model.cause import Cause
from gateway.model.diagnosis import Clue
from gateway.model.failure import NetCode, NetFailure, Phase

_PUBLIC_4, _PUBLIC_6 = "198.41.0.4", "2001:503:ba3e::2:30"
"""Of a root name server (iana.org/domains/root/servers, 2026-11): nothing is sent there."""


async def _measure(_case: Case, _done: Done) -> Machine:
    four, why, sends_from = _routed(socket.AF_INET, _PUBLIC_4)
    six, _, _ = _routed(socket.AF_INET6, _PUBLIC_6)
    return Machine(ipv4=four, ipv6=six, detail="" if four or six else why, sends_from=sends_from)


def _routed(family: socket.AddressFamily, address: str) -> tuple[bool, str, str]:
    """Whether the system would know where to send a packet to this address: connecting UDP only chooses a route."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 53))
            return True, "", stands_out(probe.getsockname()[0])
    except OSError as error:
        return False, error.strerror or str(error), ""


def stands_out(own: str) -> str:
    """Say what is special about an own address, without the address: it may be one that is known outside."""
    try:
        found = ipaddress.ip_address(own.partition("%")[0])
    except ValueError:
        return ""
    if found.version == 4 and found.is_link_local:
        return "link_local"
    return "tunnel" if is_invented(str(found)) else ""


def _judge(case: Case, done: Done) -> Iterator[Check]:
    seen = done.get(Machine)
    if seen is None:
        return
    if not seen.ipv4 and not seen.ipv6:
        yield _no_route(case, seen)
    elif silent(case, done):
        yield _nobody(case, seen, done)
    elif not seen.ipv4:
        yield note("this machine has IPv6 alone")
    elif seen.sends_from == "tunnel":
        yield note("a VPN client on this machine takes all traffic")
    else:
        yield ok("this machine has a way out[, {families}]", families="IPv4 and IPv6" if seen.ipv6 else "IPv4")


def _no_route(case: Case, seen: Machine) -> Check:
    failure = NetFailure(
        phase=Phase.DNS, code=NetCode.NETWORK_UNREACHABLE, detail=seen.detail or "no route", sent=False
    )
    evidence: Evidence = evidence_for(case, failure=failure)
    verdict = named(Cause.NETWORK_OFFLINE, evidence, language=case.language)
    return trouble(Status.FAIL, verdict, "this machine has no way out: {detail}", detail=seen.detail or "no route")


def _nobody(case: Case, seen: Machine, done: Done) -> Check:
    """There is a route, and nothing comes back on it."""
    names, reached = done.get(Names), done.get(Reached)
    tried = [one.by for one in names.controls] if names is not None else []
    failures = [failure for one in reached.controls for failure in one.failures] if reached is not None else []
    detail = failures[0].detail if failures else "no answer"
    failure = NetFailure(phase=Phase.DNS, code=NetCode.NETWORK_UNREACHABLE, detail=detail, sent=False)
    told = clue(
        "nothing that leaves this machine is answered: neither name servers nor {names}", names=", ".join(tried)
    )
    clues = [told, *_itself(seen)]
    verdict = named(
        Cause.NETWORK_OFFLINE,
        evidence_for(case, failure=failure),
        clues=clues,
        ruled_out=[not_this(Cause.SERVICE_UNAVAILABLE, told)],
        language=case.language,
    )
    return trouble(Status.FAIL, verdict, told.text, **dict(told.facts))


def _itself(seen: Machine) -> list[Clue]:
    if seen.sends_from == "link_local":
        return [clue("it has only an address that it gave itself (169.254.0.0/16): nobody assigned it one")]
    if seen.sends_from == "tunnel":
        return [clue("all traffic goes into a VPN client on this machine")]
    return []


PROBE = Probe(
    name="machine",
    group=Group.NETWORK,
    rank=10,
    gives=Machine,
    measure=_measure,
    judge=_judge,
    seconds=1.0,
    unasked=True,
)
