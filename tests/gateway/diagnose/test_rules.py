"""What holds for every rule, and by a few clear examples how rules that look alike keep apart."""

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway._discover import discover
from gateway.diagnose import rules
from gateway.diagnose.engine import RULES, candidates, diagnose
from gateway.diagnose.evidence import CallShape, Evidence, History
from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import Rule
from gateway.diagnose.wording import Text, groups, phrase
from gateway.model.attempt import Attempt, Mark, ReplyHead
from gateway.model.cause import Cause
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.providers.openai import PROVIDER as OPENAI

FOLDER = Path(next(iter(rules.__path__)))
FILES = sorted(path for path in FOLDER.glob("*.py") if path.name != "__init__.py")
NAMES = [path.stem for path in FILES]
SLUGS = {cause.value for cause in Cause}
FAMILIES = {slug.partition(".")[0] + "." for slug in SLUGS if "." in slug}

WITHOUT_A_RULE = {
    Cause.PROXY_BUDGET_EXCEEDED,
    Cause.PROXY_NOT_ALLOWED,
    Cause.PROXY_REQUEST_TOO_LARGE,
    Cause.PROXY_QUEUE_FULL,
    Cause.PROXY_QUEUE_TIMEOUT,
    Cause.PROXY_CIRCUIT_OPEN,
    Cause.PROXY_OVERLOADED,
    Cause.PROXY_DRAINING,
    Cause.PROXY_LOOP_DETECTED,
    Cause.PROXY_DESTINATION_BLOCKED,
    Cause.PROXY_UNAUTHORIZED,
    Cause.PROXY_INTERNAL_ERROR,
    Cause.UNKNOWN,
}
"""What only stages of ours name, and what is said when no rule speaks."""

MUTUAL = {
    ("account.plan_required", "rate_limit.daily"),
    ("auth.ip_not_allowed", "edge.blocked"),
    ("auth.ip_not_allowed", "region.unsupported"),
    ("edge.blocked", "request.content_policy"),
    ("edge.blocked", "request.invalid_url"),
    ("edge.blocked", "request.payload_too_large"),
    ("edge.challenge", "network.captive_portal"),
    ("edge.origin_error", "service.incident"),
    ("network.blocked_page", "network.tls_certificate"),
    ("quota.plan_window", "rate_limit.daily"),
    ("request.invalid_json", "service.model_error"),
    ("request.model_not_found", "service.overloaded"),
}
"""Pairs that set each other aside: there the one wins that is more special, better founded, or named first."""

# files


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_file_says_what_it_decides_and_exports_the_rule_of_its_name(path: Path) -> None:
    module = importlib.import_module(f"gateway.diagnose.rules.{path.stem}")
    assert inspect.getdoc(module)
    assert isinstance(module.RULE, Rule)
    assert module.RULE.cause.value.replace(".", "_") == path.stem


