"""Two reports together: whose doing a trouble is, and what else is not the same."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.diagnose.remedy import fill
from gateway.doctor.compare import Comparison, compare
from gateway.model.diagnosis import Clue


def _check(
    name: str, status: str = "ok", *, cause: str = "", fault: str = "network", about: str = ""
) -> dict[str, Any]:
    return {
        "group": "network", "name": name, "about": about, "status": status, "told": f"{name} is {status}",
        "cause": cause or None, "fault": fault, "title": f"Title of {name}" if cause else "",
    }  # fmt: skip


def _document(*checks: dict[str, Any], **more: Any) -> dict[str, Any]:
    likely = next((one for one in checks if one["status"] == "fail"), None)
    return {
        "shape": 1, "version": "1.0", "target": "api.openai.com", "way": "straight", "began_at": 1_000_000.0,
        "healthy": likely is None, "most_likely": likely, "checks": list(checks), "measured": {},
    } | more  # fmt: skip


def _said(clues: tuple[Clue, ...] | Clue) -> str:
    every = (clues,) if isinstance(clues, Clue) else clues
    return "\n".join(fill(one.text, dict(one.facts)) for one in every)


def test_two_healthy_places() -> None:
    found = compare(_document(_check("names")), _document(_check("names")))
    assert _said(found.clues) == "all is well in both places"


def test_what_fails_here_alone_is_this_networks_doing() -> None:
    bad = _check("names", "fail", cause="network.dns_tampered")
    found = compare(_document(bad, _check("tls", "skipped")), _document(_check("names"), _check("tls")))
    assert "the doing of this network or this machine" in _said(found.summary)
    assert _said(found.only_here) == "Title of names (names): only here"
    assert not found.both


@pytest.mark.parametrize(
    ("cause", "fault", "whose"),
    [
        ("service.unavailable", "provider", "the provider's doing"),
        ("auth.invalid_key", "policy", "the account's or the key's"),
        ("client.ca_bundle_misconfigured", "caller", "this machine's own doing"),
        ("network.tcp_timeout", "network", "both are on the same network"),
        ("edge.blocked", "edge", "the provider's edge"),
    ],
)
def test_what_fails_in_both_places_is_not_this_networks_alone(cause: str, fault: str, whose: str) -> None:
    bad = _check("plain", "fail", cause=cause, fault=fault)
    found = compare(_document(bad), _document(bad))
    assert whose in _said(found.summary)
    assert whose in _said(found.both)
    assert len(found.clues) == 1, "nothing is said twice"


def test_a_provider_that_fails_here_alone_depends_on_the_place() -> None:
    bad = _check("plain", "fail", cause="edge.blocked", fault="edge")
    assert "where one comes from" in _said(compare(_document(bad), _document(_check("plain"))).summary)


def test_an_account_that_fails_here_alone_is_another_key() -> None:
    bad = _check("key", "fail", cause="auth.invalid_key", fault="policy")
    assert "different keys" in _said(compare(_document(bad), _document(_check("key"))).summary)


def test_different_causes_in_both_places_are_named() -> None:
    here = _document(_check("tls", "fail", cause="network.tls_inspection"))
    there = _document(_check("tls", "fail", cause="network.tcp_timeout"))
    assert "network.tls_inspection here, network.tcp_timeout there" in _said(compare(here, there).both)


def test_what_the_other_did_not_look_at_decides_nothing() -> None:
    here = _document(_check("voice", "fail", cause="network.tcp_timeout"))
    found = compare(here, _document(_check("names")))
    assert "did not look" in _said(found.summary)
    assert found.unknown
    assert compare(here, _document(_check("voice", "skipped"))).unknown


def test_what_fails_there_alone_is_told_too() -> None:
    bad = _check("names", "fail", cause="network.dns_failure")
    found = compare(_document(_check("names")), _document(bad))
    assert _said(found.summary) == "all is well here, and something fails there"
    assert "only there" in _said(found.only_there)


def test_checks_are_told_apart_by_what_they_are_about() -> None:
    here = _document(_check("chatgpt-domains", "warn", cause="network.dns_tampered", about="telemetry"))
    there = _document(_check("chatgpt-domains", "fail", cause="network.dns_tampered", about="core"))
    assert compare(here, there).unknown


def test_ways_addresses_issuers_and_countries_that_differ_are_named() -> None:
    def measured(address: str, issuer: str, country: str) -> dict[str, Any]:
        return {
            "names": {"system": {"addresses": [address]}},
            "tls": {"each": [{"served": {"issuer": issuer}}]},
            "edge": {"facts": [["loc", country]]},
        }

    here = _document(way="http://proxy.corp:3128", measured=measured("10.0.0.1", "CN=Zscaler", "DE"))
    there = _document(measured=measured("172.66.0.243", "CN=WE1", "IT"), began_at=1_000_000.0 - 7_200)
    told = _said(compare(here, there).differs)
    assert "http://proxy.corp:3128 here, straight there" in told
    assert "10.0.0.1 here, 172.66.0.243 there" in told
    assert "CN=Zscaler here, CN=WE1 there" in told
    assert "DE here, IT there" in told
    assert "2 h older" in told


def test_addresses_that_overlap_do_not_differ() -> None:
    one = _document(measured={"names": {"system": {"addresses": ["1.1.1.1", "2.2.2.2"]}}})
    two = _document(measured={"names": {"system": {"addresses": ["2.2.2.2", "3.3.3.3"]}}})
    assert not compare(one, two).differs


def test_reports_about_different_hosts_say_so() -> None:
    found = compare(_document(), _document(target="api.anthropic.com"))
    assert "different hosts" in _said(found.summary)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ([], "is not what `whygate doctor --json` writes"),
        ("text", "is not what"),
        ({"flows": []}, "is not what"),
        ({"shape": 2, "checks": []}, "has shape 2, and this whygate reads shape 1"),
        ({"shape": 1, "checks": [{"status": "ok"}]}, "holds a check that no whygate wrote"),
        ({"shape": 1, "checks": ["x"]}, "holds a check"),
        ({"shape": 1, "checks": [{"name": "a", "status": "great"}]}, "holds a check"),
    ],
)
def test_what_is_no_report_is_refused_with_a_reason(document: Any, why: str) -> None:
    with pytest.raises(ValueError, match="the other report") as refused:
        compare(_document(), document)
    assert why in str(refused.value)
    with pytest.raises(ValueError, match="this report"):
        compare(document, _document())


_JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=8), lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=6), one, max_size=3), max_leaves=8)  # fmt: skip


@given(measured=_JSON, more=st.dictionaries(st.sampled_from(["names", "tls", "edge"]), _JSON))
def test_measurements_of_any_shape_are_read_or_left_alone(measured: Any, more: dict[str, Any]) -> None:
    for there in (_document(measured=measured), _document(measured=more), _document(began_at=measured, way=measured)):
        assert isinstance(compare(_document(), there), Comparison)
