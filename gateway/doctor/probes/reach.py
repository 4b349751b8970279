"""How far one gets to the target's addresses, and how well, against addresses that anybody reaches."""

import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

from gateway.doctor.case import Case
from gateway.doctor.connecting import Line, connect_all, hops, in_thread
from gateway.doctor.finding import clue, evidence_for, judged, named, not_this, note, ok, skipped, trouble
from gateway.doctor.grounds import astray, is_own, offline, portal
from gateway.doctor.lookup import place_of
from gateway.doctor.measured import Connects, Machine, Names, Portals, Reached
from gateway.doctor.probe import Check, Done, Group, Probe, Status
from gateway.doctor.wire import failure_of
from gateway.model.cause import Cause
from gateway.model.diagnosis import Clue
from gateway.model.failure import NetCode, NetFailure, Phase

TRIES, UNASKED_TRIES, CONTROL_TRIES = 10, 3, 4
EACH_SECONDS, UNASKED_EACH_SECONDS = 1.5, 0.8
"""For one connection: TCP sends a SYN again after one second (RFC 6298 section 2)."""
ALL_SECONDS, HOPS_SECONDS = 2.4, 0.8
_ADDRESSES_MAX = 6
_LATE_MS = 800.0
"""So much above the median, and a SYN was lost on the way and sent again."""
_LOST_MIN, _LOST_SHARE = 2, 0.1
_SLOW_FACTOR, _SLOW_MORE_MS, _SLOW_ALONE_MS = 4.0, 150.0, 800.0
_SHOWN_MAX = 4


# -- measuring --------------------------------------------------------------------------------------------------------


async def _measure(case: Case, done: Done) -> Reached:
    names = done.get(Names)
    lines = _lines(case, names.addresses if names is not None else ())
    if not lines:
        return Reached(why_no_hops="there is no address")
    each, whole = (EACH_SECONDS, ALL_SECONDS) if case.asked else (UNASKED_EACH_SECONDS, UNASKED_EACH_SECONDS)
    connects = await in_thread(lambda: _tried(lines, each, whole))
    targets = tuple(one for one in connects if one.about == "target")
    controls = tuple(one for one in connects if one.about != "target")
    way: tuple[str, ...] = ()
    why = ""
    dead = next((one for one in targets if one.failures and not one.connect_ms), None)
    if dead is None:
        why = "there was no need to look"
    elif not case.asked:
        why = "nobody asked for it"
    elif dead.failures[0].code is NetCode.CONNECTION_REFUSED:
        why = "the other end answered"
    else:
        address = dead.address
        way, why = await in_thread(lambda: hops(address, HOPS_SECONDS))
    return Reached(targets=targets, controls=controls, hops=way, why_no_hops=why)


def _tried(lines: Sequence[Line], each_seconds: float, all_seconds: float) -> list[Connects]:
    """Connect, and name the failures: in the thread as well, for what names them is slow to load."""
    connect_all(lines, each_seconds, all_seconds)
    return [_connects(line) for line in lines]


def _lines(case: Case, addresses: Sequence[str]) -> list[Line]:
    """Give what to connect to: the target's addresses, and public resolvers in the same families."""
    host, port = case.target.host, case.target.port
    usable = _mixed([one for one in addresses if _is_usable(one)])[:_ADDRESSES_MAX]
    tries = TRIES if case.asked else UNASKED_TRIES
    fixed = f"{host}:{port}" in case.lists.connect_to
    lines = [
        Line(
            address=one,
            port=port,
            about="target",
            place=place_of(case, host if fixed else one, port),
            tries=tries,
        )
        for one in usable
    ]
    if not case.asked:
        return lines
    for resolver in case.lists.resolvers:
        others = [resolver.address]
        if resolver.six and any(":" in one for one in usable):
            others.append(resolver.six)
        lines += [
            Line(address=one, port=resolver.port, about=resolver.name, place=place_of(case, one, resolver.port),
                 tries=CONTROL_TRIES)
            for one in others
        ]  # fmt: skip
    return lines


def _mixed(addresses: Sequence[str]) -> list[str]:
    """Take turns between IPv4 and IPv6, so that a bound leaves some of both."""
    four, six = ([one for one in addresses if (":" in one) is wanted] for wanted in (False, True))
    return [address for pair in zip_longest(four, six) for address in pair if address]


