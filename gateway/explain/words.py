"""What the words of clients say: a status, an address, the stage at which it failed. Only where they leave no doubt."""

import re

from gateway.explain.clean import host_of
from gateway.explain.literal import json_of

_N = r"([3-5]\d\d)(?![\d-]|[.,]\d)(?!\s?(?:ms|s|sec|seconds|bytes|tokens|requests)\b)"
_PHRASE = (
    r"Bad Request|Unauthorized|Payment Required|Forbidden|Not Found|Method Not Allowed|Request Timeout|Conflict"
    r"|Payload Too Large|Request Entity Too Large|Unprocessable|Too Many Requests|Internal Server Error|Bad Gateway"
    r"|Service Unavailable|Service Temporarily Unavailable|Gateway Time-?[Oo]ut|Proxy Authentication Required"
    r"|Site Overloaded"
    r"|Permanent Redirect|Temporary Redirect|Moved Permanently|Found\b"
)
_ERROR_NAME = (
    r"(?:Error|Exception|Exhausted|Argument|Denied|NotFound|Unavailable|Unauthenticated|Exceeded|TooManyRequests"
    r"|BadRequest|Unauthorized|Forbidden|Conflict|GatewayTimeout|Precondition|Cancelled|Aborted|Unknown|TooLarge)"
)
_GOOGLE_NAME = (
    r"(?:INVALID_ARGUMENT|FAILED_PRECONDITION|UNAUTHENTICATED|PERMISSION_DENIED|NOT_FOUND|RESOURCE_EXHAUSTED|INTERNAL"
    r"|UNAVAILABLE|DEADLINE_EXCEEDED|CANCELLED|UNIMPLEMENTED)"
)
_STATUSES = (
    # How SDKs write their last word.
    re.compile(
        rf"\bError code: {_N}"
        rf"|\b{_N} (?:Client|Server) Error: "
        rf"|(?:Client|Server) error '{_N} |Redirect response '{_N} "
        rf"|\bresulted in a `{_N} "
        rf"|\b{_N}, message='"
        rf"|{_ERROR_NAME}: {_N}"
        rf"|(?<![\w.]){_N} {_GOOGLE_NAME}\b"
        rf"|\bdoes not indicate success: {_N}"
        rf"|\(Status: {_N}\)"
        rf"|\breturned error: {_N}"
        rf"|(?:Tunnel connection failed: |tunnel failed, response |Received HTTP code |unexpected status code: ){_N}"
        rf"|\bstatus client error \({_N} |\bstatus server error \({_N} "
    ),
    # A status that is called one.
    re.compile(
        rf"(?i:\bstatus[ _-]?(?:code)?)['\"]?\s{{0,3}}(?:[:=]|of\b|is\b|was\b)?\s{{0,3}}['\"]?{_N}"
        rf"|(?i:\bhttp)(?:/\d(?:\.\d)?)?(?i:[ _-]?(?:status|error|response|status error))?(?i:[ _-]?(?:status)? ?code)?"
        rf"\s{{0,2}}[:=(]?\s{{0,2}}{_N}"
        rf"|\b(?:returned|responded with|answered(?: with)?|replied with|failed with|got|received|gives?|gave)"
        rf" (?:an? )?(?:HTTP )?(?:status )?(?:code )?(?:of )?{_N}"
        rf"|\b(?:POST|GET|PUT|DELETE|PATCH) [\"']?https?://[^\s\"']{{1,2048}}[\"']?:? (?:\"HTTP/\d(?:\.\d)?+ )?{_N}"
    ),
    # A number beside its own meaning.
    re.compile(
        rf"(?<![\w.]){_N}:? (?:{_PHRASE})|\b(?:error|Error|ERROR)(?: code)?[: ]{{1,2}}{_N}|(?<![\w.]){_N} error\b"
    ),
)

