"""What stands in the environment, what the provider answers and says of itself, and what it says to the key."""

from tests.network import faults, http_faults
from tests.network.scenario import Scenario

HTML = {"content-type": "text/html; charset=UTF-8"}
JSON = {"content-type": "application/json"}
KEY = {"OPENAI_API_KEY": "sk-good-golden-1234567890"}
BOTH = KEY | {"ANTHROPIC_API_KEY": "sk-ant-good-golden-1234567890"}
OPENAI = ("--host", "api.openai.com")
STRAIGHT = '[network]\nproxy = "none"\n'
"""Our own way is straight, whatever the variables say: they are looked at for the programs that read them."""


def openai_says(status: int, body: str, headers: dict[str, str], *, edge: bool = True) -> tuple[faults.Fault]:
    return (http_faults.answers("api.openai.com", status, body, headers=headers, edge=edge),)


_ANSWERS = (
    Scenario(
        name="the provider does not serve this country",
        faults=(http_faults.region(),),
        check="answer", cause="region.unsupported", precision="declared",
        evidence=("unsupported_country_region_territory", "written by the provider"),
    ),
    Scenario(
        name="the edge wants a browser",
        faults=(http_faults.challenge("api.openai.com"),), env=BOTH, args=OPENAI,
        check="answer", cause="edge.challenge", evidence=("api.anthropic.com is answered as it should be", "Cloudflare"),
        ruled_out=("service.unavailable", "auth.invalid_key", "network.offline"),
    ),
    Scenario(
        name="the edge blocks this address",
        faults=openai_says(403, "error code: 1020", HTML), check="answer", cause="edge.blocked",
        evidence=("no other provider was asked for comparison",),
    ),
    Scenario(
        name="the edge throttles this address",
        faults=openai_says(429, "error code: 1015", HTML), check="answer", cause="edge.rate_limited",
    ),
    Scenario(
        name="the edge cannot reach the provider",
        faults=openai_says(502, "<title>api.openai.com | 502: Bad gateway</title>", HTML),
        check="answer", cause="edge.origin_error",
    ),
    Scenario(
        name="a page of Zscaler stands inside a connection that this machine trusts",
        faults=(http_faults.blocked_inside_tls("api.openai.com", "zscaler"),), env=BOTH, args=OPENAI,
        check="answer", cause="network.blocked_page", vendor="Zscaler", precision="confirmed",
        evidence=("api.anthropic.com is answered as it should be",), ruled_out=("service.unavailable", "auth.invalid_key"),
    ),
    Scenario(
        name="a page of FortiGate stands there, and nobody else was asked",
        faults=(http_faults.blocked_inside_tls("api.openai.com", "fortigate"),),
        check="answer", cause="network.blocked_page", vendor="Fortinet", precision="declared",
        evidence=("no other provider was asked for comparison",),
    ),
    Scenario(
        name="a nameless page refuses",
        faults=openai_says(403, "<title>Access Denied</title>Blocked by your administrator", HTML, edge=False),
        check="answer", cause="network.blocked_page", precision="inferred",
    ),
    Scenario(
        name="the provider is overloaded and its status page is silent about it",
        faults=(http_faults.server_error("api.openai.com", 503),),
        check="answer", cause="service.overloaded", precision="declared", evidence=("written by the provider",),
    ),
    Scenario(
        name="the request is read and never answered",
        faults=(faults.Fault("http", "silence", ("api.openai.com",), more={"path": ""}),),
        check="answer", cause="network.read_timeout",
    ),
    Scenario(
        name="the connection is reset once the request is there",
        faults=(http_faults.reset_at_request("api.openai.com"),), check="answer", cause="network.connection_reset",
    ),
)  # fmt: skip

