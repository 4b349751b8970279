"""What stands around a failure where people copy it from: prompts, logs, containers, chats."""

import json

import pytest

from gateway.explain.paste import read
from gateway.explain.seen import Seen
from tests.gateway.explain.test_http import ENVELOPE, VERBOSE

RAISED = "openai.RateLimitError: Error code: 429 - {'error': {'message': 'slow', 'code': 'rate_limit_exceeded'}}"
BODY = {"error": {"message": "slow", "code": "rate_limit_exceeded"}}
TRACEBACK = f'Traceback (most recent call last):\n  File "/a.py", line 1, in <module>\n    f()\n{RAISED}'


def one(text: str) -> Seen:
    (seen,) = read(text)
    return seen


def test_the_command_of_curl_above_an_answer_tells_the_request() -> None:
    seen = one(
        '$ curl https://api.openai.com/v1/chat/completions \\\n  -H "Content-Type: application/json" \\\n'
        '  -H \'Authorization: Bearer sk-abcdefghijkl\' \\\n  -d \'{\n    "model": "gpt-4o",\n    "messages": []\n  }\'\n'
        + ENVELOPE
    )
    assert (seen.method, seen.url, seen.model) == ("POST", "https://api.openai.com/v1/chat/completions", "gpt-4o")
    assert seen.request_headers == (("content-type", "application/json"), ("authorization", "Bearer [redacted]"))
    assert json.loads(seen.request_body) == {"model": "gpt-4o", "messages": []}
    assert (seen.body, seen.status, seen.exception) == (ENVELOPE, None, "")


def test_the_command_of_curl_above_its_notes_adds_what_those_leave_out() -> None:
    seen = one(f'curl -v https://api.openai.com/v1/chat/completions -d \'{{"model":"gpt-4o"}}\'\n{VERBOSE}')
    assert (seen.status, seen.model, seen.dns_answers[0]) == (401, "gpt-4o", "162.159.140.245")


def test_a_command_of_curl_alone_is_the_request_that_it_makes() -> None:
    assert one("curl -X DELETE 'https://api.openai.com/v1/files/x'") == Seen(
        method="DELETE", url="https://api.openai.com/v1/files/x"
    )


@pytest.mark.parametrize(
    "text",
    ["curl says HTTP 429", "curl fails with 429 Too Many Requests", "curl: (22) The requested URL returned error: 429"],
)
def test_words_about_curl_are_no_command(text: str) -> None:
    assert one(text).status == 429


@pytest.mark.parametrize(
    "prefix", ["app-1  | ", "2026-05-01T12:00:00.1234567Z ", "2026-05-01T12:00:00.1234567Z stderr F ", "> "]
)
def test_what_stands_before_every_line_is_taken_off(prefix: str) -> None:
    seen = one("\n".join(prefix + line for line in TRACEBACK.split("\n")))
    assert seen == one(TRACEBACK)
    assert seen.status == 429


def test_colours_of_a_terminal_are_taken_off() -> None:
    assert one(f"\x1b[31m{RAISED}\x1b[0m") == one(RAISED)


def test_words_around_a_message_are_kept() -> None:
    seen = one(f"Since today I get this:\n\n{RAISED}\n\nYesterday it worked.")
    assert seen.status == 429
    assert json.loads(seen.body) == BODY
    assert seen.exception.startswith("Since today")


def test_a_part_of_an_exception_group_is_read() -> None:
    seen = one(
        '  + Exception Group Traceback (most recent call last):\n  |   File "/a.py", line 1, in <module>\n  |     f()\n'
        "  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)\n  +-+---------------- 1 ----------------\n"
        f'    | Traceback (most recent call last):\n    |   File "/b.py", line 3, in g\n    |     h()\n    | {RAISED}\n    +------------------------------------'
    )
    assert seen.status == 429
    assert json.loads(seen.body) == BODY


def test_a_log_line_of_python_written_as_json_is_read() -> None:
    seen = one(json.dumps({"levelname": "ERROR", "message": "call failed", "exc_info": TRACEBACK}))
    assert seen.status == 429
    assert json.loads(seen.body) == BODY