_URL = r"(https?://[^\s\"'`<>)\]},]{1,2048})"
_METHOD = r"(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS|Get|Post|Put|Patch|Delete|Head)"
_URLS = (
    re.compile(rf"()\bfor (?:url|URL|uri):?\s{{0,2}}[\"'(`]?{_URL}"),
    re.compile(rf"\[?\b{_METHOD}\]?:? {{1,2}}[\"'`(]?{_URL}"),
    re.compile(
        rf"()(?i:\b(?:request ?url|endpoint url|base_?url|url|uri|path|endpoint|request to|connect to|reach))"
        rf"['\"]?\s{{0,2}}[:=(]?\s{{0,2}}[\"'(`]?(?:URL\(['\"])?{_URL}"
    ),
    re.compile(rf"()\bfor {_URL}"),
)
_POOL = re.compile(
    r"(?:HTTP(?P<tls>S)?ConnectionPool|HTTPS?Connection)\(host='(?P<host>[^'\s]{1,255})', port=(?P<port>\d{1,5})"
)
_POOL_PATH = re.compile(r"with url: (/[^\s()]{0,2048})")
_HOSTS = (
    re.compile(r"Cannot connect to host ([\w.-]{1,255}):(\d{1,5}) ssl:(\w{0,9})"),
    re.compile(r"getaddrinfo (?:ENOTFOUND|EAI_AGAIN|EAI_FAIL) ([\w.-]{1,255}):?(\d{0,5})"),
    re.compile(r"\bdial tcp: lookup ([\w.-]{1,255})()"),
    re.compile(r"UnknownHostException: ([\w-]{1,255}\.[\w.-]{1,255})()"),
    re.compile(r"Failed to resolve '([\w.-]{1,255})'()"),
    re.compile(r"Could not resolve host: ([\w.-]{1,255})()"),
    re.compile(r"Failed to (?:connect to|open TCP connection to) ([\w.-]{1,255}\w)(?: port |:|/[\d.]{7,15}:)(\d{1,5})"),
    re.compile(r"\(([\w-]{1,63}(?:\.[\w-]{1,63}){1,8}):(\d{1,5})\)"),
    re.compile(r"\bfor ([\w-]{1,63}\.[\w.-]{1,255}):(\d{1,5}) not known"),
)

_SOURCE_FILE = re.compile(r"^_|\.(?:c|py|js|ts|go|rs|rb|java|cc|cpp|mjs)$")
"""``(_ssl.c:1006)`` is a place in a program, not a host."""

_TRIED = re.compile(
    r"(?:dial tcp |connect E[A-Z]{3,20} |connect to )\[?"
    r"((?:\d{1,3}\.){3}\d{1,3}|[0-9a-f]{1,4}:[0-9a-f:]{2,40}(?=\]))\]?[: ]"
)

_STAGE_WORDS = {
    "proxy": (
        r"ProxyError",
        r"ProxyConnectionError",
        r"ClientHttpProxyError",
        r"[Tt]unnel connection failed",
        r"CONNECT tunnel failed",
        r"proxyconnect tcp",
        r"from proxy after CONNECT",
        r"Proxy CONNECT aborted",
        r"resolve proxy",
        r"(?:connect|connection) to (?:the )?proxy",
        r"ERR_PROXY_CONNECTION_FAILED",
        r"ERR_TUNNEL_CONNECTION_FAILED",
        r"Proxy Authentication Required",
    ),
    "dns": (
        r"ENOTFOUND",
        r"EAI_AGAIN",
        r"getaddrinfo failed",
        r"Name or service not known",
        r"nodename nor servname",
        r"name resolution",
        r"NameResolutionError",
        r"Could not resolve host",
        r"no such host",
        r"[Nn]o such host is known",
        r"Name does not resolve",
        r"failed to lookup address",
        r"UnknownHostException",
        r"No address associated with hostname",
        r"ERR_NAME_NOT_RESOLVED",
        r"Could not resolve the host",
        r"dns error",
        r"\blookup [\w.-]{1,255} on [\d.:\[\]a-f]{2,60}",
    ),
    "tls": (
        r"CERTIFICATE_VERIFY_FAILED",
        r"certificate verify failed",
        r"SSLError",
        r"SSLCertVerificationError",
        r"SSLHandshakeException",
        r"x509: ",
        r"ClientConnectorCertificateError",
        r"SSL certificate problem",
        r"UNABLE_TO_VERIFY_LEAF_SIGNATURE",
        r"UNABLE_TO_GET_ISSUER_CERT",
        r"SELF_SIGNED_CERT",
        r"self[- ]signed certificate",
        r"CERT_HAS_EXPIRED",
        r"ERR_TLS_CERT",
        r"ERR_CERT_",
        r"ERR_SSL_",
        r"PKIX path",
        r"tls: ",
        r"handshake (?:failure|operation timed out)",
        r"TLS handshake",
        r"SSL routines",
        r"WRONG_VERSION_NUMBER",
        r"wrong version number",
        r"before secure TLS",
        r"SEC_E_",
        r"schannel: ",
        r"SSL connect error",
        r"SSL connection could not be established",
        r"SSL_connect",
        r"remote certificate (?:is|was) (?:invalid|rejected)",
        r"invalid peer certificate",
        r"UnknownIssuer",
        r"_ssl\.c:\d",
    ),
    "tcp": (
        r"ECONNREFUSED",
        r"ConnectionRefused\b",
        r"[Cc]onnection refused",
        r"actively refused",
        r"Connect call failed",
        r"connect ETIMEDOUT",
        r"ConnectTimeout",
        r"UND_ERR_CONNECT_TIMEOUT",
        r"No route to host",
        r"EHOSTUNREACH",
        r"ENETUNREACH",
        r"Network is unreachable",
        r"[Cc]onnect timed out",
        r"Failed to connect to",
        r"NewConnectionError",
        r"dial tcp [\d.\[\]:a-f]{3,60}",
        r"ERR_CONNECTION_REFUSED",
        r"ERR_ADDRESS_UNREACHABLE",
        r"ERR_CONNECTION_TIMED_OUT",
        r"[Cc]onnection timed out",
        r"WinError 1006[01]",
        r"HttpConnectTimeoutException",
        r"tcp connect error",
        r"Failed to open TCP connection",
        r"Connection timeout to host",
    ),
    "http": (
        r"ReadTimeout",
        r"[Rr]ead timed out",
        r"Net::ReadTimeout",
        r"IncompleteRead",
        r"ChunkedEncodingError",
        r"without sending complete message",
        r"UND_ERR_HEADERS_TIMEOUT",
        r"UND_ERR_BODY_TIMEOUT",
        r"HeadersTimeoutError",
        r"BodyTimeoutError",
        r"timeout awaiting response headers",
        r"Empty reply from",
        r"transfer closed with",
        r"TransferEncodingError",
        r"terminated early",
        r"Remote end closed connection without response",
        r"Server disconnected without sending a response",
        r"ServerDisconnectedError",
        r"ERR_EMPTY_RESPONSE",
        r"ERR_INCOMPLETE_CHUNKED",
    ),
}
_TUNNEL = re.compile(
    r"(?i)tunnel (?:connection )?failed|after CONNECT|Proxy Authentication Required|ClientHttpProxyError"
)
_STAGES = tuple((stage, re.compile("|".join(words))) for stage, words in _STAGE_WORDS.items())


