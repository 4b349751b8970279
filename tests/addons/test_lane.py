"""What the lane adds to uvicorn's protocol, where the wire alone does not show it."""

from addons.lane import Lane


def test_data_that_comes_before_tls_has_settled_is_kept_whatever_its_size() -> None:
    """How much one turn of the loop brings is the TLS layer's affair; none of it may be lost."""
    lane = object.__new__(Lane)
    lane._open, lane._early = False, b""
    for piece in (b"a" * 70_000, b"b" * 200_000):
        lane.data_received(piece)
    assert lane._early == b"a" * 70_000 + b"b" * 200_000
