"""The edge could not get an answer from the provider behind it."""

import re

from gateway.diagnose.author import Kind
from gateway.diagnose.edges import Means
from gateway.diagnose.rule import Basis, Rule, first, only, said, shown, status
from gateway.model.cause import Cause

_CODES = re.compile(
    r"(?:error code:? ?|\"error_code\": ?|error |\| )(?:50[234]|52[0-7]|530)\b|error code: 10(?:00|16|33)\b"
)

RULE = Rule(
    cause=Cause.EDGE_ORIGIN_ERROR,
    match=first(
        shown(
            lambda seen: seen.author.edge is Means.ORIGIN and (seen.status >= 500 or not seen.status),
            "the page for a service that cannot be reached behind it",
            Basis.NAMED,
        ),
        only(lambda seen: not seen.enveloped, status(520, 521, 522, 523, 524, 525, 526, 527, 530)),
        only(
            lambda seen: seen.by(Kind.EDGE),
            first(
                shown(lambda seen: bool(_CODES.search(seen.raw)), "the edge's error code", Basis.NAMED),
                said(
                    "bad gateway|gateway timeout|gateway time-out|a timeout occurred|web server is down|"
                    "connection timed out|origin is unreachable|connect to the origin|ssl handshake failed|"
                    "unknown error|origin dns error|service unavailable|server error|invalid ssl certificate|"
                    "application error|internal server error|failed to contact the origin|backend fetch failed|"
                    "backend.max_conn|first byte timeout"
                ),
                status(500, 502, 503, 504),
            ),
        ),
    ),
    authors=None,
    outranks=("service.", "edge.blocked"),
)
