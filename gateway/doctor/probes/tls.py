"""Whether a TLS handshake valid for the name comes about, at every address of the target or through the proxy.

It is OONI's test E001 (ooni/spec ts-017): an address at which a handshake valid for the name completes is right,
whatever resolver gave it. What is shown where none completes tells who stands there.
"""

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from gateway.diagnose import vendors
from gateway.diagnose.authorities import is_public
from gateway.diagnose.evidence import Evidence
from gateway.diagnose.observation import Observation
from gateway.diagnose.vendors import Means
from gateway.doctor.case import Case
from gateway.doctor.finding import certificate, clue, evidence_for, judged, not_this, note, ok, skipped, trouble
from gateway.doctor.grounds import astray, clock_explains, portal
from gateway.doctor.handshake import shake
from gateway.doctor.measured import Handshakes, Names, Shaken, Swapped
from gateway.doctor.measured_here import Trust
from gateway.doctor.probe import Check, Done, Group, Probe, Status
from gateway.doctor.replies import url_of
from gateway.doctor.wire import Served
from gateway.model.attempt import ReplyHead
from gateway.model.cause import Cause
from gateway.model.diagnosis import Clue, Diagnosis, RuledOut

_ADDRESSES_MAX = 6
_OF_SYSTEM_MAX = 4
_NAMES_SHOWN = 3
_TELLING = frozenset({Means.BLOCK, Means.PORTAL, Means.SIGN_IN, Means.DENIED})
_INSPECTS = frozenset({Means.INSPECTION, Means.BLOCK, Means.PRESENCE})


async def _measure(case: Case, done: Done) -> Handshakes:
    target = case.target
    if case.via is not None:
        through = shake(case, target.host, target.port, by="proxy", ca_file=target.ca_file)
        return Handshakes(each=(await through,))
    names = done.get(Names)
    places = () if names is None else _places(names)
    each = (
        shake(case, target.host, target.port, address=address, by=by, ca_file=target.ca_file) for address, by in places
    )
    return Handshakes(each=tuple(await asyncio.gather(*each)))


def _places(names: Names) -> tuple[tuple[str, str], ...]:
    """Choose addresses: the system's first, of both families, then what only the public resolvers gave."""
    system = _mixed(names.system.addresses)[:_OF_SYSTEM_MAX]
    others = _mixed([address for address in names.control if address not in names.system.addresses])
    placed = [(address, "system") for address in system] + [(address, "control") for address in others]
    return tuple(placed[:_ADDRESSES_MAX])


def _mixed(addresses: Sequence[str]) -> list[str]:
    """Take turns between IPv4 and IPv6."""
    four, six = ([one for one in addresses if (":" in one) is six] for six in (False, True))
    return [address for pair in zip_longest(four, six) for address in pair if address]


def _judge(case: Case, done: Done) -> Iterator[Check]:
    seen = done.get(Handshakes)
    if seen is None:
        return
    begun = [one for one in seen.each if one.begun and one.by != "control"]
    bad = sorted((one for one in begun if one.failure is not None), key=lambda one: (not one.mistrusted, one.cut))
    if not begun:
        yield skipped("no connection came about on which TLS could begin")
    elif not bad:
        yield _healthy(case, begun)
    elif why := _told_elsewhere(case, done, bad):
        yield skipped(why)
    else:
        yield _trouble(case, done, seen, bad)


def _healthy(case: Case, begun: Sequence[Shaken]) -> Check:
    served = next((one.served for one in begun if one.served is not None), None)
    quickest = min(begun, key=lambda one: one.took_ms)
    if served is not None and (mark := vendors.of_certificate(served.issuer, served.subject)) is not None:
        if mark.means in _INSPECTS:
            return note(
                "{vendor} opens the calls to {host} and signs them anew; this machine trusts it, programs with a store "
                "of their own may not",
                vendor=mark.vendor,
                host=case.target.host,
            )
    elif served is not None and _is_public_host(case) and not any(map(is_public, served.issuers or (served.issuer,))):
        return note(
            "the certificate of {host} was issued by {issuer}, no public authority; this machine trusts it, programs "
            "with a store of their own may not",
            host=case.target.host,
            issuer=served.issuer,
        )
    return ok(
        "the certificate of {host} is valid[ at {count} addresses], {version}, {ms} ms",
        host=case.target.host,
        count=len(begun) if len(begun) > 1 else "",
        version=quickest.version,
        ms=round(quickest.took_ms),
    )


