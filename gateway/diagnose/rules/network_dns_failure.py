"""The name could not be resolved."""

from gateway.diagnose.rule import Layer, Rule, failed, first, heard, hinted, shown
from gateway.model.cause import Cause
from gateway.model.failure import NetCode

RULE = Rule(
    cause=Cause.NETWORK_DNS_FAILURE,
    match=first(
        heard("lookup", "refused|timeout|timed out|no such host|misbehaving"),
        hinted("code 1003", "curl 6 ", "curl error 6 "),
        failed(NetCode.DNS_FAILURE, NetCode.DNS_TIMEOUT),
        heard(
            "host ist unbekannt|kein host bekannt|hôte inconnu|host desconocido|host sconosciuto|хост неизвестен|"
            "ホストは不明|typo in the url or port|name or service not known|temporary failure in name resolution|"
            "name resolution|could not resolve host|could not resolve|nodename nor servname|getaddrinfo|"
            "enotfound|eai again|eai_again|no such host|unknown host|nxdomain|servfail|name not resolved|"
            "err name not resolved|failed to lookup address|dns error|dns lookup|dns resolution|"
            "server misbehaving|no address associated|errno 11001|winerror 11001|unable to resolve|resolve host|"
            "resolver|no such host is known|host not found|dns timeout|could not be resolved|dns_probe|dns probe|"
            "failed to resolve|name does not resolve|can not resolve|no data record|name or service|err dns|"
            "域名解析|无法解析|unbekannt host|non-recoverable failure in name"
        ),
        shown(
            lambda seen: seen.evidence.stage == "dns" and not seen.evidence.addresses and not seen.answered,
            "it failed while the name was looked up",
        ),
    ),
    layer=Layer.NETWORK,
    authors=None,
    outranks=("network.tcp_refused", "network.tcp_timeout"),
)
