"""The edge's firewall refuses this client or address."""

import re

from gateway.diagnose.author import Kind
from gateway.diagnose.edges import Means
from gateway.diagnose.rule import Basis, Rule, first, only, said, shown, status
from gateway.model.cause import Cause

_CODES = re.compile(
    r"(?:error code:? ?|\"error_code\": ?|error reference number: ?|errorcode: ?|cf-error-code\">|error )"
    r"(?:10(?:0[5-9]|10|12|20|34))\b"
)
"""Cloudflare's 1005-1010, 1012, 1020 and 1034 (developers.cloudflare.com, cloudflare-1xxx-errors, read 2026-11)."""

RULE = Rule(
    cause=Cause.EDGE_BLOCKED,
    match=first(
        shown(lambda seen: seen.author.edge is Means.BLOCK, "a firewall's page in front of the service", Basis.NAMED),
        shown(lambda seen: bool(_CODES.search(seen.raw)), "the edge's error code", Basis.NAMED),
        said(
            "request unsuccessful|incident id|attention required|access denied|you have been blocked|"
            "sorry you have been blocked|you are unable to access|request blocked|"
            "used cloudflare to restrict access|unable to load site|you do not have permission to access|"
            "not allowed to access this|access to this page has been denied|security service to protect itself|"
            "request rejected|the requested url was rejected|been banned|ip address has been|"
            "web application firewall|blocked by waf|bad request blocked|pardon our interruption"
        ),
        only(lambda seen: not seen.enveloped and seen.by(Kind.EDGE), status(401, 403, 406)),
    ),
    authors=frozenset({Kind.EDGE, Kind.UNKNOWN, Kind.SERVER}),
    outranks=("auth.", "request.", "service."),
)
