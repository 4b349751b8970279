"""Evidence, read once: who wrote the answer, what it says, what the client said. Rules see only this. Pure."""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import parse_qs

from gateway.diagnose import vendors
from gateway.diagnose.author import Author, Kind, author
from gateway.diagnose.envelope import NOTHING, Read, read
from gateway.diagnose.evidence import Evidence
from gateway.diagnose.vendors import Mark
from gateway.diagnose.waits import stated_wait
from gateway.diagnose.wording import Text, joints_opened
from gateway.model.cause import Cause
from gateway.model.failure import NetCode, Phase
from gateway.model.provider import Declared

PAGE_CHARACTERS = 65_536
TOP_CHARACTERS = 24_576
_EXCEPTION_EACH = 4_000
_SHORT, _APART = 0.2, 0.3
"""Shares of an allowance: what counts as nearly spent, and how much more of the other must be left."""

_CODE_HEADERS = ("x-amzn-errortype", "x-ms-error-code", "x-vercel-error")
_PRINTED = ("issuer", "issued by", "cn=", "cn =", "o=", "certificate is valid for", "subject:")
_HIDDEN = re.compile(r"<(script|style)\b[^>]{0,400}>[^<]{0,20000}|<!--[^<]{0,2000}-->|<[^<>]{0,2000}>", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{0,300})", re.IGNORECASE)


