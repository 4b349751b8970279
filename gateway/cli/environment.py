"""What an app's environment must say so that its calls come through the gateway. Decides only; sets nothing."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.cli.known import hosts
from gateway.state import Runtime
from gateway.trust import FILE_VARIABLES, php_settings
from gateway.trust_java import PASSWORD

PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")
"""Not ALL_PROXY: it would also redirect protocols that are no business of ours."""
_NOT_PROXIED = ("localhost", "127.0.0.1", "::1")
"""``::1`` without brackets: httpx up to 0.28 refuses to start on ``[::1]`` in NO_PROXY (tried with 0.24 to 0.28)."""

_JAVA_DIRECT = "localhost|127.*|[::1]"
_HOSTS_NAMED = 2


@dataclass(slots=True)
class Changes:
    """Variables to set, and remarks for the person who runs the command."""

    variables: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def changes_for(runtime: Runtime, bundle: Path, truststore: Path, env: Mapping[str, str]) -> Changes:
    """Give what must change in ``env``, but for base URLs: see `gateway.cli.base_urls`.

    SSL_CERT_DIR stays as it is: OpenSSL, Go and Rust read it *beside* SSL_CERT_FILE, httpx and curl look at the file
    first (curl because CURL_CA_BUNDLE is set), so it hides nothing of ours; unsetting it could only take trust away.

    Args:
        runtime: The gateway to go through.
        bundle: Certificates in PEM form, ours among them.
        truststore: The same for Java.
        env: What the app would have had; nothing in it is lost but proxies and certificate files.
    """
    changes = Changes()
    if runtime.asks_for_token and not runtime.listen_token:
        changes.notes.append(
            "this gateway serves tenants, and their tokens are not known here, so calls will be refused (407, 401): put"
            f" yours into the proxy's address, http://whygate:TOKEN@{runtime.listen}, or into base URLs as"
            f" {runtime.listen_url}/~TOKEN/..."
        )
    changes.variables.update(dict.fromkeys(PROXY_VARIABLES, runtime.proxy_url))
    no_proxy = _no_proxy(env)
    changes.variables.update(NO_PROXY=no_proxy, no_proxy=no_proxy)
    changes.variables.update(dict.fromkeys(FILE_VARIABLES, str(bundle)))
    # Node.js 22.21 and 24.0 and later read the proxy variables only with this.
    changes.variables["NODE_USE_ENV_PROXY"] = "1"
    changes.variables["PHP_INI_SCAN_DIR"] = _php(bundle, env)
    changes.variables["JAVA_TOOL_OPTIONS"] = _java(runtime, truststore, env, changes.notes)
    _warn_of_bypass(no_proxy, changes.notes)
    return changes


def _no_proxy(env: Mapping[str, str]) -> str:
    theirs = ",".join(filter(None, (env.get("NO_PROXY"), env.get("no_proxy"))))
    return ",".join(dict.fromkeys(part for part in (*map(str.strip, theirs.split(",")), *_NOT_PROXIED) if part))


def _php(bundle: Path, env: Mapping[str, str]) -> str:
    """Add our settings behind what PHP reads anyway; an empty entry stands for its built-in directory."""
    ours = str(php_settings(bundle))
    theirs = [entry for entry in env.get("PHP_INI_SCAN_DIR", "").split(os.pathsep) if entry != ours]
    return os.pathsep.join([*theirs, ours] if theirs else ["", ours])


def _java(runtime: Runtime, truststore: Path, env: Mapping[str, str], notes: list[str]) -> str:
    """Add to JAVA_TOOL_OPTIONS: our proxy instead of theirs, but their own trust store. The JVM prints a line."""
    # A shell that took its variables from us before holds our words already.
    ours_before = (f"/{truststore.name}", f"={_JAVA_DIRECT}")
    theirs = [word for word in env.get("JAVA_TOOL_OPTIONS", "").split() if not word.endswith(ours_before)]
    named = {word.removeprefix("-D").partition("=")[0] for word in theirs}
    host, _, port = runtime.listen.rpartition(":")
    host = host.strip("[]")
    ours = {"http.proxyHost": host, "http.proxyPort": port, "https.proxyHost": host, "https.proxyPort": port}
    if runtime.listen_token:
        # The JDK's clients ask the app's Authenticator, and for https only when Basic is not disabled, as it is by
        # default (conf/net.properties of 17, read 2026-11). The token stands in no word: the JVM prints them all.
        ours["jdk.http.auth.tunneling.disabledSchemes"] = ""
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


def _warn_of_bypass(no_proxy: str, notes: list[str]) -> None:
    for entry in no_proxy.split(","):
        suffix = entry.removeprefix("*").removeprefix(".").lower()
        names = [name.removeprefix("*.") for name in hosts()]
        past = [name for name in names if not suffix or name == suffix or name.endswith("." + suffix)]
        if past and entry not in _NOT_PROXIED:
            more = f" and {len(past) - _HOSTS_NAMED} other hosts" if len(past) > _HOSTS_NAMED else ""
            named = ", ".join(past[:_HOSTS_NAMED])
            notes.append(f"NO_PROXY contains {entry}, so calls to {named}{more} may go past the gateway.")
