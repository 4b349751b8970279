"""The company's proxy: whether it is there, and whether it gives a tunnel to the target."""

import asyncio
import time
from collections.abc import Iterator

from gateway.doctor.case import Case
from gateway.doctor.finding import clue, evidence_for, judged, not_this, ok, skipped, trouble
from gateway.doctor.measured import Connects, Tunnel
from gateway.doctor.measured_here import Variables
from gateway.doctor.probe import Check, Done, Group, Probe, Status
from gateway.doctor.replies import url_of
from gateway.doctor.wire import Answer, context_of, failure_of, fetch, open_straight, open_through, too_slow
from gateway.egress.network import Via
from gateway.model.attempt import ReplyHead
from gateway.model.cause import Cause
from gateway.model.diagnosis import Clue, RuledOut
from gateway.model.failure import NetCode, NetFailure, Phase

_CONTROL = "example.com"
"""Run by IANA for such uses (iana.org/help/example-domains)."""

_REACH_SECONDS = 2.0
_TUNNEL_SECONDS = 4.0
_UNASKED_SECONDS = 1.7
_OPENED = 200
_GONE = frozenset({NetCode.PROXY_UNREACHABLE, NetCode.PROXY_MISCONFIGURED})


async def _measure(case: Case, _done: Done) -> Tunnel:
    via, target = case.via, case.target
    assert via is not None
    reach, connect, control, straight = await asyncio.gather(
        _reach(case, via),
        _tunnel(case, via, target.host, target.port),
        _tunnel(case, via, _CONTROL, 443) if case.asked else _none(),
        _past(case) if case.asked else _none(),
    )
    return Tunnel(via=str(via), reach=reach, connect=connect, control=control, straight=straight)


async def _none() -> None:
    """Give nothing."""


async def _past(case: Case) -> Answer:
    url, ca_file = url_of(case.target), case.target.ca_file
    return await fetch(case, url, straight=True, ca_file=ca_file, seconds=_TUNNEL_SECONDS)


async def _reach(case: Case, via: Via) -> Connects:
    """Connect to the proxy itself, with TLS where that is how it is spoken to, and no more."""
    phase, seconds = Phase.CONNECT, _REACH_SECONDS if case.asked else _UNASKED_SECONDS
    try:
        async with asyncio.timeout(seconds):
            with await open_straight(case, via.host, via.port) as connection:
                phase = Phase.TLS
                if via.scheme == "https":
                    await connection.secure(context_of(case), via.host)
                took = (connection.took_ms,)
                return Connects(address=connection.address, port=via.port, about="proxy", connect_ms=took)
    except TimeoutError:
        failure = too_slow(phase, f"{via.host}:{via.port}", seconds)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was measured
        failure = failure_of(error, phase)
    return Connects(address=via.host, port=via.port, about="proxy", failures=(failure,))


async def _tunnel(case: Case, via: Via, host: str, port: int) -> Answer:
    """Ask for a tunnel. Its answer is that of the proxy; 200 stands for a tunnel, in SOCKS as well."""
    began = time.perf_counter()
    seconds = _TUNNEL_SECONDS if case.asked else _UNASKED_SECONDS
    try:
        async with asyncio.timeout(seconds):
            with await open_through(via, host, port, case.ca_file) as connection:
                return Answer(status=_OPENED, connect_ms=connection.took_ms)
    except TimeoutError:
        failure = too_slow(Phase.CONNECT, f"{host}:{port}", seconds, via)
    except Exception as error:  # noqa: BLE001 - likewise
        failure = failure_of(error, Phase.CONNECT)
    around = failure.around
    return Answer(
        status=around.status,
        headers=around.headers,
        text=around.text,
        connect_ms=round((time.perf_counter() - began) * 1000, 2),
        failure=failure,
    )


def _judge(case: Case, done: Done) -> Iterator[Check]:
    seen = done.get(Tunnel)
    if seen is None:
        return
    failure = seen.connect.failure
    if failure is None:
        yield ok(
            "the proxy {proxy} gives a tunnel to {host}, {ms} ms",
            proxy=seen.via,
            host=case.target.host,
            ms=round(seen.connect.connect_ms),
        )
        return
    if _is_our_own_past(case, done):
        yield skipped("it is an earlier gateway: see the check of the variables")
        return
    failure = _unreached(seen, failure)
    clues, ruled_out, sure = _by_controls(case, seen, failure)
    answered = seen.connect.status > 0
    verdict = judged(
        evidence_for(
            case,
            failure=failure,
            head=ReplyHead(status=seen.connect.status, headers=seen.connect.headers) if answered else None,
            text=seen.connect.text,
            stage="proxy" if answered else "",
        ),
        clues=[*_offered(case, seen), *clues],
        ruled_out=ruled_out,
        confirmed=sure,
        language=case.language,
    )
    told = "no call to {host} gets through its proxy: {detail}"
    yield trouble(Status.FAIL, verdict, told, host=case.target.host, detail=failure.detail)