def _is_public_host(case: Case) -> bool:
    """Whether the target is a provider's own host, which has its certificate from a public authority."""
    provider = case.target.provider
    return provider is not None and provider.upstream is None and case.target.ca_file is None


def _told_elsewhere(case: Case, done: Done, failed: Sequence[Shaken]) -> str:
    """Give why another probe reports what went wrong here, empty when this one does."""
    if portal(case, done):
        return "a login page stands before everything"
    trust = done.get(Trust)
    if trust is not None and trust.is_broken and all(one.mistrusted for one in failed):
        return "this machine's list of trusted certificates cannot be read"
    lost = astray(case, done)
    if lost is not None and (lost.kind == "filter" or {one.address for one in failed} <= set(lost.addresses)):
        return "the name leads to somebody else"
    return "this machine's clock is wrong, so no certificate seems valid" if clock_explains(done) is not None else ""


def _evidence(case: Case, one: Shaken) -> Evidence:
    page = one.page
    more: dict[str, object] = {}
    if page is not None:
        head = ReplyHead(status=page.status, headers=page.headers)
        if Observation(Evidence(provider=None, host="", head=head, text=page.text)).author.means in _TELLING:
            more = {"head": head, "text": page.text}
    addresses = (one.address,) if one.address else ()
    return evidence_for(case, failure=one.failure, certificate=certificate(one.served), addresses=addresses, **more)


def _trouble(case: Case, done: Done, seen: Handshakes, bad: Sequence[Shaken]) -> Check:
    worst = bad[0]
    good = [one.address for one in seen.each if one.failure is None]
    swapped = done.get(Swapped) if worst.cut else None
    clues, ruled_out, sure = _by_swap(swapped, worst) if swapped is not None else ([], [], False)
    more, excluded, agreed = _by_resolvers(case, done, seen, worst)
    if good:
        clues.append(clue("the handshake at {addresses} is valid", addresses=", ".join(good)))
    if worst.mistrusted and worst.served is not None and worst.served.names and not _is_for(worst.served, worst.name):
        named = ", ".join(worst.served.names[:_NAMES_SHOWN])
        clues.append(clue("the certificate that is shown is for {names}", names=named))
    if worst.served is not None and _is_public_host(case) and not is_public(worst.served.issuer):
        clues.append(clue("the issuer of the certificate is no public authority"))
    verdict = judged(
        _evidence(case, worst),
        clues=[*clues, *more],
        ruled_out=[*ruled_out, *excluded],
        confirmed=sure or (agreed and worst.mistrusted),
        language=case.language,
    )
    return trouble(
        Status.WARN if any(one in good for one in _of_system(seen)) else Status.FAIL,
        verdict,
        _told(worst, verdict, by_name=sure),
        host=case.target.host,
        address=worst.address,
        detail=_plain(worst.failure.detail) if worst.failure is not None else "",
        vendor=verdict.vendor,
    )


def _is_for(served: Served, name: str) -> bool:
    """Whether a certificate names a host, by itself or by all hosts of its domain (RFC 9525)."""
    return any(one.lower() in {name.lower(), f"*.{name.lower().partition('.')[2]}"} for one in served.names)


def _of_system(seen: Handshakes) -> Iterable[str]:
    return (one.address for one in seen.each if one.by != "control")


def _told(worst: Shaken, verdict: Diagnosis, *, by_name: bool) -> str:
    if verdict.cause is Cause.NETWORK_BLOCKED_PAGE:
        return "a page[ of {vendor}] answers in place of {host}"
    if verdict.cause is Cause.NETWORK_TLS_INSPECTION and verdict.vendor:
        return "{vendor} shows a certificate of its own for {host}, and this machine does not trust it"
    if by_name:
        return "connections die once TLS names {host}[, here at {address}]; with another name they do not"
    if worst.mistrusted:
        return "the certificate shown for {host}[ at {address}] is refused: {detail}"
    if worst.silent:
        return "nothing answers once TLS with {host}[ at {address}] begins"
    if worst.cut:
        return "connections to {host}[ at {address}] are cut once TLS begins"
    return "TLS with {host}[ at {address}] does not come about: {detail}"