def _is_usable(address: str) -> bool:
    """Whether connecting means anything: to 0.0.0.0 the system connects on this machine."""
    found = ipaddress.ip_address(address)
    return not found.is_unspecified and not found.is_multicast


def _connects(line: Line) -> Connects:
    return Connects(
        address=line.address,
        port=line.port,
        about=line.about,
        connect_ms=tuple(line.connect_ms),
        failures=tuple(failure_of(error, Phase.CONNECT) for error in line.errors),
    )


# -- judging ----------------------------------------------------------------------------------------------------------


def _judge(case: Case, done: Done) -> Iterator[Check]:
    seen = done.get(Reached)
    if seen is None:
        return
    if offline(case, done):
        yield skipped("nothing gets out of this machine")
    elif portal(case, done):
        yield skipped("a login page stands before everything")
    elif not (mine := _to_judge(case, done, seen)):
        yield _wrong_family(case, done, seen) or skipped(
            "there is no right address to connect to: see the check of the name"
        )
    elif all(not one.connect_ms for one in mine):
        yield _unreached(case, done, seen, mine)
    elif dead := _dead_family(mine):
        yield _one_family(case, seen, mine, dead)
    elif dead := [one for one in mine if not one.connect_ms]:
        yield _one_address(case, seen, mine, dead)
    else:
        yield _quality(case, seen, mine)


def _to_judge(case: Case, done: Done, seen: Reached) -> list[Connects]:
    """Leave out what is somebody else's to judge: wrong addresses, and a family that this machine has no way for."""
    names, missing, wrong = done.get(Names), _missing(done), astray(case, done)
    given = None if names is None else set(names.system.addresses)
    return [
        one
        for one in seen.targets
        if one.tries
        and (given is None or one.address in given)
        and (wrong is None or one.address not in wrong.addresses)
        and (_family(one.address) not in missing or bool(one.connect_ms))
    ]


def _missing(done: Done) -> set[int]:
    """Give the families that this machine has no way for."""
    machine = done.get(Machine)
    ways = {} if machine is None else {4: machine.ipv4, 6: machine.ipv6}
    return {family for family, there in ways.items() if not there}


def _wrong_family(case: Case, done: Done, seen: Reached) -> Check | None:
    """Find out whether the target has addresses of that family alone which this machine has no way for."""
    names, missing = done.get(Names), _missing(done)
    mine = [one for one in seen.targets if names is None or one.address in names.system.addresses]
    families = {_family(one.address) for one in mine}
    if not families or not families <= missing or astray(case, done) is not None or not _failed(mine):
        return None
    family = "IPv6" if 6 in families else "IPv4"
    told = clue(
        "{host} has {family} addresses alone, and this machine has no {family}", host=case.target.host, family=family
    )
    evidence = evidence_for(case, failure=_commonest(mine), addresses=tuple(one.address for one in mine))
    excluded = [not_this(Cause.SERVICE_UNAVAILABLE, told)]
    verdict = named(Cause.NETWORK_IPV6_BROKEN, evidence, clues=(told,), ruled_out=excluded, language=case.language)
    return trouble(Status.FAIL, verdict, told.text, **dict(told.facts))


def _failed(connects: Sequence[Connects]) -> bool:
    return all(one.failures and not one.connect_ms for one in connects)


def _family(address: str) -> int:
    return 6 if ":" in address else 4


def _good(connects: Iterable[Connects], family: int = 0) -> list[Connects]:
    return [one for one in connects if one.connect_ms and family in {0, _family(one.address)}]


def _commonest(connects: Sequence[Connects]) -> NetFailure:
    failures = [failure for one in connects for failure in one.failures]
    code = Counter(failure.code for failure in failures).most_common(1)[0][0]
    return next(failure for failure in failures if failure.code is code)


def _list(connects: Iterable[Connects]) -> str:
    return ", ".join([one.address for one in connects][:_SHOWN_MAX])


