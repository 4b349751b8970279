"""No text makes the readers fail, wait, or let a secret through."""

import contextlib
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.explain.literal import read_literal
from gateway.explain.paste import read
from gateway.explain.rows import UnreadableRowError, of_row
from tests.gateway.explain.test_http import ANSWER, ENVELOPE, PROXY, ROW, VERBOSE, entry, har
from tests.gateway.explain.test_node import AXIOS, NODE, VERCEL

SAMPLES = (
    AXIOS, NODE, VERCEL, ANSWER, ENVELOPE, PROXY, VERBOSE, json.dumps(ROW), har(entry(401, ENVELOPE)),
    f"openai.RateLimitError: Error code: 429 - {json.loads(ENVELOPE)!r}", f"data: {ENVELOPE}\n\n", "<html>",
    ('Traceback (most recent call last):\n  File "x", line 1, in f\n    g()\nhttpx.ConnectError: [Errno 111] Connection refused\n\n'
    "The above exception was the direct cause of the following exception:\n\nTraceback (most recent call last):\nX: y"),
)  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=300),
    st.text(st.sampled_from("{}[]()<>'\"`\\:=>,+* \n\tHTTP/1.42 90aErrorx$")),
    st.builds(
        "".join,
        st.lists(
            st.sampled_from([piece for sample in SAMPLES for piece in sample.split()]).map(lambda word: word + " ")
        ),
    ),
    st.builds(
        lambda sample, cut, more: sample[:cut] + more + sample[cut:],
        st.sampled_from(SAMPLES),
        st.integers(0, 2000),
        st.text(max_size=20),
    ),
    st.builds(
        lambda one, cut, other: one[:cut] + other,
        st.sampled_from(SAMPLES),
        st.integers(0, 2000),
        st.sampled_from(SAMPLES),
    ),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["id", "request", "response", "observed", "status", "headers", "body", "log", "entries", "host", "path", "seq", "config", "cause", "error", "name", "value", "attempts", "failure", "content", "text", "errors", "data"]), inner, max_size=5),
    max_leaves=30,
)  # fmt: skip


@given(TEXTS)
def test_every_text_is_read(text: str) -> None:
    for seen in read(text):
        json.dumps([seen.body, seen.exception, seen.url]).encode()
        repr(seen).encode()


@given(JSON)
def test_every_document_is_read(document: object) -> None:
    read(json.dumps(document))
    read(repr(document))


@given(JSON)
def test_every_row_is_read_or_refused(document: object) -> None:
    with contextlib.suppress(UnreadableRowError):
        of_row(document)  # type: ignore[arg-type]


@given(TEXTS, st.integers(0, 50))
def test_every_literal_is_read_and_ends_behind_its_beginning(text: str, start: int) -> None:
    _, end = read_literal(text, start)
    assert end > start


@given(JSON.filter(lambda document: document == document))  # noqa: PLR0124 - NaN
def test_what_python_prints_is_read_back(document: object) -> None:
    plain = json.loads(json.dumps(document))
    if isinstance(plain, dict) and "inf" not in repr(plain).lower():
        assert json.dumps(read_literal(repr(plain), 0)[0])


