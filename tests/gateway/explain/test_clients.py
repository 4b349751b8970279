"""What the clients of every language print when a call fails is read, and nothing that they do not say."""

import json
import traceback

import anthropic
import httpx2
import openai
import pytest

from gateway.explain.paste import read
from gateway.explain.seen import Seen

QUOTA = {
    "error": {
        "message": 'You exceeded your current quota, it\'s "over".',
        "type": "insufficient_quota",
        "param": None,
        "code": "insufficient_quota",
    }
}


def one(text: str) -> Seen:
    (seen,) = read(text)
    return seen


def error_of(seen: Seen) -> dict[str, object]:
    error: dict[str, object] = json.loads(seen.body)["error"]
    return error


def raised_by_openai(answer: httpx2.Response) -> str:
    transport = httpx2.MockTransport(lambda _: answer)
    client = openai.OpenAI(
        api_key="sk-proj-abcdefghijklmnop", max_retries=0, http_client=httpx2.Client(transport=transport)
    )
    try:
        client.chat.completions.create(model="gpt-4o", messages=[])
    except openai.APIError:
        return traceback.format_exc()
    raise AssertionError


def raised_by_anthropic(answer: httpx2.Response) -> str:
    transport = httpx2.MockTransport(lambda _: answer)
    client = anthropic.Anthropic(
        api_key="sk-ant-abcdefghijklmnop", max_retries=0, http_client=httpx2.Client(transport=transport)
    )
    try:
        client.messages.create(model="claude-any", max_tokens=1, messages=[])
    except anthropic.APIError:
        return traceback.format_exc()
    raise AssertionError


def test_the_installed_sdk_of_openai_is_read() -> None:
    seen = one(raised_by_openai(httpx2.Response(429, json=QUOTA)))
    assert (seen.status, seen.stage) == (429, "http")
    assert "You exceeded your current quota" in seen.exception


def test_the_installed_sdk_of_openai_tells_the_status_of_a_page() -> None:
    seen = one(raised_by_openai(httpx2.Response(502, text="<html>\n<title>502 Bad Gateway</title></html>")))
    assert seen.status == 502


def test_the_installed_sdk_of_anthropic_is_read_with_its_body() -> None:
    envelope = {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "Your credit balance is too low"},
    }
    seen = one(raised_by_anthropic(httpx2.Response(400, json=envelope)))
    assert seen.status == 400
    assert json.loads(seen.body) == envelope


def test_a_dictionary_in_pythons_notation_becomes_json() -> None:
    seen = one(f"openai.RateLimitError: Error code: 429 - {QUOTA!r}")
    assert seen.status == 429
    assert json.loads(seen.body) == QUOTA


def test_a_chain_is_one_failure_with_its_deepest_cause() -> None:
    transport = httpx2.MockTransport(
        lambda _: (_ for _ in ()).throw(httpx2.ConnectError("[Errno 111] Connection refused"))
    )
    client = openai.OpenAI(api_key="sk-abcdefghijklmnop", max_retries=0, http_client=httpx2.Client(transport=transport))
    try:
        client.models.list()
    except openai.APIConnectionError:
        text = traceback.format_exc()
    seen = one(text)
    assert seen.stage == "tcp"
    assert seen.status is None
    assert "Connection refused" in seen.exception
    assert "openai.APIConnectionError: Connection error." in seen.exception


def test_of_a_long_chain_beginning_and_end_are_kept() -> None:
    frames = "".join(
        f'  File "/app/module_{n}.py", line {n}, in call_{n}\n    return call_{n + 1}()\n' for n in range(400)
    )
    text = (
        f"Traceback (most recent call last):\n{frames}socket.gaierror: [Errno -2] Name or service not known\n\n"
        "The above exception was the direct cause of the following exception:\n\n"
        f"Traceback (most recent call last):\n{frames}openai.APIConnectionError: Connection error."
    )
    seen = one(text)
    assert len(seen.exception) <= 8192
    assert "Name or service not known" in seen.exception
    assert seen.exception.endswith("Connection error.")


