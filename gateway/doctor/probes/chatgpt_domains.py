"""Whether every domain that ChatGPT in browsers and apps needs can be reached, told by what each is for."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from gateway.diagnose import vendors
from gateway.diagnose.authorities import is_public
from gateway.diagnose.evidence import Evidence
from gateway.diagnose.say import say
from gateway.doctor.case import Case
from gateway.doctor.chat_seen import PORT, Looker, fine
from gateway.doctor.chatgpt import NEEDS, entries
from gateway.doctor.finding import (
    certificate,
    clue,
    evidence_for,
    judged,
    named,
    not_this,
    note,
    ok,
    skipped,
    trouble,
)
from gateway.doctor.grounds import offline, portal
from gateway.doctor.measured import ChatHosts, Handshakes, HostSeen, Names, Reached, Tunnel
from gateway.doctor.probe import Check, Done, Group, Probe, Status
from gateway.model.cause import Cause
from gateway.model.diagnosis import Clue, Diagnosis
from gateway.model.failure import NetCode, NetFailure, Phase

_HOSTS_TOLD_MAX = 5
_APPLE = ".apple.com"
_SHOWN_BY_ITSELF = frozenset({Cause.NETWORK_TLS_INSPECTION})
"""Causes for which the certificate alone is proof."""

_WITHOUT = {
    "core": clue("without them ChatGPT does not open, or its answers do not arrive"),
    "sign-in": clue("without them nobody can sign in"),
    "upload": clue("without them files and pictures can neither be sent nor shown"),
    "assets": clue("without them pages stay empty or unstyled"),
    "sso": clue("without them signing in with a company's account fails"),
    "apps": clue("without them the apps for phones and desktops do not work; the browser may"),
    "attest": clue("without them the apps on Apple's devices refuse to sign in"),
    "telemetry": clue("lists against advertisements often block them, and then apps hang while signing in"),
    "extras": clue("without them payment, linked files or links in e-mails fail"),
}
_OF_CALLS = ("attempt {count} failed", "the request was never sent", "the request may have reached")
_FAILURE_OF_NAME = {"timeout": NetCode.DNS_TIMEOUT}
_NO_NAME = frozenset({"nxdomain", "nodata"})


class _Case(NamedTuple):
    """What all judgements here go by."""

    case: Case
    every: tuple[HostSeen, ...]
    elsewhere: frozenset[str]
    """Hosts whose trouble another probe reports."""

    @property
    def working(self) -> tuple[HostSeen, ...]:
        return tuple(seen for seen in self.every if fine(seen))


async def _measure(case: Case, _done: Done) -> ChatHosts:
    return await Looker(case).look(tuple(entry for entry in entries() if entry.member))


def _judge(case: Case, done: Done) -> Iterator[Check]:
    seen = done.get(ChatHosts)
    if seen is None:
        return
    if case.via is None and (offline(case, done) or portal(case, done)):
        yield skipped("nothing gets out, so none of the {count} domains", count=len(seen.each))
        return
    if _target_fails(done) and not any(map(fine, seen.each)):
        yield skipped("none of the {count} domains answers, and neither does {host}: the same trouble",
                      count=len(seen.each), host=case.target.host)  # fmt: skip
        return
    known = _Case(case, seen.each, _told_elsewhere(case, done))
    every = [(need, [one for one in seen.each if one.need == need]) for need in NEEDS]
    bad = {need: _bad(known, group) for need, group in every}
    shared = _shared(known, every, bad)
    for need, group in every:
        if not group:
            continue
        if need in shared and need != shared[0]:
            yield skipped("the same trouble as for {other}", need, other=shared[0])
        else:
            yield _of_need(known, need, group, bad[need])


def _of_need(known: _Case, need: str, group: Sequence[HostSeen], bad: list[HostSeen]) -> Check:
    if not bad:
        return _healthy(known, need, group)
    resigned = [one for one in bad if fine(one)]
    worst = next((one for one in (*resigned, *bad) if one.vital), (resigned or bad)[0])
    status = Status.FAIL if resigned or any(one.vital for one in bad) else Status.WARN
    names = ", ".join(one.host for one in bad[:_HOSTS_TOLD_MAX])
    verdict = _quiet(_verdict(known, need, worst, bad))
    text = "{count} of {total} domains cannot be used: {names}[ and {more} more]"
    if resigned:
        text = "{count} of {total} domains are intercepted, which their apps do not accept: {names}[ and {more} more]"
    more = len(bad) - _HOSTS_TOLD_MAX
    check = trouble(
        status, verdict, text, need, count=len(bad), total=len(group), names=names, more=more if more > 0 else ""
    )
    return replace(check, steps=_steps(verdict.cause, [one.host for one in resigned or bad], resigned=bool(resigned)))


def _quiet(diagnosis: Diagnosis) -> Diagnosis:
    """Leave out what is said of calls: here none was tried, and the line of the host says more."""
    clues = tuple(one for one in diagnosis.clues if not one.text.startswith(_OF_CALLS))
    return say(replace(diagnosis, clues=clues), diagnosis.language)


def _steps(cause: Cause, hosts: Sequence[str], *, resigned: bool) -> tuple[Clue, ...]:
    """Say what to do about a list of domains, where the steps of the cause are about one call."""
    names = ", ".join(hosts[:_HOSTS_TOLD_MAX])
    if resigned:
        return (
            clue("ask whoever runs the product to leave {names} out of TLS inspection", names=names),
            clue("do not install a root certificate for this: these apps would not look at it"),
            clue("if you know of no such product on this network, stop and ask before you sign in"),
        )
    if cause in {Cause.NETWORK_DNS_FAILURE, Cause.NETWORK_DNS_TAMPERED}:
        return (
            clue("look for {names} in your own ad blocker, Pi-hole or hosts file, and let them through", names=names),
            clue("otherwise ask whoever runs this network or its DNS whether they are filtered on purpose"),
        )
    return ()


def _healthy(known: _Case, need: str, group: Sequence[HostSeen]) -> Check:
    """Say what a need without trouble looks like: all is well, or a product reads along and browsers take it."""
    left = [one for one in group if fine(one)]
    gone = [one.host for one in group if not fine(one) and one.host not in known.elsewhere]
    signed = [one for one in left if _signer(one)]
    if not left:
        return skipped("another check tells why", need)
    if signed:
        text = "{issuer} signs {count} of {total} domains anew; browsers here accept it"
        return note(text, need, count=len(signed), total=len(group), issuer=_short(signed[0]))
    if gone:
        text = "{count} of {total} domains answer; public resolvers do not know {names} either"
        return ok(text, need, count=len(left), total=len(group), names=", ".join(gone))
    return ok("every domain answers ({count})", need, count=len(left))


def _bad(known: _Case, group: Sequence[HostSeen]) -> list[HostSeen]:
    """Give what is in trouble, without what never was, what another check tells, and what only looks like it."""
    return [one for one in group if one.host not in known.elsewhere and _troubled(one)]


def _troubled(seen: HostSeen) -> bool:
    if fine(seen):
        return seen.pinned and bool(_signer(seen))
    if seen.control is not None and seen.lookup.code in _NO_NAME and seen.control.code in _NO_NAME:
        return False  # the list outlives names; whoever runs it has let go of this one
    return not _apples_own(seen)


def _apples_own(seen: HostSeen) -> bool:
    """Whether Apple's own authority signed it, which only Apple's devices trust."""
    served = seen.shaken.served if seen.shaken is not None else None
    issuers = "" if served is None else " ".join((served.issuer, *served.issuers))
    failure = seen.shaken.failure if seen.shaken is not None else None
    untrusted = failure is not None and failure.code is NetCode.TLS_UNTRUSTED_ISSUER
    return untrusted and seen.host.endswith(_APPLE) and "O=Apple Inc." in issuers


def _signer(seen: HostSeen) -> str:
    """Give who signed a certificate in place of a public authority; empty when one of those did."""
    served = seen.shaken.served if seen.shaken is not None else None
    if served is None or _apples_own(seen) or "O=Apple Inc." in served.issuer:
        return ""
    product = vendors.of_certificate(served.issuer, served.subject)
    return "" if product is None and any(map(is_public, (served.issuer, *served.issuers))) else served.issuer


def _short(seen: HostSeen) -> str:
    """Give the product's name, or the issuer's common name."""
    issuer = _signer(seen)
    product = vendors.of_certificate(issuer)
    common = next((part.partition("=")[2] for part in issuer.split(",") if part.startswith("CN=")), issuer)
    return product.vendor if product is not None and product.vendor else common


def _shared(known: _Case, every: list[tuple[str, list[HostSeen]]], bad: dict[str, list[HostSeen]]) -> tuple[str, ...]:
    """Give the needs that one and the same trouble hits whole: it is told once, by the first of them."""
    whole = [need for need, group in every if group and len(bad[need]) == len(group) and not any(map(fine, group))]
    first = _cause(known, bad[whole[0]][0]) if whole else None
    same = tuple(need for need in whole if all(_cause(known, one) is first for one in bad[need]))
    return same if len(same) > 1 else ()


def _cause(known: _Case, seen: HostSeen) -> Cause:
    return judged(_evidence(known, seen), confirmed=False).cause


def _told_elsewhere(case: Case, done: Done) -> frozenset[str]:
    """Give the target, when the probes of the target itself have seen it fail."""
    return frozenset({case.target.host}) if _target_fails(done) else frozenset()


def _target_fails(done: Done) -> bool:
    handshakes, reached, names = done.get(Handshakes), done.get(Reached), done.get(Names)
    tunnel = done.get(Tunnel)
    return (
        (tunnel is not None and tunnel.connect.failure is not None)
        or (handshakes is not None and bool(handshakes.each) and not handshakes.valid)
        or (reached is not None and bool(reached.targets) and not reached.good)
        or (names is not None and not names.system.addresses)
    )


def _verdict(known: _Case, need: str, worst: HostSeen, bad: Sequence[HostSeen]) -> Diagnosis:
    case, evidence = known.case, _evidence(known, worst)
    clues = [_WITHOUT[need], *(line for one in bad[:_HOSTS_TOLD_MAX] for line in _lines(one))]
    ruled_out, sure = [], False
    if any(fine(one) and one.pinned for one in bad):
        clues.insert(1, clue("these apps accept no certificate but the true one"))
        return named(Cause.NETWORK_TLS_INSPECTION, evidence, clues=clues, language=case.language)
    if _moved(worst):
        sure = True
        proof = clue("a handshake valid for {name} completes at {address}, which the public resolver gives",
                     name=worst.host, address=worst.elsewhere.address if worst.elsewhere else "")  # fmt: skip
        ruled_out = [not_this(Cause.SERVICE_UNAVAILABLE, proof), not_this(Cause.NETWORK_OFFLINE, proof)]
    elif neighbour := _neighbour(known, worst):
        sure = True
        proof = clue("another name at the same address completes its handshake: {name}", name=neighbour)
        ruled_out = [not_this(Cause.NETWORK_OFFLINE, proof), not_this(Cause.SERVICE_UNAVAILABLE, proof)]
    elif known.working:
        proof = clue("{count} other domains of the list answer", count=len(known.working))
        ruled_out = [not_this(Cause.NETWORK_OFFLINE, proof)]
    elsewhere = worst.control is not None and worst.control.code == "ok" and not worst.lookup.addresses
    if not (sure or elsewhere or case.via) and worst.control is None:
        clues.append(clue("there was no control: no public resolver could be asked"))
    if (
        _moved(worst)
        and evidence.failure is not None
        and evidence.failure.phase is Phase.TLS
        and evidence.certificate.issuer
    ):
        return named(Cause.NETWORK_DNS_TAMPERED, evidence, clues=clues, ruled_out=ruled_out, language=case.language)
    found = judged(evidence, clues=clues, ruled_out=ruled_out, confirmed=False, language=case.language)
    if sure or elsewhere or found.cause in _SHOWN_BY_ITSELF:
        return judged(evidence, clues=clues, ruled_out=ruled_out, confirmed=True, language=case.language)
    return found


def _moved(seen: HostSeen) -> bool:
    """Whether the name works at the address that a public resolver gives, and not at the system's."""
    return seen.elsewhere is not None and seen.elsewhere.failure is None