@dataclass(frozen=True)
class Observation:
    """What the rules look at. Everything is derived from the evidence, lazily and once."""

    evidence: Evidence

    @cached_property
    def status(self) -> int:
        """Of the answer, as it is meant: an error inside a 200 may name a status of its own. 0 when there is none."""
        wire = self.wire_status
        if wire not in {0, 101, 200} or not self.enveloped:
            return wire
        if "invalid_request_error" in self.read.codes or self.read.job:
            return 400
        if (
            wire == 200
            and not self.streamed
            and not any(code.isdigit() and "400" <= code < "600" for code in self.read.codes)
        ):
            return 400
        inner = sorted(
            int(code) for code in self.read.codes if code.isdigit() and len(code) == 3 and "400" <= code < "600"
        )
        return inner[0] if inner else wire

    @property
    def streamed(self) -> bool:
        """Whether the answer is a stream of events."""
        kind = self.headers.get("content-type", "")
        return kind.startswith("text/event-stream") or bool(self.evidence.stream_error) or "data:" in self.raw[:400]

    @cached_property
    def wire_status(self) -> int:
        """Of the answer, as it came; 0 when there is none."""
        return self.evidence.head.status if self.evidence.head is not None else 0

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """Of the answer, the first of each name, as text."""
        found: dict[str, str] = {}
        if self.evidence.head is not None:
            for name, value in self.evidence.head.headers:
                found.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
        return found

    @cached_property
    def raw(self) -> str:
        """The start of the body in lower case; whoever writes a page says so at its top."""
        events = self.evidence.stream_error.decode("utf-8", "replace")
        return (events or self.evidence.text)[:TOP_CHARACTERS].lower()

    @cached_property
    def read(self) -> Read:
        """The envelope, with the codes that stand in headers; empty when there is none."""
        found = self._read or NOTHING
        named = (self.headers.get(name, "").partition(":")[0].rpartition("#")[2] for name in _CODE_HEADERS)
        extra = [name.strip().lower() for name in named]
        return found._replace(codes=found.codes | frozenset(extra) - {""})

    @cached_property
    def _read(self) -> Read | None:
        events = self.evidence.stream_error.decode("utf-8", "replace")
        return read((events or self.evidence.text)[:PAGE_CHARACTERS], self.evidence.provider)

    @cached_property
    def enveloped(self) -> bool:
        """Whether the body is an error envelope of anybody's."""
        return self._read is not None

    @property
    def declared(self) -> Declared:
        """The words of the envelope."""
        return self.read.declared

    @cached_property
    def is_page(self) -> bool:
        """Whether the body is a web page."""
        kind = self.headers.get("content-type", "").lower()
        return (
            self.raw.lstrip()[:1] == "<" or "</" in self.raw[:4096] or (kind.startswith("text/html") and bool(self.raw))
        )

    @cached_property
    def heading(self) -> str:
        """The title of the page, as it stands there."""
        found = _TITLE.search(self.evidence.text[:TOP_CHARACTERS])
        return " ".join(found[1].split()) if found else ""

    @property
    def title(self) -> str:
        """The same in lower case."""
        return self.heading.lower()

    @cached_property
    def message(self) -> Text:
        """What the answer says: the envelope's message, else its plain text or the words of its page."""
        declared = self.declared
        if self.enveloped:
            hint = declared.param if " " in declared.param else ""
            return Text(f"{declared.message}\n{hint}")
        told = parse_qs(self.location.partition("?")[2][:2000]).get("error_description", []) if self.location else []
        return Text("\n".join([*told, self.evidence.text[:PAGE_CHARACTERS]])) if told else self.page

    @cached_property
    def page(self) -> Text:
        """The words that a reader of the body sees."""
        text = self.evidence.text[:TOP_CHARACTERS]
        if self.is_page:
            text = f"{self.title}\n{html.unescape(_HIDDEN.sub(' ', text))}"
        return Text(text)

    @cached_property
    def words(self) -> Text:
        """What a client said, its start and its end; names like ``ConnectTimeoutError`` also word by word."""
        text = self.evidence.exception
        if len(text) > 2 * _EXCEPTION_EACH:
            text = f"{text[:_EXCEPTION_EACH]}\n{text[-_EXCEPTION_EACH:]}"
        parts = text[:_EXCEPTION_EACH], text[-_EXCEPTION_EACH:]
        both = [Text(form, by_line=True) for part in parts for form in (part, joints_opened(part))]
        merged = Text("")
        merged.sentences = tuple(dict.fromkeys(line for one in both for line in one.sentences))
        merged.whole = "".join(merged.sentences)
        return merged

    @cached_property
    def location(self) -> str:
        """Where the answer redirects to."""
        return self.headers.get("location", "")

    @cached_property
    def author(self) -> Author:
        """Who wrote the answer."""
        return author(
            status=self.status,
            headers=self.headers,
            body=self.raw,
            provider=self.evidence.provider,
            enveloped=self.enveloped,
            own=self.read.own,
            location=self.location,
            stage=self.evidence.stage,
        )

    @cached_property
    def documented(self) -> Cause | None:
        """What the provider's own table of codes and wordings gives."""
        provider, declared = self.evidence.provider, self.declared
        if provider is None or not self.enveloped:
            return None
        own = [word for word in (f"{declared.code}/{declared.type}", declared.code, declared.type) if word]
        keys = own + sorted(self.read.codes - {word.lower() for word in own})
        table = provider.declared
        for at in (self.status, 0):
            for key in own:
                if (at, key) in table:
                    return provider.refine(self.status, table[at, key], declared)
        found = next((table[at, key] for key in keys for at in (self.status, 0) if (at, key) in table), None)
        return provider.refine(self.status, found, declared)

    @cached_property
    def spent(self) -> str:
        """Which allowance, requests or tokens, the headers of a 429 show as short, if only one is; empty otherwise."""
        provider, head = self.evidence.provider, self.evidence.head
        if provider is None or head is None or head.status != 429:
            return ""
        if self.documented is not None and not self.documented.startswith("rate_limit."):
            return ""  # few may be left at any time; a code that names a quota means it
        share = {
            one.kind: one.remaining / one.limit
            for one in provider.read_limits(head.headers)
            if one.limit and one.remaining is not None and one.remaining >= 0
        }
        low, high = min(share.values(), default=1.0), max(share.values(), default=0.0)
        if len(share) < 2 or low > _SHORT or high - low < _APART:
            return ""
        kind = min(share, key=lambda one: share[one])
        return "tokens" if "tokens" in kind else kind

    @cached_property
    def issuer(self) -> Mark | None:
        """The product that signed the served certificate."""
        certificate = self.evidence.certificate
        names = [name for name in (certificate.issuer, certificate.subject) if name] or self._printed
        return vendors.of_certificate(*names) if names else None

    @property
    def issuer_text(self) -> str:
        """Whom the certificate's issuer names, as far as anybody printed it."""
        return (self.evidence.certificate.issuer or " ".join(line for line in self._printed if "ssue" in line)).lower()

    @cached_property
    def _printed(self) -> list[str]:
        """Lines in which a tool printed whom a certificate names."""
        lines = self.evidence.exception[: 2 * _EXCEPTION_EACH].splitlines()
        return [line for line in lines if any(mark in line.lower() for mark in _PRINTED)][:8]

    @cached_property
    def resolved(self) -> Mark | None:
        """Whom the address belongs to that the name resolved to."""
        marks = (vendors.of_address(address) for address in self.evidence.addresses)
        return next((mark for mark in marks if mark is not None), None)

    @cached_property
    def wait_seconds(self) -> float | None:
        """How long the answer says to wait."""
        return stated_wait(
            self.headers, self.read.numbers, self.declared.message or self.evidence.text[:4000], self.raw
        )

    @property
    def answered(self) -> bool:
        """Whether anybody answered in HTTP."""
        return self.status > 0 or bool(self.evidence.text) or bool(self.headers)

    def failed(self, *codes: NetCode, phase: Phase | None = None) -> bool:
        """Whether egress failed with one of these."""
        failure = self.evidence.failure
        return failure is not None and failure.code in codes and phase in {None, failure.phase}

    def by(self, *kinds: Kind) -> bool:
        """Whether the answer is of one of these authors."""
        return self.author.kind in kinds
