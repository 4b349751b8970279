"""Whether voice in ChatGPT gets through: over TCP, and over UDP, which no proxy for web pages carries."""

import asyncio
import importlib
import secrets
import struct
from collections.abc import Iterator
from dataclasses import replace

from gateway.doctor.case import Case
from gateway.doctor.chatgpt import VOICE_HOSTS, VOICE_RANGE, VOICE_TCP, VOICE_UDP
from gateway.doctor.finding import clue, evidence_for, judged, named, not_this, note, ok, skipped, trouble
from gateway.doctor.grounds import offline, portal
from gateway.doctor.measured import Names, Reached, Voice
from gateway.doctor.probe import Check, Done, Group, Probe, Status
from gateway.doctor.wire import failure_of, open_straight, open_through
from gateway.egress.lookups import Lookups, Question
from gateway.model.cause import Cause
from gateway.model.diagnosis import RuledOut
from gateway.model.failure import NetCode, NetFailure, Phase

_CONTROLS = ("stun.cloudflare.com", "stun.l.google.com")
_CONTROL_PORTS = {"stun.cloudflare.com": 3478, "stun.l.google.com": 19302}
"""developers.cloudflare.com/realtime/turn and webrtc.org, 2026-11: STUN servers that answer anybody."""
_TCP_SECONDS = 1.5
_UDP_SECONDS, _UDP_TRIES = 0.6, 3
_COOKIE = 0x2112A442
_REQUEST, _SUCCESS = 0x0001, 0x0101
_HEADER = struct.Struct("!HHI12s")


class _Stun(asyncio.DatagramProtocol):
    """Waits for the answer to one binding request (RFC 8489 sections 5 and 7.3.3)."""

    def __init__(self) -> None:
        self.transaction = secrets.token_bytes(12)
        self.answered = asyncio.Event()

    @property
    def request(self) -> bytes:
        return _HEADER.pack(_REQUEST, 0, _COOKIE, self.transaction)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if len(data) < _HEADER.size:
            return
        kind, length, cookie, transaction = _HEADER.unpack_from(data)
        if (kind, cookie, transaction) == (_SUCCESS, _COOKIE, self.transaction) and len(data) == _HEADER.size + length:
            self.answered.set()

    def error_received(self, exc: Exception) -> None:
        """Go on: a port that is closed says so by ICMP, and nobody answered all the same."""


async def _measure(case: Case, _done: Done) -> Voice:
    lookups = Lookups()
    try:
        tcp, udp, control = await asyncio.gather(
            asyncio.gather(*(_connect(case, lookups, host, port) for host, port in _tcp_places())),
            asyncio.gather(*(_ask(case, lookups, host, VOICE_UDP) for host in VOICE_HOSTS)),
            asyncio.gather(*(_ask(case, lookups, host, _CONTROL_PORTS[host]) for host in _controls(case))),
        )
    finally:
        lookups.close()
    return Voice(tcp=tuple(tcp), udp=tuple(udp), control=tuple(control))


def _tcp_places() -> Iterator[tuple[str, int]]:
    yield from ((VOICE_HOSTS[0], port) for port in VOICE_TCP)


def _controls(case: Case) -> tuple[str, ...]:
    return _CONTROLS if case.asked else ()


async def _place(case: Case, lookups: Lookups, host: str, port: int) -> tuple[str, int]:
    """Give where to send to. Raises OSError, TimeoutError."""
    if place := case.lists.connect_to.get(f"{host}:{port}"):
        address, _, text = place.rpartition(":")
        return address.strip("[]"), int(text)
    found = await lookups.find(Question(host, port, 0))
    if not found:
        message = f"{host} has no address"
        raise OSError(message)
    return found[0].address, port


async def _connect(case: Case, lookups: Lookups, host: str, port: int) -> tuple[str, NetFailure | None]:
    phase = Phase.DNS
    try:
        if case.via is not None and port == VOICE_TCP[0]:
            phase = Phase.CONNECT
            async with asyncio.timeout(_TCP_SECONDS):
                opened = await open_through(case.via, host, port)
        else:
            address, real_port = await _place(case, lookups, host, port)
            phase = Phase.CONNECT
            async with asyncio.timeout(_TCP_SECONDS):
                opened = await open_straight(case, address, real_port)
        with opened:
            return f"{host}:{port}", None
    except Exception as raised:  # noqa: BLE001 - whatever it is, it is what was measured
        late = TimeoutError(f"no answer within {_TCP_SECONDS:g} s")  # the chain says only that it was cancelled
        error = late if isinstance(raised, TimeoutError) and phase is Phase.CONNECT else raised
        await asyncio.to_thread(importlib.import_module, "gateway.egress.classify")  # long: not on the loop
        return f"{host}:{port}", failure_of(error, phase)


async def _ask(case: Case, lookups: Lookups, host: str, port: int) -> tuple[str, bool]:
    """Ask a STUN server, a few times: a datagram may be lost."""
    try:
        place = await _place(case, lookups, host, port)
        transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(_Stun, remote_addr=place)
    except (OSError, TimeoutError):
        return f"{host}:{port}", False
    try:
        for _ in range(_UDP_TRIES):
            transport.sendto(protocol.request)
            try:
                await asyncio.wait_for(protocol.answered.wait(), _UDP_SECONDS)
            except TimeoutError:
                continue
            return f"{host}:{port}", True
    except OSError:
        pass
    finally:
        transport.close()
    return f"{host}:{port}", False