def test_source_lines_of_a_stack_say_nothing_about_the_failure() -> None:
    text = (
        'Traceback (most recent call last):\n  File "/app/x.py", line 3, in f\n'
        '    raise Retry("status code 503 for url: https://other.example/v1")\n'
        "    ^^^^^^^^^^^^^^^^^^^^^^^^\nopenai.AuthenticationError: Error code: 401 - {'error': {'message': 'no'}}"
    )
    seen = one(text)
    assert seen.status == 401
    assert seen.url == ""


STATUSES = {
    "openai v0": ("openai.error.RateLimitError: HTTP code 429 from API (Too many)", 429),
    "google-genai": (
        ("google.genai.errors.ClientError: 400 INVALID_ARGUMENT. {'error': {'code': 400, 'message': 'API key not valid.',"
        " 'status': 'INVALID_ARGUMENT'}}"),
        400,
    ),
    "google.api_core": ("google.api_core.exceptions.ResourceExhausted: 429 Resource has been exhausted (e.g. check quota).", 429),
    "groq": ("groq.RateLimitError: Error code: 429 - {'error': {'message': 'Rate limit', 'code': 'rate_limit_exceeded'}}", 429),
    "mistral": ('mistralai.models.sdkerror.SDKError: API error occurred: Status 429. Body: {"message":"Requests rate limit exceeded"}', 429),
    "litellm": ("litellm.RateLimitError: RateLimitError: OpenAIException - Error code: 429 - {'error': {'message': 'x'}}", 429),
    "requests": ("requests.exceptions.HTTPError: 429 Client Error: Too Many Requests for url: https://api.openai.com/v1/models", 429),
    "httpx": ("httpx.HTTPStatusError: Client error '401 Unauthorized' for url 'https://api.openai.com/v1/models'", 401),
    "aiohttp": ("aiohttp.client_exceptions.ClientResponseError: 429, message='Too Many Requests', url=URL('https://api.openai.com/v1/models')", 429),
    "cohere": ("cohere.errors.too_many_requests_error.TooManyRequestsError: status_code: 429, body: {'message': 'trial key'}", 429),
    "go-openai": ("error, status code: 429, status: 429 Too Many Requests, message: You exceeded your current quota", 429),
    "openai-go": ('POST "https://api.openai.com/v1/chat/completions": 401 Unauthorized {"message":"Incorrect API key"}', 401),
    "java": ("java.io.IOException: Server returned HTTP response code: 403 for URL: https://api.openai.com/v1/models", 403),
    "spring": ('org.springframework.web.client.HttpClientErrorException$TooManyRequests: 429 Too Many Requests: "{"error":{}}"', 429),
    "openai-java": ("com.openai.errors.RateLimitException: 429: You exceeded your current quota", 429),
    "dotnet": ("System.Net.Http.HttpRequestException: Response status code does not indicate success: 429 (Too Many Requests).", 429),
    "openai-dotnet": ("System.ClientModel.ClientResultException: HTTP 401 (invalid_request_error: invalid_api_key)", 401),
    "azure-dotnet": ("Azure.RequestFailedException: Too many\nStatus: 429 (Too Many Requests)\n\nContent:\n{}", 429),
    "faraday": ("the server responded with status 429 (Faraday::TooManyRequestsError)", 429),
    "guzzle": ("GuzzleHttp\\Exception\\ClientException: Client error: `POST https://api.openai.com/v1/x` resulted in a `429 Too Many Requests` response:", 429),
    "reqwest": ("HTTP status client error (401 Unauthorized) for url (https://api.openai.com/v1/models)", 401),
    "urllib": ("urllib.error.HTTPError: HTTP Error 404: Not Found", 404),
    "axios": ("AxiosError: Request failed with status code 401", 401),
    "curl -f": ("curl: (22) The requested URL returned error: 401", 401),
    "log": ('INFO:httpx:HTTP Request: POST https://api.openai.com/v1/responses "HTTP/1.1 429 Too Many Requests"', 429),
    "prose 403": ("my call fails with HTTP 403", 403),
    "prose 502": ("The gateway returned 502 after a while", 502),
    "prose 503": ("Service failed (Status: 503)", 503),
    "prose 429": ("I get 429 Too Many Requests from OpenAI", 429),
    "claude code": ('API Error: 529 {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', 529),
}  # fmt: skip