def _unreached(seen: Tunnel, failure: NetFailure) -> NetFailure:
    """Give what keeps us from the proxy itself, where that is the reason why it gives no tunnel in time."""
    if not seen.reach.failures or failure.code is not NetCode.PROXY_UPSTREAM_ERROR or seen.connect.status:
        return failure
    why = seen.reach.failures[0]
    code, detail = NetCode.PROXY_UNREACHABLE, f"the proxy {seen.via} cannot be reached: {why.detail}"
    if why.phase is Phase.TLS:
        code, detail = NetCode.PROXY_MISCONFIGURED, f"{why.detail}: is it an http:// proxy?"
    return NetFailure(phase=Phase.CONNECT, code=code, detail=detail, sent=False)


def _offered(case: Case, seen: Tunnel) -> Iterator[Clue]:
    """Say which ways of signing in the proxy knows, and whether it was given one."""
    if seen.connect.failure is None or seen.connect.failure.code is not NetCode.PROXY_AUTH:
        return
    values = [value.decode("latin-1") for name, value in seen.connect.headers if name == b"proxy-authenticate"]
    schemes = dict.fromkeys(value.split()[0] for value in values if value.split())
    if schemes:
        yield clue("the proxy accepts {schemes}", schemes=", ".join(schemes))
    via = case.via
    given = via is not None and (via.authorization is not None or via.login is not None)
    yield clue("a login was sent to it, and it did not take it" if given else "the setting of the proxy holds no login")


def _by_controls(case: Case, seen: Tunnel, failure: NetFailure) -> tuple[list[Clue], list[RuledOut], bool]:
    """Hold it against another host through the proxy, and against the target past it."""
    clues: list[Clue] = []
    ruled_out: list[RuledOut] = []
    sure = failure.code in _GONE and bool(seen.reach.connect_ms)
    if seen.control is not None and seen.control.failure is None:
        passes = clue("to {other} the same proxy gives a tunnel", other=_CONTROL)
        clues.append(passes)
        ruled_out += [not_this(Cause.NETWORK_OFFLINE, passes), not_this(Cause.NETWORK_PROXY_UNREACHABLE, passes)]
        sure = True
    elif seen.control is not None and seen.control.failure is not None and failure.code not in _GONE:
        clues.append(
            clue("to {other} it gives none either: {detail}", other=_CONTROL, detail=seen.control.failure.detail)
        )
        sure = sure or seen.control.failure.code is failure.code
    elif seen.control is None:
        clues.append(clue("there was no control: {detail}", detail="nobody asked for this run"))
    if seen.straight is not None and seen.straight.status:
        passes = clue(
            "past the proxy {host} answers, with status {status}", host=case.target.host, status=seen.straight.status
        )
        clues.append(passes)
        ruled_out.append(not_this(Cause.SERVICE_UNAVAILABLE, passes))
        sure = sure or failure.code in _GONE
    return clues, ruled_out, sure


def _touches(case: Case) -> Iterator[str]:
    if case.via is not None:
        yield f"{case.via.host}:{case.via.port}"
        yield f"{_CONTROL}:443"


def _leave_out(case: Case) -> str:
    return "no proxy is set" if case.via is None else ""


def _is_our_own_past(case: Case, done: Done) -> bool:
    """Whether the proxy is a gateway of ours that no longer runs; the variables tell, and their check reports it."""
    variables = done.get(Variables)
    place = str(case.via).partition("://")[2]
    return variables is not None and any(one.place == place and one.problem == "stale" for one in variables.proxies)


PROBE = Probe(
    name="upstream-proxy",
    group=Group.NETWORK,
    rank=28,
    gives=Tunnel,
    measure=_measure,
    judge=_judge,
    seconds=4.5,
    touches=_touches,
    unasked=True,
    leave_out=_leave_out,
)
