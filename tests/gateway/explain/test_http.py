"""Answers of HTTP in every form in which people have them: HAR files, raw text, what curl prints, bare bodies."""

import base64
import json

import pytest

from gateway.explain.paste import read
from gateway.explain.seen import Seen

ENVELOPE = '{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","code":"invalid_api_key"}}'


def one(text: str) -> Seen:
    (seen,) = read(text)
    return seen


def har(*entries: object) -> str:
    return json.dumps({"log": {"version": "1.2", "creator": {"name": "WebInspector"}, "entries": entries}})


def entry(status: int, text: str = "", **more: object) -> dict[str, object]:
    return {
        "request": {
            "method": "POST",
            "url": "https://user:pass@api.openai.com/v1/chat/completions?key=AbCdEfGhIj",
            "headers": [
                {"name": ":path", "value": "/v1"},
                {"name": "Authorization", "value": "Bearer sk-abcdefghijkl"},
            ],
            "postData": {"mimeType": "application/json", "text": '{"model":"gpt-4o","messages":[]}'},
        },
        "response": {
            "status": status,
            "headers": [{"name": "Retry-After", "value": "2"}],
            "content": {"mimeType": "application/json", "text": text},
            "redirectURL": "",
            **more,
        },
    }


def test_of_a_har_the_failures_are_read() -> None:
    first, second = read(
        har(entry(200, '{"id":"x","error":null}'), entry(401, ENVELOPE), entry(0, _error="net::ERR_NAME_NOT_RESOLVED"))
    )
    assert (first.status, first.method, first.model, first.body) == (401, "POST", "gpt-4o", ENVELOPE)
    assert first.url == "https://api.openai.com/v1/chat/completions?key=[redacted]"
    assert first.request_headers == (("authorization", "Bearer [redacted]"),)
    assert first.headers == (("retry-after", "2"),)
    assert first.request_body == '{"model":"gpt-4o","messages":[]}'
    assert (second.status, second.stage, second.exception) == (None, "dns", "net::ERR_NAME_NOT_RESOLVED")


def test_of_a_har_of_successes_nothing_is_read() -> None:
    assert read(har(entry(200, "{}"), entry(304))) == ()


@pytest.mark.parametrize(
    "text",
    [
        ENVELOPE,
        'event: message_start\ndata: {"type":"message_start"}\n\nevent: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n',
        'data: {"type":"response.failed","response":{"error":{"code":"server_error"}}}\n\n',
    ],
)
def test_a_success_that_tells_of_an_error_is_a_failure(text: str) -> None:
    seen = one(har(entry(200, text)))
    assert (seen.status, seen.body.strip()) == (200, text.strip())


def test_packed_content_of_a_har_is_unpacked() -> None:
    packed = base64.b64encode(ENVELOPE.encode()).decode()
    broken = entry(500, content={"encoding": "base64", "text": packed, "mimeType": "application/json"})
    assert one(har(broken)).body == ENVELOPE


@pytest.mark.parametrize(
    "entries", [[None], [{}], [{"request": 1, "response": []}], [{"response": {"status": "x", "headers": [1]}}]]
)
def test_a_har_with_anything_in_it_is_read(entries: list[object]) -> None:
    read(har(*entries))


ANSWER = f"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nRetry-After: 20\r\nSet-Cookie: a=secretsecret\r\n\r\n{ENVELOPE}\r\n"


def test_a_raw_answer_is_read() -> None:
    seen = one(ANSWER)
    assert (seen.status, seen.stage, seen.body) == (429, "http", ENVELOPE)
    assert seen.headers == (("content-type", "application/json"), ("retry-after", "20"), ("set-cookie", "[redacted]"))


@pytest.mark.parametrize("head", ["HTTP/2 429", "HTTP/2 429 ", "HTTP/1.0 429 Too Many Requests", "HTTP/3 429"])
def test_a_head_alone_is_read(head: str) -> None:
    seen = one(f"{head}\nretry-after: 1")
    assert (seen.status, seen.headers, seen.body) == (429, (("retry-after", "1"),), "")


