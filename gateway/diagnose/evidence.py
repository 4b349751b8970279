"""What a verdict is drawn from: facts about one call, already read and bounded."""

from dataclasses import dataclass

from gateway.model.attempt import ReplyHead
from gateway.model.decision import Refuse
from gateway.model.failure import NetFailure
from gateway.model.provider import Provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One failed call.

    Attributes:
        provider: None when the call was for no provider.
        host: Where it went.
        head: The answer's head, None when none came.
        text: The start of the answer's body, decoded, at most 64 KiB.
        failure: What went wrong below HTTP.
        refused: What a stage of ours refused.
        stream_error: The events of a 2xx stream that announced an error.
        stream_truncated: The stream ended cleanly without its end mark.
        client_left: The app hung up first.
        waited_seconds: From arrival to the end.
        attempts: How many were made.
        internal_error: What of ours went wrong.
    """

    provider: Provider | None
    host: str
    model: str = ""
    head: ReplyHead | None = None
    text: str = ""
    failure: NetFailure | None = None
    refused: Refuse | None = None
    stream_error: bytes = b""
    stream_truncated: bool = False
    client_left: bool = False
    waited_seconds: float = 0.0
    attempts: int = 0
    internal_error: str | None = None
