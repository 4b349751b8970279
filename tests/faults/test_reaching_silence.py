"""F05, F06: nobody answers, not even to refuse. Each try is given five seconds, from the first SYN to the end of TLS."""

from tests.faults.clients import ClientRow
from tests.faults.field import Case
from tests.faults.inject.accepted_silence import accepted_silence
from tests.faults.inject.full_backlog import full_backlog
from tests.faults.ledgers import Flow
from tests.faults.never_sent import BACKOFF_SECONDS, SLACK_SECONDS, TRIES, longest_seconds, refused

CONNECT_SECONDS = 5.0


async def unanswered(case: Case, url: str) -> ClientRow:
    """Make a call whose app is gone before a second try, except in a full run."""
    headers = {} if case.full else {"x-whygate-timeout-ms": "4000"}
    with case.bystander():
        return await case.sdk(case.plan(), base_url=url, headers=headers, timeout_seconds=60)


def gave_up_in_time(case: Case, call: ClientRow, flow: Flow) -> None:
    tries = TRIES if case.full else 1
    assert len(flow["attempts"]) == tries
    assert CONNECT_SECONDS - 0.5 < longest_seconds(flow) < CONNECT_SECONDS + SLACK_SECONDS
    assert call.seconds < tries * CONNECT_SECONDS + BACKOFF_SECONDS + SLACK_SECONDS


async def test_a_connection_that_is_never_answered_is_given_up_after_five_seconds(case: Case) -> None:
    with full_backlog() as port:
        call = await unanswered(case, case.field.https_url(port))
    flow = refused(case, call, "network.tcp_timeout", "connect_timeout", 504)
    gave_up_in_time(case, call, flow)


async def test_a_server_that_never_speaks_tls_is_given_up_after_the_same_five_seconds(case: Case) -> None:
    with accepted_silence() as listener:
        call = await unanswered(case, case.field.https_url(listener.port))
    flow = case.flow(call)
    gave_up_in_time(case, call, flow)
    assert listener.dials == len(flow["attempts"])
    refused(case, call, "network.tls_handshake", "tls_handshake")