def test_a_log_line_of_pino_is_read() -> None:
    error = {
        "type": "RateLimitError",
        "message": "429 slow",
        "stack": "RateLimitError: 429 slow\n    at f (x.js:1:1)",
        "status": 429,
        "headers": {"retry-after": "3"},
        "error": BODY["error"],
    }
    seen = one(json.dumps({"level": 50, "time": 1, "msg": "failed", "err": error}))
    assert (seen.status, seen.headers) == (429, (("retry-after", "3"),))
    assert json.loads(seen.body) == BODY


def test_of_several_log_lines_those_that_tell_of_a_failure_are_read() -> None:
    lines = [
        {"level": "info", "msg": "start"},
        {"level": "error", "msg": RAISED},
        {"level": 30, "msg": "x"},
        {"level": "error", "msg": "HTTP 503"},
    ]
    assert [seen.status for seen in read("\n".join(map(json.dumps, lines)))] == [429, 503]


def test_a_line_of_a_batchs_result_is_read() -> None:
    seen = one(
        json.dumps(
            {"id": "batch_req_1", "custom_id": "1", "response": {"status_code": 400, "body": BODY}, "error": None}
        )
    )
    assert seen.status == 400
    assert json.loads(seen.body) == BODY


def test_the_response_that_botocore_keeps_is_read() -> None:
    seen = one(
        repr(
            {
                "Error": {"Message": "Too many tokens", "Code": "ThrottlingException"},
                "ResponseMetadata": {"HTTPStatusCode": 429, "HTTPHeaders": {"x-amzn-errortype": "T"}},
            }
        )
    )
    assert (seen.status, seen.headers) == (429, (("x-amzn-errortype", "T"),))
    assert json.loads(seen.body) == {"Error": {"Message": "Too many tokens", "Code": "ThrottlingException"}}


@pytest.mark.parametrize(
    "body",
    [
        {"type": "about:blank", "title": "Bad", "status": 400, "detail": "no"},
        {"timestamp": "x", "status": 404, "error": "Not Found", "path": "/v1"},
        {"status": 429, "message": "slow"},
        {"type": "response.failed", "response": {"status": "failed", "error": {"code": "server_error"}}},
    ],
)
def test_a_body_that_repeats_its_status_is_a_body(body: dict[str, object]) -> None:
    assert one(json.dumps(body)) == Seen(body=json.dumps(body))


def test_an_error_of_bun_is_read_without_braces_around_it() -> None:
    seen = one(
        'error: 429 slow\n   status: 429,\n headers: {\n  "retry-after": "3",\n},\n   error: {\n  message: "slow",\n'
        '  code: "rate_limit_exceeded",\n},\n\n      at generate (/app/error.mjs:63:20)'
    )
    assert (seen.status, seen.headers) == (429, (("retry-after", "3"),))
    assert json.loads(seen.body) == BODY


def test_a_chain_whose_tracebacks_were_left_out_is_one_failure() -> None:
    seen = one(
        "httpx.ConnectError: [Errno 111] Connection refused\n\nThe above exception was the direct cause of the following exception:\n\n"
        "openai.APIConnectionError: Connection error."
    )
    assert seen.stage == "tcp"


def test_headers_that_the_log_of_openai_shows_are_read() -> None:
    seen = one(
        "DEBUG:openai._base_client:HTTP Response: POST https://api.openai.com/v1/x \"429 Too Many Requests\" Headers({'retry-after-ms': '300'})"
    )
    assert (seen.method, seen.status, seen.headers) == ("POST", 429, (("retry-after-ms", "300"),))


def test_a_failure_inside_a_chain_of_litellm_keeps_its_json() -> None:
    seen = one(f"litellm.NotFoundError: VertexAIException - {json.dumps(BODY, indent=2)}")
    assert json.loads(seen.body) == BODY


def test_bytes_that_litellm_prints_are_the_body() -> None:
    body = '{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}'
    assert json.loads(one(f"litellm.AuthenticationError: AnthropicException - b'{body}'").body) == json.loads(body)
