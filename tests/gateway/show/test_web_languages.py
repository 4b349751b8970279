"""The API speaks the reader's language, and tells which it is."""

import json
from typing import Any

import httpx2
import orjson
import pytest

from gateway.diagnose.remedy import LANGUAGES
from gateway.model.cause import Cause
from gateway.show import languages
from gateway.show.languages import accepted, needs_words, row_in, text_in
from tests.gateway.record.made import a_diagnosis, until
from tests.gateway.show.served import Served
from tests.gateway.show.told import TITLES, a_verdict, fail_with


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("it", "it"),
        ("IT-it", "it"),
        ("zh-Hant-TW", "zh"),
        ("de-DE,de;q=0.9,it;q=0.4,en;q=0.5", "en"),
        ("fr;q=0.9, it;q=0.8", "it"),
        ("fr, de", "en"),
        ("it;q=0, zh;q=0.1", "zh"),
        ("it;q=many, zh;q=0.1", "zh"),
        ("it ; q=0.2 , zh ; q=0.3", "zh"),
        ("item, english, zhx", "en"),
        ("", None),
        (" , ;q=1", None),
        ("*", None),
        ("fr, *;q=0.5", None),
        ("it;q=0.3, *;q=0.1", "it"),
        (",".join(["fr"] * 5000) + ",it", "en"),
    ],
)
def test_the_header_names_the_language(header: str, language: str | None) -> None:
    """By weight; English for others; None when the choice is ours."""
    assert accepted(header) == language


def told(answer: httpx2.Response) -> tuple[str, str, str]:
    return answer.headers.get("content-language", ""), answer.headers["vary"], answer.headers["content-type"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("how", ["lang", "header"])
def test_stored_verdicts_are_said_again(served: Served, language: str, how: str) -> None:
    """Lists and single calls, whatever language they were stored in; ``lang`` beats the header."""
    ids = [fail_with(served, a_verdict(language=stored)) for stored in LANGUAGES]
    headers = {"accept-language": f"{language};q=0.7" if how == "header" else "fr, en"}
    query = {"lang": f"{language}-x"} if how == "lang" else {}
    with served.client(**headers) as client:
        answer = client.get("/api/flows", params=query)
        assert told(answer) == (language, "Accept-Language", "application/json")
        assert [flow["diagnosis"]["title"] for flow in answer.json()["flows"]] == [TITLES[language]] * 3
        for flow_id in ids:
            answer = client.get(f"/api/flows/{flow_id}", params=query)
            said = answer.json()["diagnosis"]
            assert told(answer)[:2] == (language, "Accept-Language")
            assert (said["language"], said["title"]) == (language, TITLES[language])
            assert said["ruled_out"][0]["cause"] == "edge.blocked"


def test_who_names_no_language_gets_verdicts_as_they_were_stored(served: Served) -> None:
    """Our own command line: the gateway's language is a setting."""
    fail_with(served, a_verdict(language="it"))
    with served.client() as client:
        answer = client.get("/api/flows")
    assert told(answer)[:2] == ("", "Accept-Language")
    assert answer.json()["flows"][0]["diagnosis"]["title"] == TITLES["it"]


def test_a_language_that_we_do_not_speak_is_refused_by_name(served: Served) -> None:
    with served.client() as client:
        for path in ("/api/flows", "/api/flows/x", "/api/live", "/api/causes", "/api/causes/quota.exhausted"):
            answer = client.get(path, params={"lang": "kl"})
            assert answer.status_code == 400, path
            assert answer.json()["error"]["message"].startswith("lang='kl': expected one of en, zh, it")


def test_an_old_verdict_without_facts_stays_as_it_is(served: Served) -> None:
    """Rows of an earlier release, in which causes that were ruled out are plain slugs."""
    fail_with(served, a_diagnosis())
    with served.client() as client:
        said = client.get("/api/flows", params={"lang": "zh"}).json()["flows"][0]["diagnosis"]
    assert (said["title"], said["ruled_out"]) == ("Tokens per minute used up", ["quota.exhausted"])


def test_the_stored_language_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is parsed, copied or said again."""

    def retold(*_: Any) -> Any:
        raise AssertionError("said again")

    monkeypatch.setattr(languages, "retold", retold)
    row: dict[str, Any] = {"id": "1", "diagnosis": {"cause": "quota.exhausted", "language": "en"}}
    old = {"id": "2", "diagnosis": {"cause": "quota.exhausted"}}
    good = {"id": "3", "diagnosis": None}
    assert row_in(row, "en") is row
    assert row_in(row, None) is row
    assert row_in(old, "en") is old
    assert row_in(good, "zh") is good
    assert not needs_words(orjson.dumps(row).decode(), "en")
    assert not needs_words(orjson.dumps(good).decode(), "zh")
    assert json.loads(text_in(orjson.dumps(old).decode(), "en")) == old


def test_captured_text_cannot_pass_for_the_language_of_a_verdict() -> None:
    row = {"path": '"language":"zh"', "diagnosis": {"detail": '"language":"zh"', "language": "en"}}
    assert needs_words(orjson.dumps(row).decode(), "zh")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_live_feed_speaks_it_too(served: Served, language: str) -> None:
    """Each watcher his own."""
    with (
        served.client(**{"accept-language": language}) as client,
        client.stream("GET", "/api/live") as answer,
        served.client() as other,
        other.stream("GET", "/api/live") as plain,
    ):
        assert answer.headers["content-language"] == language
        assert answer.headers["vary"] == "Accept-Language"
        until(lambda: served.app.state.feed._watchers)
        fail_with(served, a_verdict(language="it"))
        assert title_of_next(answer) == TITLES[language]
        assert title_of_next(plain) == TITLES["it"]


def title_of_next(answer: httpx2.Response) -> str:
    for event in httpx2.EventSource(answer):
        value = event.json()
        if event.event == "flow" and isinstance(value, dict) and value["diagnosis"]:
            return str(value["diagnosis"]["title"])
    raise AssertionError("the feed ended")


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_causes_are_listed(served: Served, language: str) -> None:
    with served.client(**{"accept-language": language}) as client:
        answer = client.get("/api/causes")
    causes = {cause["slug"]: cause for cause in answer.json()["causes"]}
    assert told(answer) == (language, "Accept-Language", "application/json")
    assert set(causes) == set(Cause)
    assert causes["quota.exhausted"] == {
        "slug": "quota.exhausted", "fault": "policy", "again": "never", "title": TITLES[language],
    }  # fmt: skip
    assert causes["unknown"]["fault"] is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_cause_is_explained_without_the_facts_of_a_call(served: Served, language: str) -> None:
    """Five parts, each of them text without a place left open."""
    with served.client() as client:
        for slug in Cause:
            answer = client.get(f"/api/causes/{slug}", params={"lang": language})
            assert answer.headers["content-language"] == language
            cause = answer.json()
            parts = [cause[name] for name in ("what_it_means", "how_we_know", "not_to_be_confused_with", "source")]
            for text in (*parts, *cause["what_to_do"]):
                assert text.strip()
                assert not set(text) & set("{}[]"), (slug, text)


def test_english_is_what_a_cause_is_explained_in_to_everybody_else(served: Served) -> None:
    with served.client() as client:
        answer = client.get("/api/causes/quota.exhausted")
        missing = client.get("/api/causes/quota.nope")
    assert (answer.headers["content-language"], answer.json()["title"]) == ("en", TITLES["en"])
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "no_such_cause")
