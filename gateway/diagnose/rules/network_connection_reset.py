"""The connection was cut by the other side, or in its name, before an answer had begun."""

from gateway.diagnose.rule import Layer, Rule, failed, first, heard, hinted, only, unless
from gateway.model.cause import Cause
from gateway.model.failure import NetCode, Phase

RULE = Rule(
    cause=Cause.NETWORK_CONNECTION_RESET,
    match=first(
        hinted("code 1005", "curl 52 ", "curl error 52 ", "curl 55 ", "curl error 55 ", "curl 56 ", "curl error 56 "),
        only(
            lambda seen: seen.evidence.failure is not None and seen.evidence.failure.phase is not Phase.BODY,
            failed(NetCode.CONNECTION_RESET),
        ),
        heard(
            "vom remotehost geschlossen|par l'hôte distant|por el host remoto|dall'host remoto|"
            "forçado o cancelamento|принудительно разорвал|強制的に切断|강제로 끊|connection reset|econnreset|"
            "connection aborted|remote end closed connection|server disconnected|socket hang up|"
            "connection was reset|connection closed|unexpected eof|eof occurred|winerror 10054|errno 104|10054|"
            "os error 104|os error 10054|err connection reset|err connection closed|err empty response|"
            "empty reply|broken pipe|epipe|connection was closed|closed unexpectedly|forcibly closed|"
            "other side closed|und err socket|ssl eof|premature|server closed|peer closed|connection lost|"
            "stream closed|reset by peer|pr connect reset|unexpected end of file|ssl error syscall|"
            "unexpectedly closed|connection forcibly|connection terminated|close notify|econnaborted|eof while|"
            "closed by the remote|transport connection|unable to write data|unable to read data|nicht erwartet|"
            "远程主机强迫|强迫关闭|重置|handshake did not complete|disconnected before secure tls|"
            "before secure tls connection"
        ),
        only(
            lambda seen: seen.evidence.stage in {"tcp", "tls"},
            unless(
                heard("secure channel|handshake failure|protocol version"), heard("closed|disconnected|eof|aborted")
            ),
        ),
    ),
    layer=Layer.NETWORK,
    authors=None,
    outranks=("network.tcp_timeout",),
)
