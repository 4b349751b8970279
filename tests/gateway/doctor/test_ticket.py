"""The letter to a company's IT: whole, narrow, in every language, and without anything private."""

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from gateway.diagnose.remedy import LANGUAGES
from gateway.doctor.framing import frame, frames
from gateway.doctor.ticket import WIDTH, asked_for, ticket

INSPECTED: dict[str, Any] = {
    "name": "tls", "about": "", "status": "fail", "cause": "network.tls_inspection",
    "title": "Something re-signs the secure connection", "vendor": "Zscaler",
    "what_happened": "The certificate shown for the server api.openai.com was issued by CN=Zscaler Root CA.",
    "evidence": ["the certificate was issued by CN=Zscaler Root CA"],
    "ruled_out": [{"cause": "service.unavailable", "why": "another name at the same address answers"}],
}  # fmt: skip
KEY: dict[str, Any] = {"name": "key", "status": "fail", "cause": "auth.invalid_key", "title": "The key is not valid"}


def _document(*checks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "shape": 1,
        "target": "api.openai.com",
        "way": "straight",
        "began_at": 1_795_379_880.0,
        "checks": list(checks),
    } | more


def _joined(text: str) -> str:
    return " ".join(text.split())


def test_every_language_has_the_same_words_and_placeholders() -> None:
    assert set(frames()) == set(LANGUAGES)
    english = frame("en")
    for language in LANGUAGES:
        assert set(frame(language)) == set(english)
        for name, text in frame(language).items():
            wanted = {field for _, field, _, _ in string.Formatter().parse(english[name]) if field}
            assert {field for _, field, _, _ in string.Formatter().parse(text) if field} == wanted, (language, name)
    assert frame("tlh") == english


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_line_is_wider_than_an_old_terminal(language: str) -> None:
    chatgpt = {"name": "chatgpt-domains", "about": "core", "status": "ok", "cause": None}
    text = ticket(_document(INSPECTED, chatgpt), language)
    assert max(map(cell_len, text.splitlines())) <= WIDTH
    assert text.endswith("\n")
    assert "\n\n\n" not in text


def test_it_says_what_was_found_ruled_out_and_by_which_way() -> None:
    text = ticket(_document(INSPECTED, way="http://proxy.corp:3128"))
    assert "1. Something re-signs the secure connection (network.tls_inspection)" in text
    assert "Product:   Zscaler" in text
    assert "service.unavailable: another name at the same address answers" in _joined(text)
    assert "through the proxy http://proxy.corp:3128" in text
    assert "2026-11-22 21:58 UTC" in _joined(text) or "UTC" in text
    assert "    api.openai.com" in text.splitlines()
    assert "leave these hosts out of TLS inspection" in text


def test_with_chatgpt_it_names_every_domain_port_and_protocol() -> None:
    chatgpt = {"name": "chatgpt-domains", "about": "core", "status": "ok", "cause": None}
    lines = ticket(_document(chatgpt)).splitlines()
    assert {"    *.oaiusercontent.com", "    *.chatgpt.com", "    chatgpt.com", "    ws.chatgpt.com"} <= set(lines)
    text = _joined("\n".join(lines))
    assert "UDP 3478 and UDP 50000-60000" in text
    assert "register.appattest.apple.com" in text.partition("Not to be intercepted")[2]
    skipped = {"name": "chatgpt-domains", "about": "", "status": "skipped", "cause": None}
    assert "oaiusercontent" not in ticket(_document(skipped))


def test_a_host_with_a_port_is_asked_for_with_it() -> None:
    text = ticket(_document(INSPECTED, target="relay.example:8443"))
    assert "TCP port 8443" in text
    assert "    relay.example" in text.splitlines()


def test_what_is_not_the_networks_is_not_laid_at_its_door() -> None:
    text = _joined(ticket(_document(KEY)))
    assert "does not point to this network, proxy or security products" in text
    assert "The key is not valid" in text
    assert "The key is not valid" not in ticket(_document(KEY, INSPECTED))


def test_a_healthy_report_still_says_what_calls_need() -> None:
    text = ticket(_document())
    assert "worked at" in text
    assert "What was found" not in text
    assert "api.openai.com" in text


def test_nothing_private_is_in_it() -> None:
    check = INSPECTED | {
        "evidence": [
            "the file /home/jane.doe/corp/ca.pem is empty", r"C:\Users\jane.doe\ca.pem", "sent by jane.doe@corp.example",
            "the key sk-proj-abcdefghijklmnop0123456789", "\x1b[31mred\x07",
        ]
    }  # fmt: skip
    text = ticket(_document(check, way="http://jane.doe:secret99@proxy.corp:3128"))
    assert "jane" not in text
    assert "secret99" not in text
    assert "sk-proj-abc" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_asked_for_can_stand_in_another_letter(language: str) -> None:
    assert len(asked_for(language, 100)) >= 5
    assert max(map(cell_len, asked_for(language, 60))) <= 60


_VALUE = st.none() | st.integers() | st.text(max_size=200) | st.text("漢字，。 a-", max_size=200)


@given(
    target=_VALUE, way=_VALUE, began_at=_VALUE,
    check=st.fixed_dictionaries({"cause": st.just("network.x"), "title": _VALUE, "what_happened": _VALUE, "evidence": st.lists(_VALUE, max_size=3)}),
    language=st.sampled_from(LANGUAGES),
)  # fmt: skip
def test_any_text_fits(target: Any, way: Any, began_at: Any, check: dict[str, Any], language: str) -> None:
    text = ticket(_document(check, target=target, way=way, began_at=began_at), language)
    assert max(map(cell_len, text.splitlines())) <= WIDTH
