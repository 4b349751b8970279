"""What a verdict is drawn from: facts about one call, already read, bounded and redacted."""

from dataclasses import dataclass, field

from gateway.model.attempt import Attempt, ReplyHead
from gateway.model.decision import Refuse
from gateway.model.failure import NetFailure
from gateway.model.provider import Provider


@dataclass(frozen=True, slots=True, kw_only=True)
class CallShape:
    """What the app asked, as far as it matters; no secret, no prompt.

    Attributes:
        method: In upper case.
        path: Without the query.
        plain: Over ``http://``.
        credential: How the credential stood: ``none``, ``bearer``, ``key``, ``bare`` (an Authorization without scheme),
            ``blank`` (white space or line breaks in it, or nothing behind the scheme); empty when nobody looked.
        organization: Whether it names an organisation or project.
        content_type: Of the request, empty when it sent none or nobody looked.
        size_bytes: Of its body.
        input_tokens: Estimate.
        stream: It asks for a stream.
        retries: How many retries the SDK says went before.
        notes: What a person adds about the request.
    """

    method: str = ""
    path: str = ""
    plain: bool = False
    credential: str = ""
    organization: bool = False
    content_type: str = ""
    size_bytes: int = 0
    input_tokens: int = 0
    stream: bool = False
    retries: int = 0
    notes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Whom the served certificate names, in the notation of the tool that printed it.

    Attributes:
        begins: From when it is valid, as ``2026-11-22 10:00 UTC``; empty when it was not read.
        ends: Until when.
        clock: What this machine's clock said.
    """

    subject: str = ""
    issuer: str = ""
    begins: str = ""
    ends: str = ""
    clock: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What went before, of the same host, key and client; counts cover the last ten minutes at most.

    Attributes:
        key_worked_seconds: Since this key last got a good answer, None when it never did here.
        other_key_works: Another key for the same host got a good answer since this one failed.
        host_worked_seconds: Since anybody got a good answer from the host.
        host_failed_since_seconds: Since the host first failed in the same way without a good answer in between.
        others_fail: Other clients fail at this host as well.
        others_work: Other clients get good answers from it.
        same_body: How often this client sent the very same body within a minute before.
        restarts: How many of those, one after the other, an SDK called a first try, if it called others a repetition:
            a loop around it.
        rounds: How many of those were a first try as far as anybody said, if never two were under way at a time.
        same_sent: How often the provider was asked with that body, our own repetitions included.
        sent_since_limit: How many calls we sent in the window in which ``remaining`` fell by ``remaining_fell``.
        remaining_fell: How far the provider's own count fell meanwhile; 0 when it says nothing.
        retry_after_ignored: This client called again before a stated wait was over.
        usual_seconds: How long good answers of this model take at the 90th percentile; 0 when nothing is known.
        gave_up_seconds: After how long this client usually hangs up; 0 when it does not.
        usual_connect_seconds: How long connecting to the host takes usually; 0 when nothing is known.
        small_passed: Smaller requests to the same host passed meanwhile.
        held_back_seconds: How long the last good stream of the host stayed silent before all of it came at once; 0 when
            it flowed.
    """

    key_worked_seconds: float | None = None
    other_key_works: bool = False
    host_worked_seconds: float | None = None
    host_failed_since_seconds: float | None = None
    others_fail: bool = False
    others_work: bool = False
    same_body: int = 0
    restarts: int = 0
    rounds: int = 0
    same_sent: int = 0
    sent_since_limit: int = 0
    remaining_fell: int = 0
    retry_after_ignored: bool = False
    usual_seconds: float = 0.0
    gave_up_seconds: float = 0.0
    usual_connect_seconds: float = 0.0
    small_passed: bool = False
    held_back_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One failed call.

    Attributes:
        provider: None when the call was for no provider.
        host: Where it went.
        head: The answer's head, None when none came.
        text: The start of the answer's body, decoded, at most 64 KiB.
        stage: Where the answer comes from, if it was not the host: ``proxy`` for an answer to CONNECT.
        failure: What went wrong below HTTP, as egress names it.
        exception: What went wrong in the words of a client, when that is all there is.
        tried: The attempts, oldest first, with their phases.
        certificate: The one that was served, when it is known.
        addresses: What the host's name resolved to.
        proxy: The company's proxy as ``host:port``, empty when the way is direct.
        refused: What a stage of ours refused.
        stream_error: The events of a 2xx stream that announced an error.
        stream_truncated: The stream ended cleanly without its end mark.
        client_left: The app hung up first.
        waited_seconds: From arrival to the end.
        stated_seconds: How long the app says that it waits; 0 when it does not say.
        attempts: How many were made.
        internal_error: What of ours went wrong.
        incident: What the provider's status page says goes on, empty when it is silent or was not asked.
    """

    provider: Provider | None
    host: str
    model: str = ""
    call: CallShape = field(default_factory=CallShape)
    head: ReplyHead | None = None
    text: str = ""
    stage: str = ""
    failure: NetFailure | None = None
    exception: str = ""
    tried: tuple[Attempt, ...] = ()
    certificate: Certificate = field(default_factory=Certificate)
    addresses: tuple[str, ...] = ()
    proxy: str = ""
    refused: Refuse | None = None
    stream_error: bytes = b""
    stream_truncated: bool = False
    client_left: bool = False
    waited_seconds: float = 0.0
    stated_seconds: float = 0.0
    attempts: int = 0
    internal_error: str | None = None
    incident: str = ""
    history: History = field(default_factory=History)