@pytest.mark.parametrize("name", STATUSES)
def test_the_status_in_the_words_is_read(name: str) -> None:
    text, status = STATUSES[name]
    assert one(text).status == status


@pytest.mark.parametrize(
    "text",
    [
        "botocore.exceptions.ClientError: An error occurred (ThrottlingException) when calling the InvokeModel operation",
        "httpx.ReadTimeout: timed out after 500 ms",
        "It returned 503 once and then it returned 429",
        "Limit 30000, Used 29500, Requested 429. Please try again in 1.401s",
        "TimeoutError: 500 ms",
        "connect ECONNREFUSED 127.0.0.1:443",
    ],
)
def test_a_number_that_is_no_status_or_one_of_several_is_left_alone(text: str) -> None:
    assert one(text).status is None


URLS = {
    "requests.exceptions.HTTPError: 429 Client Error: x for url: https://api.openai.com/v1/models": "https://api.openai.com/v1/models",
    "httpx.HTTPStatusError: Client error '401 Unauthorized' for url 'https://h.example/v1?key=AbCdEfGh123'\nFor more information check: https://developer.mozilla.org/x": "https://h.example/v1?key=[redacted]",
    "ClientResponseError: 429, message='Too', url=URL('https://api.openai.com/v1/models')": "https://api.openai.com/v1/models",
    'Post "https://api.openai.com/v1/chat/completions": EOF': "https://api.openai.com/v1/chat/completions",
    "HTTPSConnectionPool(host='api.openai.com', port=443): Max retries exceeded with url: /v1/models (Caused by X)": "https://api.openai.com/v1/models",
    "HTTPConnectionPool(host='localhost', port=11434): Read timed out.": "http://localhost:11434",
    "Cannot connect to host api.openai.com:443 ssl:default [Name or service not known]": "https://api.openai.com",
    "Error: getaddrinfo ENOTFOUND api.openai.com": "https://api.openai.com",
    "java.net.UnknownHostException: api.openai.com": "https://api.openai.com",
    "error sending request for url (https://api.openai.com/v1/models): dns error": "https://api.openai.com/v1/models",
    'botocore.exceptions.EndpointConnectionError: Could not connect to the endpoint URL: "https://bedrock.example/x"': "https://bedrock.example/x",
    "Failed to open TCP connection to api.openai.com:443 (getaddrinfo: Name or service not known) (Socket::ResolutionError)": "https://api.openai.com",
    "cURL error 60: SSL certificate problem: unable to get local issuer certificate (see https://curl.haxx.se/libcurl/c/libcurl-errors.html) for https://api.openai.com/v1/x": "https://api.openai.com/v1/x",
    "You exceeded your quota. See https://platform.openai.com/docs/guides/error-codes": "",
}


@pytest.mark.parametrize("text", URLS)
def test_the_address_in_the_words_is_read_and_that_of_a_manual_is_not(text: str) -> None:
    assert one(text).url == URLS[text]


STAGES = {
    "httpx.ConnectError: [Errno -2] Name or service not known": "dns",
    'Post "https://api.openai.com/v1/x": dial tcp: lookup api.openai.com: no such host': "dns",
    "TypeError: fetch failed\n  [cause]: Error: getaddrinfo EAI_AGAIN api.openai.com": "dns",
    "System.Net.Http.HttpRequestException: No such host is known. (api.openai.com:443)": "dns",
    "httpx.ConnectError: [Errno 111] Connection refused": "tcp",
    "Error: connect ETIMEDOUT 1.2.3.4:443": "tcp",
    "httpx.ConnectError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate": "tls",
    'Post "https://api.openai.com": tls: failed to verify certificate: x509: certificate signed by unknown authority': "tls",
    "javax.net.ssl.SSLHandshakeException: PKIX path building failed": "tls",
    "cURL error 60: SSL certificate problem: unable to get local issuer certificate": "tls",
    "requests.exceptions.ProxyError: HTTPSConnectionPool(host='api.openai.com', port=443): Max retries exceeded with url: /v1 (Caused by ProxyError('Unable to connect to proxy', NewConnectionError('Connection refused')))": "proxy",
    "OSError: Tunnel connection failed: 407 Proxy Authentication Required": "proxy",
    "proxyconnect tcp: dial tcp 10.0.0.1:3128: connect: connection refused": "proxy",
    "httpx.ReadTimeout: The read operation timed out": "http",
    "httpx.ConnectError: [Errno 104] Connection reset by peer": "",
    "openai.APITimeoutError: Request timed out.": "",
    "openai.RateLimitError: Error code: 429 - {'error': {'message': 'x'}}": "http",
}


