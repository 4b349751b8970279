"""An app that knows nothing of the gateway: calls a gRPC service, and prints what it heard as one JSON line."""

import json
import sys

import grpc  # type: ignore[import-untyped]

with grpc.secure_channel(sys.argv[1], grpc.ssl_channel_credentials()) as channel:
    shout = channel.unary_unary("/test.Echo/Shout")
    count = channel.unary_stream("/test.Echo/Count")
    said = {"shout": shout(b"hello", timeout=15).decode(), "large": len(shout(b"x" * 3_000_000, timeout=15))}
    said["count"] = [int(number) for number in count(b"500", timeout=15)]
    try:
        shout(b"fail", timeout=15)
    except grpc.RpcError as error:
        said["failure"] = error.code().name
print(json.dumps(said))
