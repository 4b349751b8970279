"""Whether it is the name or the address that is disturbed: each of the two with another partner.

A filter that reads the name in the ClientHello (RFC 6066 section 3) lets another name pass at the same address. What is
found is told where the handshakes are judged; here only that it was looked at.
"""

import asyncio
from collections.abc import Iterator

from gateway.doctor.case import Case
from gateway.doctor.finding import note, skipped
from gateway.doctor.handshake import shake
from gateway.doctor.measured import Handshakes, Shaken, Swapped
from gateway.doctor.probe import Check, Done, Group, Probe

_OTHER_NAME = "example.com"
"""Reserved for documentation and served by many (iana.org/help/example-domains); it is only said, never contacted."""

_SECONDS = 1.5


async def _measure(case: Case, done: Done) -> Swapped:
    seen = done.get(Handshakes)
    cut = None if seen is None else next((one for one in seen.each if one.cut and one.address), None)
    if cut is None:
        return Swapped()
    port = case.target.port
    other = shake(case, _OTHER_NAME, port, address=cut.address, seconds=_SECONDS, look=False)
    if not case.lists.resolvers:
        return Swapped(other_name=await other)
    there = case.lists.resolvers[0]
    elsewhere = shake(
        case, case.target.host, there.port, address=there.address, by="control", seconds=_SECONDS, look=False
    )
    other_name, our_name = await asyncio.gather(other, elsewhere)
    return Swapped(other_name=other_name, elsewhere=our_name)


def _judge(case: Case, done: Done) -> Iterator[Check]:
    seen = done.get(Swapped)
    if seen is None:
        return
    if seen.other_name is None:
        yield skipped("not needed: no handshake was cut")
    elif not seen.other_name.begun:
        yield skipped("{address} takes no connection any more", address=seen.other_name.address)
    elif _passes(seen.other_name):
        yield note(
            "it is the name {host} that is disturbed: another name passes at {address}",
            host=case.target.host,
            address=seen.other_name.address,
        )
    else:
        yield note(
            "it is the address {address} or the way there that is disturbed: another name fares no better",
            address=seen.other_name.address,
        )


def _passes(one: Shaken) -> bool:
    return one.begun and not one.cut


PROBE = Probe(
    name="swap",
    group=Group.NETWORK,
    rank=52,
    gives=Swapped,
    measure=_measure,
    judge=_judge,
    after=(Handshakes,),
    seconds=2.0,
    touches=lambda case: tuple(f"{one.address}:{one.port}" for one in case.lists.resolvers[:1]),
    leave_out=lambda case: "all goes through the proxy" if case.via is not None else "",
)