def test_every_cause_is_a_rules_or_one_that_only_a_stage_names_or_unknown() -> None:
    assert set(RULES) | WITHOUT_A_RULE == set(Cause)
    assert not set(RULES) & WITHOUT_A_RULE
    assert len(RULES) == len(FILES)


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_rule_imports_only_what_it_may_judge_by(path: Path) -> None:
    """No clock, no socket, no environment: the same evidence has the same verdict tomorrow."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names = [node.module or ""]
        for name in names:
            assert name in {"re", "ipaddress"} or name.startswith(("gateway.diagnose", "gateway.model.")), name


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_rule_calls_nothing_that_reads_the_world(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not called & {"open", "eval", "exec", "__import__", "input", "print", "hash", "id", "globals"}


# precedence


@pytest.mark.parametrize("cause", RULES)
def test_what_a_rule_sets_aside_is_written_once_and_is_never_itself(cause: Cause) -> None:
    names = RULES[cause].outranks
    assert len(set(names)) == len(names)
    assert cause.value not in names


@pytest.mark.parametrize("cause", RULES)
def test_what_a_rule_sets_aside_exists(cause: Cause) -> None:
    missing = {name for name in RULES[cause].outranks if name not in (FAMILIES if name.endswith(".") else SLUGS)}
    assert not missing


def _outranks(one: Rule, other: Rule) -> bool:
    slug = other.cause.value
    return one is not other and any(
        slug == name or (name.endswith(".") and slug.startswith(name)) for name in one.outranks
    )


def test_which_rules_set_each_other_aside_is_written_down() -> None:
    every = list(RULES.values())
    found = {
        (one.cause.value, other.cause.value)
        for one in every
        for other in every
        if one.cause.value < other.cause.value and _outranks(one, other) and _outranks(other, one)
    }
    assert found == MUTUAL


def test_no_three_rules_set_each_other_aside_in_a_circle() -> None:
    above = {
        one.cause: {o.cause for o in RULES.values() if _outranks(one, o) and not _outranks(o, one)}
        for one in RULES.values()
    }
    circles = [
        (a.value, b.value, c.value)
        for a in above
        for b in above[a]
        for c in above[b]
        if a in above[c] and a.value < b.value
    ]
    assert circles == []


# words


_TAKE_GROUPS = frozenset({"said", "heard", "groups"})
_TAKE_PHRASES = frozenset({"hinted", "has"})


def _phrases(path: Path) -> Iterator[tuple[str, str, bool]]:
    """Give what calls it, each phrase of a rule, and whether it is looked for in a client's words."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        where = ast.unparse(node.func)
        for argument in node.args:
            if name in _TAKE_GROUPS | _TAKE_PHRASES and isinstance(argument, ast.Constant):
                assert isinstance(argument.value, str)
                parts = argument.value.split("|") if name in _TAKE_GROUPS else [argument.value]
                for part in parts:
                    yield name, part, name in {"heard", "hinted"} or ".words." in where


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_every_phrase_of_a_rule_can_occur(path: Path) -> None:
    """A phrase that its own reader takes apart would never be found."""
    for name, part, by_line in _phrases(path):
        assert part.strip(), f"{name} has an empty alternative, which it leaves out without a word"
        text = Text(f"there {part.strip()} here", by_line=by_line)
        assert text.says(groups(part)), (name, part, text.sentences)


def test_the_rules_hold_words_at_all() -> None:
    """What keeps the tests above from reading nothing."""
    assert sum(1 for path in FILES for _ in _phrases(path)) > 1_000
    assert all(phrase(part).strip() for path in FILES for _, part, _ in _phrases(path))


# examples: look-alikes keep apart


JSON = (b"content-type", b"application/json")


def _said(status: int, message: str, code: str = "", **changes: Any) -> Cause:
    document = {"error": {"message": message, "type": None, "code": code or None}}
    values: dict[str, Any] = {
        "provider": OPENAI,
        "host": "api.openai.com",
        "head": ReplyHead(status=status, headers=(JSON,)),
        "text": orjson.dumps(document).decode(),
        "attempts": 1,
    }
    return diagnose(Evidence(**(values | changes))).cause


def _heard(words: str, **changes: Any) -> Cause:
    values: dict[str, Any] = {"provider": OPENAI, "host": "api.openai.com", "exception": words}
    return diagnose(Evidence(**(values | changes))).cause


