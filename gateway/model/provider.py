"""What we know of a provider: the shape of a plug-in in `gateway.providers`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from gateway.model.call import Headers
from gateway.model.cause import Cause


class Usage(NamedTuple):
    """Tokens as the provider counted them; None when it did not say."""

    tokens_in: int | None
    tokens_out: int | None


class StreamNews(StrEnum):
    """What a block of complete events tells about the stream."""

    GOING = "going"
    ENDED = "ended"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamShape:
    """How one protocol streams.

    Attributes:
        read: Complete events (bytes that end at an event boundary) -> what they say.
        finished: Whether the events announce the end of the answer without being the end mark (a finish reason).
        error_event: slug, message and sequence number -> the bytes of one error event in this protocol.
    """

    read: Callable[[bytes], StreamNews]
    finished: Callable[[bytes], bool]
    error_event: Callable[[str, str, int], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One kind of request.

    Attributes:
        name: The field's word for it, e.g. ``chat.completions``.
        pure: Whether asking twice does no harm beyond its price; it may be sent again after an ambiguous failure.
        stream: How it streams, None when it does not.
        prompt_fields: Fields of the body that count as input.
        max_output_fields: Fields that bound the output, in order of preference; a dot goes one object deeper.
        streams: Whether every answer is a stream, without a word in the body.
        last_byte: What a whole answer that is no event stream ends with; empty when nothing is known.
        write_text: Text, model and whether a stream was asked for -> content type and body of an answer that says the
            text, with its end mark and a usage of zero; None where no text is answered. Pure.
        elsewhere: The path at which other servers of the same protocol have it, with the model in the body; empty where
            the path names the model or the protocol is the provider's alone.
    """

    name: str
    pure: bool = False
    stream: StreamShape | None = None
    streams: bool = False
    last_byte: bytes = b""
    prompt_fields: tuple[str, ...] = ()
    max_output_fields: tuple[str, ...] = ()
    write_text: Callable[[str, str, bool], tuple[str, bytes]] | None = None
    elsewhere: str = ""


class Named(NamedTuple):
    """What path and query say.

    Attributes:
        path: The key into `Provider.endpoints`.
        model: The model or deployment, empty when the body names it.
    """

    path: str
    model: str = ""


def below(*bases: str) -> Callable[[bytes], Named]:
    """Give a `Provider.name_target` that takes everything behind the first of these base paths that occurs."""

    def name_target(target: bytes) -> Named:
        path = target.partition(b"?")[0].decode("latin-1")
        for base in bases:
            at = path.find(base + "/")
            if at >= 0:
                return Named(path[at + len(base) :])
        return Named(path)

    return name_target


class StatedLimit(NamedTuple):
    """What an answer says of one limit; None where it is silent or talks nonsense.

    Attributes:
        kind: What is counted: ``requests``, ``tokens``, ``input_tokens``, ``output_tokens``, ``concurrency``.
        limit: How many in the window, never 0; of ``concurrency``, how many at once.
        remaining: How many are left of it.
        reset_seconds: Until all of it is there again, from the answer on.
        window_seconds: The window's length where the provider says or documents it.
    """

    kind: str
    limit: int | None
    remaining: int | None
    reset_seconds: float | None
    window_seconds: float | None = None


def no_limits(_headers: Headers) -> tuple[StatedLimit, ...]:
    """Read nothing: for a provider that states no limits in headers."""
    return ()


def no_refusal(_body: bytes, _headers: Headers) -> tuple[StatedLimit, ...]:
    """Read nothing: for a provider whose refusals name no limit."""
    return ()


class Declared(NamedTuple):
    """What a provider's error envelope says, before it is given a cause."""

    code: str
    type: str
    message: str
    param: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One provider: constants and pure functions, no class to subclass.

    Attributes:
        base_url_variables: The environment variable that its SDK reads, then other names for the same thing.
        by_status: What a status means when the envelope is the provider's but names no known code.
        request_id_headers: Where the provider's own id of a request stands.
        name: Also the first path segment in base-URL mode.
        hosts: Lower-case names of its API; ``*.example.com`` for every name one or more labels below.
        base_path: What a base URL of this provider's SDK ends with (``/v1`` or nothing).
        name_target: Path and query -> what is asked.
        resource_host: Where every customer has a host of their own: its pattern, with ``{}`` for the customer's label.
            In base-URL mode that label is the second segment of the path.
        implied_base: What SDKs that take a base URL as it stands leave out of the path in base-URL mode.
        key_headers: Where the credential stands, most specific first.
        key_query: Query parameters that hold the credential.
        scope_headers: Request headers that name organisation and project.
        version_headers: Headers that change the meaning of the answer (part of the cache key).
        endpoints: Path below the host -> what it is.
        declared: (status or 0 for any, code or type) -> cause; the documented codes.
        read_error: Body of an error -> what it declares, or None when it is not this provider's envelope.
        refine: status, cause of the code (or None), what is declared -> a better cause where only the message tells.
        read_usage: Parsed JSON (a body or one stream event) -> usage, or None.
        usage_fields: The JSON fields that usage stands in.
        read_limits: Headers of an answer -> the limits that they state; a reset that is a time is taken from its Date.
        read_refusal: Body (and headers) of a 429 -> the limits that its words state; total on any bytes, bounded input.
        account_headers: Response headers that name organisation and project.
        write_error: status, slug, message -> the body of an error in this provider's shape.
        upstream: Where to send instead of the host asked for: an origin and a path prefix, or None.
        upstream_ca_file: PEM file to trust for that upstream alone, or None.
    """

    name: str
    hosts: tuple[str, ...]
    base_url_variables: tuple[str, ...]
    base_path: str
    name_target: Callable[[bytes], Named]
    key_headers: tuple[bytes, ...]
    scope_headers: tuple[bytes, ...]
    version_headers: tuple[bytes, ...]
    endpoints: Mapping[str, Endpoint]
    declared: Mapping[tuple[int, str], Cause]
    by_status: Mapping[int, Cause]
    read_error: Callable[[bytes], Declared | None]
    refine: Callable[[int, Cause | None, Declared], Cause | None]
    read_usage: Callable[[dict[str, object]], Usage | None]
    write_error: Callable[[int, str, str], bytes]
    request_id_headers: tuple[bytes, ...] = ()
    resource_host: str = ""
    implied_base: str = ""
    key_query: tuple[bytes, ...] = ()
    usage_fields: tuple[bytes, ...] = (b'"usage"',)
    read_limits: Callable[[Headers], tuple[StatedLimit, ...]] = no_limits
    read_refusal: Callable[[bytes, Headers], tuple[StatedLimit, ...]] = no_refusal
    account_headers: tuple[bytes, ...] = ()
    upstream: str | None = None
    upstream_ca_file: str | None = None
