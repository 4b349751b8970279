"""The app gives up before an answer of this kind usually comes."""

from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import Basis, Layer, Rule, first, heard, only, shown
from gateway.model.cause import Cause

_CLOSE = 0.15


def _impatient(seen: Observation) -> bool:
    """Left at the very time that it had said it would wait: then it was its own deadline, not a person."""
    evidence = seen.evidence
    stated = evidence.stated_seconds
    return (
        evidence.client_left
        and stated > 0
        and stated * (1 - _CLOSE) <= evidence.waited_seconds <= stated * (1 + _CLOSE) + 1
    )


RULE = Rule(
    cause=Cause.CLIENT_TIMEOUT_TOO_SHORT,
    match=first(
        shown(
            _impatient,
            "the app left after its own stated time, and answers here usually take longer",
            Basis.NAMED,
        ),
        shown(
            lambda seen: (
                seen.evidence.client_left
                and seen.evidence.history.usual_seconds > 0
                and seen.evidence.waited_seconds < seen.evidence.history.usual_seconds
                and seen.evidence.history.gave_up_seconds > 0
            ),
            "this app has hung up after the same time before, and answers usually take longer",
            Basis.NAMED,
        ),
        only(
            lambda seen: not seen.answered,
            heard(
                "timeout|timed out",
                "timeout 1 |timeout 2 |timeout 3 |timeout 5 |timeout 0|your timeout|increase the timeout|"
                "increase timeout|timeout of 1000ms|client side timeout|timeout setting",
            ),
        ),
    ),
    layer=Layer.CLIENT,
    authors=None,
    outranks=("client.disconnected", "network.read_timeout", "network.tcp_timeout", "service.timeout"),
)