@pytest.mark.parametrize(
    ("status", "message", "cause"),
    [
        (400, "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.", Cause.REQUEST_CONTEXT_LENGTH),
        (429, "Rate limit reached for gpt-5 on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000.", Cause.RATE_LIMIT_TOKENS),
        (429, "Rate limit reached for gpt-5 on requests per min (RPM): Limit 3, Used 3, Requested 1.", Cause.RATE_LIMIT_REQUESTS),
        (429, "Rate limit reached for gpt-5 on requests per day (RPD): Limit 200, Used 200, Requested 1.", Cause.RATE_LIMIT_DAILY),
        (429, "You have too many concurrent requests.", Cause.RATE_LIMIT_CONCURRENCY),
        (429, "You exceeded your current quota, please check your plan and billing details.", Cause.QUOTA_EXHAUSTED),
        (429, "Your organization has reached its monthly spend limit.", Cause.QUOTA_SPEND_LIMIT),
        (429, "The engine is currently overloaded, please try again later.", Cause.SERVICE_OVERLOADED),
        (402, "Insufficient balance", Cause.QUOTA_EXHAUSTED),
        (401, "Incorrect API key provided.", Cause.AUTH_INVALID_KEY),
        (401, "Your API key has expired.", Cause.AUTH_EXPIRED_KEY),
        (401, "You didn't provide an API key.", Cause.AUTH_MISSING_KEY),
        (401, "You must be a member of an organization to use the API.", Cause.AUTH_NOT_A_MEMBER),
        (403, "You have insufficient permissions for this operation. Missing scopes: model.request.", Cause.AUTH_PERMISSION),
        (403, "Country, region, or territory not supported", Cause.REGION_UNSUPPORTED),
        (403, "Your IP address is not on the allowlist of this project.", Cause.AUTH_IP_NOT_ALLOWED),
        (403, "Your account has been deactivated.", Cause.ACCOUNT_DEACTIVATED),
        (403, "Your organization must be verified to use this model.", Cause.ACCOUNT_VERIFICATION),
        (404, "The model `gpt-9` does not exist or you do not have access to it.", Cause.REQUEST_MODEL_NOT_FOUND),
        (404, "The model `text-davinci-003` has been deprecated.", Cause.REQUEST_MODEL_DEPRECATED),
        (404, "No such file: file-abc", Cause.REQUEST_NOT_FOUND),
        (404, "Invalid URL (POST /v1/v1/chat/completions)", Cause.REQUEST_INVALID_URL),
        (404, "This is not a chat model and thus not supported in the v1/chat/completions endpoint.", Cause.REQUEST_WRONG_ENDPOINT),
        (405, "Not allowed to GET on /v1/chat/completions.", Cause.REQUEST_METHOD_NOT_ALLOWED),
        (400, "Missing required parameter: 'messages'.", Cause.REQUEST_MISSING_PARAMETER),
        (400, "Unsupported parameter: 'max_tokens' is not supported with this model.", Cause.REQUEST_UNSUPPORTED_PARAMETER),
        (400, "We could not parse the JSON body of your request.", Cause.REQUEST_INVALID_JSON),
        (400, "Your request was rejected as a result of our safety system.", Cause.REQUEST_CONTENT_POLICY),
        (409, "Another request is in progress for this thread.", Cause.REQUEST_CONFLICT),
        (413, "Request body too large.", Cause.REQUEST_PAYLOAD_TOO_LARGE),
        (500, "The server had an error while processing your request.", Cause.SERVICE_SERVER_ERROR),
        (503, "The service is temporarily unavailable.", Cause.SERVICE_UNAVAILABLE),
        (504, "Timed out while waiting for the model.", Cause.SERVICE_TIMEOUT),
    ],
)  # fmt: skip
def test_an_answers_words_decide(status: int, message: str, cause: Cause) -> None:
    assert _said(status, message) is cause


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("socket.gaierror: [Errno -2] Name or service not known", Cause.NETWORK_DNS_FAILURE),
        ("ConnectionRefusedError: [Errno 111] Connection refused", Cause.NETWORK_TCP_REFUSED),
        ("httpx.ConnectTimeout: timed out", Cause.NETWORK_TCP_TIMEOUT),
        ("httpx.ReadTimeout: The read operation timed out", Cause.NETWORK_READ_TIMEOUT),
        ("ConnectionResetError: [Errno 104] Connection reset by peer", Cause.NETWORK_CONNECTION_RESET),
        ("OSError: [Errno 101] Network is unreachable", Cause.NETWORK_OFFLINE),
        ("httpx.RemoteProtocolError: peer closed connection without sending complete message body (incomplete chunked read)", Cause.NETWORK_STREAM_INTERRUPTED),
        ("ssl.SSLCertVerificationError: certificate verify failed: self-signed certificate in certificate chain", Cause.NETWORK_TLS_INSPECTION),
        ("ssl.SSLCertVerificationError: certificate verify failed: certificate has expired", Cause.NETWORK_TLS_CERTIFICATE),
        ("ssl.SSLError: [SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] sslv3 alert handshake failure", Cause.NETWORK_TLS_HANDSHAKE),
        ("httpx.ProxyError: 407 Proxy Authentication Required", Cause.NETWORK_PROXY_AUTH),
        ("OSError: Tunnel connection failed: 403 Forbidden", Cause.NETWORK_PROXY_DENIED),
        ("OSError: Tunnel connection failed: 502 Bad Gateway", Cause.NETWORK_PROXY_UPSTREAM_ERROR),
        ("requests.exceptions.ProxyError: Cannot connect to proxy. [Errno 111] Connection refused", Cause.NETWORK_PROXY_UNREACHABLE),
        ("ImportError: Using SOCKS proxy, but the 'socksio' package is not installed.", Cause.CLIENT_PROXY_UNSUPPORTED_SCHEME),
        ("OSError: Could not find a suitable TLS CA certificate bundle, invalid path: /nowhere.pem", Cause.CLIENT_CA_BUNDLE_MISCONFIGURED),
        ("TypeError: Client.__init__() got an unexpected keyword argument 'proxies'", Cause.CLIENT_OUTDATED_SDK),
        ("OpenAIError: The api_key client option must be set either by passing api_key to the client or by setting the OPENAI_API_KEY environment variable", Cause.AUTH_MISSING_KEY),
    ],
)  # fmt: skip
def test_a_clients_words_decide_where_nobody_answered(words: str, cause: Cause) -> None:
    assert _heard(words) is cause


