"""Neither the name nor any address could be reached: this machine has no way out."""

from gateway.diagnose.rule import Layer, Rule, failed, first, heard
from gateway.model.cause import Cause
from gateway.model.failure import NetCode

RULE = Rule(
    cause=Cause.NETWORK_OFFLINE,
    match=first(
        failed(NetCode.NETWORK_UNREACHABLE),
        heard(
            "オフライン|code 1009|keine internetverbindung|sin conexión a internet|pas connecté à internet|"
            "non connesso a internet|network is unreachable|network unreachable|enetunreach|"
            "err internet disconnected|internet disconnected|no internet connection|"
            "not connected to the internet|network is down|enetdown|no route to host|ehostunreach|no network|"
            "you are offline|internet connection appears to be offline"
        ),
    ),
    layer=Layer.NETWORK,
    authors=None,
    outranks=("network.dns_failure",),
)