def test_request_and_answer_one_after_the_other_are_one_call() -> None:
    seen = one(
        "POST /v1/messages?beta=true HTTP/1.1\nHost: api.anthropic.com\nx-api-key: abcdefghijkl\nContent-Type: application/json\n\n"
        f'{{"model":"claude-x"}}\n\n{ANSWER.replace("Incorrect", "abcdefghijkl")}'
    )
    assert (seen.method, seen.url, seen.model) == (
        "POST",
        "https://api.anthropic.com/v1/messages?beta=true",
        "claude-x",
    )
    assert seen.request_body == '{"model":"claude-x"}'
    assert ("x-api-key", "[redacted]") in seen.request_headers
    assert seen.status == 429
    assert "abcdefghijkl" not in repr(seen)


@pytest.mark.parametrize("newline", ["\r\n", "\n"])
def test_the_framing_of_chunks_is_taken_off(newline: str) -> None:
    chunks = newline.join(
        (f"{len(ENVELOPE[:20]):x}", ENVELOPE[:20], f"{len(ENVELOPE[20:]):X}", ENVELOPE[20:], "0", "", "")
    )
    assert (
        one(f"HTTP/1.1 401 Unauthorized{newline}Transfer-Encoding: chunked{newline}{newline}{chunks}").body == ENVELOPE
    )


def test_a_chunked_answer_whose_framing_is_gone_already_is_kept() -> None:
    assert one(f"HTTP/1.1 401 Unauthorized\nTransfer-Encoding: chunked\n\n{ENVELOPE}").body == ENVELOPE


def test_chunks_that_were_cut_are_given_as_far_as_they_go() -> None:
    assert one(f"HTTP/1.1 401 Unauthorized\nTransfer-Encoding: chunked\n\nff\n{ENVELOPE}").body == ENVELOPE


def test_of_redirects_the_last_answer_counts() -> None:
    seen = one(f"HTTP/1.1 301 Moved Permanently\nLocation: https://b.example/\n\n{ANSWER}")
    assert (seen.status, seen.location) == (429, "")


def test_a_redirect_alone_tells_where_to() -> None:
    seen = one("HTTP/1.1 307 Temporary Redirect\nLocation: http://login.example/portal?token=abcdefgh\n")
    assert (seen.status, seen.location) == (307, "http://login.example/portal?token=[redacted]")


def test_two_answers_that_failed_are_two_failures() -> None:
    assert [seen.status for seen in read(f"{ANSWER}\n{ANSWER.replace('429', '503')}")] == [429, 503]


def test_what_curl_i_prints_after_its_command_is_read() -> None:
    seen = one(
        f"$ curl -i https://api.openai.com/v1/models\nHTTP/2 401 \ncontent-type: application/json\n\n{ENVELOPE}\ncurl: (18) transfer closed"
    )
    assert (seen.status, seen.body, seen.exception) == (401, ENVELOPE, "curl: (18) transfer closed")


VERBOSE = f"""\
* Host api.openai.com:443 was resolved.
* IPv6: (none)
* IPv4: 162.159.140.245, 172.66.0.243
*   Trying 162.159.140.245:443...
* Connected to api.openai.com (162.159.140.245) port 443
* ALPN: curl offers h2,http/1.1
* SSL connection using TLSv1.3 / TLS_AES_256_GCM_SHA384 / X25519 / id-ecPublicKey
* Server certificate:
*  subject: CN=api.openai.com
*  start date: May  1 00:00:00 2026 GMT
*  issuer: C=US; O=Google Trust Services; CN=WE1
*  SSL certificate verify ok.
* using HTTP/2
* [HTTP/2] [1] OPENED stream for https://api.openai.com/v1/chat/completions
> POST /v1/chat/completions HTTP/2
> Host: api.openai.com
> Authorization: Bearer sk-proj-abcdefghijklmnop
> Content-Type: application/json
>\x20
* upload completely sent off: 18 bytes
< HTTP/2 401\x20
< content-type: application/json
< x-request-id: req_1
<\x20
{ENVELOPE}
* Connection #0 to host api.openai.com left intact"""


