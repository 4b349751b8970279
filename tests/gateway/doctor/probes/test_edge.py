"""What the edge says of us: the country and a client that changes it, never our address."""

from gateway.doctor.case import Case, Target
from gateway.doctor.lists import Lists
from gateway.doctor.measured import Edge, Handshakes, Shaken
from gateway.doctor.probe import Check, Done, Status
from gateway.doctor.probes.edge import PROBE
from gateway.doctor.wire import Answer
from gateway.model.failure import NetCode, NetFailure, Phase
from tests.gateway.doctor.probes.serving import provider_of
from tests.gateway.egress.wire import Connection

CASE = Case(target=Target(host="api.openai.com", name="openai"))
OK_ANSWER = Answer(status=200)


def _checks(answer: Answer = OK_ANSWER, **facts: str) -> list[Check]:
    return list(PROBE.judge(CASE, Done(Edge(answer=answer, facts=tuple(facts.items())))))


def test_the_country_is_worth_a_note() -> None:
    [check] = _checks(loc="IT", colo="MXP", warp="off", gateway="off")
    assert check.status is Status.NOTE
    assert dict(check.told.facts) == {"place": "IT", "site": "MXP"}


def test_warp_and_zero_trust_are_named() -> None:
    assert "Cloudflare WARP" in _checks(loc="IT", warp="on", gateway="off")[1].told.text
    assert "Cloudflare WARP" in _checks(loc="IT", warp="plus")[1].told.text
    [_, check] = _checks(loc="IT", warp="on", gateway="on")
    assert "Zero Trust" in check.told.text
    assert check.status is Status.NOTE


def test_an_edge_that_says_nothing_is_no_trouble() -> None:
    late = NetFailure(phase=Phase.FIRST_BYTE, code=NetCode.READ_TIMEOUT, detail="late", sent=True)
    for answer in (Answer(), Answer(status=404), Answer(failure=late)):
        [check] = _checks(answer)
        assert check.status is Status.SKIPPED
    assert list(PROBE.judge(CASE, Done())) == []


def test_only_hosts_behind_cloudflare_are_asked() -> None:
    assert PROBE.leave_out(CASE) == ""
    assert PROBE.leave_out(Case(target=Target(host="chatgpt.com"))) == ""
    assert PROBE.leave_out(Case(target=Target(host="api.anthropic.com", name="anthropic")))


async def test_the_own_address_is_not_kept() -> None:
    lines = b"fl=466f1\nh=api.openai.com\nip=203.0.113.7\nts=1.2\nuag=x\ncolo=FRA\nloc=DE\ntls=TLSv1.3\nwarp=off\ngateway=off\n"

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(lines), lines))

    async with provider_of(script) as (wire, ca_file):
        lists = Lists(connect_to={"192.0.2.1:443": f"127.0.0.1:{wire.origin.port}"})
        case = Case(target=Target(host="provider.test", name="openai"), lists=lists, ca_file=ca_file)
        seen = await PROBE.measure(case, Done(Handshakes(each=(Shaken(address="192.0.2.1", name="provider.test"),))))
    assert isinstance(seen, Edge)
    assert "203.0.113.7" not in repr(seen)
    assert (seen.fact("loc"), seen.fact("colo"), seen.fact("gateway")) == ("DE", "FRA", "off")
    assert await PROBE.measure(case, Done()) == Edge(answer=Answer())
