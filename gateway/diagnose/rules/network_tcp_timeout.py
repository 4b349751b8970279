"""The connection was never answered: something drops it without a word."""

from gateway.diagnose.rule import Basis, Layer, Rule, failed, first, heard, hinted, only, shown, unless
from gateway.model.cause import Cause
from gateway.model.failure import NetCode

RULE = Rule(
    cause=Cause.NETWORK_TCP_TIMEOUT,
    match=first(
        unless(heard("bytes received"), hinted("curl 28 ", "curl error 28 ", "code 1001")),
        failed(NetCode.CONNECT_TIMEOUT),
        heard(
            "信号灯超时|verbindungsversuch ist fehlgeschlagen|nicht richtig reagiert|pas répondu convenablement|"
            "no respondió adecuadamente|non ha risposto correttamente|não respondeu corretamente|"
            "не получен нужный отклик|正しく応答しなかった|응답하지 않|connect timeout|connection timed out|"
            "connecttimeout|connect etimedout|connect timed out|connection timeout|und err connect timeout|"
            "err connection timed out|err timed out|winerror 10060|errno 110|10060|os error 110|os error 10060|"
            "did not properly respond|connection attempt failed|handshake operation timed out|"
            "handshake timed out|connection establishment timed out|timed out connecting|"
            "timed out while connecting|ssl connection timeout|tls handshake timeout|timeout connecting|"
            "connecting timed out|connection to host timed out|zeitüberschreitung|连接超时|连接尝试失败|"
            "connect() timed out|handshake did not complete within|没有正确答复"
        ),
        heard(
            "failed to connect|could not connect|couldn't connect|unable to connect|cannot connect|dial tcp|etimedout",
            "timed out|timeout|etimedout|time out",
        ),
        heard("etimedout"),
        unless(heard("read tcp"), heard("i/o timeout")),
        unless(
            heard("read tcp|read udp"),
            only(lambda seen: seen.evidence.stage == "tcp", heard("timed out|timeout|aborted due to timeout|deadline")),
        ),
        only(
            lambda seen: seen.evidence.stage in {"tcp", "proxy", "tls", "http", ""} and not seen.answered,
            shown(
                lambda seen: seen.words.has(
                    "failed to connect",
                    "could not connect",
                    "unable to connect",
                    "connection error",
                    "cannot connect to host",
                    "error sending request",
                    "fetch failed",
                    "connection failed",
                    "failed to fetch",
                    "network error",
                ),
                "it could not connect, and does not say why",
                Basis.STATUS,
            ),
        ),
    ),
    layer=Layer.NETWORK,
    authors=None,
    outranks=("network.read_timeout",),
)
