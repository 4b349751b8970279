"""Status pages in each of their shapes, whole, cut off, and nonsense."""

import json
from typing import Any

import pytest

from gateway.doctor import status_pages
from gateway.doctor.status_pages import AFFECTED, NOTHING, OPERATIONAL, UNKNOWN, Said

WORDS = ("api", "responses", "chat completions")


def summary(state: str = "operational", *, incidents: Any = (), other: str = "operational") -> dict[str, Any]:
    components = [
        {"id": "1", "name": "Chat Completions", "status": state},
        {"id": "2", "name": "ChatGPT", "status": other},
    ]
    return {"page": {}, "status": {"indicator": "none"}, "components": components, "incidents": list(incidents)}


def incident(
    name: str = "Errors", status: str = "investigating", component: str = "Chat Completions"
) -> dict[str, Any]:
    listed = [{"name": component}] if component else []
    return {"name": name, "status": status, "created_at": "2026-11-22T08:00:00Z", "components": listed}


def read(document: Any, incidents: Any = None) -> Said:
    return status_pages.statuspage(document, incidents, WORDS)


def test_all_well() -> None:
    said = read(summary())
    assert (said.state, said.elsewhere, said.incidents) == (OPERATIONAL, False, ())
    assert said.components == (("Chat Completions", "operational"),)


@pytest.mark.parametrize(
    "state", ["degraded_performance", "partial_outage", "major_outage", "under_maintenance", "wobbling", "", None, 7]
)
def test_any_other_state_is_affected_also_one_that_nobody_knows(state: Any) -> None:
    assert read(summary(state)).state == AFFECTED


def test_an_open_incident_on_our_component_counts_whatever_the_component_says() -> None:
    said = read(summary(incidents=[incident()]))
    assert said.state == AFFECTED
    assert said.incidents[0].name == "Errors"
    assert said.incidents[0].began == "2026-11-22T08:00:00Z"


def test_a_red_page_is_not_red_for_calls_when_it_is_about_something_else() -> None:
    said = read(summary(other="major_outage", incidents=[incident("Login", component="ChatGPT")]))
    assert (said.state, said.elsewhere) == (OPERATIONAL, True)


def test_an_incident_without_components_does_not_accuse_the_api() -> None:
    said = read(summary(incidents=[incident(component="")]))
    assert (said.state, said.elsewhere) == (OPERATIONAL, True)


@pytest.mark.parametrize("status", ["resolved", "postmortem", "completed"])
def test_what_is_over_is_over(status: str) -> None:
    assert read(summary(incidents=[incident(status=status)])).state == OPERATIONAL


def test_an_incident_with_an_unknown_state_is_open() -> None:
    assert read(summary(incidents=[incident(status="pondering")])).state == AFFECTED


def test_a_missing_list_of_incidents_is_not_an_empty_one() -> None:
    document = summary()
    del document["incidents"]
    assert status_pages.lacks_incidents(document)
    assert read(document).state == UNKNOWN
    assert read(document, {"incidents": []}).state == OPERATIONAL
    assert read(document, {"incidents": [incident()]}).state == AFFECTED
    assert read(document, {"incidents": None}).state == UNKNOWN


def test_a_page_that_lacks_our_component_is_not_a_healthy_one() -> None:
    assert status_pages.statuspage(summary(), None, ("api.anthropic.com",)).state == UNKNOWN


def test_a_word_is_a_word() -> None:
    document = summary()
    document["components"][0]["name"] = "Rapid previews"
    assert read(document).state == UNKNOWN


@pytest.mark.parametrize(
    "document", [None, [], "x", 3, {}, {"components": 3}, {"components": []}, {"components": [None, 3]}]
)
def test_nonsense_is_unknown(document: Any) -> None:
    assert read(document).state == UNKNOWN
    assert status_pages.native(document, WORDS).state == UNKNOWN
    assert status_pages.native({"summary": document}, WORDS).state == UNKNOWN
    assert status_pages.google(document, document, WORDS).state == UNKNOWN


