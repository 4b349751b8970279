"""From a decision to the words about this very call: its facts, its evidence, what it is not, how long to wait."""

import re
from collections.abc import Iterator

from gateway.diagnose import vendors
from gateway.diagnose.author import Kind
from gateway.diagnose.evidence import Evidence
from gateway.diagnose.numbers import read_numbers
from gateway.diagnose.observation import Observation
from gateway.diagnose.past import past
from gateway.diagnose.rule import Basis, Finding
from gateway.diagnose.say import say
from gateway.diagnose.waits import span
from gateway.model.cause import Again, Cause, Precision
from gateway.model.diagnosis import Clue, Diagnosis, Facts, RuledOut
from gateway.model.failure import NetCode, Phase
from gateway.model.provider import StatedLimit
from gateway.model.secret import scrub
from gateway.providers._pages import NAMES, PAGES

_DETAIL_CHARACTERS = 300
_SPARE_CHARACTERS = 8_192
_LIMITS_MAX = 6
_RULED_OUT_MAX = 6
_VARIABLE = re.compile(
    r"\b(SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|NODE_EXTRA_CA_CERTS|GIT_SSL_CAINFO|DENO_CERT"
    r"|HTTPS?_PROXY|ALL_PROXY|NO_PROXY|JAVA_TOOL_OPTIONS|[A-Z]{3,20}_(?:API_KEY|BASE_URL|API_BASE))\b",
    re.IGNORECASE,
)

_WENT_WELL: dict[Phase, tuple[Cause, ...]] = {
    Phase.CONNECT: (Cause.NETWORK_DNS_FAILURE,),
    Phase.TLS: (Cause.NETWORK_DNS_FAILURE, Cause.NETWORK_TCP_REFUSED, Cause.NETWORK_TCP_TIMEOUT),
    Phase.SEND: (Cause.NETWORK_DNS_FAILURE, Cause.NETWORK_TCP_TIMEOUT, Cause.NETWORK_TLS_CERTIFICATE),
    Phase.FIRST_BYTE: (Cause.NETWORK_DNS_FAILURE, Cause.NETWORK_TCP_TIMEOUT, Cause.NETWORK_TLS_CERTIFICATE),
    Phase.BODY: (Cause.NETWORK_DNS_FAILURE, Cause.NETWORK_TCP_TIMEOUT, Cause.NETWORK_TLS_CERTIFICATE),
}
"""What a failure in a phase excludes: the phases before it went well."""

_GENERAL = frozenset(
    {
        "its words",
        "the client's words",
        "the client's general words",
        "the attempt itself",
        "the app closed its connection",
    }
)
_BARE = re.compile(r"status \d+$|the code ")
"""What stands in another line already."""

_AT_PROXY = frozenset(
    {NetCode.PROXY_AUTH, NetCode.PROXY_DENIED, NetCode.PROXY_MISCONFIGURED, NetCode.PROXY_UPSTREAM_ERROR}
)


def account(
    observation: Observation,
    cause: Cause,
    *,
    precision: Precision = Precision.INFERRED,
    detail: str = "",
    finding: Finding | None = None,
    clues: tuple[Clue, ...] = (),
    alternatives: tuple[Cause, ...] = (),
    aside: tuple[tuple[Cause, Finding], ...] = (),
) -> Diagnosis:
    """Give the verdict with all that there is to say about it."""
    ours = bool(detail)
    wait = observation.wait_seconds if observation.answered and not ours else None
    vendor = _vendor(observation)
    return say(
        Diagnosis(
            cause=cause,
            fault=cause.fault,
            precision=precision,
            title="",
            what_happened="",
            alternatives=alternatives,
            vendor=vendor,
            author=observation.author.kind.value if observation.answered and not ours else "",
            waiting_helps=cause.again is not Again.NEVER or (wait is not None and cause in _RESETS),
            wait_seconds=wait,
            facts=_facts(observation, cause, detail, wait, vendor),
            clues=(*clues, *(() if ours else _clues(observation, cause, finding, wait))),
            ruled_out=() if ours else tuple(_ruled_out(observation, cause, alternatives, aside)),
        )
    )