def _judge(case: Case, done: Done) -> Iterator[Check]:
    seen = done.get(Voice)
    if seen is None:
        return
    if case.via is None and (offline(case, done) or portal(case, done)):
        yield skipped("nothing gets out, so voice was not tried")
        return
    refused = dict(seen.tcp)
    secure = refused.get(f"{VOICE_HOSTS[0]}:{VOICE_TCP[0]}")
    direct = refused.get(f"{VOICE_HOSTS[0]}:{VOICE_TCP[1]}")
    answered = [place for place, yes in seen.udp if yes]
    if secure is not None and case.via is None and _told_elsewhere(done, secure):
        yield skipped("not tried: {host} cannot be reached either", host=case.target.host)
    elif secure is not None:
        yield _no_signalling(case, secure, answered)
    elif answered:
        yield _open(answered, direct=direct is None)
    elif any(yes for _, yes in seen.control if _.endswith(f":{VOICE_UDP}")):
        yield note(
            "voice: TCP passes, and UDP {port} passes to {control}; voice's own servers did not answer there",
            port=VOICE_UDP, control=next(place for place, yes in seen.control if yes),
        )  # fmt: skip
    else:
        yield _no_udp(case, seen, direct=direct is None)


def _told_elsewhere(done: Done, failure: NetFailure) -> bool:
    """Whether the target fails in the same way, which its own probes tell."""
    names, reached = done.get(Names), done.get(Reached)
    if failure.phase is Phase.DNS:
        return names is not None and not names.system.addresses
    return reached is not None and bool(reached.targets) and not reached.good


def _open(answered: list[str], *, direct: bool) -> Check:
    if direct:
        return ok("voice: TCP 443 and 7881 and UDP {port} are open", port=VOICE_UDP)
    text = "voice: TCP 443 and UDP {port} are open ({place}); TCP 7881 is not, which costs nothing while UDP works"
    return ok(text, port=VOICE_UDP, place=answered[0])


def _no_signalling(case: Case, failure: NetFailure, answered: list[str]) -> Check:
    host = VOICE_HOSTS[0]
    ruled_out: tuple[RuledOut, ...] = ()
    clues = [clue("voice begins with a connection to {host} over TCP 443", host=host)]
    if answered:
        proof = clue("UDP {port} of {place} answers", port=VOICE_UDP, place=answered[0])
        clues.append(proof)
        ruled_out = (not_this(Cause.NETWORK_OFFLINE, proof),)
    evidence = evidence_for(case, provider=None, host=host, failure=failure)
    verdict = judged(evidence, clues=clues, ruled_out=ruled_out, confirmed=False, language=case.language)
    text = "voice cannot begin: {host} takes no connection over TCP 443"
    return trouble(Status.WARN, verdict, text, host=host)


def _no_udp(case: Case, seen: Voice, *, direct: bool) -> Check:
    """UDP is silent everywhere while TCP passes: what a firewall does that lets web pages through."""
    silent = ", ".join(place for place, _ in seen.udp)
    control = ", ".join(place for place, _ in seen.control)
    detail = f"UDP {VOICE_UDP} and {VOICE_RANGE} are not let through"
    failure = NetFailure(phase=Phase.CONNECT, code=NetCode.CONNECT_TIMEOUT, detail=detail, sent=False)
    text = "TCP 443 and 7881 of {host} are open" if direct else "TCP 443 of {host} is open"
    passes = clue(text, host=VOICE_HOSTS[0])
    clues = [
        clue("no answer to STUN over UDP from {places}[, nor from {control}]", places=silent, control=control), passes
    ]  # fmt: skip
    if case.via is not None:
        clues.append(
            clue("the proxy {proxy} carries no UDP: it has to go straight", proxy=f"{case.via.host}:{case.via.port}")
        )
    if not control:
        clues.append(clue("there was no control: no server of somebody else's was asked over UDP"))
    verdict = named(
        Cause.NETWORK_TCP_TIMEOUT,
        evidence_for(case, provider=None, host=VOICE_HOSTS[0], failure=failure),
        clues=clues,
        ruled_out=(not_this(Cause.NETWORK_OFFLINE, passes),),
        confirmed=bool(control),
        language=case.language,
    )
    steps = (
        clue("ask whoever runs the firewall to let UDP {port} and {range} out to the internet", port=VOICE_UDP,
             range=VOICE_RANGE),
        clue("until then voice takes TCP, with gaps; on another network, such as a phone's, it works without"),
    )  # fmt: skip
    text = "voice: UDP {port} does not get out, so voice has gaps or fails"
    return replace(trouble(Status.WARN, verdict, text, port=VOICE_UDP), steps=steps)


def _touches(case: Case) -> Iterator[str]:
    yield from (f"{host}:{port}" for host, port in _tcp_places())
    yield from (f"{host}:{VOICE_UDP}" for host in VOICE_HOSTS)
    yield from (f"{host}:{_CONTROL_PORTS[host]}" for host in _controls(case))


def _leave_out(case: Case) -> str:
    return "" if case.chatgpt else "only with --chatgpt"


PROBE = Probe(
    name="chatgpt-voice",
    group=Group.NETWORK,
    rank=92,
    gives=Voice,
    measure=_measure,
    judge=_judge,
    seconds=5.0,
    touches=_touches,
    leave_out=_leave_out,
)