def native(affected: Any = (), ongoing: Any = ()) -> dict[str, Any]:
    return {
        "summary": {
            "components": [{"id": "a", "name": "Responses"}, {"id": "b", "name": "ChatGPT"}],
            "affected_components": list(affected),
            "ongoing_incidents": list(ongoing),
        }
    }


def test_the_native_document() -> None:
    assert status_pages.native(native(), WORDS).state == OPERATIONAL
    hit = {"component_id": "a", "status": "partial_outage"}
    ongoing = {
        "id": "i",
        "name": "Slow",
        "status": "identified",
        "published_at": "2026-11-22",
        "affected_components": [hit],
    }
    said = status_pages.native(native([hit], [ongoing]), WORDS)
    assert said.state == AFFECTED
    assert said.components == (("Responses", "partial_outage"),)
    assert said.incidents[0].components == ("Responses",)
    elsewhere = status_pages.native(native([{"component_id": "b", "status": "major_outage"}]), WORDS)
    assert (elsewhere.state, elsewhere.elsewhere) == (OPERATIONAL, True)
    assert status_pages.native({"summary": {"components": []}}, WORDS) == NOTHING


def test_googles_two_documents() -> None:
    products = {"products": [{"title": "Gemini", "id": "x"}, {"title": "Gmail", "id": "y"}]}
    open_one = {"external_desc": "Errors", "begin": "2026-11-22", "affected_products": [{"title": "Gemini"}]}
    over = open_one | {"end": "2026-11-22T10:00:00Z"}
    assert status_pages.google(products, [open_one], ("gemini",)).state == AFFECTED
    assert status_pages.google(products, [over], ("gemini",)).state == OPERATIONAL
    assert status_pages.google(products, [], ("gemini",)).state == OPERATIONAL
    other = open_one | {"affected_products": [{"title": "Gmail"}]}
    assert status_pages.google(products, [other], ("gemini",)).elsewhere
    assert status_pages.google(products, None, ("gemini",)) == NOTHING


def a_feed(title: str, told: str = "We are looking into it.") -> str:
    return f"<?xml version='1.0'?><rss><channel><title>x</title><item><title>{title}</title><pubDate>Sun</pubDate><description><![CDATA[<b>{told}</b>]]></description></item></channel></rss>"


def test_a_feed() -> None:
    assert status_pages.feed(a_feed("API errors"), ("api",)).state == AFFECTED
    assert status_pages.feed(a_feed("API errors"), ("api",)).incidents[0].began == "Sun"
    assert status_pages.feed(a_feed("API errors", "This incident has been resolved."), ("api",)).state == OPERATIONAL
    assert status_pages.feed(a_feed("Website slow"), ("api",)).elsewhere
    assert status_pages.feed("<rss></rss>", ("api",)).state == OPERATIONAL
    assert status_pages.feed("<html></html>", ("api",)) == NOTHING


def test_the_start_of_a_list_that_was_cut_off() -> None:
    text = json.dumps(
        {"page": {"a": [1]}, "incidents": [incident("one"), incident("two"), incident("three")]}, indent=1
    )
    assert [one["name"] for one in status_pages.opening(text, "incidents") or ()] == ["one", "two", "three"]
    assert [one["name"] for one in status_pages.opening(text[:-120], "incidents") or ()] == ["one", "two"]
    assert status_pages.opening("[]") == []
    assert status_pages.opening("<html>[1]</html>") is None
    assert status_pages.opening('{"x": 1}', "incidents") is None
    assert status_pages.opening("") is None


def test_long_and_deep_documents_end_soon() -> None:
    assert status_pages.document("[" * 60_000) is None
    assert status_pages.feed("<rss>" + "<item>" * 10_000, ("api",)).state == OPERATIONAL
