"""The edge throttles this address, whoever holds the key."""

import re

from gateway.diagnose.author import Kind
from gateway.diagnose.edges import Means
from gateway.diagnose.rule import Basis, Rule, first, in_status, only, said, shown, status
from gateway.model.cause import Cause

_CODES = re.compile(
    r"(?:error code:? ?|\"error_code\": ?|error reference number: ?|errorcode: ?|cf-error-code\">|error )1015\b"
)

RULE = Rule(
    cause=Cause.EDGE_RATE_LIMITED,
    match=first(
        shown(
            lambda seen: seen.author.edge is Means.RATE, "a page about too many requests from this address", Basis.NAMED
        ),
        shown(lambda seen: bool(_CODES.search(seen.raw)), "the edge's error code 1015", Basis.NAMED),
        only(in_status(429), said("you are being rate limited|banned you temporarily|rate limited")),
        only(lambda seen: seen.by(Kind.EDGE), status(429)),
    ),
    authors=frozenset({Kind.EDGE, Kind.UNKNOWN}),
    outranks=("edge.blocked", "rate_limit.unknown", "edge.challenge"),
)
