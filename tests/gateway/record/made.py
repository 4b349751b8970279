"""Facts for tests of the record: calls, routes and endings with sensible values, each of which a test may replace."""

import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.model.attempt import Attempt, Mark, ReplyHead
from gateway.model.call import Call, Headers, Mode, Origin
from gateway.model.cause import Cause, Fault, Precision
from gateway.model.decision import Decision, Forward
from gateway.model.diagnosis import Diagnosis
from gateway.model.event import Live
from gateway.model.exchange import Admitted, Answered, Concluded, Outcome
from gateway.model.failure import NetFailure, Phase
from gateway.model.flow import FlowRow, State
from gateway.model.provider import Declared, Endpoint, Provider, Usage, below
from gateway.model.route import Route

EPOCH = 1_790_000_000.0
_ids = itertools.count(1)


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return 1000.0 + self.seconds

    def wall(self) -> float:
        return EPOCH + self.seconds


def a_provider(name: str = "openai") -> Provider:
    return Provider(
        name=name,
        hosts=("api.openai.com",),
        base_url_variables=("OPENAI_BASE_URL",),
        base_path="/v1",
        name_target=below("/v1"),
        key_headers=(b"authorization",),
        scope_headers=(),
        version_headers=(),
        endpoints={},
        declared={},
        by_status={},
        read_error=lambda _: Declared("", "", "", ""),
        refine=lambda _status, cause, _declared: cause,
        read_usage=lambda _: None,
        write_error=lambda *_: b"",
    )


def a_call(**changes: Any) -> Call:
    values: dict[str, Any] = {
        "id": f"{next(_ids):026d}",
        "arrived_at": EPOCH,
        "arrived": 1000.0,
        "client": "127.0.0.1:50123",
        "mode": Mode.PROXY,
        "method": "POST",
        "origin": Origin("https", "api.openai.com", 443),
        "target": b"/v1/chat/completions",
        "headers": ((b"content-type", b"application/json"), (b"user-agent", b"OpenAI/Python 3.54.0")),
        "body": b"{}",
    }
    return Call(**(values | changes))


def a_route(**changes: Any) -> Route:
    values: dict[str, Any] = {
        "provider": a_provider(),
        "endpoint": Endpoint(name="chat.completions", pure=True),
        "upstream": Origin("https", "api.openai.com", 443),
        "target": b"/v1/chat/completions",
        "pure": True,
        "tenant": "default",
        "key": "1f2e3d4c",
        "scope": "5a6b7c8d",
        "model": "gpt-5-mini",
        "model_group": "gpt-5-mini",
        "stream": False,
        "input_tokens": 10,
        "output_tokens": 20,
        "retry_count": 0,
        "timeout_seconds": 60.0,
        "document": {},
    }
    return Route(**(values | changes))


def a_live(call: Call | None = None, **changes: Any) -> Live:
    values: dict[str, Any] = {"call": call or a_call(), "state": State.CONNECTING, "rev": 2, "route": a_route()}
    return Live(**(values | changes))


def an_attempt(number: int = 1, *, status: int | None = 200, headers: Headers = (), **changes: Any) -> Attempt:
    marks = (
        Mark(Phase.DNS, 0.0, 4.0, ok=True),
        Mark(Phase.CONNECT, 4.0, 20.0, ok=True),
        Mark(Phase.TLS, 20.0, 50.0, ok=True),
        Mark(Phase.FIRST_BYTE, 50.0, 300.0, ok=True),
        Mark(Phase.BODY, 300.0, 400.0, ok=True),
    )
    head = None if status is None else ReplyHead(status=status, headers=headers)
    plain = Attempt(number=number, waited_seconds=0.0, marks=marks, head=head, failure=None)
    return replace(plain, **changes)


def a_failed_attempt(number: int, failure: NetFailure) -> Attempt:
    marks = (Mark(Phase.DNS, 0.0, 4.0, ok=True), Mark(failure.phase, 4.0, 120.0, ok=False))
    return Attempt(number=number, waited_seconds=0.0, marks=marks, head=None, failure=failure)


def a_diagnosis(cause: Cause = Cause.RATE_LIMIT_TOKENS, **changes: Any) -> Diagnosis:
    values: dict[str, Any] = {
        "cause": cause,
        "fault": Fault.CALLER,
        "precision": Precision.DECLARED,
        "title": "Tokens per minute used up",
        "what_happened": "The organisation used 200,000 of 200,000 tokens a minute for gpt-5-mini.",
        "evidence": ("429 with code rate_limit_exceeded", "x-ratelimit-remaining-tokens: 0"),
        "ruled_out": (Cause("quota.exhausted"),),
        "alternatives": (),
        "what_to_do": ("Wait 12 s.", "Ask for a higher tier."),
    }
    return Diagnosis(**(values | changes))


def a_concluded(
    call: Call,
    *,
    route: Route | None = None,
    decision: Decision | None = None,
    attempts: tuple[Attempt, ...] | None = None,
    outcome: Outcome | None = None,
    diagnosis: Diagnosis | None = None,
    seconds: float = 0.5,
    queued_seconds: float = 0.0,
    **changes: Any,
) -> Concluded:
    """A call that took ``seconds``; a good one unless told otherwise."""
    good = Outcome(
        head=ReplyHead(status=200, headers=((b"content-type", b"application/json"),)),
        complete=True,
        usage=Usage(12, 34),
        first_byte_at=call.arrived + seconds / 2,
    )
    admitted = Admitted(call=call, route=route or a_route(), decision=decision or Forward())
    answered = Answered(
        admitted=admitted,
        attempts=(an_attempt(),) if attempts is None else attempts,
        outcome=outcome or good,
        queued_seconds=queued_seconds,
    )
    return Concluded(answered=answered, diagnosis=diagnosis, ended=call.arrived + seconds, **changes)


def a_failed_outcome(body: bytes = b'{"error":{"message":"slow down"}}', status: int = 429, **headers: str) -> Outcome:
    kept = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
    return Outcome(head=ReplyHead(status=status, headers=kept), excerpt=body, complete=True, first_byte_at=1000.2)


def a_row(seq: int, **changes: Any) -> FlowRow:
    values: dict[str, Any] = {
        "id": f"row-{seq:022d}",
        "seq": seq,
        "rev": 3,
        "state": State.DONE,
        "started_at": "2026-09-21T13:33:20.000Z",
        "ended_at": "2026-09-21T13:33:20.500Z",
        "client": "127.0.0.1:50123",
        "tenant": "default",
        "provider": "openai",
        "model": "gpt-5-mini",
        "status": 200,
    }
    return FlowRow(**(values | changes))


def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait for another thread; fails loudly instead of hanging."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)  # noqa: TID251 - another thread has to go on


def bytes_on_disk(path: Path) -> bytes:
    """Everything that the log has written, companions and moved files included."""
    return b"".join(file.read_bytes() for file in path.parent.glob(path.name + "*"))
