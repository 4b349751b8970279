"""The API says what it promises and nothing to those who may not know."""

import re

import httpx2
import pytest

from gateway.record.row import utc_text
from tests.gateway.record.made import EPOCH, a_call, a_concluded, a_diagnosis, a_failed_outcome, a_live, a_row, until
from tests.gateway.record.test_recorder import run_one
from tests.gateway.show.served import TOKEN, Served

OPEN = {
    *("/healthz", "/readyz", "/trust", "/ca.pem", "/ca.crt"),
    *("/static/style.css", "/static/trust.css", "/static/icon.svg"),
    *("/static/trust.js", "/static/copy.js", "/static/dom.js", "/static/words.js"),
}
"""What knows nothing of any call."""
WRITES = {"/api/providers", "/api/cache/clear", "/api/capture"}
RUNS = {"/api/doctor/run"}


def fail_one(served: Served) -> str:
    call = a_call()
    live = a_live(call)
    served.recorder.opened(live)
    served.recorder.closed(live, a_concluded(call, diagnosis=a_diagnosis(), outcome=a_failed_outcome(b"why")))
    return call.id


def adopt(served: Served, body: object, **headers: str) -> httpx2.Response:
    with served.client(**headers) as client:
        return client.post("/api/providers", json=body)


def paths(served: Served) -> list[str]:
    return [route.path.replace("{flow_id}", "x") for route in served.app.routes]


def test_no_path_that_knows_of_calls_answers_without_the_token(served: Served) -> None:
    """Every route that exists, and one that does not."""
    with served.bare() as client:
        assert client.post("/api/providers", json={"base_url": "https://relay.example/v1"}).status_code == 401
        assert client.get("/api/providers").status_code == 405
        answers = {path: client.get(path).status_code for path in [*paths(served), "/api/nothing", "/static/../web.py"]}
    assert {path for path, status in answers.items() if status != 401} == OPEN | WRITES | RUNS
    assert {"/", "/static/app.js", "/api/live", "/api/flows"} <= set(answers)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer wrong"},
        {"authorization": TOKEN},
        {"authorization": "Bearer"},
        {"cookie": f"whygate_token={TOKEN}"},
        {"cookie": "whygate_token=; whygate_token"},
    ],
)
def test_almost_a_token_is_no_token(served: Served, headers: dict[str, str]) -> None:
    """The cookie holds a derived value, so that other ports of this host never see the token."""
    with served.bare(**headers) as client:
        assert client.get("/api/flows").status_code == 401


def test_the_link_sets_a_cookie_and_leaves_no_token_in_the_address(served: Served) -> None:
    """Once; from then on the cookie speaks."""
    with served.bare() as client:
        answer = client.get("/", params={"token": TOKEN})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert TOKEN not in cookie
        assert client.get("/api/flows").status_code == 200
        assert client.get("/").status_code == 200


def test_a_wrong_link_opens_nothing(served: Served) -> None:
    """And no other path takes a token from the address."""
    with served.bare() as client:
        assert client.get("/", params={"token": "wrong"}).status_code == 401
        assert client.get("/api/flows", params={"token": TOKEN}).status_code == 401


def test_a_browser_without_token_gets_words_to_read(served: Served) -> None:
    """Where the link is to be found."""
    with served.bare(accept="text/html,*/*") as client:
        answer = client.get("/")
    assert answer.status_code == 401
    assert "whygate start" in answer.text
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "evil.example:8081", "", "[::1]"])
def test_a_foreign_host_is_refused_before_anything_else(served: Served, host: str) -> None:
    """Rebinding: even the open paths, even with the token."""
    with served.client(host=host) as client:
        for path in ("/healthz", "/api/flows", "/nothing"):
            assert client.get(path).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
    ],
)
def test_another_site_is_refused_even_with_the_token(served: Served, headers: dict[str, str]) -> None:
    """Also a page of another port of this host."""
    with served.client(**headers) as client:
        for path in ("/api/flows", "/", "/api/live"):
            assert client.get(path).status_code == 403


def test_a_link_followed_from_another_site_still_signs_in(served: Served) -> None:
    """A chat in the browser, in which someone pasted it to himself."""
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    with served.bare(**headers) as client:
        assert client.get("/", params={"token": TOKEN}).status_code == 303
        assert client.get("/api/flows").status_code == 403


def test_our_own_page_may_ask(served: Served) -> None:
    """As a browser marks it."""
    with served.client(origin=served.url, **{"sec-fetch-site": "same-origin"}) as client:
        assert client.get("/api/flows").status_code == 200