_RESETS = frozenset({Cause.QUOTA_PLAN_WINDOW, Cause.RATE_LIMIT_DAILY})
"""Nobody waits for these in a queue, but they do end by themselves."""


def _shown(text: str, characters: int = _DETAIL_CHARACTERS) -> str:
    """Give the start of a text on one line and without credentials; cut only after these are struck out."""
    return " ".join(scrub(text[:_SPARE_CHARACTERS]).split())[:characters]


def _vendor(observation: Observation) -> str:
    """Name the product on the path: by its page, its certificate, its address, by what the client says of it."""
    if observation.by(Kind.MIDDLEBOX, Kind.EDGE) and observation.author.name:
        return observation.author.name
    mark = observation.issuer or observation.resolved
    if mark is not None:
        return mark.vendor
    certificate = observation.evidence.certificate
    return vendors.mentioned(f"{certificate.issuer} {certificate.subject} {observation.evidence.exception}")


def _facts(observation: Observation, cause: Cause, detail: str, wait: float | None, vendor: str) -> Facts:
    evidence = observation.evidence
    name = evidence.provider.name if evidence.provider is not None else ""
    failure = evidence.failure
    words = (
        detail
        or observation.declared.message
        or (observation.heading if observation.by(Kind.MIDDLEBOX, Kind.EDGE) else "")
        or (failure.detail if failure is not None and not _came_from_elsewhere(evidence) else "")
        or _first_line(observation)
    )
    variable = _VARIABLE.search(evidence.exception[:8000])
    numbers = read_numbers(cause, observation.declared.message) if not detail else {}
    facts = {
        "provider": NAMES.get(name, name),
        "model": evidence.model,
        "host": evidence.host,
        "status": str(observation.wire_status or ""),
        "detail": _shown(words).rstrip(" ."),
        "vendor": vendor if not detail else "",
        "issuer": _shown(evidence.certificate.issuer),
        "address": ", ".join(evidence.addresses[:3]),
        "proxy": evidence.proxy,
        "wait": span(wait) if wait is not None else "",
        "seconds": f"{evidence.waited_seconds:.0f}" if evidence.waited_seconds >= 1 else "",
        "variable": variable[1].upper() if variable is not None else "",
        "count": str(evidence.history.same_body or "") or (str(evidence.attempts) if evidence.attempts > 1 else ""),
        **{key: str(value) for key, value in numbers.items()},
        **{f"{kind}_page": address for kind, address in PAGES.get(name, {}).items()},
    }
    return tuple((key, value) for key, value in facts.items() if value)


def _first_line(observation: Observation) -> str:
    """Give the line in which a client says most: of a chain of exceptions the cause, not "Connection error."."""
    lines = [line.strip() for line in observation.evidence.exception.splitlines()[:_LINES_MAX] if line.strip()]
    return max(reversed(lines), key=lambda line: len(set(_TELLS.findall(line[:1000].lower()))), default="")


_LINES_MAX = 400
_TELLS = re.compile(
    r"errno|certificate|verify|refused|resolve|getaddrinfo|timed out|timeout|reset|unreachable|ssl|tls|proxy|tunnel"
    r"|unknown|invalid|missing|denied|forbidden|limit|quota|eof|closed|\b[45]\d\d\b|enotfound|econn|x509|handshake"
)


def _clues(observation: Observation, cause: Cause, finding: Finding | None, wait: float | None) -> tuple[Clue, ...]:
    every = (
        clue
        for part in (
            _of_attempt(observation),
            _of_answer(observation, cause),
            _of_finding(finding),
            _of_path(observation),
            _of_limits(observation, cause),
            _of_wait(wait),
            _of_client(observation),
            past(observation, cause),
        )
        for clue in part
    )
    return tuple(dict.fromkeys(every))