def test_a_key_that_never_came_along_is_missing_whatever_the_answer_calls_it() -> None:
    message = "Incorrect API key provided."
    assert _said(401, message, call=CallShape(credential="none")) is Cause.AUTH_MISSING_KEY
    assert _said(401, message, call=CallShape(credential="bearer")) is Cause.AUTH_INVALID_KEY
    assert _said(401, message, call=CallShape(credential="blank")) is Cause.AUTH_MALFORMED_HEADER


def test_what_an_edge_refuses_says_nothing_of_the_key() -> None:
    page = "<html><title>Attention Required! | Cloudflare</title><p>Sorry, you have been blocked</p></html>"
    evidence = Evidence(
        provider=OPENAI,
        host="api.openai.com",
        head=ReplyHead(status=403, headers=((b"content-type", b"text/html"), (b"server", b"cloudflare"))),
        text=page,
        call=CallShape(credential="none"),
    )
    assert diagnose(evidence).cause is Cause.EDGE_BLOCKED


def test_a_storm_needs_an_app_that_begins_anew() -> None:
    storm: dict[str, Any] = {"history": History(same_body=9, restarts=3)}
    assert _said(429, "slow", "rate_limit_exceeded", **storm) is Cause.CLIENT_RETRY_STORM
    assert (
        _said(429, "slow", "rate_limit_exceeded", history=History(same_body=9, restarts=1))
        is not Cause.CLIENT_RETRY_STORM
    )
    assert (
        _said(429, "slow", "rate_limit_exceeded", history=History(same_body=7, restarts=3))
        is not Cause.CLIENT_RETRY_STORM
    )
    assert _said(401, "Incorrect API key provided.", **storm) is Cause.AUTH_INVALID_KEY


def test_a_loop_around_our_own_retries_is_a_storm_too() -> None:
    def said(attempts: int = 3, **before: Any) -> Cause:
        return _said(503, "busy", "server_is_overloaded", attempts=attempts, history=History(**before))

    assert said(rounds=6, same_sent=18) is Cause.CLIENT_RETRY_STORM
    assert said(rounds=5, same_sent=15) is not Cause.CLIENT_RETRY_STORM, "somebody may have tried by hand"
    assert said(attempts=1, rounds=18, same_sent=18) is not Cause.CLIENT_RETRY_STORM, "nothing multiplies"


