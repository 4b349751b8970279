"""The address said no: nothing listens there, or a firewall answers for it."""

from gateway.diagnose.rule import Layer, Rule, failed, first, heard, hinted, unless
from gateway.model.cause import Cause
from gateway.model.failure import NetCode

RULE = Rule(
    cause=Cause.NETWORK_TCP_REFUSED,
    match=unless(
        heard("proxy", "refused|actively refused"),
        first(
            hinted("code 1004", "curl 7 ", "curl error 7 "),
            failed(NetCode.CONNECTION_REFUSED),
            heard(
                "拒否され|expressément refusée|denegó expresamente|rifiuto persistente|recusou ativamente|"
                "отверг запрос|거부했|connection refused|econnrefused|actively refused|errno 111|winerror 10061|"
                "os error 10061|os error 111|err connection refused|connect call failed|connection was refused|"
                "target machine actively|10061|verbindung verweigert|积极拒绝|拒绝连接|连接被拒绝|verweigerte|"
                "refusee|rechazada|rifiutata"
            ),
        ),
    ),
    layer=Layer.NETWORK,
    authors=None,
)
