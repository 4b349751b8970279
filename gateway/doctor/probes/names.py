"""What the target's name leads to: by the system, by its hosts file, and by public resolvers as a control."""

import asyncio
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.diagnose.vendors import Means, of_address
from gateway.doctor.case import Case
from gateway.doctor.finding import certificate, clue, evidence_for, judged, named, not_this, note, ok, skipped, trouble
from gateway.doctor.grounds import (
    RIGHT_NAME_STEPS,
    Astray,
    astray,
    is_address,
    is_inner,
    is_invented,
    is_private,
    offline,
    portal,
    shaken_at,
)
from gateway.doctor.lists import Resolver
from gateway.doctor.lookup import by_server, by_system, each_by_https, in_hosts_file, nameservers
from gateway.doctor.measured import Handshakes, Lookup, Names, Shaken
from gateway.doctor.probe import Check, Done, Group, Probe, Status
from gateway.model.attempt import ReplyHead
from gateway.model.cause import Cause
from gateway.model.diagnosis import Clue, Diagnosis, RuledOut
from gateway.model.failure import NetCode, NetFailure, Phase

SECONDS, UNASKED_SECONDS, CONTROL_SECONDS = 2.0, 1.0, 1.8
"""For each look-up. A resolver that is well answers in milliseconds, from afar in a few hundred."""
_LINGER_SECONDS = 0.4
_SLOW_MS = 800.0
_HOSTS_BYTES = 1_000_000
_SHOWN_MAX = 4

HOSTS_FILE = (
    Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "drivers", "etc", "hosts")
    if os.name == "nt"
    else Path("/etc/hosts")
)
RESOLV_CONF = Path("/etc/resolv.conf")


# -- measuring --------------------------------------------------------------------------------------------------------


async def _measure(case: Case, _done: Done) -> Names:
    host = case.target.host
    place = case.lists.connect_to.get(f"{host}:{case.target.port}", "")
    if place or is_address(host):
        address = place.rpartition(":")[0].strip("[]") or host
        return Names(host=host, system=Lookup(by="settings", addresses=(address,)), why_no_controls="address")
    seconds = SECONDS if case.asked else UNASKED_SECONDS
    servers = nameservers(_text(RESOLV_CONF))
    why = why_no_controls(case)
    enough = asyncio.Event()
    (system, controls), (direct, second), bogus = await asyncio.gather(
        _compared(case, seconds, () if why else case.lists.resolvers, enough),
        _direct(case, host, servers, seconds, enough),
        _bogus(case, seconds),
    )
    hosts = in_hosts_file(_text(HOSTS_FILE), host)
    return Names(
        host=host,
        system=_by_file(system, hosts) or _refined(system, direct),
        controls=controls,
        hosts_file=hosts,
        nameservers=servers,
        bogus=bogus,
        direct=direct,
        second=second,
        why_no_controls=why,
    )


def why_no_controls(case: Case) -> str:
    """Give the key of `_ALONE` for why no public resolver is asked, empty when some are."""
    if not case.asked:
        return "unasked"
    if is_inner(case.target.host):
        return "inner"
    return "" if case.lists.resolvers else "none"


async def _compared(
    case: Case, seconds: float, resolvers: Sequence[Resolver], enough: asyncio.Event
) -> tuple[Lookup, tuple[Lookup, ...]]:
    """Ask the system and the controls; where they do not agree, leave a second answer the time to come."""
    host, port = case.target.host, case.target.port
    began = time.monotonic()
    try:
        system, controls = await asyncio.gather(
            by_system(host, port, seconds), each_by_https(case, host, CONTROL_SECONDS, resolvers)
        )
        agreed = any(set(system.addresses) & set(one.addresses) for one in controls)
        if system.addresses and not agreed and case.asked:
            await asyncio.sleep(began + _LINGER_SECONDS - time.monotonic())
    finally:
        enough.set()
    return system, controls


async def _direct(
    case: Case, host: str, servers: tuple[str, ...], seconds: float, enough: asyncio.Event
) -> tuple[Lookup | None, tuple[str, ...]]:
    if not servers:
        return None, ()
    return await by_server(case, servers[0], host, seconds, enough if case.asked else None)


