"""The texts of a bundle say what their readers need, and stay plain text whatever a log holds."""

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.flow import State
from gateway.show.contents import contents
from gateway.show.letters import for_company_it, for_provider_support, timeline, verdicts
from tests.gateway.record.made import a_row

HOSTS = {"openai": ("api.openai.com",)}


def row(seq: int = 1, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "method": "POST", "host": "api.openai.com", "path": "/v1/chat/completions", "endpoint": "chat.completions",
        "started_at": f"2026-11-22T10:00:{seq % 60:02d}.000Z",
    }  # fmt: skip
    return a_row(seq, **(values | changes)).as_dict()


def a_failure(seq: int = 1, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "status": 500, "cause": "service.server_error", "fault": "provider", "precision": "declared", "total_ms": 900.0,
        "response_headers": (("x-request-id", "req_abc"), ("cf-ray", "8abc-FRA"), ("server", "cloudflare")),
        "request_headers": (("x-client-request-id", "mine-1"),),
        "attempts": (
            {"n": 1, "waited_ms": 0.0, "status": 500, "failure": None,
             "phases": [{"name": "first_byte", "start_ms": 0.0, "end_ms": 300.0, "ok": True}]},
            {"n": 2, "waited_ms": 250.0, "status": 500, "failure": None, "phases": []},
        ),
        "diagnosis": {
            "title": "The provider failed", "what_happened": "It answered 500.", "evidence": ["500 without a code"],
            "ruled_out": [{"cause": "edge.blocked", "why": "the envelope is the provider's", "clue": {}}],
        },
    }  # fmt: skip
    return row(seq, **(values | changes))


def a_blocked(seq: int = 1, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "status": None, "cause": "network.tls_inspection", "fault": "network", "kind": "tunnel", "provider": "",
        "host": "chatgpt.com", "path": "", "model": "",
        "diagnosis": {
            "vendor": "Netskope", "what_happened": "The certificate was signed anew.",
            "clues": [{"text": "", "facts": [["issuer", "ca.goskope.com"]]}],
        },
    }  # fmt: skip
    return a_failure(seq, **(values | changes))


def test_support_gets_times_in_utc_request_ids_status_and_what_was_ruled_out() -> None:
    text = for_provider_support([a_failure(1), a_failure(2), row(3), a_blocked(4)])
    for told in (
        "For the support of openai",
        "2 calls failed between 2026-11-22T10:00:01.000Z and 2026-11-22T10:00:02.000Z (UTC):",
        "2 x service.server_error",
        "POST https://api.openai.com/v1/chat/completions",
        "500, after 2 tries",
        "x-request-id req_abc, cf-ray 8abc-FRA, x-client-request-id mine-1",
        "Ruled out:     edge.blocked: the envelope is the provider's",
        "+0.550 s  try 2: answered 500",
    ):
        assert told in text
    assert "chatgpt" not in text
    assert "server cloudflare" not in text


def test_every_provider_has_a_letter_of_its_own() -> None:
    text = for_provider_support([a_failure(1), a_failure(2, provider="anthropic", host="api.anthropic.com")])
    first, second = text.split("For the support of ")[1:]
    assert first.startswith("anthropic")
    assert "openai" not in first
    assert second.startswith("openai")


def test_it_gets_hosts_ports_product_and_certificate_and_what_to_allow() -> None:
    text = for_company_it([a_blocked(1), a_failure(2)], HOSTS)
    for told in ("chatgpt.com:443", "Netskope", "ca.goskope.com", "api.openai.com", "TLS inspection", "WebSocket"):
        assert told in text
    assert "service.server_error" not in text


def test_it_reads_the_usual_port_once_and_every_other_with_its_host() -> None:
    """A host stands once, also where a row names the usual port."""
    rows = [a_blocked(1), a_blocked(2, host="chatgpt.com:443"), a_blocked(3, host="10.0.0.5:8443")]
    wanted = for_company_it(rows, HOSTS).partition("What is asked for")[2].splitlines()[2:6]
    assert wanted == [
        "From this machine to TCP port 443, where no other is named, of:",
        "  api.openai.com",
        "  10.0.0.5:8443",
        "  chatgpt.com",
    ]


