"""What Cloudflare, in front of the target, says of where we come from."""

from collections.abc import Iterator

from gateway.doctor.asking import is_of_chatgpt
from gateway.doctor.case import Case
from gateway.doctor.finding import note, skipped
from gateway.doctor.measured import Edge, Handshakes
from gateway.doctor.probe import Check, Done, Group, Probe
from gateway.doctor.wire import Answer, fetch

_PATH = "/cdn-cgi/trace"
"""Answered by every host behind Cloudflare (developers.cloudflare.com/fundamentals/reference/cdn-cgi-endpoint)."""

_SECONDS = 2.0
_KEPT = frozenset({"loc", "colo", "warp", "gateway", "tls", "http", "rbi", "fl"})
"""``ip`` and ``uag`` are nobody's business."""


async def _measure(case: Case, done: Done) -> Edge:
    seen = done.get(Handshakes)
    good = None if seen is None else next((one for one in seen.each if one.failure is None), None)
    if good is None:
        return Edge(answer=Answer())
    target = case.target
    url = f"https://{target.host}:{target.port}{_PATH}"
    answer = await fetch(case, url, address=good.address, ca_file=target.ca_file, seconds=_SECONDS)
    pairs = [line.partition("=") for line in answer.text.splitlines()[:40]]
    facts = tuple((name.strip(), value.strip()[:80]) for name, _, value in pairs if name.strip() in _KEPT and value)
    return Edge(answer=Answer(status=answer.status, failure=answer.failure), facts=facts)


def _judge(_case: Case, done: Done) -> Iterator[Check]:
    seen = done.get(Edge)
    if seen is None:
        return
    where = seen.fact("loc")
    if not seen.answer.status and seen.answer.failure is None:
        yield skipped("no valid handshake to ask on")
    elif not where:
        yield skipped("the edge does not say where it sees this network")
    else:
        yield note(
            "the provider's edge sees this network in {place}[, at its site {site}]",
            place=where,
            site=seen.fact("colo"),
        )
    if seen.fact("gateway") == "on":
        yield note(
            "calls leave through Cloudflare Zero Trust (gateway=on): an organisation's rules apply to them", "gateway"
        )
    elif seen.fact("warp") in {"on", "plus"}:
        yield note("calls leave through Cloudflare WARP: the provider sees its addresses", "warp")


def _leave_out(case: Case) -> str:
    theirs = case.target.name == "openai" or is_of_chatgpt(case.target.host)
    return "" if theirs else "this host does not stand behind Cloudflare"


PROBE = Probe(
    name="edge",
    group=Group.NETWORK,
    rank=66,
    gives=Edge,
    measure=_measure,
    judge=_judge,
    after=(Handshakes,),
    seconds=2.5,
    touches=lambda case: (f"{case.target.host}:{case.target.port}",),
    leave_out=_leave_out,
)