@pytest.mark.parametrize(
    "unit",
    ["a", "{", "[", "(", "'", "\\", "{'", '{"a":', "<", " ", "\n", "* ", "> ", "HTTP/1.1 429 X\n", "data: {\n", "1", "https://", "status ", "Error: ",
     "a.", "A.bError: x\n", "Traceback (most recent call last):\n", "at x {\n", "Error\n    at x {\n  a: ", "sk-", "key=", "cookie: ", "dial tcp ", "--:--", "0 ",
     "{a: [Object] ", "GET https://x ", "a" * 130 + " ", "[a] ", "curl: (6)\n", "* Trying ", "x(at y)", "     at x", "\x1b[", "Headers: {", "<ref *1> ", "curl a.b\n", "curl -d '", "app | x\n", "> a\n", "data: ", "{}\n", '  | File "', "for url "],
)  # fmt: skip
def test_time_grows_with_the_length_alone(unit: str) -> None:
    size = 1024 * 1024
    text = (unit * (size // len(unit) + 1))[:size]
    started = time.process_time()
    read(text)
    assert time.process_time() - started < 5


SECRETS = ("sk-proj-abcdefghijklmnop", "plainkeywithoutshape1", "AIzaSyA1234567890abcdefghijklmnopqrstu")


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "form",
    [
        "HTTP/1.1 401 X\nSet-Cookie: s={0}\n\n{{}}",
        "POST /v1?key={0} HTTP/1.1\nHost: h\nx-api-key: {0}\n\n{{}}\nHTTP/1.1 401 X\n\nbad key {0}",
        '> GET /v1?api-key={0} HTTP/1.1\n> Host: h\n> Authorization: Bearer {0}\n>\n< HTTP/1.1 401 X\n<\n{{"error":"{0} is wrong"}}',
        "* Uses proxy env variable https_proxy == 'http://u:{0}@proxy:1'\n> CONNECT h:443 HTTP/1.1\n> Proxy-Authorization: Basic {0}\n>\n< HTTP/1.1 407 X\n<\ncurl: (56) CONNECT tunnel failed",
        "RateLimitError: 429 x\n    at f (x.js:1:1) {{\n  status: 429,\n  headers: {{ authorization: 'Bearer {0}', 'x-goog-api-key': '{0}' }}\n}}",
        "AxiosError: Request failed with status code 401\n    at f (x.js:1:1) {{\n  config: {{ headers: {{ 'api-key': '{0}' }}, url: 'https://h/v1?key={0}' }}\n}}",
        "requests.exceptions.HTTPError: 400 Client Error: Bad Request for url: https://h.example/v1?key={0}",
        "DEBUG:httpcore:send_request_headers (b'Authorization', b'Bearer {0}'), (b'x-api-key', b'{0}')\nfailed",
        "curl https://h/v1 -H \"Authorization: Bearer {0}\" -H 'x-api-key: {0}'\nfailed",
        '{{"log": {{"entries": [{{"name": "x-api-key", "value": "{0}"}},',
        "client = OpenAI(api_key='{0}')\nopenai.APIConnectionError: Connection error.",
        'Authorization: Digest username="u", response="{0}"\nfailed',
    ],
)  # fmt: skip
def test_no_secret_survives(form: str, secret: str) -> None:
    found = read(form.format(secret))
    assert found
    assert secret not in repr(found)


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_of_a_har_survives(secret: str) -> None:
    call = entry(401, f'{{"error":"{secret} is wrong"}}')
    call["request"] = {
        "method": "GET",
        "url": f"https://u:{secret}@h/v1?key={secret}",
        "headers": [{"name": "Api-Key", "value": secret}],
        "postData": {"text": f"x {secret}"},
    }
    assert secret not in repr(read(har(call)))


@pytest.mark.parametrize("value", ["", "undefined", "null", "None"])
def test_a_key_that_is_none_stands_as_it_is(value: str) -> None:
    (seen,) = read(f"GET /v1 HTTP/1.1\nHost: h\nAuthorization: Bearer {value}\n\nHTTP/1.1 401 X\n\nundefined is no key")
    assert dict(seen.request_headers)["authorization"] == f"Bearer {value}".strip()
    assert seen.body == "undefined is no key"


def test_what_is_long_is_cut() -> None:
    (seen,) = read("HTTP/1.1 500 X\n" + "a: b\n" * 1000 + "\n" + "x" * 1_000_000)
    assert len(seen.body) == 64 * 1024
    assert len(seen.headers) <= 100
    (seen,) = read("failed: " + "x y " * 100_000)
    assert len(seen.exception) <= 8192


def test_of_a_long_stream_the_end_is_kept() -> None:
    (seen,) = read("HTTP/1.1 200 OK\n\n" + 'data: {"choices":[]}\n\n' * 10_000 + f"data: {ENVELOPE}")
    assert len(seen.body) <= 64 * 1024
    assert seen.body.endswith(ENVELOPE)