def test_nothing_is_changed_through_the_page(served: Served) -> None:
    """It only reads; what can be changed needs the token itself."""
    with served.client() as client:
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            assert client.request(method, "/api/flows").status_code == 405
        for path in WRITES:
            for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"):
                assert client.request(method, path).status_code == 405
    with served.bare() as client:
        client.get("/", params={"token": TOKEN})
        assert client.get("/api/flows").status_code == 200
        assert client.post("/api/providers", json={"base_url": "https://relay.example/v1"}).status_code == 401


def test_a_base_url_is_adopted(served: Served) -> None:
    """And its path on the gateway is given."""
    answer = adopt(served, {"base_url": "https://relay.example/v1"})
    assert (answer.status_code, answer.json()) == (200, {"base_path": "/relay.example/v1"})


def test_an_address_that_cannot_be_adopted_is_refused_and_not_repeated(served: Served) -> None:
    answer = adopt(served, {"base_url": "https://me:hunter2@relay.example/v1"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "cannot_adopt")
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("body", [[], {}, "x", {"base_url": 1}, {"base_url": "https://relay.example/v1", "more": 1}])
def test_another_body_is_told_what_is_expected(served: Served, body: object) -> None:
    answer = adopt(served, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_body")


def test_what_is_no_json_or_too_long_is_refused(served: Served) -> None:
    """A form of another site can send plain text without asking; JSON it cannot."""
    with served.client() as client:
        assert client.post("/api/providers", content=b'{"base_url": "https://relay.example/v1"}').status_code == 415
        json = {"content-type": "application/json; charset=utf-8"}
        assert client.post("/api/providers", content=b"{", headers=json).status_code == 400
        assert client.post("/api/providers", content=b" " * 4_097, headers=json).status_code == 413


@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example"}, {"sec-fetch-site": "same-site"}, {"host": "evil.example"}]
)
def test_another_site_adopts_nothing_even_with_the_token(served: Served, headers: dict[str, str]) -> None:
    assert adopt(served, {"base_url": "https://relay.example/v1"}, **headers).status_code in {403, 421}


def test_every_answer_carries_the_strict_headers_and_no_cors(served: Served) -> None:
    """Good ones and refusals alike."""
    with served.client() as client:
        for answer in (
            client.get("/"),
            client.get("/api/flows"),
            client.get("/nope"),
            client.get("/", headers={"host": "x"}),
        ):
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert not [name for name in answer.headers if name.startswith("access-control")]


def test_the_page_needs_nothing_from_elsewhere(served: Served) -> None:
    """No build step, no other host, nothing inline."""
    with served.client() as client:
        html = client.get("/").text
        files = re.findall(r'(?:src|href)="([^"#]+)"', html)
        assert all(file.startswith("/static/") or file == "/trust" for file in files)
        assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=", html)
        for path in (path for path in paths(served) if path.startswith("/static/")):
            answer = client.get(path)
            assert answer.status_code == 200
            assert "innerHTML" not in answer.text
            assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", answer.text)


def test_flows_come_in_pages_newest_first(served: Served) -> None:
    """The cursor of one page begins the next."""
    ids = [run_one(served.recorder) for _ in range(5)]
    with served.client() as client:
        first = client.get("/api/flows", params={"limit": 3}).json()
        second = client.get("/api/flows", params={"limit": 3, "cursor": first["next_cursor"]}).json()
    assert [flow["id"] for flow in first["flows"] + second["flows"]] == ids[::-1]
    assert second["next_cursor"] is None


def test_filters_work_and_one_flow_has_its_body(served: Served) -> None:
    """As the page and the command line ask."""
    run_one(served.recorder)
    failed = fail_one(served)
    with served.client() as client:
        for query in (
            {"cause": "rate_limit.*"},
            {"status": "4xx"},
            {"fault": "caller"},
            {"q": "tokens minute"},
            {"cause": "*"},
        ):
            flows = client.get("/api/flows", params=query).json()["flows"]
            assert [flow["id"] for flow in flows] == [failed], query
        assert not client.get("/api/flows", params={"since": "1h", "cause": "*"}).json()["flows"]
        assert client.get(f"/api/flows/{failed}").json()["body"] == "why"
        missing = client.get("/api/flows/nope")
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "no_such_flow")


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"status": "6xx"}, "status"),
        ({"cause": "A B"}, "cause"),
        ({"limit": "many"}, "limit"),
        ({"limit": "0"}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"since": "once"}, "since"),
        ({"colour": "red"}, "colour"),
        ({"q": "x" * 300}, "q"),
    ],
)
def test_a_bad_value_is_named(served: Served, query: dict[str, str], told: str) -> None:
    """400, which one, and what is expected."""
    with served.client() as client:
        answer = client.get("/api/flows", params=query)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith(told)