_STATUS = (
    Scenario(
        name="an incident that calls feel",
        faults=(http_faults.server_error("api.openai.com", 503), http_faults.status("openai", "incident")),
        check="status", cause="service.incident", precision="confirmed",
        evidence=("Elevated error rates on Chat Completions", "major outage", "is investigating"),
        ruled_out=("network.offline",),
    ),
    Scenario(
        name="an incident that calls do not feel yet",
        faults=(http_faults.status("openai", "incident"),), check="status", status="warn", cause="service.incident",
    ),
    Scenario(
        name="a part of the API is degraded",
        faults=(http_faults.status("openai", "degraded"),), check="status", status="warn", cause="service.incident",
        evidence=("Chat Completions: degraded performance",),
    ),
    Scenario(
        name="a state of the API that nobody knows is not taken for a good one",
        faults=(http_faults.status("openai", "unknown"),), check="status", status="warn", cause="service.incident",
        evidence=("wobbling",),
    ),
    Scenario(
        name="an incident of Claude",
        faults=(http_faults.status("claude", "incident"),), args=("--host", "api.anthropic.com"),
        check="status", status="warn", cause="service.incident", evidence=("Claude API (api.anthropic.com)",),
    ),
    Scenario(
        name="a status page that is no page of data is no incident",
        faults=(http_faults.status("openai", "html"),), check="status", status="note", exit_code=0,
        told=("could not be read",),
    ),
    Scenario(
        name="a status page that lacks what we look for is neither good nor bad",
        faults=(http_faults.status("openai", "missing"),), check="status", status="note", exit_code=0,
        told=("could not be read",),
    ),
    Scenario(
        name="a status page with an error of its own is no incident",
        faults=(http_faults.status("openai", "error"),), check="status", status="note", exit_code=0,
    ),
    Scenario(
        name="a status page that cannot be reached while the API can is a note",
        faults=(faults.refused("status.openai.com"),), check="status", status="note", exit_code=0,
        told=("cannot be reached",),
    ),
    Scenario(
        name="another provider's incident is not ours",
        faults=(http_faults.status("claude", "incident"),), args=OPENAI, check="status", status="ok", exit_code=0,
    ),
)  # fmt: skip

_KEYS = (
    Scenario(
        name="the provider does not know the key",
        env={"OPENAI_API_KEY": "sk-proj-abcdefghijklmnop"}, check="key", cause="auth.invalid_key", precision="declared",
        evidence=("the key from OPENAI_API_KEY was sent to api.openai.com",),
    ),
    Scenario(
        name="Anthropic does not know the key",
        env={"ANTHROPIC_API_KEY": "sk-ant-api03-abcdefghijkl"}, args=("--host", "api.anthropic.com"),
        check="key", cause="auth.invalid_key",
    ),
    Scenario(
        name="there are quotes around the key",
        env={"OPENAI_API_KEY": '"sk-good-golden-1234567890"'}, check="key", cause="auth.invalid_key",
        evidence=("has quotes", "without them the provider accepts it"),
    ),
    Scenario(
        name="there is a line break behind the key",
        env={"OPENAI_API_KEY": "sk-good-golden-1234567890\n"}, check="key", cause="auth.invalid_key",
        evidence=("white space", "without them the provider accepts it"),
    ),
    Scenario(
        name="the key is a placeholder",
        env={"OPENAI_API_KEY": "your-api-key-here"}, check="key", cause="auth.invalid_key",
        evidence=("placeholder", "it was not sent anywhere"),
    ),
    Scenario(
        name="the key is one of another provider",
        env={"OPENAI_API_KEY": "sk-ant-good-golden-1234567890"}, args=OPENAI, check="key", cause="auth.invalid_key",
        evidence=("begins like one of Anthropic", "it was not sent anywhere"),
    ),
    Scenario(
        name="the key may not use a model",
        env=KEY, args=("--model", "gpt-9"), check="key", about="gpt-9", cause="request.model_not_found",
        evidence=("model_not_found",),
    ),
    Scenario(
        name="the key may use a model",
        env=KEY, args=("--model", "gpt-5"), check="key", about="gpt-5", status="ok", exit_code=0,
    ),
    Scenario(
        name="without a key all is well and the report names the variable",
        check="key", status="skipped", told=("OPENAI_API_KEY",), exit_code=0,
    ),
    Scenario(
        name="the key stays here while a page answers in the provider's place",
        faults=(http_faults.blocked_inside_tls("api.openai.com", "zscaler"),), env=KEY,
        check="key", status="skipped", told=("not the provider that answered",), exit_code=1,
    ),
    Scenario(
        name="other providers answer, too",
        env=BOTH, args=OPENAI, check="others", status="ok", told=("api.anthropic.com",), exit_code=0,
    ),
    Scenario(
        name="a country that is not served says nothing of the key",
        faults=(http_faults.region(),), env=KEY, check="key", status="skipped", told=("as it does without a key",),
        exit_code=1,
    ),
    Scenario(
        name="only one provider is affected",
        faults=(http_faults.challenge("api.openai.com"),), env=BOTH, args=OPENAI,
        check="others", status="note", told=("only api.openai.com",), exit_code=1,
    ),
)  # fmt: skip

