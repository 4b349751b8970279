"""F27 to F30: pages in place of answers, answers that explode, answers that are elsewhere, and answers that never begin."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.world import Memory
from tests.faults.clients import ClientRow
from tests.faults.field import Case, Field, open_field
from tests.faults.inject.after_events import after_events
from tests.faults.inject.answer import answer
from tests.faults.inject.bomb import encoded, packed
from tests.faults.inject.html import BLOCKED, CHALLENGE, CLOUDFLARE, LOGIN, edge_error, page
from tests.faults.inject.listener import listening
from tests.faults.inject.noted_leaving import head_alone, stream_head_alone
from tests.faults.inject.redirect import redirect
from tests.faults.inject.silence import silence
from tests.faults.listening import CHAT_STREAM, asking, listening_to
from tests.faults.never_sent import BACKOFF_SECONDS, SLACK_SECONDS, TRIES
from tests.faults.upstream import Fault

UNREACHED, WORKED_ON = (521, 522, 523, 525), (520, 524)
FILES = "/v1/files"

# F27


async def test_a_login_page_with_status_200_is_named_and_never_kept(case: Case) -> None:
    body = asking(temperature=0, stream=False)
    async with listening_to(case, case.plan(page(200, LOGIN)), body=body) as seen:
        assert LOGIN.encode() in await seen.to_end()
        seen.told = True
    flow = case.flow(seen.row)
    assert (flow["status"], flow["cause"], flow["cache"]) == (200, "network.captive_portal", "none")
    assert len(flow["attempts"]) == 1


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (page(403, BLOCKED), "network.blocked_page"),
        (page(403, BLOCKED, filler_bytes=2_000_000), "network.blocked_page"),
        (page(403, CHALLENGE, headers={**CLOUDFLARE, "cf-mitigated": "challenge"}), "edge.challenge"),
        (page(503, CHALLENGE, headers={**CLOUDFLARE, "cf-mitigated": "challenge"}), "edge.challenge"),
    ],
    ids=["a block page", "a block page of 2 MB", "a challenge", "a challenge with 503"],
)
async def test_a_page_that_no_retry_changes_is_passed_on_after_one_attempt(
    case: Case, fault: Fault, cause: str
) -> None:
    call = await case.sdk(case.plan(fault), max_retries=2)
    assert (call.outcome, call.cause, call.requests) == ("error", cause, 1)
    flow = case.flow(call)
    assert (flow["status"], flow["cause"]) == (call.status, cause)
    assert len(flow["attempts"]) == 1


@pytest.mark.parametrize("status", range(520, 528))
async def test_an_error_that_the_edge_wrote_is_asked_again_and_marked_unless_the_origin_was_never_reached(
    case: Case, status: int
) -> None:
    call = await case.sdk(case.plan(edge_error(status), answer()), max_retries=0)
    flow = case.flow(call)
    assert (call.outcome, call.text) == ("answer", "words")
    assert len(flow["attempts"]) == 2
    assert flow["possible_duplicate"] == (status not in UNREACHED)


@pytest.mark.parametrize("status", [*UNREACHED, *WORKED_ON])
async def test_where_a_repetition_may_do_harm_only_what_never_reached_the_origin_is_asked_again(
    case: Case, status: int
) -> None:
    call = await case.raw(case.plan(edge_error(status)), path=FILES)
    flow = case.flow(call)
    assert (call.status, call.cause, flow["cause"]) == (status, "edge.origin_error", "edge.origin_error")
    assert len(flow["attempts"]) == (TRIES if status in UNREACHED else 1)
    assert not flow["possible_duplicate"]
    assert flow["total_ms"] < (BACKOFF_SECONDS + SLACK_SECONDS) * 1000


# F28

GROWTH_MIB = 8.0
BODIES: dict[str, tuple[Callable[[], bytes], str]] = {
    "gzip, 200 MiB": (packed, "gzip"),
    "gzip in gzip": (lambda: packed(2), "gzip, gzip"),
    "called brotli and is gzip": (packed, "br"),
    "called gzip and is text": (lambda: b'{"error":{"message":"not packed at all"}}', "gzip"),
    "an encoding that nobody knows": (lambda: b"\x00\x01\x02" * 1000, "x-unheard-of"),
}


@pytest.mark.parametrize("status", [200, 400, 429])
@pytest.mark.parametrize("name", BODIES)
async def test_an_encoded_answer_is_passed_on_as_it_is_and_never_unpacked_whole(
    case: Case, name: str, status: int
) -> None:
    made, encoding = BODIES[name]
    body = made()
    async with listening_to(case, case.plan(answer()), body=asking(stream=False)) as warm:
        await warm.to_end()
    with Memory(case.field.gateway.process.pid) as memory:
        mark = case.plan(encoded(status, body, encoding))
        async with listening_to(case, mark, body=asking(stream=False)) as seen:
            heard = await seen.to_end()
            seen.told = False
        flow = case.flow(seen.row)
    assert seen.head.status == status
    assert hashlib.sha256(heard).hexdigest() == hashlib.sha256(body).hexdigest()
    assert flow["status"] == status
    print(f"\n{name}, {status}: {len(body)} bytes, memory grew by {memory.growth:.1f} MiB")
    assert memory.growth < GROWTH_MIB


# F29


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_passed_on_and_never_followed(case: Case, status: int) -> None:
    with listening(lambda connection, _: connection.close()) as other:
        for location in (
            f"http://127.0.0.1:{other.port}/v1/chat/completions",
            "http://169.254.169.254/latest/meta-data/",
            "https://api.openai.com/v1/chat/completions",
            f"http://127.0.0.1:{case.field.gateway.port}/openai/v1/chat/completions",
        ):
            call = await case.raw(case.plan(redirect(location, status)))
            assert (call.status, call.answers[0].headers["location"]) == (status, location)
            assert len(case.received(call)) == len(case.flow(call)["attempts"]) == 1
    assert other.dials == 0


# F30

IDLE_SECONDS = 2


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """A field whose provider may be silent for two seconds, except where files are concerned."""
    settings = (
        f"[network]\nidle_seconds = {IDLE_SECONDS}\n"
        '[[network.idle]]\nroute = "openai/v1/files"\nseconds = 1\n'
        '[[network.idle]]\nroute = "openai/v1/embeddings"\nseconds = 60\n'
    )
    with open_field(tmp_path_factory.mktemp("impatient"), settings) as made:
        yield made


@pytest.fixture
def short(impatient: Field, *, full: bool) -> Iterator[Case]:
    made = Case(impatient, full=full)
    yield made
    made.finish()


@pytest.mark.parametrize(
    ("fault", "body"),
    [
        (stream_head_alone, CHAT_STREAM),
        (after_events(3, silence), CHAT_STREAM),
        (head_alone, asking(stream=False)),
    ],
    ids=["a stream without an event", "a stream after three events", "a body"],
)
async def test_silence_after_the_head_is_given_up_in_time_and_not_asked_again(
    short: Case, fault: Fault, body: bytes
) -> None:
    async with listening_to(short, short.plan(fault), body=body) as seen:
        heard = await seen.to_end()
    assert seen.whole is False
    flow = short.flow(seen.row)
    assert (flow["status"], flow["cause"], len(flow["attempts"])) == (200, "service.stream_stalled", 1)
    assert IDLE_SECONDS * 1000 - 100 < flow["total_ms"] < (IDLE_SECONDS + SLACK_SECONDS) * 1000
    assert (b"service.stream_stalled" in heard) == (body is CHAT_STREAM)


async def test_silence_before_the_head_is_a_504_and_a_route_may_have_its_own_patience(short: Case) -> None:
    async def asked(path: str) -> ClientRow:
        return await short.raw(short.plan(silence), path=path, leave_after_seconds=2.5)

    files, embeddings = await asyncio.gather(asked(FILES), asked("/v1/embeddings"))
    assert (files.status, files.cause) == (504, "network.read_timeout")
    flow = short.flow(files)
    assert len(flow["attempts"]) == 1
    assert 900 < flow["total_ms"] < (1 + SLACK_SECONDS) * 1000
    assert embeddings.outcome == "left"
