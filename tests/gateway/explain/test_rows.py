"""A row of a collection is read for what was observed, and for nothing else."""

import pytest

from gateway.explain.rows import UnreadableRowError, of_row
from gateway.explain.seen import Seen

ANSWERED = {
    "id": "a1",
    "request": {
        "method": "post",
        "url": "https://api.openai.com/v1/x",
        "model": "gpt-4o",
        "notes": "sent twice",
        "headers": {"Authorization": "Bearer sk-abcdefgh"},
    },
    "response": {"status": 429, "headers": {"Retry-After": "1"}, "body": '{"error":{}}'},
}
OBSERVED = {
    "id": "b1",
    "observed": {
        "stage": "tls", "status": None, "headers": None, "body": None, "location": None, "cert_issuer": "CN=Zscaler", "cert_subject": "CN=x",
        "exception": "CERTIFICATE_VERIFY_FAILED", "dns_answers": ["1.2.3.4"],
    },
}  # fmt: skip
VERDICT = {
    "cause": 1,
    "why": 2,
    "source": 3,
    "vendor": 4,
    "also_ok": 5,
    "kind": 6,
    "difficulty": 7,
    "provider": 8,
    "year": 9,
}


def test_a_call_with_its_answer_is_read() -> None:
    assert of_row(ANSWERED) == Seen(
        id="a1", method="POST", url="https://api.openai.com/v1/x", model="gpt-4o", notes="sent twice", status=429,
        request_headers=(("authorization", "Bearer [redacted]"),), headers=(("retry-after", "1"),), body='{"error":{}}',
    )  # fmt: skip


def test_what_was_observed_is_read() -> None:
    assert of_row(OBSERVED) == Seen(
        id="b1", stage="tls", cert_issuer="CN=Zscaler", cert_subject="CN=x", exception="CERTIFICATE_VERIFY_FAILED", dns_answers=("1.2.3.4",)
    )  # fmt: skip


@pytest.mark.parametrize("row", [ANSWERED, OBSERVED])
def test_the_verdict_of_a_row_is_not_looked_at(row: dict[str, object]) -> None:
    inside = {name: part | VERDICT if isinstance(part, dict) else part for name, part in row.items()}
    assert of_row(inside | VERDICT) == of_row(row)


@pytest.mark.parametrize("headers", [{"A": ["1", "2"]}, [["A", "1"], ["a", "2"]]])
def test_headers_are_an_object_or_pairs(headers: object) -> None:
    assert of_row({"id": "x", "response": {"status": 500, "headers": headers}}).headers == (("a", "1"), ("a", "2"))


def test_a_body_that_is_an_object_is_given_as_json() -> None:
    assert of_row({"id": "x", "response": {"status": 500, "body": {"error": "x"}}}).body == '{"error":"x"}'


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"id": "x"},
        {"id": 1, "response": {}},
        {"id": "x", "response": [], "request": {}},
        {"id": "x", "response": {}, "observed": {}},
        {"id": "x", "response": {"status": "429"}},
        {"id": "x", "response": {"status": True}},
        {"id": "x", "response": {"status": 4290}},
        {"id": "x", "response": {"status": 1, "headers": "a"}},
        {"id": "x", "response": {"status": 1, "headers": {"a": 1}}},
        {"id": "x", "response": {"status": 1, "headers": [["a"]]}},
        {"id": "x", "response": {"status": 1, "body": 5}},
        {"id": "x", "response": {}, "request": {"method": 5}},
        {"id": "x", "response": {}, "request": "POST"},
        {"id": "x", "observed": {"stage": "nowhere"}},
        {"id": "x", "observed": {"dns_answers": "1.2.3.4"}},
        {"id": "x", "observed": {"dns_answers": [1]}},
        [],
        None,
    ],
)
def test_any_other_shape_is_refused_in_one_sentence(row: object) -> None:
    with pytest.raises(UnreadableRowError) as raised:
        of_row(row)  # type: ignore[arg-type]
    assert str(raised.value).endswith(".")
    assert str(raised.value).count(". ") == 0
