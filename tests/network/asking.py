"""Independent clients for the tests of the simulation, run inside it: ``python -m tests.network.asking JSON``.

Each entry of the list is the name of a function of this module and its arguments; the answers come back as a list.
"""

import contextlib
import hashlib
import json
import selectors
import socket
import ssl
import struct
import sys
import time
from typing import TYPE_CHECKING, Any

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

if TYPE_CHECKING:  # what runs inside does not need it
    from tests.network.network import Network

SECONDS = 4.0


def ask(network: "Network", *calls: list[Any], env: dict[str, str] | None = None) -> list[Any]:
    """Run these inside."""
    done = network.run([sys.executable, "-m", "tests.network.asking", json.dumps(calls)], env=env)
    assert done.returncode == 0, done.stderr
    answers: list[Any] = json.loads(done.stdout)
    return answers


def dns_over(transport: str, server: str, name: str, kind: str = "A") -> list[str]:
    """Give the answer's code and records; ``TC`` when cut, the exception's name when there is none."""
    query = dns.message.make_query(name, kind)
    try:
        if transport == "udp":
            answer = dns.query.udp(query, server, SECONDS / 2)
        elif transport == "tcp":
            answer = dns.query.tcp(query, server, SECONDS / 2)
        else:
            answer = _doh(query, server, transport.upper())
    except (OSError, dns.exception.DNSException) as exc:
        return [type(exc).__name__]
    cut = ["TC"] if answer.flags & dns.flags.TC else []
    records = [f"{dns.rdatatype.to_text(rrset.rdtype)} {one}" for rrset in answer.answer for one in rrset]
    return [dns.rcode.to_text(answer.rcode()), *cut, *records]


def _doh(query: dns.message.Message, server: str, method: str) -> dns.message.Message:
    import base64
    import http.client

    connection = http.client.HTTPSConnection(server, timeout=SECONDS, context=ssl.create_default_context())
    wire = query.to_wire()
    target = "/dns-query"
    if method == "GET":
        target += "?dns=" + base64.urlsafe_b64encode(wire).decode().rstrip("=")
    body = wire if method == "POST" else None
    connection.request(method, target, body, {"content-type": "application/dns-message"})
    reply = connection.getresponse()
    assert reply.getheader("content-type") == "application/dns-message", reply.status
    return dns.message.from_wire(reply.read())


def udp_all(server: str, name: str) -> list[str]:
    """Give every address that comes back for one question, in order, within half a second."""
    query = dns.message.make_query(name, "A")
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.5)
        sock.sendto(query.to_wire(), (server, 53))
        try:
            while True:
                found += [str(one) for rrset in dns.message.from_wire(sock.recv(4096)).answer for one in rrset]
        except TimeoutError:
            return found


def system(name: str) -> list[str]:
    """Resolve as programs do."""
    try:
        return sorted({str(row[4][0]) for row in socket.getaddrinfo(name, 443, proto=socket.IPPROTO_TCP)})
    except socket.gaierror as exc:
        return [str(exc.strerror)]


def connect(address: str, port: int = 443, seconds: float = 0.5) -> str:
    """Give ``ok`` or what went wrong."""
    try:
        socket.create_connection((address, port), seconds).close()
    except OSError as exc:
        return type(exc).__name__ if exc.errno is None or isinstance(exc, ConnectionError) else str(exc.strerror)
    return "ok"


def connects(address: str, count: int) -> list[float]:
    """Give how long each of so many connections took that are opened one after the other, in seconds."""
    taken, kept = [], []
    for _ in range(count):
        began = time.monotonic()
        kept.append(socket.create_connection((address, 443), 10))
        taken.append(time.monotonic() - began)
    for sock in kept:
        sock.close()
    return taken


def connects_at_once(address: str, count: int) -> list[float]:
    """The same, side by side."""
    began = time.monotonic()
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as waiting:
        for _ in range(count):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex((address, 443))
            waiting.register(sock, selectors.EVENT_WRITE)
        taken: list[float] = []
        while waiting.get_map() and time.monotonic() < began + 20:
            for key, _ in waiting.select(1):
                waiting.unregister(key.fileobj)
                taken.append(time.monotonic() - began)
    return taken


def tls(name: str, address: str = "", verify: bool = True) -> dict[str, str]:
    """Shake hands: ``issuer`` and ``chain`` when it works (both empty unverified), else ``error``."""
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((address or name, 443), SECONDS) as sock,
            context.wrap_socket(sock, server_hostname=name) as secured,
        ):
            parts = secured.getpeercert() or {}
            issuer: Any = parts.get("issuer", ())
            fields = {key: value for part in issuer for key, value in part}
            return {"issuer": fields.get("commonName", ""), "version": str(secured.version())}
    except ssl.SSLCertVerificationError as exc:
        return {"error": exc.verify_message}
    except ssl.SSLError as exc:
        return {"error": exc.reason or str(exc)}
    except OSError as exc:
        return {"error": type(exc).__name__}


def stun(address: str) -> str:
    """Give the address that a STUN server sees."""
    request = struct.pack("!HHI", 1, 0, 0x2112A442) + hashlib.sha256(b"id").digest()[:12]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.5)
        try:
            sock.sendto(request, (address, 3478))
            answer = sock.recv(1024)
        except OSError as exc:
            return type(exc).__name__
    assert answer[8:20] == request[8:20]
    return ".".join(str(byte ^ key) for byte, key in zip(answer[28:32], b"\x21\x12\xa4\x42", strict=True))


if __name__ == "__main__":
    print(json.dumps([globals()[name](*arguments) for name, *arguments in json.loads(sys.argv[1])]))
