"""The app reads the answer more slowly than it comes, until nobody can keep it open."""

from gateway.diagnose.rule import Layer, Rule, heard
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.CLIENT_SLOW_READER,
    match=heard("slow reader|slow consumer|client too slow|write timeout|send buffer full|backpressure"),
    layer=Layer.NETWORK,
    authors=None,
)
