"""What stands in front of a service is named by what it leaves on an answer, and an API's own answers name nobody."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.diagnose._marks import AND, PAGE_CHARACTERS
from gateway.diagnose.edges import MARKS, EdgeMark, Means, Place, in_headers, on_page, read

COLUMNS = "name,place,mark,means,source"
CHALLENGE = '<!DOCTYPE html><html lang="en-US"><head><title>Just a moment...</title></head><body>Enable JavaScript and cookies to continue<script>window._cf_chl_opt={cvId:"3"}</script></body></html>'
NGINX = "<html>\r\n<head><title>{status}</title></head>\r\n<body>\r\n<center><h1>{status}</h1></center>\r\n<hr><center>{name}</center>\r\n</body>\r\n</html>"
AKAMAI = '<HTML><HEAD>\n<TITLE>Access Denied</TITLE>\n</HEAD><BODY>\n<H1>Access Denied</H1>\nYou don\'t have permission to access "http&#58;&#47;&#47;x&#47;" on this server.<P>\nReference&#32;&#35;18&#46;4d6656b8</BODY></HTML>'
VARNISH = "<h1>Error 503 {0}</h1><p>{0}</p><h3>Guru Mediation:</h3><p>Details: cache-fra-etou8220059-FRA 1733 3212</p><hr><p>Varnish cache server</p>"
HTTP = "<html><body><h1>{}</h1>\n{}\n</body></html>\n"

FULL = ("<p>Access to the blocked gateway of the administrator at https://www.example.org/a?b=c</p> " * 2000)[
    :PAGE_CHARACTERS
]


def named(mark: EdgeMark | None) -> tuple[str, Means] | None:
    """Who, and what it means."""
    return (mark.name, mark.means) if mark else None


def written(mark: EdgeMark) -> str:
    """What a page says that carries a mark, in other case and with something around it where that may be."""
    text = mark.mark.replace(AND, " .. ")
    whole = f"{'' if text.startswith('^') else 'xx '}{text.removeprefix('^').removesuffix('$')}{'' if text.endswith('$') else ' yy'}"
    return whole.upper() if whole.isascii() else whole


def alone(mark: EdgeMark) -> EdgeMark | None:
    """What is found where a mark stands."""
    if mark.place is Place.PAGE:
        return on_page(written(mark))
    if mark.place is Place.COOKIE:
        return in_headers([("Date", "now"), ("Set-Cookie", f"{mark.mark.replace('*', '12').upper()}=x; Path=/")])
    name, _, part = mark.mark.partition(":")
    part = part.strip()
    if part.startswith("^"):
        return in_headers([(name.title(), part.removeprefix("^").removesuffix("$").upper())])
    return in_headers([("Date", "now"), (name.title(), f"a {part.upper()} b")])


def test_the_table_is_large_and_covers_every_place() -> None:
    assert len(MARKS) >= 1000
    assert {mark.place for mark in MARKS} == set(Place)
    assert {mark.means for mark in MARKS} == set(Means)
    assert len({mark.name for mark in MARKS}) >= 200
    assert all(mark.source for mark in MARKS)


def test_every_mark_is_found_where_it_stands_alone_or_one_that_says_as_much() -> None:
    for mark in MARKS:
        found = alone(mark)
        assert found is not None, mark
        assert found == mark or found.means is not Means.PRESENCE or mark.means is Means.PRESENCE, (mark, found)
        assert found == mark or found.name == mark.name or len(found.mark) >= len(mark.mark), (mark, found)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("Kong,elsewhere,some text,block,s", "'elsewhere' is not a valid Place"),
        ("Kong,page,some text,shut,s", "'shut' is not a valid Means"),
        ("Kong,page,Some Text,block,s", "lower case"),
        ("Kong,page,some text,block,", "no source"),
        (",page,some text,block,s", "no name"),
        ("Kong,page,some text,block", "4 fields"),
        ("Kong,page,some  text,block,s", "white space"),
        ("Kong,page,some text & ok,block,s", "too short"),
        ("Kong,header,server kong,presence,s", "name: part"),
        ("Kong,cookie,a b,presence,s", "a cookie's mark"),
        ("Kong,cookie,abc=d,presence,s", "a cookie's mark"),
        ("Kong,cookie,a*bc,presence,s", "a cookie's mark"),
        ("Kong,cookie,ab,presence,s", "a cookie's mark"),
    ],
)
def test_a_row_that_is_not_well_formed_is_refused_with_its_line(row: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"line 2: .*{re.escape(why)}"):
        read(f"{COLUMNS}\n{row}\n")


def test_a_table_with_other_columns_out_of_order_or_with_a_mark_twice_is_refused() -> None:
    one, two = "Fastly,page,some text,block,s", "Kong,page,other text,block,s"
    assert len(read(f"{COLUMNS}\n{one}\n{two}\n")) == 2
    with pytest.raises(ValueError, match="line 1: the columns are name,place"):
        read("name,mark\n")
    with pytest.raises(ValueError, match="line 3: not sorted by place and name"):
        read(f"{COLUMNS}\n{two}\n{one}\n")
    with pytest.raises(ValueError, match="line 3: the mark stands there twice"):
        read(f"{COLUMNS}\n{one}\nKong,page,some text,rate,s\n")


@given(st.text())
def test_any_text_is_a_page(text: str) -> None:
    found = on_page(text)
    assert found is None or found.place is Place.PAGE


@given(st.lists(st.tuples(st.sampled_from(["set-cookie", "server", "via", "x", ""]) | st.text(), st.text())))
def test_any_headers_can_be_looked_at(headers: list[tuple[str, str]]) -> None:
    found = in_headers(headers)
    assert found is None or found.place in {Place.HEADER, Place.COOKIE}


@given(st.binary())
def test_bytes_that_were_decoded_somehow_can_be_looked_at(raw: bytes) -> None:
    for text in (raw.decode("latin-1"), raw.decode("utf-8", "surrogateescape"), raw.decode("utf-8", "replace")):
        on_page(text)
        in_headers([("set-cookie", text), (text, text)])


@given(st.text(max_size=60), st.sampled_from([m for m in MARKS if m.place is Place.PAGE]), st.text(max_size=60))
def test_what_surrounds_a_mark_does_not_hide_it(before: str, mark: EdgeMark, after: str) -> None:
    begun = "" if mark.mark.startswith("^") else f"{before} "
    ended = "" if mark.mark.endswith("$") else f" {after}"
    assert on_page(begun + mark.mark.strip("^$").replace(AND, " .. ") + ended) is not None


@pytest.mark.parametrize(
    "page",
    [
        "",
        "blocked",
        '{"error":{"message":"Incorrect API key provided: sk-a***. You can find your API key at https://platform.openai.com/account/api-keys.","type":"invalid_request_error","code":"invalid_api_key"}}',
        '{"error":{"message":"Rate limit reached for gpt-5 in organization org-1 on tokens per min. Please try again in 6ms.","type":"tokens","code":"rate_limit_exceeded"}}',
        '{"error":{"message":"The server had an error while processing your request. Sorry about that!","type":"server_error"}}',
        '{"type":"error","error":{"type":"forbidden","message":"Request not allowed"}}',
        '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}',
        '{"error":{"code":403,"message":"Your API key was reported as leaked. Please use another API key.","status":"PERMISSION_DENIED"}}',
        '{"error":{"code":400,"message":"User location is not supported for the API use.","status":"FAILED_PRECONDITION"}}',
        '{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}',
        '{"message":"Too many tokens, please wait before trying again."}',
        "Error code: 429 - {'error': {'message': 'You exceeded your current quota'}}",
        "Error code: 403 - {'error': {'message': 'error code: 1020 is no answer of ours'}}",
        "Squid, Zscaler and the firewall of your organization blocked this site.",
    ],
)
def test_an_apis_own_answers_and_other_texts_name_nobody(page: str) -> None:
    assert on_page(page) is None


@pytest.mark.parametrize(
    ("page", "name", "means"),
    [
        (CHALLENGE, "Cloudflare", Means.CHALLENGE),
        ("error code: 1015", "Cloudflare", Means.RATE),
        ("error code: 1020\n", "Cloudflare", Means.BLOCK),
        ("error code: 1010", "Cloudflare", Means.BLOCK),
        ("error code: 1016", "Cloudflare", Means.ORIGIN),
        ("error code: 524", "Cloudflare", Means.ORIGIN),
        ("<title>api.example.com | 522: Connection timed out</title>", "Cloudflare", Means.ORIGIN),
        (
            "<title>Access denied | api.example.com used Cloudflare to restrict access</title>",
            "Cloudflare",
            Means.BLOCK,
        ),
        (
            '<title>Access denied | x used Cloudflare to restrict access</title><h2 class="cf-subheadline">You are being rate limited</h2><span class="cf-error-code">1015</span>',
            "Cloudflare",
            Means.RATE,
        ),
        ("<title>Attention Required! | Cloudflare</title>", "Cloudflare", Means.BLOCK),
        (
            '{"status":429,"error_code":1015,"error_name":"rate_limited","cloudflare_error":true}',
            "Cloudflare",
            Means.RATE,
        ),
        (
            "<html><body>a<script>a.src='/cdn-cgi/challenge-platform/scripts/jsd/main.js'</script></body></html>",
            "Cloudflare",
            Means.PRESENCE,
        ),
        (NGINX.format(status="502 Bad Gateway", name="cloudflare"), "Cloudflare", Means.ORIGIN),
        (NGINX.format(status="502 Bad Gateway", name="nginx/1.24.0"), "nginx", Means.SERVER),
        (NGINX.format(status="404 Not Found", name="openresty"), "OpenResty", Means.SERVER),
        (
            NGINX.format(status="502 Bad Gateway", name="Microsoft-Azure-Application-Gateway/v2"),
            "Azure Application Gateway",
            Means.ORIGIN,
        ),
        (
            NGINX.format(status="403 Forbidden", name="Microsoft-Azure-Application-Gateway/v2"),
            "Azure Application Gateway",
            Means.BLOCK,
        ),
        (
            "<html>\r\n<head><title>504 Gateway Time-out</title></head>\r\n<body>\r\n<center><h1>504 Gateway Time-out</h1></center>\r\n</body>\r\n</html>",
            "AWS load balancer",
            Means.ORIGIN,
        ),
        (
            "<H1>504 Gateway Timeout ERROR</H1> We can't connect to the server for this app or website at this time. <PRE>Generated by cloudfront (CloudFront) Request ID: x",
            "CloudFront",
            Means.ORIGIN,
        ),
        (
            "<TITLE>ERROR: The request could not be satisfied</TITLE><H2>The request could not be satisfied.</H2> Request blocked. We can't connect Generated by cloudfront (CloudFront)",
            "CloudFront",
            Means.BLOCK,
        ),
        (
            "<TITLE>ERROR: The request could not be satisfied</TITLE> Request blocked. We can't connect to the server for this app or website at this time. Generated by cloudfront (CloudFront)",
            "CloudFront",
            Means.BLOCK,
        ),
        ("<title>Error 404 (Not Found)!!1</title><ins>That\u2019s an error.</ins>", "Google front end", Means.SERVER),
        (AKAMAI, "Akamai", Means.BLOCK),
        (VARNISH.format("backend read error"), "Fastly", Means.ORIGIN),
        (VARNISH.format("first byte timeout"), "Fastly", Means.ORIGIN),
        ("Fastly error: unknown domain: api.example.com.", "Fastly", Means.ORIGIN),
        (
            '<iframe src="/_Incapsula_Resource?SWUDNSAI=31&incident_id=7">Request unsuccessful. Incapsula incident ID: 7</iframe>',
            "Imperva",
            Means.BLOCK,
        ),
        (
            "The requested URL was rejected. Please consult with your administrator.<br><br>Your support ID is: 1234",
            "F5 BIG-IP ASM",
            Means.BLOCK,
        ),
        ("<html><body><b>Http/1.1 Service Unavailable</b></body> </html>", "Citrix NetScaler", Means.ORIGIN),
        ("<h2>Our services aren't available right now</h2>", "Azure Front Door", Means.ORIGIN),
        ("<h2>The request is blocked.</h2> <span id='errorref'>", "Azure Front Door", Means.BLOCK),
        (
            "<title>Error 502 (Server Error)!!1</title><ins>That\u2019s an error.</ins>",
            "Google front end",
            Means.ORIGIN,
        ),
        ("Our systems have detected unusual traffic from your computer network.", "Google front end", Means.CHALLENGE),
        ("<title>Vercel Security Checkpoint</title>", "Vercel", Means.CHALLENGE),
        (
            "An error occurred with your deployment\n\nFUNCTION_INVOCATION_TIMEOUT\n\nfra1::x-1",
            "Vercel",
            Means.ORIGIN,
        ),
        (
            '<title>Application Error</title><iframe src="//www.herokucdn.com/error-pages/application-error.html">',
            "Heroku",
            Means.ORIGIN,
        ),
        ('{"status":"error","code":502,"message":"Application failed to respond"}', "Railway", Means.ORIGIN),
        (
            "\u7531\u4e8e\u60a8\u8bbf\u95ee\u7684URL\u6709\u53ef\u80fd\u5bf9\u7f51\u7ad9\u9020\u6210\u5b89\u5168\u5a01\u80c1\uff0c\u60a8\u7684\u8bbf\u95ee\u88ab\u963b\u65ad",
            "Alibaba Cloud WAF",
            Means.BLOCK,
        ),
        (
            '{"rgv587_flag":"sm","url":"https://x/_____tmd_____/punish?x5secdata=a"}',
            "Alibaba Cloud WAF",
            Means.CHALLENGE,
        ),
        ("<!-- event_id: 5f TYPE: A -->", "SafeLine (Chaitin)", Means.BLOCK),
        ('<script src="https://ct.captcha-delivery.com/c.js">', "DataDome", Means.CHALLENGE),
        ("upstream connect error or disconnect/reset before headers. reset reason: overflow", "Envoy", Means.MESH),
        ("no healthy upstream", "Envoy", Means.MESH),
        ("RBAC: access denied", "Envoy", Means.MESH),
        ('{"message":"no Route matched with those values"}', "Kong", Means.MESH),
        (
            HTTP.format("503 Service Unavailable", "No server is available to handle this request."),
            "HAProxy",
            Means.ORIGIN,
        ),
        (HTTP.format("403 Forbidden", "Request forbidden by administrative rules."), "HAProxy", Means.BLOCK),
        ("404 page not found\n", "Go's net/http", Means.SERVER),
        ("Internal Server Error", "Starlette or uvicorn", Means.SERVER),
        ("<pre>Cannot POST /v1/chat/completions</pre>", "Express", Means.SERVER),
        ("<h3>Apache Tomcat/9.0.5</h3>", "Tomcat", Means.SERVER),
        ("<address>Apache/2.4.41 (Ubuntu) Server at x Port 443</address>", "Apache", Means.SERVER),
    ],
)
def test_a_page_names_who_wrote_it_and_what_it_means(page: str, name: str, means: Means) -> None:
    assert named(on_page(page)) == (name, means)


@pytest.mark.parametrize(
    ("headers", "name", "means"),
    [
        ([("Server", "cloudflare"), ("cf-mitigated", "challenge")], "Cloudflare", Means.CHALLENGE),
        ([("cf-ray", "9a-FRA")], "Cloudflare", Means.PRESENCE),
        ([("x-amzn-waf-action", "captcha")], "AWS WAF", Means.CHALLENGE),
        ([("Server", "awselb/2.0")], "AWS load balancer", Means.PRESENCE),
        ([("x-vercel-error", "FUNCTION_INVOCATION_TIMEOUT")], "Vercel", Means.ORIGIN),
        ([("x-vercel-mitigated", "deny")], "Vercel", Means.BLOCK),
        ([("ngrok-error-code", "ERR_NGROK_8012")], "ngrok", Means.ORIGIN),
        ([("set-cookie", "a=b, incap_ses_12_34=x; Path=/")], "Imperva", Means.PRESENCE),
        ([("Set-Cookie", "a=1; expires=Wed, 09 Jun 2027 10:18:14 GMT; path=/"), ("set-cookie", "acw_tc=1")], "Alibaba Cloud WAF", Means.PRESENCE),
        ([("server", "istio-envoy")], "Envoy", Means.PRESENCE),
    ],
)  # fmt: skip
def test_headers_and_cookies_name_who_set_them(headers: list[tuple[str, str]], name: str, means: Means) -> None:
    assert named(in_headers(headers)) == (name, means)


def test_usual_headers_name_nobody() -> None:
    assert in_headers([]) is None
    assert in_headers([("date", "now"), ("x-request-id", "req_1"), ("set-cookie", "sid=1; Path=/"), ("", "")]) is None


def test_what_happened_beats_a_mesh_that_a_stock_page_that_presence() -> None:
    page = "<center>nginx</center> cloudflare ray id"
    assert named(on_page(page)) == ("nginx", Means.SERVER)
    assert named(on_page(f"{page} no healthy upstream")) == ("Envoy", Means.MESH)
    assert named(on_page(f"{page} no healthy upstream <pre>Incapsula incident ID: 7")) == ("Imperva", Means.BLOCK)


def test_only_the_top_of_a_page_is_looked_at_and_an_end_counts_only_where_it_is_one() -> None:
    assert on_page("." * PAGE_CHARACTERS + "no healthy upstream") is None
    assert on_page("." * 1000 + "no healthy upstream") is not None
    assert on_page("error code: 1020" + " " * PAGE_CHARACTERS) is None


@pytest.mark.parametrize("page", [FULL, "error code cloudflare " * 3000, "a " * 32768, "x" * 65536, "<" * 65536])
def test_a_full_page_takes_little_time(page: str) -> None:
    def once() -> float:
        began = time.perf_counter()
        on_page(page)
        return time.perf_counter() - began

    assert min(once() for _ in range(10)) < 0.010  # some 1 ms; room for a busy machine
