"""The app's HTTP library cannot speak to a proxy of this kind."""

from gateway.diagnose.rule import Layer, Rule, first, heard
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.CLIENT_PROXY_UNSUPPORTED_SCHEME,
    match=first(
        heard(
            "socks|socksio|pysocks|socks5|socks5h|python socks|socks proxy",
            "unknown scheme|not installed|missing dependencies|support|unsupported|not supported|install|"
            "requires|unknown scheme",
        ),
        heard("unsupported proxy|proxy scheme|proxy protocol", "not supported|unsupported|unknown"),
    ),
    layer=Layer.CLIENT,
    authors=None,
    outranks=("network.proxy_unreachable", "network.tcp_timeout"),
)