def test_only_a_large_request_where_small_ones_pass_dies_of_its_size() -> None:
    failure = NetFailure(phase=Phase.SEND, code=NetCode.READ_TIMEOUT, detail="x", sent=True)

    def judged(size: int, *, small_passed: bool) -> Cause:
        call, history = CallShape(size_bytes=size), History(small_passed=small_passed)
        return diagnose(Evidence(provider=OPENAI, host="h.example", failure=failure, call=call, history=history)).cause

    assert judged(100_000, small_passed=True) is Cause.NETWORK_MTU_BLACKHOLE
    assert judged(100_000, small_passed=False) is Cause.NETWORK_READ_TIMEOUT
    assert judged(1_000, small_passed=True) is Cause.NETWORK_READ_TIMEOUT


def test_a_connection_is_slow_only_against_what_is_usual_here() -> None:
    failure = NetFailure(phase=Phase.FIRST_BYTE, code=NetCode.UNKNOWN, detail="x", sent=True)

    def judged(took_ms: float, usual: float) -> Cause:
        marks = (Mark(Phase.CONNECT, 0.0, took_ms / 2, ok=True), Mark(Phase.TLS, took_ms / 2, took_ms, ok=True))
        tried = (Attempt(number=1, waited_seconds=0.0, marks=marks, head=None, failure=failure),)
        history = History(usual_connect_seconds=usual)
        return diagnose(
            Evidence(provider=OPENAI, host="h.example", failure=failure, tried=tried, history=history)
        ).cause

    assert judged(4_000, usual=0.1) is Cause.NETWORK_DEGRADED
    assert judged(4_000, usual=2.0) is Cause.UNKNOWN
    assert judged(1_000, usual=0.01) is Cause.UNKNOWN
    assert judged(4_000, usual=0.0) is Cause.UNKNOWN


@pytest.mark.parametrize(
    ("address", "cause"),
    [
        ("0.0.0.0", Cause.NETWORK_DNS_TAMPERED),
        ("127.0.0.1", Cause.NETWORK_DNS_TAMPERED),
        ("10.10.34.36", Cause.NETWORK_DNS_TAMPERED),
        ("192.168.1.7", Cause.NETWORK_DNS_TAMPERED),
        ("198.18.3.4", Cause.NETWORK_VPN_INTERFERENCE),
        ("162.159.140.245", Cause.NETWORK_TCP_REFUSED),
    ],
)
def test_where_a_name_led_tells_who_refused(address: str, cause: Cause) -> None:
    failure = NetFailure(phase=Phase.CONNECT, code=NetCode.CONNECTION_REFUSED, detail="refused", sent=False)
    evidence = Evidence(provider=OPENAI, host="api.openai.com", failure=failure, addresses=(address,))
    assert diagnose(evidence).cause is cause


@pytest.mark.parametrize("host", ["localhost", "relay", "llm.internal", "127.0.0.1"])
def test_a_name_that_is_meant_for_the_inside_may_lead_there(host: str) -> None:
    failure = NetFailure(phase=Phase.CONNECT, code=NetCode.CONNECTION_REFUSED, detail="refused", sent=False)
    evidence = Evidence(provider=None, host=host, failure=failure, addresses=("127.0.0.1",))
    assert diagnose(evidence).cause is Cause.NETWORK_TCP_REFUSED


@pytest.mark.parametrize("status", [200, 204, 301, 404])
def test_no_rule_finds_fault_with_an_empty_answer_that_is_none(status: int) -> None:
    evidence = Evidence(provider=OPENAI, host="api.openai.com", head=ReplyHead(status=status, headers=(JSON,)))
    assert [one.rule.cause for one in candidates(Observation(evidence))] == []


def test_every_rule_stays_silent_when_nothing_was_seen() -> None:
    nothing = Observation(Evidence(provider=None, host=""))
    assert [rule.cause for rule in RULES.values() if rule.match(nothing) is not None] == []


def test_a_file_without_a_rule_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="exports no RULE"):
        discover("gateway.diagnose", "RULE", Rule)
