"""From what a person or the page wants to a case: which host, by which way, with which key."""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.doctor.case import Case, Target
from gateway.doctor.lists import Lists
from gateway.egress.network import Via, Ways, is_same
from gateway.model.call import Origin
from gateway.model.provider import Provider

_KEY_VARIABLES = {
    "azure": ("AZURE_OPENAI_API_KEY",),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "zhipu": ("ZAI_API_KEY", "ZHIPUAI_API_KEY"),
    "moonshot": ("MOONSHOT_API_KEY", "KIMI_API_KEY"),
}
"""Where it is not the provider's name and ``_API_KEY``."""
_PATHS = {"gemini": "/v1beta/models", "azure": "/openai/models?api-version=2024-10-21", "openrouter": "/api/v1/key",
          "groq": "/openai/v1/models", "deepseek": "/models", "fireworks": "/inference/v1/models",
          "dashscope": "/compatible-mode/v1/models", "zhipu": "/api/paas/v4/models"}  # fmt: skip
"""What lists models, or says who asks, where it is not ``/v1/models``."""
_CHATGPT = ("chatgpt.com", "*.chatgpt.com", "*.oaiusercontent.com", "*.oaistatic.com", "auth.openai.com")
_OTHERS_MAX = 4


def is_of_chatgpt(host: str) -> bool:
    """Whether a host belongs to ChatGPT in browsers and apps rather than to the API."""
    return any(fnmatchcase(host, pattern) for pattern in _CHATGPT)


def parse_host(text: str) -> tuple[str, int]:
    """Read ``HOST``, ``HOST:PORT`` or a URL.

    Raises:
        ValueError: It is none of them; says what is expected.
    """
    expected = "a host like api.openai.com, with :PORT or as a URL if you like"
    parts = urlsplit(text if "://" in text else f"https://{text}")
    try:
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise ValueError(expected) from None
    odd = any(not (one.isalnum() or one in ".-_:") for one in host) or host.startswith((".", "-")) or ".." in text
    if not host or odd:
        raise ValueError(expected)
    if ":" in host:
        ipaddress.IPv6Address(host)
    return host, port or (80 if parts.scheme == "http" else 443)


def key_variables(provider: Provider) -> tuple[str, ...]:
    """Give the variables in which SDKs look for the key."""
    return _KEY_VARIABLES.get(provider.name, (f"{provider.name.upper()}_API_KEY",))


def path_of(provider: Provider) -> str:
    """Give what is asked at a provider without a key: what lists models, or says who asks."""
    return _PATHS.get(provider.name, "/v1/models")


def target_of(provider: Provider, environ: Mapping[str, str], host: str = "", port: int = 443) -> Target:
    """Give a provider's host as a target, with the key that the environment holds for it."""
    variable = next((name for name in key_variables(provider) if environ.get(name)), "")
    home = next((one for one in provider.hosts if "*" not in one), "")
    ca_file, path, plain = provider.upstream_ca_file, path_of(provider), False
    if provider.upstream is not None and not host:
        parts = urlsplit(provider.upstream)
        plain = parts.scheme == "http"
        host, port = parts.hostname or home, parts.port or (80 if plain else 443)
        path = parts.path.rstrip("/") + path if not path.startswith(parts.path.rstrip("/") + "/") else path
    return Target(
        host=host or home.partition(":")[0],
        port=port,
        provider=provider,
        name=provider.name,
        path=path,
        key_variable=variable,
        key=environ.get(variable, ""),
        organization=environ.get("OPENAI_ORG_ID", "") if provider.name == "openai" else "",
        project=environ.get("OPENAI_PROJECT_ID", "") if provider.name == "openai" else "",
        ca_file=ca_file,
        plain=plain,
    )


def provider_of(host: str, providers: Iterable[Provider]) -> Provider | None:
    """Give whose host it is."""
    return next((one for one in providers if any(fnmatchcase(host, name) for name in one.hosts)), None)


def targets(
    providers: Sequence[Provider], environ: Mapping[str, str], flows: Sequence[Mapping[str, Any]]
) -> tuple[Target, ...]:
    """Give the providers in use here, the one that failed last first: by what was called lately, then by keys."""
    wanted = [row for row in flows if row.get("cause")] + list(flows)
    named = [str(row.get("provider") or "") for row in wanted]
    named += [one.name for one in providers if any(environ.get(name) for name in key_variables(one))]
    known = {one.name: one for one in providers if any("*" not in host for host in one.hosts)}
    found = [known[name] for name in dict.fromkeys([*named, "openai"]) if name in known]
    return tuple(target_of(one, environ) for one in found[: 1 + _OTHERS_MAX])


def case_of(
    *,
    providers: Sequence[Provider],
    ways: Ways,
    environ: Mapping[str, str],
    host: str = "",
    model: str = "",
    lists: Lists | None = None,
    flows: Sequence[Mapping[str, Any]] = (),
    **more: Any,
) -> Case:
    """Put a case together.

    Args:
        host: As `parse_host` reads it; empty for the provider that is in use here.
        more: Further fields of `Case`.

    Raises:
        ValueError: As of `parse_host`.
    """
    found = targets(providers, environ, flows)
    target, others = found[0], found[1:]
    if host:
        name, port = parse_host(host)
        provider = provider_of(name, providers)
        others = tuple(one for one in found if one.host != name)
        if provider is not None:
            target = target_of(provider, environ, name, port)
        else:
            target = Target(host=name, port=port, path="/", plain=host.lower().startswith("http://"))
    if model:
        target = replace(target, model=model)
    way = ways.way_to(Origin("http" if target.plain else "https", target.host, target.port))
    return Case(
        target=target,
        others=others,
        lists=lists or Lists(),
        via=_past_ourselves(way, more.get("own", ())),
        environ=environ,
        flows=tuple(flows),
        chatgpt=more.pop("chatgpt", False) or is_of_chatgpt(target.host),
        **more,
    )


def _past_ourselves(via: Via | None, own: Sequence[tuple[str, int]]) -> Via | None:
    """Give no way through the gateway that runs here, wherever it listens: its calls are what is looked at."""
    return None if via is None or any(is_same(via, host, port) for host, port in own) else via


def own_ca(state: Path | None) -> Path | None:
    """Give the file of our certificate authority, None when there is none."""
    found = None if state is None else state / "ca.pem"
    return found if found is not None and found.exists() else None
