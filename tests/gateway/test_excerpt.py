"""What is packed is unpacked within bounds, whoever packed it."""

import gzip
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gateway.excerpt import MAX_BYTES, readable, unpacked

TEXT = b'{"error": {"message": "no"}}'
PACKED = {
    "gzip": gzip.compress(TEXT),
    "x-gzip": gzip.compress(TEXT),
    "deflate": zlib.compress(TEXT),
    "br": brotli.compress(TEXT),
    "zstd": zstandard.compress(TEXT),
}
BARE = zlib.compressobj(wbits=-zlib.MAX_WBITS)
BARE_TEXT = BARE.compress(TEXT) + BARE.flush()


@pytest.mark.parametrize("coding", PACKED)
def test_every_usual_coding_is_read(coding: str) -> None:
    assert readable(PACKED[coding], coding, "application/json") == TEXT.decode()
    assert unpacked(PACKED[coding], coding, 1000) == (TEXT, True)


def test_a_deflated_body_without_its_wrapper_is_read() -> None:
    assert readable(BARE_TEXT, "deflate", None) == TEXT.decode()


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_bomb_is_read_up_to_the_bound(coding: str) -> None:
    pack = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress, "zstd": zstandard.compress}[coding]
    found = unpacked(pack(b"a" * 10_000_000), coding, MAX_BYTES)
    assert found is not None
    text, all_of_it = found
    assert MAX_BYTES <= len(text) < 2 * MAX_BYTES
    assert not all_of_it
    assert len(readable(pack(b"a" * 10_000_000), coding, None) or "") == MAX_BYTES


@given(body=st.binary(max_size=200), coding=st.sampled_from([*PACKED, "compress", ""]))
def test_no_bytes_make_it_fail(body: bytes, coding: str) -> None:
    unpacked(body, coding, 100)
    readable(body, coding, None)