@pytest.mark.parametrize("text", STAGES)
def test_the_stage_is_told_where_the_words_leave_no_doubt(text: str) -> None:
    assert one(text).stage == STAGES[text]


def test_a_proxys_refusal_keeps_its_status() -> None:
    seen = one("OSError: Tunnel connection failed: 407 Proxy Authentication Required")
    assert (seen.stage, seen.status) == ("proxy", 407)


def test_two_tracebacks_are_two_failures_each_with_the_lines_logged_before_it() -> None:
    text = "\n".join(
        f'INFO HTTP Request: POST https://{host}/v1 "HTTP/1.1 {status} X"\nTraceback (most recent call last):\n'
        f'  File "/a.py", line 1, in f\n    g()\nopenai.APIStatusError: Error code: {status} - {{}}'
        for host, status in (("one.example", 429), ("two.example", 500))
    )
    first, second = read(text)
    assert (first.status, first.url) == (429, "https://one.example/v1")
    assert (second.status, second.url) == (500, "https://two.example/v1")


def test_of_many_failures_the_first_twenty_are_read() -> None:
    found = read(
        "\n".join(f"openai.RateLimitError: Error code: 429 - {{'error': {{'message': '{n}'}}}}" for n in range(50))
    )
    assert len(found) == 20
    assert error_of(found[19])["message"] == "19"


def test_addresses_that_go_tried_are_the_names() -> None:
    seen = one('Post "https://api.openai.com/v1/x": dial tcp 10.1.2.3:443: connect: connection refused')
    assert (seen.method, seen.dns_answers) == ("POST", ("10.1.2.3",))


def test_the_parts_of_an_exception_of_azure_for_dotnet_are_read() -> None:
    seen = one(
        "Azure.RequestFailedException: Rate limit\nStatus: 429 (Too Many Requests)\nErrorCode: 429\n\nContent:\n"
        '{"error":{"code":"429","message":"Rate limit"}}\n\nHeaders:\nRetry-After: 5\nx-ms-region: East US\n\n'
        "   at Azure.Core.HttpPipelineExtensions.ProcessMessageAsync(HttpPipeline pipeline)"
    )
    assert seen.status == 429
    assert seen.headers == (("retry-after", "5"), ("x-ms-region", "East US"))
    assert error_of(seen)["code"] == "429"


def test_headers_that_cohere_prints_are_read() -> None:
    seen = one(
        "cohere.errors.TooManyRequestsError: headers: {'retry-after': '9'}, status_code: 429, body: {'message': 'trial'}"
    )
    assert seen.headers == (("retry-after", "9"),)
    assert json.loads(seen.body) == {"message": "trial"}


def test_a_page_in_the_words_is_the_body() -> None:
    seen = one("openai.APIError: HTTP code 502 from API (<html>\n<head><title>502 Bad Gateway</title></head></html>)")
    assert seen.status == 502
    assert seen.body.startswith("<html>")


def test_json_escaped_in_a_log_line_is_the_body() -> None:
    seen = one('ERROR call failed status=429 body="{\\"error\\":{\\"message\\":\\"slow down\\",\\"code\\":\\"x\\"}}"')
    assert seen.status == 429
    assert error_of(seen)["message"] == "slow down"


def test_what_ruby_prints_as_a_hash_is_the_body() -> None:
    seen = one('the server responded with status 401 {"error" => {"message" => "bad key", "param" => nil}}')
    assert error_of(seen) == {"message": "bad key", "param": None}