_HERE = (
    Scenario(
        name="a variable names certificates that are not there",
        env={"REQUESTS_CA_BUNDLE": "/nonexistent/corp.pem"}, check="trust", about="REQUESTS_CA_BUNDLE",
        cause="client.ca_bundle_misconfigured", evidence=("REQUESTS_CA_BUNDLE names a file that is not there",),
    ),
    Scenario(
        name="the list of trusted certificates is not there and nobody on the way is accused",
        env=KEY | {"SSL_CERT_FILE": "/nonexistent/x.pem"}, check="trust", cause="client.ca_bundle_misconfigured",
    ),
    Scenario(
        name="nothing is said of a certificate when this machine has no list of its own",
        env=KEY | {"SSL_CERT_FILE": "/etc/hostname"}, check="tls", status="skipped", told=("list of trusted",),
    ),
    Scenario(
        name="a variable of Node names certificates that are none",
        env={"NODE_EXTRA_CA_CERTS": "/etc/hostname"}, check="trust", status="warn",
        cause="client.ca_bundle_misconfigured", evidence=("without a certificate in PEM form",),
    ),
    Scenario(
        name="a proxy variable names an earlier gateway",
        env={"HTTPS_PROXY": "http://whygate:abcdefghijkl@127.0.0.1:8899"}, config=STRAIGHT,
        check="proxy-variables", cause="network.proxy_unreachable", evidence=("no longer runs",),
    ),
    Scenario(
        name="the proxy that calls go through is an earlier gateway",
        env={"HTTPS_PROXY": "http://whygate:abcdefghijkl@127.0.0.1:8899"},
        check="proxy-variables", cause="network.proxy_unreachable", evidence=("no longer runs",),
    ),
    Scenario(
        name="a proxy variable has https where the proxy speaks http",
        env={"HTTPS_PROXY": "https://10.0.0.3:3128"}, proxy={}, config=STRAIGHT,
        check="proxy-variables", cause="network.proxy_misconfigured", evidence=("10.0.0.3:3128 does not speak TLS",),
    ),
    Scenario(
        name="a proxy variable names a web server",
        env={"HTTPS_PROXY": "http://github.com:80"}, config=STRAIGHT,
        check="proxy-variables", cause="network.proxy_misconfigured", evidence=("is no proxy",),
    ),
    Scenario(
        name="a proxy variable names a host that nobody knows",
        env={"HTTPS_PROXY": "http://proxy.gone.example:3128"}, config=STRAIGHT,
        check="proxy-variables", cause="network.proxy_unreachable", evidence=("leads to no address",),
    ),
    Scenario(
        name="a proxy variable cannot be read",
        env={"HTTPS_PROXY": "proxy corp:3128"}, config=STRAIGHT, check="proxy-variables",
        cause="network.proxy_misconfigured",
    ),
    Scenario(
        name="both spellings of a variable differ",
        env={"HTTPS_PROXY": "{proxy}", "https_proxy": "http://10.0.0.3:3128/x"}, proxy={}, config=STRAIGHT,
        check="proxy-variables", status="warn", cause="network.proxy_misconfigured", evidence=("in upper case",),
    ),
    Scenario(
        name="calls to models on this machine would go to the proxy",
        env={"HTTPS_PROXY": "{proxy}", "OLLAMA_HOST": "127.0.0.1:11434"}, proxy={},
        check="proxy-variables", status="warn", cause="client.no_proxy_missing", evidence=("NO_PROXY lacks localhost",),
    ),
    Scenario(
        name="a base URL lacks its path",
        env={"OPENAI_BASE_URL": "https://api.openai.com"}, check="proxy-variables", about="OPENAI_BASE_URL",
        cause="request.invalid_url", evidence=("lacks /v1",),
    ),
    Scenario(
        name="a base URL names an earlier gateway",
        env={"OPENAI_BASE_URL": "http://127.0.0.1:8899/openai/v1"}, check="proxy-variables",
        cause="network.proxy_unreachable", evidence=("OPENAI_BASE_URL names a gateway that no longer runs",),
    ),
    Scenario(
        name="the company's proxy works and so do the runtimes",
        env=KEY | {"HTTPS_PROXY": "{proxy}"}, proxy={}, check="proxy-variables", status="ok", exit_code=0,
    ),
    Scenario(
        name="nothing is wrong at Anthropic",
        env={"ANTHROPIC_API_KEY": "sk-ant-good-golden-1234567890"}, args=("--host", "api.anthropic.com"),
        check="key", status="ok", exit_code=0,
    ),
    Scenario(
        name="nothing is wrong at Gemini, whose page of incidents is not known here",
        env={"GEMINI_API_KEY": "AIzagoodgolden1234567890"}, args=("--host", "generativelanguage.googleapis.com"),
        check="key", status="ok", exit_code=0,
    ),
)  # fmt: skip

SCENARIOS = (*_ANSWERS, *_STATUS, *_KEYS, *_HERE)