async def _bogus(case: Case, seconds: float) -> tuple[str, ...]:
    """Ask for a name that nobody has registered: sixteen random digits below .com."""
    if not case.asked:
        return ()
    return (await by_system(f"whygate-{secrets.token_hex(8)}.com", 443, seconds)).addresses


def _by_file(system: Lookup, hosts: tuple[str, ...]) -> Lookup | None:
    """Keep of the system's answers what a program gets that asks for both families at once: the file's alone."""
    found = tuple(one for one in system.addresses if one in hosts)
    return replace(system, addresses=found, detail="") if found else None


def _refined(system: Lookup, direct: Lookup | None) -> Lookup:
    """Take from the name server's own answer what the system does not tell: the names on the way, the exact code."""
    if direct is None:
        return system
    if system.addresses:
        cnames = direct.cnames if not direct.addresses or set(direct.addresses) & set(system.addresses) else ()
        return replace(system, cnames=cnames)
    code = system.code if direct.code == "ok" else direct.code
    return replace(system, cnames=direct.cnames, code=code, detail=system.detail or direct.detail)


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_HOSTS_BYTES)
    except OSError:
        return ""


# -- judging ----------------------------------------------------------------------------------------------------------


def _judge(case: Case, done: Done) -> Iterator[Check]:
    seen = done.get(Names)
    if seen is None:
        return
    if case.via is not None and not case.via.wants_address:
        yield _behind_proxy(case, seen)
    elif seen.system.by == "settings":
        yield ok("{host} is reached by its address, without a name", host=seen.host)
    elif offline(case, done) and not seen.system.addresses:
        yield skipped("nothing gets out of this machine, so no name can be looked up")
    elif portal(case, done):
        yield skipped("a login page stands before everything, names as well")
    elif not seen.system.addresses:
        yield _unanswered(case, seen)
    elif (wrong := astray(case, done)) is not None:
        yield _led_astray(case, seen, wrong, done)
    elif seen.second and not _valid(done):
        yield _two_answers(case, seen)
    else:
        yield from _well(case, seen)


def _behind_proxy(case: Case, seen: Names) -> Check:
    if seen.system.addresses:
        return ok("{host} is looked up by the proxy {proxy}", host=seen.host, proxy=case.via)
    return note(
        "{host} has no address here; the proxy {proxy} looks it up, so nothing is wrong with that",
        host=seen.host,
        proxy=case.via,
    )


def _valid(done: Done) -> tuple[str, ...]:
    handshakes = done.get(Handshakes)
    return () if handshakes is None else handshakes.valid


def _shown(addresses: Iterable[str]) -> str:
    return ", ".join(list(addresses)[:_SHOWN_MAX])


# no answer


_SAYS = {
    "nxdomain": "this network's resolver[ {server}] says that {host} does not exist",
    "nodata": "this network's resolver[ {server}] says that {host} has no address",
    "servfail": "this network's resolver[ {server}] could not look {host} up",
    "refused": "this network's resolver[ {server}] refuses to look {host} up",
    "timeout": "this network's resolver[ {server}] does not answer",
    "unreachable": "this network's resolver[ {server}] cannot be reached",
    "unreadable": "this network's resolver[ {server}] does not answer in DNS",
}
_CODE = {"timeout": NetCode.DNS_TIMEOUT}


def _unanswered(case: Case, seen: Names) -> Check:
    system = seen.system
    server = seen.nameservers[0] if seen.nameservers else ""
    told = clue(_SAYS.get(system.code, _SAYS["servfail"]), host=seen.host, server=server)
    code, detail = _CODE.get(system.code, NetCode.DNS_FAILURE), system.detail or system.code
    failure = NetFailure(phase=Phase.DNS, code=code, detail=detail, sent=False)
    sure, clues, excluded = _against(seen)
    verdict = judged(
        evidence_for(case, failure=failure),
        clues=(told, *_over(seen), *clues),
        ruled_out=excluded,
        confirmed=sure,
        language=case.language,
    )
    check = trouble(Status.FAIL, verdict, told.text, **dict(told.facts))
    if case.target.provider is None or any(one.cause is Cause.NETWORK_DNS_TAMPERED for one in excluded):
        return check  # it may well be misspelled
    return replace(check, steps=tuple(clue(step, host=seen.host, server=server) for step in RIGHT_NAME_STEPS))