def _of_attempt(observation: Observation) -> Iterator[Clue]:
    evidence = observation.evidence
    failure = evidence.failure
    if failure is not None:
        yield Clue(
            "attempt {count} failed in the phase {phase}: {detail}",
            (
                ("count", str(max(1, evidence.attempts))),
                ("phase", failure.phase.value),
                ("detail", _shown(failure.detail)),
            ),
        )
        yield Clue("the request may have reached the provider" if failure.sent else "the request was never sent")
    elif evidence.exception and not observation.enveloped:
        yield Clue("the client says: {detail}", (("detail", _shown(_first_line(observation))),))
    if evidence.stream_truncated:
        yield Clue("the stream ended cleanly, but without the event that ends an answer of this protocol")


def _of_answer(observation: Observation, cause: Cause) -> Iterator[Clue]:
    evidence = observation.evidence
    if (
        not observation.answered
        or evidence.client_left
        or (evidence.failure is not None and not _came_from_elsewhere(evidence))
    ):
        return
    status, who = str(observation.wire_status or ""), observation.author
    if evidence.stream_error and not observation.declared.message:
        yield Clue("the answer, begun with status {status}, did not end well", (("status", status),))
    elif evidence.stream_error:
        yield Clue("an error event stood inside a stream that had begun with status {status}", (("status", status),))
    elif who.kind is Kind.UNKNOWN:
        kind = observation.headers.get("content-type", "")
        yield Clue(
            "[status {status}, ][content-type {type}, ]no error envelope of an API",
            (("status", status), ("type", _shown(kind, 80))),
        )
    else:
        yield Clue(_WRITTEN[who.kind], (("status", status), ("author", NAMES.get(who.name, who.name))))
        if who.clue:
            yield Clue(who.clue, (("mark", who.mark),))
    yield from _of_body(observation, cause)


def _came_from_elsewhere(evidence: Evidence) -> bool:
    """Whether somebody else answered in place of the host that could not be reached."""
    return evidence.stage == "proxy" or (bool(evidence.certificate.issuer) and evidence.head is not None)


def _of_body(observation: Observation, cause: Cause) -> Iterator[Clue]:
    declared, evidence = observation.declared, observation.evidence
    named = (("code", declared.code), ("type", declared.type), ("param", declared.param))
    if observation.enveloped:
        said = ", ".join(f"{name} {_shown(value, 120)}" for name, value in named if value)
        if said:
            yield Clue("it names {names}", (("names", _shown(said)),))
        if declared.message:
            yield Clue("it says: {detail}", (("detail", _shown(declared.message)),))
        return
    start = observation.heading or evidence.text[:_SPARE_CHARACTERS]
    if start:
        yield Clue("the body begins: {detail}", (("detail", _shown(start, 120)),))
    elif cause is Cause.UNKNOWN or observation.status >= 400:
        yield Clue("the body is empty or not readable")


_WRITTEN: dict[Kind, str] = {
    Kind.OURSELVES: "[status {status}, ]written by whygate itself",
    Kind.PROVIDER: "[status {status}, ]written by the provider[ {author}]",
    Kind.MESH: "[status {status}, ]written by the provider's own mesh",
    Kind.RELAY: "[status {status}, ]written by a relay[, {author}]",
    Kind.EDGE: "[status {status}, ]written by the edge in front of the provider[, {author}]",
    Kind.MIDDLEBOX: "[status {status}, ]written by a product on the path[, {author}]",
    Kind.SERVER: "[status {status}, ]the stock page of a web server[, {author}]",
}


def _of_finding(finding: Finding | None) -> Iterator[Clue]:
    if finding is not None and finding.seen not in _GENERAL and not _BARE.match(finding.seen):
        yield Clue(finding.seen)


