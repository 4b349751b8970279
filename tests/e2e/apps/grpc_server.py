"""A gRPC service behind TLS: says its port, serves until its input ends. Bytes in, bytes out, so that no compiler is needed."""

import sys
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]


def shout(request: bytes, context: Any) -> bytes:
    """Answer in capitals, or not at all."""
    if request == b"fail":
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "quota")
    if any(name.startswith(("x-whygate", "proxy-")) for name, _ in context.invocation_metadata()):
        context.abort(grpc.StatusCode.INTERNAL, "a header of the gateway's")
    return request.upper()


def count(request: bytes, context: Any) -> Iterator[bytes]:
    """Count up to a number."""
    for number in range(int(request)):
        yield b"%d" % number


handler = grpc.method_handlers_generic_handler(
    "test.Echo",
    {"Shout": grpc.unary_unary_rpc_method_handler(shout), "Count": grpc.unary_stream_rpc_method_handler(count)},
)
server = grpc.server(futures.ThreadPoolExecutor(4))
server.add_generic_rpc_handlers((handler,))
pem = Path(sys.argv[1]).read_bytes()
port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(pem, pem)]))
server.start()
print(port, flush=True)
sys.stdin.read()
server.stop(0)