def _neighbour(known: _Case, seen: HostSeen) -> str:
    """Give another name that completes its handshake at the very address where this one does not."""
    if seen.shaken is None or not seen.shaken.address:
        return ""
    same = (one for one in known.working if one.shaken is not None and one.shaken.address == seen.shaken.address)
    return next((one.host for one in same), "")


def _evidence(known: _Case, seen: HostSeen) -> Evidence:
    failure = None
    if seen.shaken is not None:
        failure = seen.shaken.failure
    elif seen.connect is not None and seen.connect.failures:
        failure = seen.connect.failures[-1]
    elif not seen.lookup.addresses:
        code = _FAILURE_OF_NAME.get(seen.lookup.code, NetCode.DNS_FAILURE)
        detail = seen.lookup.detail or seen.lookup.code
        failure = NetFailure(phase=Phase.DNS, code=code, detail=detail, sent=False)
    provider = known.case.target.provider if known.case.target.host == seen.host else None
    served = seen.shaken.served if seen.shaken is not None else None
    return evidence_for(
        known.case, provider=provider, host=seen.host, failure=failure, addresses=seen.lookup.addresses,
        certificate=certificate(served),
    )  # fmt: skip


def _lines(seen: HostSeen) -> Iterator[Clue]:
    """Say of one host how far one gets, and what the control says."""
    control = ", ".join(seen.control.addresses[:2]) if seen.control is not None else ""
    by = seen.control.by if control and seen.control is not None else ""
    if sunk := _sunk(seen):
        yield clue("{name} leads to {alias}, which this network's resolver answers with {addresses}",
                   name=seen.host, alias=sunk[0], addresses=sunk[1])  # fmt: skip
    if not seen.lookup.addresses and seen.lookup.by != "proxy":
        yield clue("{name} does not resolve ({code})[; {by} over HTTPS gives {control}]",
                   name=seen.host, code=seen.lookup.code, by=by, control=control)  # fmt: skip
    elif fine(seen):
        yield clue("{name} shows a certificate that {issuer} signed", name=seen.host, issuer=_short(seen))
    else:
        failure = seen.shaken.failure if seen.shaken is not None else None
        failure = failure or next(iter(seen.connect.failures if seen.connect is not None else ()), None)
        detail = failure.detail if failure is not None else ""
        address = next((one for one in seen.lookup.addresses if one not in detail), "")
        yield clue("{name}[ at {address}]: {detail}[; {by} over HTTPS gives {control}]", name=seen.host,
                   address="" if any(one in detail for one in seen.lookup.addresses) else address, detail=detail,
                   by=by, control=control)  # fmt: skip


def _sunk(seen: HostSeen) -> tuple[str, str] | None:
    """Give the first alias on the way that the system does not lead to an address of the public kind."""
    for name, answer in seen.aliases:
        if answer.code in _NO_NAME or set(answer.addresses) & set(seen.lookup.addresses):
            return name, ", ".join(answer.addresses[:2]) or answer.code
    return None


def _touches(case: Case) -> Iterator[str]:
    yield from (f"{entry.member}:{PORT}" for entry in entries() if entry.member)
    if case.via is None:
        yield from (f"{one.address}:{one.port}" for one in case.lists.resolvers)


def _leave_out(case: Case) -> str:
    return "" if case.chatgpt else "only with --chatgpt"


PROBE = Probe(
    name="chatgpt-domains",
    group=Group.NETWORK,
    rank=90,
    gives=ChatHosts,
    measure=_measure,
    judge=_judge,
    seconds=6.5,
    touches=_touches,
    leave_out=_leave_out,
)