def _unreached(case: Case, done: Done, seen: Reached, mine: list[Connects]) -> Check:
    failure = _commonest(mine)
    tries = sum(one.tries for one in mine)
    facts = {"host": case.target.host, "port": case.target.port, "address": _list(mine), "count": tries}
    told = clue("{host} cannot be reached: {count} connections to {address}, port {port}, failed", **facts)
    good = _good(seen.controls)
    clues: list[Clue] = [told]
    excluded = []
    sure = bool(good)
    if good:
        other = _reached_one(case, good[0])
        clues.append(other)
        excluded.append(not_this(Cause.NETWORK_OFFLINE, other))
    elif seen.controls:
        all_closed, sure = _closed(case, done, seen)
        clues.append(all_closed)
        excluded += [not_this(one, all_closed) for one in (Cause.SERVICE_UNAVAILABLE, Cause.NETWORK_OFFLINE) if sure]
    else:
        clues.append(_no_control(seen))
    clues += _way(seen, mine)
    evidence = evidence_for(case, failure=failure, addresses=tuple(one.address for one in mine))
    if failure.code is NetCode.NETWORK_UNREACHABLE and (good or sure):
        # The rule reads an unreachable network as this machine's own; here others are reached.
        verdict = named(Cause.NETWORK_TCP_TIMEOUT, evidence, clues=clues, ruled_out=excluded, confirmed=sure,
                        language=case.language)  # fmt: skip
    else:
        verdict = judged(evidence, clues=clues, ruled_out=excluded, confirmed=sure, language=case.language)
    return trouble(Status.FAIL, verdict, told.text, **dict(told.facts))


def _closed(case: Case, done: Done, seen: Reached) -> tuple[Clue, bool]:
    """Say that no control was reached either, and whether anything else works: then this port is closed to all."""
    others = _list(seen.controls)
    page = next((url for url, answer in _pages(case, done) if answer), "")
    names = done.get(Names)
    text = "the controls {others} cannot be reached on port {port} either[, while {page} answers]"
    if not page and names is not None and names.system.took_ms:
        text = "the controls {others} cannot be reached on port {port} either, while names can be looked up"
    return clue(text, others=others, port=seen.controls[0].port, page=page), bool(page)


def _no_control(seen: Reached) -> Clue:
    if seen.controls:
        return clue("the controls {others} cannot be reached either", others=_list(seen.controls))
    return clue("no other address was tried as a control, because nobody asked for it")


def _pages(case: Case, done: Done) -> Iterator[tuple[str, bool]]:
    portals = done.get(Portals)
    known = {page.url: page for page in case.lists.portals}
    for url, answer in () if portals is None else portals.each:
        yield url, url in known and is_own(known[url], answer)


def _reached_one(case: Case, one: Connects) -> Clue:
    name = case.target.host if one.about == "target" else one.about
    text = "{name} at {address}, port {port}, is reached in {ms} ms"
    return clue(text, name=name, address=one.address, port=one.port, ms=f"{one.at(0.5):.0f}")


def _way(seen: Reached, dead: Sequence[Connects]) -> list[Clue]:
    if not seen.hops:
        return []
    if seen.hops[-1] in {one.address for one in dead}:
        count = len(seen.hops) if len(seen.hops) > 1 else ""
        return [
            clue("{address} itself answers to other packets[, {count} hops away]", address=seen.hops[-1], count=count)
        ]
    return [clue("the last router that answered is {address}, {count} hops away", address=seen.hops[-1],
                 count=len(seen.hops))]  # fmt: skip


def _dead_family(mine: list[Connects]) -> list[Connects]:
    """Give the addresses of a family of which none works, while the other does."""
    for family in (6, 4):
        here = [one for one in mine if _family(one.address) == family]
        if here and not _good(here) and _good(mine):
            return here
    return []


def _one_family(case: Case, seen: Reached, mine: list[Connects], dead: list[Connects]) -> Check:
    broken, works = ("IPv6", "IPv4") if _family(dead[0].address) == 6 else ("IPv4", "IPv6")
    best = min(_good(mine), key=lambda one: one.at(0.5))
    facts = {"family": broken, "other": works, "host": case.target.host, "ms": f"{best.at(0.5):.0f}"}
    told = clue("{host} is not reached by {family}, while {other} connects in {ms} ms", **facts)
    clues = [
        told,
        clue("{count} connections to {address} failed", count=sum(one.tries for one in dead), address=_list(dead)),
    ]
    controls = [one for one in seen.controls if _family(one.address) == _family(dead[0].address)]
    if _good(controls):
        clues.append(_reached_one(case, _good(controls)[0]))
    elif controls:
        clues.append(clue("the controls {others} cannot be reached either", others=_list(controls)))
    evidence = evidence_for(case, failure=_commonest(dead), addresses=tuple(one.address for one in dead))
    excluded = [not_this(one, told) for one in (Cause.NETWORK_OFFLINE, Cause.SERVICE_UNAVAILABLE)]
    verdict = named(Cause.NETWORK_IPV6_BROKEN, evidence, clues=clues + _way(seen, dead), ruled_out=excluded,
                    language=case.language)  # fmt: skip
    return trouble(Status.WARN, verdict, told.text, **facts)