def _by_swap(swapped: Swapped, worst: Shaken) -> tuple[list[Clue], list[RuledOut], bool]:
    """Hold what was cut against the same address with another name, and another address with our name."""
    other, elsewhere = swapped.other_name, swapped.elsewhere
    clues: list[Clue] = []
    ruled_out: list[RuledOut] = []
    by_name = other is not None and other.begun and not other.cut
    cut_elsewhere = elsewhere is not None and elsewhere.cut
    passed_elsewhere = elsewhere is not None and elsewhere.begun and not elsewhere.cut
    if other is not None and by_name:
        passed = clue(
            "with another name, {other}, the server at {address} answers", other=other.name, address=other.address
        )
        clues.append(passed)
        ruled_out.append(not_this(Cause.SERVICE_UNAVAILABLE, passed))
        ruled_out.append(not_this(Cause.NETWORK_OFFLINE, passed))
    elif other is not None and other.cut:
        same = "with another name, {other}, it is the same at {address}: it is about the address or the way there"
        clues.append(clue(same, other=other.name, address=other.address))
    if elsewhere is not None and cut_elsewhere:
        same = "at {address}, a public resolver's, the name {name} is cut as well"
        clues.append(clue(same, name=worst.name, address=elsewhere.address))
    elif elsewhere is not None and passed_elsewhere:
        passes = "at {address}, a public resolver's, the name {name} is not cut"
        clues.append(clue(passes, name=worst.name, address=elsewhere.address))
    return clues, ruled_out, by_name and not passed_elsewhere


def _by_resolvers(case: Case, done: Done, seen: Handshakes, worst: Shaken) -> tuple[list[Clue], list[RuledOut], bool]:
    """Hold it against what public resolvers said, and how their own certificates were."""
    names = done.get(Names)
    answered = [] if names is None else [one for one in names.controls if one.code in {"ok", "nodata", "nxdomain"}]
    if case.via is not None or names is None or not answered:
        return [_uncontrolled(case, names)], [], False
    clues = [clue("the certificate of the public resolver {name} is valid from here", name=answered[0].by)]
    same = worst.address in names.control or any(
        one.by == "control" and one.mistrusted == worst.mistrusted and one.failure is not None for one in seen.each
    )
    ruled_out = [not_this(Cause.NETWORK_OFFLINE, clues[0])]
    if worst.address in names.control:
        agrees = clue("public resolvers give the same address, {address}", address=worst.address)
        ruled_out.append(not_this(Cause.NETWORK_DNS_TAMPERED, agrees))
    return clues, ruled_out, same


def _uncontrolled(case: Case, names: Names | None) -> Clue:
    if case.via is not None:
        return clue("there was no control: {detail}", detail="all goes through the proxy")
    if names is None or not names.controls:
        why = "no public resolver is set" if case.asked else "nobody asked for this run"
        return clue("there was no control: {detail}", detail=why)
    first = names.controls[0]
    same = "the public resolver {name} could not be asked over TLS either: {detail}"
    return clue(same, name=first.by, detail=_plain(first.detail or first.code))


_OF_PYTHON = re.compile(r"^\[SSL[^\]]*\] |certificate verify failed: | ?\(_ssl\.c:\d+\)")


def _plain(detail: str) -> str:
    """Give OpenSSL's words without Python's."""
    return _OF_PYTHON.sub("", detail)


PROBE = Probe(
    name="tls",
    group=Group.NETWORK,
    rank=50,
    gives=Handshakes,
    measure=_measure,
    judge=_judge,
    after=(Names,),
    seconds=3.5,
    touches=lambda case: (f"{case.target.host}:{case.target.port}",),
    unasked=True,
    leave_out=lambda case: "it is called over plain HTTP" if url_of(case.target).startswith("http:") else "",
)
