"""What is claimed of which client and asked of which provider. The README's table is checked against `PROVEN`."""

from dataclasses import dataclass

PROXIED, BASED = "HTTPS_PROXY alone", "base URL"


@dataclass(frozen=True, slots=True)
class Client:
    """One client in one runtime, and what `whygate run` does for it.

    Attributes:
        program: The process that makes its calls; see `tests.e2e.runtimes.programs`.
        name: What that program calls it.
        runtime: With the version that it was proven with.
        what: What a person calls it.
        version: Beginning of the version proven; empty for what is part of its runtime.
        protocols: What it can speak.
        proxied: Whether it comes to the gateway with HTTPS_PROXY alone. By base URL, every one does.
        remark: What its user has to know.
    """

    program: str
    name: str
    runtime: str
    what: str
    version: str
    protocols: frozenset[str]
    proxied: bool = True
    remark: str = ""

    def __str__(self) -> str:
        return f"{self.program}:{self.name}"


@dataclass(frozen=True, slots=True)
class Asked:
    """One provider of the matrix.

    Attributes:
        protocol: See `tests.e2e.runtimes.protocols`.
        variable: What an app reads its base URL from.
        base: What an app calls when that is not set.
        mount: Path on the gateway, set by the test's user; empty when `whygate run` sets the variable.
    """

    name: str
    protocol: str
    variable: str
    base: str
    model: str
    mount: str = ""

    def __str__(self) -> str:
        return self.name


PROVIDERS = (
    Asked("openai", "chat", "OPENAI_BASE_URL", "https://api.openai.com/v1", "gpt-4o-mini"),
    Asked("anthropic", "messages", "ANTHROPIC_BASE_URL", "https://api.anthropic.com", "claude-sonnet-4-5"),
    Asked("deepseek", "chat", "DEEPSEEK_URL", "https://api.deepseek.com/v1", "deepseek-chat", "/deepseek/v1"),
    Asked("gemini", "gemini", "GOOGLE_GEMINI_BASE_URL", "https://generativelanguage.googleapis.com", "gemini-2.5-flash", "/gemini"),
    Asked("azure", "azure", "AZURE_URL", "https://whygate-test.openai.azure.com", "gpt-4o-mini", "/azure/whygate-test"),
)  # fmt: skip

BYPASSED = "bypassed.invalid"
"""A host that the gateway knows and no name server does: who gets an answer from it came through the gateway."""

_CHAT, _MESSAGES, _AZURE, _GEMINI = (frozenset({name}) for name in ("chat", "messages", "azure", "gemini"))
_RAW = _CHAT | _MESSAGES | _AZURE | _GEMINI
_PAST = "ignores proxy variables"