def test_what_curl_v_prints_is_read() -> None:
    seen = one(VERBOSE)
    assert (seen.status, seen.stage, seen.method) == (401, "http", "POST")
    assert seen.url == "https://api.openai.com/v1/chat/completions"
    assert ("x-request-id", "req_1") in seen.headers
    assert seen.body == ENVELOPE
    assert seen.dns_answers == ("162.159.140.245", "172.66.0.243")
    assert seen.cert_issuer == "C=US; O=Google Trust Services; CN=WE1"
    assert seen.cert_subject == "CN=api.openai.com"
    assert "abcdefghijklmnop" not in repr(seen)
    assert seen.exception == ""


PROXY = """\
* Uses proxy env variable https_proxy == 'http://proxy.corp:3128'
*   Trying 10.0.0.1:3128...
* Connected to proxy.corp (10.0.0.1) port 3128
* Establish HTTP proxy tunnel to api.openai.com:443
> CONNECT api.openai.com:443 HTTP/1.1
> Host: api.openai.com:443
> Proxy-Authorization: Basic dXNlcjpwYXNz
>
< HTTP/1.1 {status}
< Proxy-Authenticate: Basic realm="x"
<
"""


def test_a_proxys_refusal_of_connect_is_the_proxys() -> None:
    seen = one(
        PROXY.format(status="407 Proxy Authentication Required") + "curl: (56) CONNECT tunnel failed, response 407"
    )
    assert (seen.stage, seen.status, seen.url, seen.method) == ("proxy", 407, "https://api.openai.com", "")
    assert ("proxy-authenticate", 'Basic realm="x"') in seen.headers
    assert "response 407" in seen.exception
    assert seen.dns_answers == ()
    assert "dXNlcjpwYXNz" not in repr(seen)


def test_a_proxys_consent_is_no_answer() -> None:
    text = PROXY.format(status="200 Connection established") + VERBOSE.partition("* using HTTP/2\n")[2]
    seen = one(text)
    assert (seen.stage, seen.status, seen.method) == ("http", 401, "POST")


def test_what_breaks_behind_a_proxys_consent_has_no_status() -> None:
    text = (
        PROXY.format(status="200 Connection established")
        + "* SSL certificate problem: self-signed certificate\ncurl: (60) SSL certificate problem: self-signed certificate"
    )
    seen = one(text)
    assert (seen.stage, seen.status) == ("tls", None)


def test_a_call_to_continue_is_no_answer() -> None:
    text = VERBOSE.replace("< HTTP/2 401", "< HTTP/1.1 100 Continue\n<\n< HTTP/2 401")
    assert one(text).status == 401


def test_of_redirects_that_curl_follows_the_last_request_and_answer_count() -> None:
    text = (
        "> GET /a HTTP/1.1\n> Host: a.example\n>\n< HTTP/1.1 302 Found\n< Location: https://b.example/b\n<\n<p>moved</p>\n"
        + VERBOSE
    )
    seen = one(text)
    assert (seen.status, seen.url, seen.body) == (401, "https://api.openai.com/v1/chat/completions", ENVELOPE)


@pytest.mark.parametrize(
    ("text", "stage", "url"),
    [
        (
            "* Could not resolve host: api.openai.com\n* Closing connection\ncurl: (6) Could not resolve host: api.openai.com",
            "dns",
            "https://api.openai.com",
        ),
        ("curl: (6) Could not resolve host: api.openai.com", "dns", "https://api.openai.com"),
        (
            "curl: (7) Failed to connect to api.openai.com port 443 after 3 ms: Couldn't connect to server",
            "tcp",
            "https://api.openai.com",
        ),
        (
            "*   Trying 1.2.3.4:443...\n* connect to 1.2.3.4 port 443 failed: Connection timed out\n* Failed to connect to api.openai.com port 443 after 130000 ms\ncurl: (28) Failed to connect to api.openai.com port 443",
            "tcp",
            "https://api.openai.com",
        ),
        ("curl: (60) SSL certificate problem: unable to get local issuer certificate", "tls", ""),
        ("curl: (56) Received HTTP code 403 from proxy after CONNECT", "proxy", ""),
    ],
)
def test_a_call_of_curl_without_an_answer_tells_its_stage(text: str, stage: str, url: str) -> None:
    seen = one(text)
    assert (seen.stage, seen.url) == (stage, url)
    assert "curl: (" in seen.exception


