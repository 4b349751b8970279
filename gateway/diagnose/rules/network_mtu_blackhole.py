"""Small requests pass and large ones die on the way: some hop drops what it cannot take, and says nothing."""

from gateway.diagnose.rule import Layer, Rule, failed, first, heard, only
from gateway.model.cause import Cause
from gateway.model.failure import NetCode, Phase

RULE = Rule(
    cause=Cause.NETWORK_MTU_BLACKHOLE,
    match=first(
        only(
            lambda seen: seen.evidence.call.size_bytes > 64_000 and seen.evidence.history.small_passed,
            failed(NetCode.READ_TIMEOUT, NetCode.CONNECTION_RESET, phase=Phase.SEND),
        ),
        only(
            lambda seen: seen.evidence.call.size_bytes > 64_000 and seen.evidence.history.small_passed,
            failed(NetCode.READ_TIMEOUT, phase=Phase.FIRST_BYTE),
        ),
        heard("mtu|mss|fragmentation needed|message too long|emsgsize|packet too large"),
    ),
    layer=Layer.NETWORK,
    authors=None,
    outranks=("network.read_timeout", "network.connection_reset", "network.stream_interrupted"),
)
