"""What an app's environment must say so that its calls come through the gateway. Decides only; sets nothing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gateway.state import Runtime
from gateway.trust import FILE_VARIABLES
from gateway.trust_java import PASSWORD

PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")
"""Not ALL_PROXY: it would also redirect protocols that are no business of ours."""
_NOT_PROXIED = ("localhost", "127.0.0.1", "::1")
"""``::1`` without brackets: httpx up to 0.28 refuses to start on ``[::1]`` in NO_PROXY (tried with 0.24 to 0.28)."""

_JAVA_DIRECT = "localhost|127.*|[::1]"

_BASE_URLS = (
    # The variable we set, the gateway's path, and older names for the same thing: when one of those is set, setting
    # ours would take precedence in some libraries and send a relay's key to the provider.
    ("OPENAI_BASE_URL", "/openai/v1", ("OPENAI_API_BASE", "OPENAI_API_HOST"), "api.openai.com"),
    ("ANTHROPIC_BASE_URL", "/anthropic", ("ANTHROPIC_API_BASE", "ANTHROPIC_API_URL"), "api.anthropic.com"),
)


@dataclass(slots=True)
class Changes:
    """Variables to set, and remarks for the person who runs the command."""

    variables: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def changes_for(
    runtime: Runtime, bundle: Path, truststore: Path, env: Mapping[str, str], *, base_urls: bool = True
) -> Changes:
    """Give what must change in ``env``.

    SSL_CERT_DIR stays as it is: OpenSSL, Go and Rust read it *beside* SSL_CERT_FILE, httpx and curl look at the file
    first (curl because CURL_CA_BUNDLE is set), so it hides nothing of ours; unsetting it could only take trust away.

    Args:
        runtime: The gateway to go through.
        bundle: Certificates in PEM form, ours among them.
        truststore: The same for Java.
        env: What the app would have had; nothing in it is lost but proxies and certificate files.
        base_urls: Whether to set base URL variables for clients that ignore proxy variables (Node.js before 22.21).
    """
    changes = Changes()
    changes.variables.update(dict.fromkeys(PROXY_VARIABLES, runtime.listen_url))
    no_proxy = _no_proxy(env)
    changes.variables.update(NO_PROXY=no_proxy, no_proxy=no_proxy)
    changes.variables.update(dict.fromkeys(FILE_VARIABLES, str(bundle)))
    # Node.js 22.21 and 24.0 and later read the proxy variables only with this.
    changes.variables["NODE_USE_ENV_PROXY"] = "1"
    changes.variables["JAVA_TOOL_OPTIONS"] = _java(runtime, truststore, env, changes.notes)
    if base_urls:
        _set_base_urls(runtime, env, changes)
    _warn_of_bypass(no_proxy, changes.notes)
    return changes


def _no_proxy(env: Mapping[str, str]) -> str:
    theirs = ",".join(filter(None, (env.get("NO_PROXY"), env.get("no_proxy"))))
    return ",".join(dict.fromkeys(part for part in (*map(str.strip, theirs.split(",")), *_NOT_PROXIED) if part))


def _java(runtime: Runtime, truststore: Path, env: Mapping[str, str], notes: list[str]) -> str:
    """Add to JAVA_TOOL_OPTIONS: our proxy instead of theirs, but their own trust store. The JVM prints a line."""
    # A shell that took its variables from us before holds our words already.
    ours_before = (f"/{truststore.name}", f"={_JAVA_DIRECT}")
    theirs = [word for word in env.get("JAVA_TOOL_OPTIONS", "").split() if not word.endswith(ours_before)]
    named = {word.removeprefix("-D").partition("=")[0] for word in theirs}
    host, _, port = runtime.listen.rpartition(":")
    host = host.strip("[]")
    ours = {"http.proxyHost": host, "http.proxyPort": port, "https.proxyHost": host, "https.proxyPort": port}
    if "http.nonProxyHosts" not in named:
        ours["http.nonProxyHosts"] = _JAVA_DIRECT
    if "javax.net.ssl.trustStore" in named:
        notes.append("JAVA_TOOL_OPTIONS names a trust store of yours; Java needs whygate's certificate in it.")
    elif " " in str(truststore):
        notes.append("Java cannot be given our certificates: the path of the state directory has a space in it.")
    else:
        ours |= {
            "javax.net.ssl.trustStore": str(truststore),
            "javax.net.ssl.trustStoreType": "PKCS12",
            "javax.net.ssl.trustStorePassword": PASSWORD,
        }
    kept = [word for word in theirs if word.removeprefix("-D").partition("=")[0] not in ours]
    return " ".join([*kept, *(f"-D{name}={value}" for name, value in ours.items())])


def _set_base_urls(runtime: Runtime, env: Mapping[str, str], changes: Changes) -> None:
    for name, path, older, host in _BASE_URLS:
        taken = next(((other, env[other]) for other in (name, *older) if env.get(other)), None)
        stale_or_ours = re.compile(rf"http://(127\.0\.0\.1|localhost|\[::1\]):\d+{re.escape(path)}/?")
        if taken is None or stale_or_ours.fullmatch(taken[1]):
            changes.variables[name] = runtime.listen_url + path
            continue
        named = urlsplit(taken[1]).hostname or taken[1]
        if named != host:
            changes.notes.append(
                f"{taken[0]} stays as it is; calls to {named} pass through unread"
                " unless a [[providers]] table of the settings names that host."
            )


def _warn_of_bypass(no_proxy: str, notes: list[str]) -> None:
    for entry in no_proxy.split(","):
        suffix = entry.removeprefix("*").removeprefix(".")
        hosts = [host for *_, host in _BASE_URLS if not suffix or host == suffix or host.endswith("." + suffix)]
        if hosts:
            notes.append(f"NO_PROXY contains {entry}, so calls to {' and '.join(hosts)} may go past the gateway.")
