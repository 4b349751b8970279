"""What was seen of a failure, before anybody has an opinion about it."""

from dataclasses import dataclass

Pairs = tuple[tuple[str, str], ...]
"""Names lower-cased, values as they were, order and repetitions kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One failure as somebody shows it; every field may be missing, none is ever invented.

    Attributes:
        id: What the material calls it, empty when it has no name.
        method: In upper case.
        url: As asked for, absolute; without user info. Without any path when the host is all that is known.
        model: The model asked for.
        request_headers: Of the request.
        request_body: The start of it.
        stage: Where it failed, as the material says: ``dns``, ``tcp``, ``tls``, ``proxy``, ``http``.
        status: Of the answer: the provider's, or a proxy's to CONNECT.
        headers: Of the answer.
        body: The start of the answer, decoded.
        location: Where the answer redirects to, when that is all that is known of it.
        exception: The words of the client: a traceback, a message, a tool's output, as they stand.
        cert_issuer: Of the certificate that was served.
        cert_subject: The same.
        dns_answers: Addresses that the name resolved to.
        notes: What the reporter adds about the request.
    """

    id: str = ""
    method: str = ""
    url: str = ""
    model: str = ""
    request_headers: Pairs = ()
    request_body: str = ""
    stage: str = ""
    status: int | None = None
    headers: Pairs = ()
    body: str = ""
    location: str = ""
    exception: str = ""
    cert_issuer: str = ""
    cert_subject: str = ""
    dns_answers: tuple[str, ...] = ()
    notes: str = ""
