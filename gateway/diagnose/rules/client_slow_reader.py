"""The app reads the answer more slowly than it comes, until nobody can keep it open."""

from gateway.diagnose.rule import Layer, Rule, heard
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.CLIENT_SLOW_READER,
    match=heard(
        "while sending to client|sending response to client|slow reader|slow consumer|client too slow",
        "timed out|timeout|slow|client",
    ),
    layer=Layer.NETWORK,
    authors=None,
    outranks=("network.tcp_timeout", "network.read_timeout", "service.timeout"),
)