def status_in(text: str, *, latest: bool = False) -> int | None:
    """Give the status that the words name; None when they name several.

    Args:
        latest: In a chain the last one is what came of it.
    """
    for pattern in _STATUSES:
        named = [int(next(filter(None, found.groups()))) for found in pattern.finditer(text)]
        if named and (latest or len(set(named)) == 1):
            return named[-1]
        if named:
            return None
    return None


def url_in(text: str) -> tuple[str, str]:
    """Give method and address that the words name, as far as they do."""
    for pattern in _URLS:
        if found := list(pattern.finditer(text)):
            return found[-1][1].upper(), found[-1][2].rstrip(".:;\\")
    if pool := _POOL.search(text):
        path = _POOL_PATH.search(text)
        scheme = "https" if pool["tls"] else "http"
        return "", _address(scheme, pool["host"], pool["port"]) + (path[1].rstrip(":") if path else "")
    for pattern in _HOSTS:
        if (host := pattern.search(text)) and not _SOURCE_FILE.search(host[1]):
            plain = host[2] == "80" or host[1] == "localhost" or host[1].startswith("127.")
            return "", _address("http" if plain else "https", host[1].rstrip("."), host[2])
    return "", ""


def _address(scheme: str, host: str, port: str) -> str:
    usual = {"https": "443", "http": "80"}[scheme]
    return f"{scheme}://{host}" + (f":{port}" if port and port != usual else "")


def stage_in(text: str) -> str:
    """Give the stage that the words name; empty when they leave a doubt."""
    return next((stage for stage, pattern in _STAGES if pattern.search(text)), "")


def stage_of_status(prose: str) -> str:
    """Give the stage at which a status was given: a proxy's to CONNECT, or the provider's."""
    return "proxy" if _TUNNEL.search(prose) else "http"


def answers_in(text: str, url: str) -> tuple[str, ...]:
    """Give the addresses that were tried for a name; those tried for a proxy's name are another's."""
    host = host_of(url)
    if not re.search(r"[a-z]", host) or ":" in host or stage_in(text) == "proxy":
        return ()
    return tuple(dict.fromkeys(_TRIED.findall(text)))


def holds_error(body: str) -> bool:
    """Tell whether an answer tells of an error, whatever its status says: an object, or an event of a stream."""
    if '"error"' not in body and "response.failed" not in body:
        return False
    document = json_of(body)
    if document is not None:
        return _is_error(document)
    events = (line[5:] for line in body.split("\n") if line.startswith("data:"))
    return any(_is_error(json_of(event)) for event in events if '"error"' in event or "response.failed" in event)


def _is_error(document: object) -> bool:
    if isinstance(document, list):
        document = next(iter(document), None)
    if not isinstance(document, dict):
        return False
    response = document.get("response")
    inner = response.get("error") if isinstance(response, dict) else None
    return bool(document.get("error") or inner or document.get("type") in ("error", "response.failed"))
