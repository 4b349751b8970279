"""One reader for the envelopes of many."""

import orjson
import pytest

from gateway.providers._envelope import read_any, read_object


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error":{"message":"m","type":"t","param":"p","code":"c"}}', ("c", "t", "m", "p")),
        (b'{"error":{"message":"m","code":402}}', ("402", "", "m", "")),
        (b'{"error":{"message":"m","code":true,"type":["x"]}}', ("", "", "m", "")),
        (b'{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}', ("429", "RESOURCE_EXHAUSTED", "m", "")),
        (b'{"error":{"code":400,"message":"m","status":400}}', ("400", "", "m", "")),
        (b'[1,{"error":{"message":"m"}}]', ("", "", "m", "")),
        (b'{"error":"m"}', ("", "", "m", "")),
        (b'{"code":"c","error":"m"}', ("c", "", "m", "")),
        (b'{"status":404,"error":"Not Found","message":"No route","path":"/x"}', ("", "", "No route", "")),
        (b'{"object":"error","message":"","type":"t","code":400}', ("400", "t", "", "")),
        (b'{"code":"c","message":"m","request_id":"1"}', ("c", "", "m", "")),
        (b'{"statusCode":429,"message":"m"}', ("429", "", "m", "")),
        (b'{"detail":"m"}', ("", "", "m", "")),
        (b'{"detail":{"code":"c"}}', ("c", "", "", "")),
        (b'{"detail":[{"type":"t","loc":["body","a",0],"msg":"m"}]}', ("", "t", "m", "a.0")),
        (b'{"error":{"type":"outer","message":{"detail":[{"type":"t","msg":"m"}]}}}', ("", "t", "m", "")),
        (b'{"error":{"code":"outer","message":{"message":"m"}}}', ("outer", "", "m", "")),
        (b'{"error":{"message":[1,"m"]}}', ("", "", "m", "")),
        (b'{"error":{}}', ("", "", "", "")),
    ],
)
def test_each_variant_is_read(body: bytes, words: tuple[str, ...]) -> None:
    assert read_any(body) == words


@pytest.mark.parametrize(
    "body", [b'{"error":"m"}', b'[{"error":{"message":"m"}}]', b'{"message":"m"}', b'{"detail":"m"}', b"\xff"]
)
def test_who_has_one_envelope_is_not_taken_for_somebody_with_another(body: bytes) -> None:
    assert read_object(body) is None


def test_a_hostile_nest_is_read_no_deeper_than_it_needs() -> None:
    body = b'{"error":' + b'{"message":' * 900 + b'"m"' + b"}" * 900 + b"}"
    assert read_any(body) is not None
    assert read_any(b"[" * 100_000) is None
    assert read_any(orjson.dumps({"error": {"message": {"message": {"message": "three"}}}})) == ("", "", "three", "")