def _one_address(case: Case, seen: Reached, mine: list[Connects], dead: list[Connects]) -> Check:
    facts: dict[str, Any] = {"host": case.target.host, "count": len(dead), "of": len(mine), "address": _list(dead)}
    text = "{count} of {of} addresses of {host} cannot be connected to: {address}"
    failure = _commonest(dead)
    if failure.code is NetCode.CONNECTION_REFUSED:
        return note(text, **facts)  # the next one is tried at once
    told = clue(text, **facts)
    evidence = evidence_for(case, failure=failure, addresses=tuple(one.address for one in dead))
    clues = [told, _reached_one(case, _good(mine)[0]), *_way(seen, dead)]
    verdict = named(Cause.NETWORK_TCP_TIMEOUT, evidence, clues=clues,
                    ruled_out=[not_this(Cause.NETWORK_OFFLINE, told)], language=case.language)  # fmt: skip
    return trouble(Status.WARN, verdict, told.text, **facts)


# loss and delay


def _lost(connects: Iterable[Connects], usual: float) -> tuple[int, int]:
    """Count attempts that failed or needed a second SYN, and all."""
    lost = tries = 0
    for one in connects:
        lost += len(one.failures) + sum(ms - usual > _LATE_MS for ms in one.connect_ms)
        tries += one.tries
    return lost, tries


def _median(connects: Sequence[Connects]) -> float:
    """Give the median in milliseconds, of the addresses' own the smallest; 0 without any."""
    return min((one.at(0.5) for one in connects if one.connect_ms), default=0.0)


_BAD = (
    "the way to {host} is bad: {lost} of {tries} packets that open a connection were lost, {ms} ms at the median, "
    "{most} ms at the 95th percentile"
)


def _quality(case: Case, seen: Reached, mine: list[Connects]) -> Check:
    quickest = min(ms for one in (*mine, *seen.controls) for ms in one.connect_ms)
    lost, tries = _lost(mine, quickest)
    median, control = _median(mine), _median(seen.controls)
    far = median > _SLOW_FACTOR * control + _SLOW_MORE_MS if control else False
    losing = lost >= _LOST_MIN and lost >= _LOST_SHARE * tries
    p95 = max(one.at(0.95) for one in mine)
    facts = {"host": case.target.host, "ms": f"{median:.0f}", "most": f"{p95:.0f}"}
    if not losing and not far and median < _SLOW_ALONE_MS:
        count = len(mine)
        return ok(
            "{host} is reached in {ms} ms[ at each of {count} addresses]", **facts, count=count if count > 1 else ""
        )
    told = clue(_BAD, **facts, lost=lost, tries=tries)
    their_lost, their_tries = _lost(_good(seen.controls), quickest)
    if their_tries:
        other = clue("controls lost {lost} of {tries}[, {ms} ms at the median]", lost=their_lost, tries=their_tries,
                     ms=f"{control:.0f}" if control else "")  # fmt: skip
    else:
        other = _no_control(seen)
    failures = [failure for one in mine for failure in one.failures]
    evidence = evidence_for(
        case, failure=failures[0] if failures else None, addresses=tuple(one.address for one in mine)
    )
    verdict = named(Cause.NETWORK_DEGRADED, evidence, clues=(told, other), confirmed=bool(their_tries),
                    ruled_out=[not_this(Cause.NETWORK_OFFLINE, told)], language=case.language)  # fmt: skip
    return trouble(Status.WARN, verdict, told.text, **dict(told.facts))


def _touches(case: Case) -> Iterable[str]:
    yield f"{case.target.host}:{case.target.port}"
    if case.asked:
        for one in case.lists.resolvers:
            yield f"{one.address}:{one.port}"
            if one.six:
                yield f"[{one.six}]:{one.port}"


def _leave_out(case: Case) -> str:
    return "" if case.via is None else "calls go through the proxy"


PROBE = Probe(
    name="reach",
    group=Group.NETWORK,
    rank=40,
    gives=Reached,
    measure=_measure,
    judge=_judge,
    after=(Names,),
    seconds=4.4,
    touches=_touches,
    unasked=True,
    leave_out=_leave_out,
)