PROVEN = (
    Client("python", "openai", "Python", "`openai`", "3", _CHAT),
    Client("python-more", "openai", "Python", "`openai`", "2", _CHAT),
    Client("python", "azure", "Python", "`AzureOpenAI`", "3", _AZURE),
    Client("python", "anthropic", "Python", "`anthropic`", "2", _MESSAGES),
    Client("python-more", "google-genai", "Python", "`google-genai`", "3", _GEMINI),
    Client("python-more", "langchain-openai", "Python", "`langchain-openai`", "1", _CHAT),
    Client("python-more", "langchain-anthropic", "Python", "`langchain-anthropic`", "1", _MESSAGES),
    Client("python-more", "litellm", "Python", "`litellm.completion`", "1", _CHAT | _MESSAGES),
    Client("python-more", "litellm-async", "Python", "`litellm.acompletion`", "1", _CHAT | _MESSAGES),
    Client("python-more", "requests", "Python", "`requests`", "2", _RAW),
    Client("python-more", "httpx", "Python", "`httpx`", "0.28", _RAW),
    Client("python", "urllib", "Python", "`urllib.request`", "", _RAW),
    Client("python-more", "aiohttp", "Python", "`aiohttp`", "3", _RAW, remark="with `trust_env=True`"),
    Client("python-more", "urllib3", "Python", "`urllib3`", "2", _RAW, remark='with `ProxyManager(os.environ["HTTPS_PROXY"])`'),
    Client("node24", "fetch", "Node.js 24", "`fetch`", "", _RAW),
    Client("node24", "openai", "Node.js 24", "`openai`", "7", _CHAT),
    Client("node24", "anthropic", "Node.js 24", "`@anthropic-ai/sdk`", "1", _MESSAGES),
    Client("node24", "google-genai", "Node.js 24", "`@google/genai`", "3", _GEMINI),
    Client("node24", "axios", "Node.js 24", "`axios`", "1", _RAW),
    Client("node24", "azure", "Node.js 24", "`AzureOpenAI`", "7", _AZURE),
    Client("node20", "fetch", "Node.js 20", "`fetch`", "", _RAW, proxied=False, remark=_PAST),
    Client("node20", "openai", "Node.js 20", "`openai`", "7", _CHAT, proxied=False, remark=_PAST),
    Client("node20", "anthropic", "Node.js 20", "`@anthropic-ai/sdk`", "1", _MESSAGES, proxied=False, remark=_PAST),
    Client("node20", "axios", "Node.js 20", "`axios`", "1", _RAW),
    Client("node20", "undici", "Node.js 20", "`undici`", "7", _RAW, remark="with `EnvHttpProxyAgent` as its dispatcher"),
    Client("node20", "https-proxy-agent", "Node.js 20", "`node:https`", "", _RAW, remark="with an agent of `https-proxy-agent` 9"),
    Client("bun", "fetch", "Bun 1.4", "`fetch`", "", _RAW),
    Client("bun", "openai", "Bun 1.4", "`openai`", "7", _CHAT),
    Client("bun", "anthropic", "Bun 1.4", "`@anthropic-ai/sdk`", "1", _MESSAGES),
    Client("deno", "fetch", "Deno 2.9", "`fetch`", "", _RAW),
    Client("deno", "openai", "Deno 2.9", "`openai`", "7", _CHAT),
    Client("deno", "anthropic", "Deno 2.9", "`@anthropic-ai/sdk`", "1", _MESSAGES),
    Client("java", "HttpClient", "Java 17", "`java.net.http.HttpClient`", "", _RAW),
    Client("java", "HttpURLConnection", "Java 17", "`HttpURLConnection`", "", _RAW),
    Client("go", "net/http", "Go 1.19", "`net/http`", "", _RAW),
    Client("rust", "reqwest", "Rust", "`reqwest`", "0.11", _RAW, remark="with `native-tls`, its default; tested by hand, not in CI"),
    Client("ruby", "net/http", "Ruby 3.1", "`net/http`", "", _RAW),
    Client("php", "curl", "PHP 8.2", "`curl`", "", _RAW),
    Client("php", "streams", "PHP 8.2", "streams", "", _RAW, proxied=False, remark=_PAST),
    Client("curl", "curl", "curl 7.88", "`curl`", "", _RAW),
)  # fmt: skip

LOCKED = frozenset({"python", "python-more", "node20", "node24", "bun", "deno"})
"""Programs whose versions a lock file decides, not the machine."""


def markdown() -> list[str]:
    """Give the lines of the README's table; clients of a runtime that fare alike share a line."""
    rows: dict[tuple[str, bool, str], list[str]] = {}
    for client in PROVEN:
        fate = (client.runtime, client.proxied, client.remark)
        rows.setdefault(fate, []).append(f"{client.what} {client.version}".strip())
    head = ["| Runtime | Clients | HTTPS_PROXY alone | Base URL | |", "|---|---|---|---|---|"]
    return head + [
        f"| {runtime} | {', '.join(names)} | {'yes' if proxied else 'no'} | yes | {remark} |"
        for (runtime, proxied, remark), names in rows.items()
    ]
