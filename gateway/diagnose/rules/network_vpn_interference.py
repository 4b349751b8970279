"""A VPN or a local proxy client on this machine stands in the way."""

import re

from gateway.diagnose.rule import Basis, Layer, Rule, first, heard, shown
from gateway.diagnose.vendors import Means
from gateway.model.cause import Cause

_FAKE = re.compile(r"\b198\.1[89]\.\d{1,3}\.\d{1,3}\b")

RULE = Rule(
    cause=Cause.NETWORK_VPN_INTERFERENCE,
    match=first(
        shown(
            lambda seen: seen.resolved is not None and seen.resolved.means is Means.FAKE_IP,
            "the address is one that VPN clients invent (198.18.0.0/15)",
            Basis.NAMED,
        ),
        shown(
            lambda seen: bool(_FAKE.search(seen.evidence.exception[:4000])),
            "the address that was tried is one that VPN clients invent (198.18.0.0/15)",
            Basis.NAMED,
        ),
        heard(
            "vpn|wireguard|openvpn|tailscale|warp|clash|sing box|v2ray|xray|vless|vmess|shadowsocks|trojan|"
            "anyconnect|globalprotect|surge|fake ip|tun mode|utun",
            "block|fail|failed|reset|drop|conflict|interferes|interference|hijack|timeout|timed out|route|"
            "rejected|unreachable|only while|broken|refused|can not",
        ),
    ),
    layer=Layer.NETWORK,
    authors=None,
    outranks=(
        "network.tcp_timeout",
        "network.tcp_refused",
        "network.dns_tampered",
        "network.connection_reset",
        "network.offline",
        "network.dns_failure",
        "network.proxy_denied",
    ),
)