def _of_path(observation: Observation) -> Iterator[Clue]:
    evidence = observation.evidence
    if evidence.certificate.issuer:
        yield Clue("the certificate was issued by {issuer}", (("issuer", _shown(evidence.certificate.issuer, 200)),))
    served = evidence.certificate
    if served.ends and not served.begins <= served.clock <= served.ends:
        yield Clue(
            "the certificate is valid from {begins} to {ends}; this machine's clock says {clock}",
            (("begins", served.begins), ("ends", served.ends), ("clock", served.clock)),
        )
    if evidence.addresses and (
        observation.resolved is not None or evidence.failure is not None or not observation.answered
    ):
        owner = observation.resolved.vendor if observation.resolved is not None else ""
        yield Clue(
            "the name resolved to {address}[, which belongs to {owner}]",
            (("address", ", ".join(evidence.addresses[:3])), ("owner", owner)),
        )
    if evidence.proxy:
        yield Clue("the way led through the proxy {proxy}", (("proxy", evidence.proxy),))
    if evidence.incident:
        yield Clue("its status page says: {detail}", (("detail", _shown(evidence.incident, 200)),))


def _of_limits(observation: Observation, cause: Cause) -> Iterator[Clue]:
    """Say what the provider's headers state about limits, when one was reached."""
    head, provider = observation.evidence.head, observation.evidence.provider
    if head is None or provider is None or (head.status != 429 and not cause.startswith("rate_limit.")):
        return
    for stated in provider.read_limits(head.headers)[:_LIMITS_MAX]:
        yield _limit(stated)


def _limit(stated: StatedLimit) -> Clue:
    kind = stated.kind.replace("_", " ")
    reset = "" if stated.reset_seconds is None else span(stated.reset_seconds)
    limit = "" if stated.limit is None else str(stated.limit)
    if stated.remaining is None:
        return Clue(
            "its headers say: a limit of {limit} {kind}[, all back in {wait}]",
            (("limit", limit), ("kind", kind), ("wait", reset)),
        )
    return Clue(
        "its headers say: {left}[ of {limit}] {kind} left[, all back in {wait}]",
        (("left", str(stated.remaining)), ("limit", limit), ("kind", kind), ("wait", reset)),
    )


def _of_wait(wait: float | None) -> Iterator[Clue]:
    if wait is not None:
        yield Clue("it says to wait {wait}", (("wait", span(wait)),))


def _of_client(observation: Observation) -> Iterator[Clue]:
    evidence = observation.evidence
    if not evidence.client_left:
        return
    yield Clue("the app closed its connection after {seconds} s", (("seconds", f"{evidence.waited_seconds:.1f}"),))
    if evidence.stated_seconds:
        yield Clue("it had said that it waits {seconds} s", (("seconds", f"{evidence.stated_seconds:g}"),))
    if evidence.head is not None:
        yield Clue("the provider had begun to answer with status {status}", (("status", str(evidence.head.status)),))
    elif evidence.attempts:
        yield Clue("the provider had been asked and had not answered yet")
    else:
        yield Clue("the provider had not been asked yet")


def _ruled_out(
    observation: Observation,
    cause: Cause,
    alternatives: tuple[Cause, ...],
    aside: tuple[tuple[Cause, Finding], ...],
) -> Iterator[RuledOut]:
    seen: set[Cause] = {cause, *alternatives}
    for one, why in _excluded(observation, aside):
        if one not in seen and len(seen) <= _RULED_OUT_MAX + len(alternatives):
            seen.add(one)
            yield RuledOut(one, "", why)


def _excluded(observation: Observation, aside: tuple[tuple[Cause, Finding], ...]) -> Iterator[tuple[Cause, Clue]]:
    failure = observation.evidence.failure
    if failure is not None and failure.code not in _AT_PROXY:
        for one in _WENT_WELL.get(failure.phase, ()):
            yield one, Clue("that phase went well")
    for one, other in aside:
        if other.basis is Basis.STATUS and observation.wire_status:
            yield one, Clue("only its status {status} would speak for it", (("status", str(observation.wire_status)),))
    if observation.by(Kind.PROVIDER) and observation.answered:
        yield Cause.NETWORK_BLOCKED_PAGE, Clue("the provider itself answered")
        if observation.enveloped:
            yield Cause.EDGE_BLOCKED, Clue("the provider itself answered")