def _over(seen: Names) -> list[Clue]:
    """Say over which other names the name leads: a filter may know one of those."""
    return [clue("the name leads on to {names}", names=_shown(seen.system.cnames))] if seen.system.cnames else []


def _against(seen: Names) -> tuple[bool, tuple[Clue, ...], tuple[RuledOut, ...]]:
    """Hold the missing answer against what public resolvers say: whether that settles it, and with what."""
    known = next((one for one in seen.controls if one.addresses), None)
    if known is not None:
        right = clue("{name} over HTTPS knows it: {address}", name=known.by, address=_shown(known.addresses))
        return True, (right,), (not_this(Cause.NETWORK_OFFLINE, right), not_this(Cause.SERVICE_UNAVAILABLE, right))
    agree = [one.by for one in seen.controls if one.code in {"nxdomain", "nodata"}]
    if agree and seen.system.code in {"nxdomain", "nodata"}:
        same = clue("{names} over HTTPS do not know it either: look for a typing mistake", names=", ".join(agree))
        excluded = tuple(not_this(one, same) for one in (Cause.NETWORK_OFFLINE, Cause.NETWORK_DNS_TAMPERED))
        return True, (same,), excluded
    failing = [one.by for one in seen.controls if one.code in {"servfail", "refused"}]
    if failing:
        theirs = clue(
            "{names} over HTTPS cannot look it up either: its own name servers fail", names=", ".join(failing)
        )
        return True, (theirs,), (not_this(Cause.NETWORK_OFFLINE, theirs),)
    return False, (_uncontrolled(seen),), ()


def _uncontrolled(seen: Names) -> Clue:
    if seen.controls:
        why = "; ".join(f"{one.by}: {one.detail or one.code}" for one in seen.controls)
        return clue("no public resolver could be asked as a control: {detail}", detail=why.rstrip("."))
    return clue(_ALONE.get(seen.why_no_controls, _ALONE["none"]))


_ALONE = {
    "unasked": "no public resolver was asked as a control, because nobody wanted it",
    "inner": "no public resolver was asked as a control: it knows nothing of an inner network",
    "none": "no public resolver was asked as a control, because none is set",
}


# a wrong answer


_LEADS = {
    "hosts": "this machine's hosts file {file} leads {host} to {address}",
    "invented": "a VPN client leads {host} to {address}, and no call gets through there",
    "filter": "{host} is led to {address}[, which belongs to {owner}]",
    "nowhere": "{host} is led to {address}, where no server can be",
    "private": "{host} is led to {address}, inside a private network",
    "other": "{host} is led to {address}, where somebody else answers",
    "dead": "{host} is led to {address}, where nobody answers",
}
_CERTAIN = frozenset({"hosts", "invented"})
"""What is shown without anybody else: the file was read, the connection was tried."""


def _led_astray(case: Case, seen: Names, wrong: Astray, done: Done) -> Check:
    mark = of_address(wrong.addresses[0])
    owner = mark.vendor if mark is not None else ""
    file = str(HOSTS_FILE) if wrong.kind == "hosts" else ""
    told = clue(_LEADS[wrong.kind], host=seen.host, address=_shown(wrong.addresses), owner=owner, file=file)
    right = _right(seen, wrong, done)
    clues = [told, *_over(seen), *right]
    if not right and wrong.kind not in _CERTAIN:
        clues.append(_uncontrolled(seen))
    excluded = tuple(not_this(Cause.SERVICE_UNAVAILABLE, right[0]) for _ in right[:1])
    excluded += tuple(not_this(Cause.NETWORK_OFFLINE, right[0]) for _ in right[:1])
    cause = Cause.NETWORK_VPN_INTERFERENCE if wrong.kind == "invented" else Cause.NETWORK_DNS_TAMPERED
    shaken = shaken_at(done, wrong.addresses)
    evidence = evidence_for(case, addresses=wrong.addresses, **_shown_there(shaken))
    sure = (bool(right) and wrong.kind != "dead") or wrong.kind in _CERTAIN
    verdict = named(cause, evidence, clues=clues, ruled_out=excluded, confirmed=sure, language=case.language)
    works = wrong.partly and bool(_valid(done))
    return trouble(Status.WARN if works else Status.FAIL, verdict, told.text, **dict(told.facts))