def test_health_says_all_and_the_open_paths_say_their_state_only(served: Served) -> None:
    """While draining, readiness is gone; the process is alive all the same."""
    with served.client() as client:
        health = client.get("/api/health").json()
        assert health["log"]["dropped"] == 0
        assert health["version"] == "0.0-test"
        assert health["tasks"] == 7, "what it holds is told, too"
        assert client.get("/readyz").status_code == 200
        served.health["state"] = "draining"
        ready, alive = client.get("/readyz"), client.get("/healthz")
    assert (ready.status_code, ready.json()) == (503, {"state": "draining", "degraded": []})
    assert (alive.status_code, alive.json()) == (200, {"state": "draining"})


def events(answer: httpx2.Response, count: int, name: str = "") -> list[tuple[str, str, dict[str, object]]]:
    """Read events until there are enough of a name."""
    found = []
    for event in httpx2.EventSource(answer):
        value = event.json()
        assert isinstance(value, dict)
        found.append((event.event, event.id, value))
        if len([one for one in found if not name or one[0] == name]) >= count:
            break
    return found


def test_the_live_feed_shows_a_call_from_beginning_to_end(served: Served) -> None:
    """Running, then over, within a second."""
    with served.client() as client, client.stream("GET", "/api/live") as answer:
        call = a_call()
        live = a_live(call)
        served.recorder.opened(live)
        [*_, (_, _, first)] = events(answer, 1, "flow")
        assert (first["id"], first["state"]) == (call.id, "connecting")
        served.recorder.closed(live, a_concluded(call))
    with served.client() as client, client.stream("GET", "/api/live") as answer:
        run_one(served.recorder)
        [*_, (_, _, last)] = events(answer, 1, "flow")
        assert last["state"] == "done"


def test_a_feed_resumes_where_it_was_cut(served: Served) -> None:
    """What ended meanwhile is told, once."""
    with served.client() as client, client.stream("GET", "/api/live") as answer:
        run_one(served.recorder)
        last = events(answer, 1, "flow")[-1][1]
    meanwhile = [run_one(served.recorder) for _ in range(3)]
    until(lambda: served.recorder.health()["queued"] == 0)
    with served.client(**{"last-event-id": last}) as client, client.stream("GET", "/api/live") as answer:
        told = [value["id"] for name, _, value in events(answer, 3, "flow") if name == "flow"]
    assert told == meanwhile


def test_a_feed_that_is_too_far_behind_is_told_so(served: Served) -> None:
    """The id is from before a restart: the page has to ask for everything."""
    with served.client(**{"last-event-id": "17"}) as client, client.stream("GET", "/api/live") as answer:
        assert events(answer, 1)[0][0] == "gap"


def test_health_changes_are_pushed(served: Served) -> None:
    """The banner appears without being asked for."""
    with served.client() as client, client.stream("GET", "/api/live") as answer:
        stream = httpx2.EventSource(answer)
        served.health["state"] = "draining"
        for event in stream:
            value = event.json()
            if event.event == "health" and isinstance(value, dict) and value["state"] == "draining":
                break


@pytest.mark.parametrize(
    ("span", "buckets", "seconds"), [("1h", 60, 60), ("6h", 72, 300), ("24h", 72, 1200), ("", 60, 60)]
)
def test_the_overview_counts_failures_over_time(served: Served, span: str, buckets: int, seconds: int) -> None:
    served.recorder.recorded(a_row(1, started_at=utc_text(EPOCH), cause="quota.exhausted", host="api.openai.com"))
    until(lambda: served.recorder.health()["written"] == 1)
    with served.client() as client:
        told = client.get("/api/overview", params={"span": span}).json()
    assert (told["span"], len(told["buckets"]), told["bucket_seconds"]) == (span or "1h", buckets, seconds)
    assert told["buckets"][-1]["causes"] == {"quota.exhausted": 1}


@pytest.mark.parametrize("query", ["span=2h", "since=1h", "span=1h&x=1"])
def test_an_overview_of_another_kind_is_refused(served: Served, query: str) -> None:
    with served.client() as client:
        answer = client.get(f"/api/overview?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_query")


def test_a_call_can_be_asked_again_by_hand_without_its_key(served: Served) -> None:
    flow_id = fail_one(served)
    with served.client() as client:
        told = client.get(f"/api/flows/{flow_id}/again").json()
        missing = client.get("/api/flows/nobody/again")
    assert '"authorization: Bearer $OPENAI_API_KEY"' in told["curl"]
    assert "openai.OpenAI" in told["python"]
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "no_such_flow")
