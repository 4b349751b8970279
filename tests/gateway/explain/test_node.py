"""Errors of JavaScript, as Node prints them with all that hangs on them, are read in every SDK's way."""

import json

from tests.gateway.explain.test_clients import error_of, one

NODE = """\
node:internal/process/promises:288
            triggerUncaughtException(err, true /* fromPromise */);
            ^

RateLimitError: 429 You exceeded your current quota, please check your plan.
    at APIError.generate (file:///app/node_modules/openai/core/error.mjs:63:20)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5) {
  status: 429,
  headers: Headers {
    'content-type': 'application/json',
    'retry-after': '3',
    'set-cookie': '__cf_bm=abcdefghijklmnop'
  },
  requestID: 'req_1',
  error: {
    message: "You exceeded your current quota, it's over.",
    type: 'insufficient_quota',
    param: null,
    code: 'insufficient_quota'
  },
  code: 'insufficient_quota',
  param: null,
  type: 'insufficient_quota'
}

Node.js v20.20.2"""

VERCEL = """\
AI_APICallError: You exceeded
    at file:///app/index.mjs:9:10 {
  cause: undefined,
  url: 'https://api.openai.com/v1/responses',
  requestBodyValues: { model: 'gpt-4o', input: [ [Object] ] },
  statusCode: 429,
  responseHeaders: { 'content-type': 'application/json', 'retry-after': '1' },
  responseBody: '{\\n' +
    '    "error": {\\n' +
    '        "message": "You exceeded",\\n' +
    '        "type": "insufficient_quota"\\n' +
    '    }\\n' +
    '}\\n',
  isRetryable: true,
  data: { error: { message: 'You exceeded' } },
  [Symbol(vercel.ai.error)]: true
}"""

AXIOS = """\
AxiosError: Request failed with status code 401
    at settle (/app/node_modules/axios/lib/core/settle.js:19:12) {
  code: 'ERR_BAD_REQUEST',
  config: {
    transitional: { silentJSONParsing: true },
    adapter: [ 'xhr', 'http' ],
    transformRequest: [ [Function: transformRequest] ],
    headers: Object [AxiosHeaders] {
      Accept: 'application/json',
      Authorization: 'Bearer sk-abcdefghijklmnop',
      'Content-Type': 'application/json'
    },
    baseURL: 'https://api.openai.com/v1',
    method: 'post',
    url: '/chat/completions',
    data: '{"model":"gpt-4o","messages":[]}'
  },
  request: <ref *1> ClientRequest {
    _events: [Object: null prototype] { error: [Function (anonymous)] },
    path: '/v1/chat/completions'
  },
  response: {
    status: 401,
    statusText: 'Unauthorized',
    headers: Object [AxiosHeaders] { 'content-type': 'application/json', 'x-request-id': 'req_7' },
    data: { error: { message: 'Incorrect API key provided', code: 'invalid_api_key' } }
  },
  status: 401
}"""


def test_the_dump_of_an_error_of_openai_for_node_is_read() -> None:
    seen = one(NODE)
    assert (seen.status, seen.stage) == (429, "http")
    assert error_of(seen)["code"] == "insufficient_quota"
    assert ("retry-after", "3") in seen.headers
    assert ("set-cookie", "[redacted]") in seen.headers
    assert "abcdefghijklmnop" not in seen.exception


def test_the_dump_of_the_vercel_sdk_is_read() -> None:
    seen = one(VERCEL)
    assert (seen.status, seen.url, seen.model) == (429, "https://api.openai.com/v1/responses", "gpt-4o")
    assert error_of(seen)["type"] == "insufficient_quota"
    assert ("retry-after", "1") in seen.headers


def test_retries_of_the_vercel_sdk_are_one_failure() -> None:
    indented = VERCEL.replace("\n", "\n  ")
    text = (
        "Error [AI_RetryError]: Failed after 3 attempts. Last error: You exceeded\n    at file:///x.mjs:1:1 {\n"
        f"  reason: 'maxRetriesExceeded',\n  errors: [\n    {indented}\n  ],\n  lastError: {indented}\n}}"
    )
    seen = one(text)
    assert (seen.status, seen.url) == (429, "https://api.openai.com/v1/responses")


def test_the_dump_of_axios_is_read() -> None:
    seen = one(AXIOS)
    assert (seen.status, seen.method, seen.url) == (401, "POST", "https://api.openai.com/v1/chat/completions")
    assert error_of(seen)["code"] == "invalid_api_key"
    assert ("authorization", "Bearer [redacted]") in seen.request_headers
    assert seen.model == "gpt-4o"


def test_an_error_of_axios_written_as_json_is_read() -> None:
    seen = one(json.dumps({
        "message": "Request failed with status code 401", "name": "AxiosError", "code": "ERR_BAD_REQUEST", "status": 401,
        "config": {"url": "https://api.openai.com/v1/models", "method": "get", "headers": {"x-api-key": "abcdefghij"}},
    }))  # fmt: skip
    assert (seen.status, seen.method, seen.url) == (401, "GET", "https://api.openai.com/v1/models")
    assert ("x-api-key", "[redacted]") in seen.request_headers


def test_the_json_in_the_message_of_anthropic_for_node_is_the_body() -> None:
    body = '{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: Field required"}}'
    seen = one(
        f"BadRequestError: 400 {body}\n    at APIError.generate (file:///x.mjs:45:20) {{\n  status: 400,\n  headers: {{}}\n}}"
    )
    assert (seen.status, seen.body) == (400, body)


def test_the_cause_of_a_failed_fetch_is_kept() -> None:
    seen = one(
        "TypeError: fetch failed\n    at node:internal/deps/undici/undici:12502:13 {\n"
        "  [cause]: Error: connect ETIMEDOUT 1.2.3.4:443\n      at TCPConnectWrap.afterConnect (node:net:1555:16) {\n"
        "    errno: -110,\n    code: 'ETIMEDOUT',\n    syscall: 'connect',\n    address: '1.2.3.4',\n    port: 443\n  }\n}"
    )
    assert seen.stage == "tcp"
    assert seen.status is None
    assert "connect ETIMEDOUT 1.2.3.4:443" in seen.exception
    assert seen.body == ""