def test_it_is_told_the_provider_s_host_of_a_call_by_base_url() -> None:
    """Our own address is of no use to anybody."""
    text = for_company_it([a_blocked(kind="api", host="127.0.0.1:8080", upstream="relay.example:8443")], {})
    assert text.count("relay.example:8443") == 2
    assert "127.0.0.1" not in text


def test_a_letter_that_has_nothing_to_say_says_so() -> None:
    assert "No failure" in for_provider_support([row(1), a_blocked(2)])
    assert "points to the company's network" in for_company_it([a_failure()], HOSTS)
    assert verdicts([row(1)]) == "No call failed.\n"


def test_the_time_line_is_in_order_and_shows_each_try_of_a_failure() -> None:
    running = row(4, state=State.WAITING, status=None, ended_at=None)
    lines = timeline([running, row(3), a_failure(2), row(1, cache="hit")]).splitlines()[2:]
    assert [line.split("  ")[0] for line in lines if line[0] != " "] == [
        f"2026-11-22T10:00:0{second}.000Z" for second in (1, 2, 3, 4)
    ]
    assert "cache hit" in lines[0]
    assert [line.strip().split("  ")[0] for line in lines if line[0] == " "] == ["+0.000 s", "+0.550 s"]
    assert "waiting" in lines[-1]


def test_very_many_failures_are_told_in_part() -> None:
    failed = [a_failure(number) for number in range(1, 231)]
    assert "... and 180 more; flows.jsonl has them." in for_provider_support(failed)
    assert "... and 30 more; flows.jsonl has them." in verdicts(failed)


def test_the_first_text_names_what_is_there_and_nothing_else() -> None:
    about = {"made_at": "x", "whygate": "y", "calls": 3, "failed": 1, "bodies": False, "removed": {"home": 2, "name": 0},
             "left_out": ["5 calls, for which there was no room."]}  # fmt: skip
    text = contents(["verdicts.txt", "reproduce/x.sh"], about)
    assert "verdicts.txt" in text
    assert "reproduce/" in text
    assert "manifest.json" in text
    assert "doctor.json" not in text
    assert "Taken out: 2 x home." in text
    assert "Left out: 5 calls" in text


TEXTS = st.text(max_size=60)


@settings(deadline=None)
@given(TEXTS, TEXTS, TEXTS, TEXTS, st.sampled_from([a_failure, a_blocked]))
def test_nothing_in_a_log_can_steer_a_terminal_that_shows_a_text(
    model: str, path: str, host: str, said: str, make: Any
) -> None:
    told = {"title": said, "what_happened": said, "evidence": [said], "vendor": said, "ruled_out": [said],
            "facts": [["issuer", said]], "what_to_do": [said]}  # fmt: skip
    failure = {"code": "x", "phase": "tls", "detail": said}
    attempt = {"n": 1, "waited_ms": 0.0, "phases": [], "status": None, "failure": failure}
    changes = {"model": model, "path": path, "host": host, "diagnosis": told, "attempts": (attempt,), "body": said}
    hostile = [make(1, **changes, request_headers=(("cf-ray", said),), response_headers=(("x-request-id", said),))]
    for text in (verdicts(hostile), timeline(hostile), for_provider_support(hostile), for_company_it(hostile, HOSTS)):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", text)


def test_a_retrys_time_in_the_queue_moves_the_first_try_no_further() -> None:
    """The call's time in the queue holds it, too."""
    first, second = (
        {**one, "queued_ms": queued} for one, queued in zip(a_failure()["attempts"], (40, 250), strict=True)
    )
    text = for_provider_support([a_failure(queue_ms=290.0, attempts=(first, second))])
    assert "+0.040 s  try 1" in text
    assert "+0.590 s  try 2" in text
    older = for_provider_support([a_failure(queue_ms=40.0)])
    assert "+0.040 s  try 1" in older
