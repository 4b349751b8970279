"""Three ledgers of the same calls, compared row by row: the client's, our log, the upstream's.

What must hold, for every call:

1. Every HTTP request that a client made has exactly one flow, and it is done; there is no other flow.
2. The attempts of its flows that may have been sent are the upstream's requests of its mark, as many, in that order,
   with the same status or both without one (`_is_same` and `_may_be_lost` name what cannot be known).
3. A flow is billed at most once, unless it says ``possible_duplicate``.
4. What failed in our log did not look like success to the client, and the other way round; and where the client could
   read a verdict, it is that of the log.

Where several calls share a key, a flow is of the call that heard its id; the others are of those that heard none, each
of one of which the upstream got as much.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.keyed import keyed_digest
from tests.faults.clients import ClientRow
from tests.faults.upstream import Row

Flow = dict[str, Any]


class LedgersDifferError(AssertionError):
    """They tell different stories; the message is a table of all three."""


def fingerprint(key: str, secret: bytes) -> str:
    """Give what a flow shows of a key.

    Args:
        secret: What the gateway's ``fingerprint.key`` holds.
    """
    return keyed_digest(secret, key.encode()).hex()[:8]


def reconcile(clients: Sequence[ClientRow], flows: Sequence[Flow], upstream: Sequence[Row], *, secret: bytes) -> None:
    """Compare.

    Args:
        flows: Of the page's API, in any order.
        upstream: In the order of arrival.

    Raises:
        LedgersDifferError: With every disagreement and the rows that it is about.
    """
    problems = list(_problems(clients, sorted(flows, key=lambda flow: flow["seq"]), upstream, secret))
    if problems:
        raise LedgersDifferError("\n".join(["the ledgers disagree:", *(f"  - {problem}" for problem in problems),
                                            *_table(clients, flows, upstream, secret)]))  # fmt: skip


def _problems(
    clients: Sequence[ClientRow], flows: Sequence[Flow], upstream: Sequence[Row], secret: bytes
) -> Iterator[str]:
    of_mark: dict[str, list[Row]] = {}
    for row in upstream:
        of_mark.setdefault(row.mark, []).append(row)
    yield from (f"flow {flow['id']} is {flow['state']}, not done" for flow in flows if flow["state"] != "done")
    owned = _owned(clients, flows, of_mark, secret)
    for client in clients:
        own, received = owned[client.mark], of_mark.get(client.mark, [])
        if len(own) != client.requests:
            yield f"{client.mark}: the client made {client.requests} requests, the log has {len(own)} flows"
        yield from _attempts(client, own, received)
        if own:
            yield from _outcomes(client, own)
    somebodys = {flow["id"] for own in owned.values() for flow in own}
    for flow in flows:
        if flow["id"] not in somebodys:
            yield f"flow {flow['id']} ({flow['method']} {flow['host']}{flow['path']}) is of no client"
    yield from _marks(clients, upstream)


def _owned(
    clients: Sequence[ClientRow], flows: Sequence[Flow], received: Mapping[str, Sequence[Row]], secret: bytes
) -> dict[str, list[Flow]]:
    """Give each call its flows: all of its key, or where calls share one, those that it heard of and some of the rest."""
    of_key: dict[str, dict[str, Flow]] = {}
    for flow in flows:
        of_key.setdefault(flow["key"], {})[flow["id"]] = flow
    sharing, owned = Counter(client.key for client in clients), {}
    for client in sorted(clients, key=lambda one: not one.answers):  # who heard an id comes first
        left = of_key.get(fingerprint(client.key, secret), {})
        own = [left[name] for name in (list(left) if sharing[client.key] == 1 else client.flow_ids) if name in left]
        if (missing := client.requests - len(own)) and sharing[client.key] > 1:
            got = len(received.get(client.mark, ()))
            rest = [flow for flow in left.values() if flow["cause"] == "client.disconnected"]
            own += sorted(rest, key=lambda flow: abs(sum(map(_was_sent, flow["attempts"])) - got))[:missing]
        owned[client.mark] = own
        for flow in own:
            left.pop(flow["id"], None)
    return owned


def _marks(clients: Sequence[ClientRow], upstream: Sequence[Row]) -> Iterator[str]:
    marks = Counter(client.mark for client in clients)
    for row in upstream:
        if row.mark not in marks and not _is_look(row):
            yield f"the upstream got {row.method} {row.target} (mark {row.mark or 'none'}), which no client asked for"
    yield from (
        f"{mark} is the mark of {count} calls: each needs its own" for mark, count in marks.items() if count > 1
    )


def _attempts(client: ClientRow, flows: Sequence[Flow], received: Sequence[Row]) -> Iterator[str]:
    mark, rest = client.mark, list(received)
    for flow in flows:
        billed = 0
        for attempt in flow["attempts"]:
            if not _was_sent(attempt):
                continue
            row = rest[0] if rest else None
            if _was_cut(attempt):  # the app left: what was written last may never have been read, on either side
                billed += row is not None and rest.pop(0).billable
                continue
            lost = _may_be_lost(attempt, received, client)
            if row is None or (lost and not _is_same(attempt, row)):
                if not lost:
                    yield f"{mark}: attempt {attempt['n']} of flow {flow['id']} was sent; the upstream got nothing of it"
                continue
            rest.pop(0)
            billed += row.billable
            if not _is_same(attempt, row):
                yield (
                    f"{mark}: attempt {attempt['n']} of flow {flow['id']} has status {attempt['status']},"
                    f" the upstream wrote {row.status}"
                )
        if billed > 1 and not flow["possible_duplicate"]:
            yield f"{mark}: flow {flow['id']} is billed {billed} times and does not say possible_duplicate"
    if rest:
        yield f"{mark}: the upstream got {len(received)} requests, {len(rest)} more than the log's attempts"


def _outcomes(client: ClientRow, flows: Sequence[Flow]) -> Iterator[str]:
    last = flows[-1]
    if (client.outcome == "answer") != (last["cause"] is None):
        yield f"{client.mark}: {client.outcome} for the client, {last['cause'] or 'success'} in the log"
    elif client.outcome == "left" and not last["cause"].startswith("client."):
        yield f"{client.mark}: the client left, and the log says {last['cause']}"
    by_id = {flow["id"]: flow for flow in flows}
    for seen in client.answers:
        flow = by_id.get(seen.flow_id)
        if flow is None:
            yield f"{client.mark}: an answer names flow {seen.flow_id or 'none'}, which is not in the log"
        elif flow["status"] != seen.status:
            yield f"{client.mark}: the client saw status {seen.status}, flow {flow['id']} says {flow['status']}"
        elif seen.cause and seen.cause != flow["cause"]:
            yield f"{client.mark}: the client was told {seen.cause}, flow {flow['id']} says {flow['cause']}"


def _was_sent(attempt: dict[str, Any]) -> bool:
    """Whether the upstream may have it. One that was cut short by its client tells by its phases."""
    failure = attempt["failure"]
    if failure is not None:
        return bool(failure["sent"])
    return attempt["status"] is not None or bool({"first_byte", "body"} & {one["name"] for one in attempt["phases"]})


def _was_cut(attempt: dict[str, Any]) -> bool:
    """Whether nothing but the app's leaving ended it before a head was there."""
    return attempt["failure"] is None and attempt["status"] is None