def test_the_meter_of_curl_is_no_part_of_anything() -> None:
    meter = "  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current\n                                 Dload  Upload   Total   Spent    Left  Speed\n  0     0    0     0    0     0      0      0 --:--:-- --:--:-- --:--:--     0"
    seen = one(f"{meter}*   Trying 1.2.3.4:443...\n{VERBOSE}")
    assert seen.body == ENVELOPE
    assert "1.2.3.4" in seen.dns_answers


def test_a_list_of_points_is_not_taken_for_curl() -> None:
    assert one("* my call fails\n* it says HTTP 429").status == 429


@pytest.mark.parametrize(
    "text",
    [
        ENVELOPE,
        json.dumps(json.loads(ENVELOPE), indent=2),
        f"[{ENVELOPE}]",
        "<html><body>403 Forbidden</body></html>",
        f"event: error\ndata: {ENVELOPE}",
        f"data: {ENVELOPE}\n\ndata: [DONE]",
        ENVELOPE[:60],
    ],
)
def test_a_bare_answer_is_a_body_without_a_status(text: str) -> None:
    assert one(text) == Seen(body=text)


def test_an_answer_inside_a_json_string_is_taken_out() -> None:
    assert one(json.dumps(ENVELOPE)).body == ENVELOPE
    assert one(json.dumps(json.dumps(ENVELOPE))).body == ENVELOPE


def test_an_answer_between_fences_is_taken_out() -> None:
    assert one(f"```json\n{ENVELOPE}\n```").body == ENVELOPE


def test_a_bare_dictionary_of_python_becomes_json() -> None:
    assert json.loads(one(repr(json.loads(ENVELOPE) | {"n": None})).body) == json.loads(ENVELOPE) | {"n": None}


@pytest.mark.parametrize(
    "text", ["Internal Server Error", "upstream connect error or disconnect/reset before headers", "x\ny"]
)
def test_plain_words_are_a_clients(text: str) -> None:
    assert one(text) == Seen(exception=text)


@pytest.mark.parametrize("text", ["", "  \n", "```\n```", "\ufeff"])
def test_of_nothing_nothing_is_read(text: str) -> None:
    assert read(text) == ()


ROW = {
    "id": "01J", "seq": 3, "rev": 2, "state": "done", "method": "POST", "host": "api.openai.com", "path": "/v1/responses",
    "model": "gpt-4o", "status": 429, "cause": "insufficient_quota", "diagnosis": {"cause": "x"},
    "attempts": [{"n": 1, "phases": [], "status": 429, "failure": None}],
    "request_headers": [["content-type", "application/json"]], "response_headers": [["retry-after", "1"]], "body": ENVELOPE,
}  # fmt: skip


def test_a_row_of_the_own_log_is_read_without_its_verdict() -> None:
    seen = one(json.dumps(ROW))
    assert seen == Seen(
        id="01J", method="POST", url="https://api.openai.com/v1/responses", model="gpt-4o", stage="http", status=429,
        request_headers=(("content-type", "application/json"),), headers=(("retry-after", "1"),), body=ENVELOPE,
    )  # fmt: skip


def test_a_row_without_an_answer_tells_what_ended_its_last_attempt() -> None:
    failure = {"phase": "connect", "code": "connection_refused", "detail": "Connection refused", "sent": False}
    seen = one(
        json.dumps(
            ROW | {"status": None, "body": None, "response_headers": [], "attempts": [{"n": 1, "failure": failure}]}
        )
    )
    assert (seen.stage, seen.status, seen.exception) == ("tcp", None, "Connection refused")


def test_several_rows_are_several_failures() -> None:
    assert len(read(f"{json.dumps(ROW)}\n{json.dumps(ROW)}")) == 2
    assert len(read(json.dumps([ROW, ROW]))) == 2