def _shown_there(shaken: Shaken | None) -> dict[str, Any]:
    """Give what stands at the wrong address as evidence: whose certificate it shows, and what its page says."""
    if shaken is None:
        return {}
    page = shaken.page
    answer = {} if page is None or not page.status else {
        "head": ReplyHead(status=page.status, headers=page.headers), "text": page.text
    }  # fmt: skip
    return {"certificate": certificate(shaken.served), **answer}


def _right(seen: Names, wrong: Astray, done: Done) -> list[Clue]:
    """Give what the controls say instead."""
    found = []
    known = next((one for one in seen.controls if set(one.addresses) - set(wrong.addresses)), None)
    if known is not None:
        there = _shown(one for one in known.addresses if one not in wrong.addresses)
        found.append(clue("{name} over HTTPS gives other addresses: {address}", name=known.by, address=there))
    if seen.second:
        found.append(clue("a second answer to the same question gave {address}", address=_shown(seen.second)))
    valid = [one for one in _valid(done) if one not in seen.system.addresses]
    if valid:
        found.append(clue("at {address} the handshake is valid for the name", address=_shown(valid)))
    return found


def _two_answers(case: Case, seen: Names) -> Check:
    first = seen.direct.addresses if seen.direct is not None else ()
    facts = {"host": seen.host, "address": _shown(first), "second": _shown(seen.second)}
    told = clue("two answers came to one question for {host}, {address} and {second}: one of them is forged", **facts)
    verdict: Diagnosis = named(
        Cause.NETWORK_DNS_TAMPERED,
        evidence_for(case, addresses=seen.system.addresses),
        clues=(told, *_right(seen, Astray(first, "filter"), done=Done())),
        language=case.language,
    )
    return trouble(Status.FAIL, verdict, told.text, **facts)


# a right answer


def _well(case: Case, seen: Names) -> Iterator[Check]:
    addresses, took_ms = seen.system.addresses, seen.system.took_ms
    facts = {"host": seen.host, "address": _shown(addresses)}
    if seen.hosts_file and not is_inner(seen.host):
        yield note("{host} stands in this machine's hosts file, with {address}", **facts)
    elif any(is_invented(one) for one in addresses):
        yield note("a VPN client answers for {host} with an address of its own, {address}", **facts)
    elif any(is_private(one) for one in addresses) and not is_inner(seen.host):
        yield note("{host} is an address inside your network, {address}", **facts)
    elif took_ms > _SLOW_MS:
        yield note("{host} leads to {address}, but the look-up took {ms} ms", **facts, ms=f"{took_ms:.0f}")
    else:
        yield ok("{host} leads to {address}[, in a network with IPv6 alone{nat}]", **facts, nat=_nat(addresses))
    if seen.system.detail:
        yield _half(case, seen)
    if seen.bogus and not any(is_invented(one) for one in seen.bogus):
        yield note("the resolver gives {address} for names that do not exist", "nonsense", address=_shown(seen.bogus))


def _nat(addresses: tuple[str, ...]) -> str:
    marks = (of_address(one) for one in addresses)
    return " (NAT64)" if any(mark is not None and mark.means is Means.NAT64 for mark in marks) else ""


def _half(case: Case, seen: Names) -> Check:
    """One family was never answered: programs that ask for both wait for it."""
    failure = NetFailure(phase=Phase.DNS, code=NetCode.DNS_TIMEOUT, detail=seen.system.detail, sent=False)
    told = clue(
        "the resolver leaves one question unanswered, {detail}: programs wait for it", detail=seen.system.detail
    )
    verdict = judged(evidence_for(case, failure=failure), clues=(told,), language=case.language)
    return trouble(Status.WARN, verdict, told.text, "families", **dict(told.facts))


def _touches(case: Case) -> Iterable[str]:
    return () if why_no_controls(case) else (f"{one.address}:{one.port}" for one in case.lists.resolvers)


PROBE = Probe(
    name="names",
    group=Group.NETWORK,
    rank=30,
    gives=Names,
    measure=_measure,
    judge=_judge,
    seconds=3.5,
    touches=_touches,
    unasked=True,
)