def _is_same(attempt: dict[str, Any], row: Row) -> bool:
    """Whether both tell of the same answer. A head may be lost with what broke, or with a client that left."""
    if attempt["status"] is None and row.status is not None:
        return attempt["failure"] is None or row.ended != "answered"
    return bool(attempt["status"] == row.status)


def _may_be_lost(attempt: dict[str, Any], received: Sequence[Row], client: ClientRow) -> bool:
    """Whether a request that was written may have come to nobody.

    That is so on an idle connection that was closing, where no request of the call was ever read (a listener that
    resets what it accepts keeps no ledger), and where something in between may lose connections.
    """
    failure = attempt["failure"]
    if failure is None or attempt["status"] is not None or failure["code"] != "connection_reset":
        return False
    return client.lossy or not received or "connect" not in {phase["name"] for phase in attempt["phases"]}


def _is_look(row: Row) -> bool:
    """Whether it is the gateway looking at who is there: without credential, for nothing in particular."""
    return (row.method, row.target, row.mark, row.has_credential) == ("GET", "/", "", False)


def _table(
    clients: Sequence[ClientRow], flows: Sequence[Flow], upstream: Sequence[Row], secret: bytes
) -> Iterator[str]:
    for client in clients:
        yield (
            f"client   {client.mark}: {client.requests} requests, {client.outcome} {client.status or ''}"
            f" {client.cause} {client.exception[:1]} {client.message[:200]}"
        )
        known = fingerprint(client.key, secret)
        for flow in (flow for flow in flows if flow["key"] == known):
            yield f"  log    {_flow(flow)}"
        for row in (row for row in upstream if row.mark == client.mark):
            yield f"  server {_received(row)}"
    own = {fingerprint(client.key, secret) for client in clients}
    yield from (f"log      {_flow(flow)}" for flow in flows if flow["key"] not in own)
    marks = {client.mark for client in clients}
    yield from (f"server   {_received(row)}" for row in upstream if row.mark not in marks)


def _flow(flow: Flow) -> str:
    tries = ", ".join(
        f"{attempt['n']}: {attempt['status'] or (attempt['failure'] or {}).get('code')}"
        f"{'' if _was_sent(attempt) else ' (not sent)'}"
        for attempt in flow["attempts"]
    )
    twice = ", possible duplicate" if flow["possible_duplicate"] else ""
    return f"{flow['id']} {flow['state']} {flow['status']} {flow['cause'] or 'success'} attempts [{tries}]{twice}"


def _received(row: Row) -> str:
    return (
        f"{row.mark or 'no mark'} attempt {row.attempt}: {row.body_bytes} bytes{'' if row.whole else ' (cut)'},"
        f" answered {row.status} with {row.sent_bytes} bytes, {row.ended}{', billable' if row.billable else ''}"
    )
