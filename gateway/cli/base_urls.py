"""Base URL variables: which to set, which to lead through the gateway, which to leave alone. Decides; sets nothing.

The rule behind it: nothing may work without us and not with us. So a variable of the user's keeps its meaning, and one
that the user has not set is set only where that changes nothing but the way.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gateway.cli.adopting import Adopted
from gateway.cli.environment import PROXY_VARIABLES, Changes
from gateway.cli.known import is_known, is_local, providers
from gateway.model.provider import Provider
from gateway.state import Runtime

BEFORE = "_BEFORE_WHYGATE"
"""Behind the name of a variable: what stood in it, so that a terminal that took our variables can take them again."""

_SETTING_HARMS: Mapping[str, Collection[str]] = {
    # In openai for Node.js AzureOpenAI takes OPENAI_BASE_URL before its own endpoint (azure.mjs of 7.57, read 2026-11):
    # the key of Azure would go to OpenAI. Python's does not look at it.
    "OPENAI_BASE_URL": (
        "AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN", "OPENAI_API_VERSION",
        "OPENAI_API_TYPE",
    ),
}  # fmt: skip
"""Variable -> variables that, when set, forbid setting it."""

_NEVER_SET = frozenset({
    # google-genai for Python makes wss:// of any base URL (_api_client.py of 3.4, read 2026-11): its live sessions
    # would try TLS where we speak none.
    "GOOGLE_GEMINI_BASE_URL",
    # With one, it drops project and location.
    "GOOGLE_VERTEX_BASE_URL",
})  # fmt: skip

_OWN_WAYS: Mapping[str, str] = {
    # Signed in with ChatGPT it has another address, which the variable replaces (github.com/openai/codex/issues/3367).
    "codex": "OPENAI_BASE_URL",
    # Any host but its own turns features off. It reads proxy variables.
    "claude": "ANTHROPIC_BASE_URL",
}
"""Programs that fare better by proxy, and the variable that is left alone for them."""


@dataclass(frozen=True, slots=True)
class Given:
    """What there is before we change anything.

    Attributes:
        env: The environment that the app would have had.
        in_files: Base URL variables that a ``.env`` sets.
        program: The name of the program that is run, empty when it can be any.
        leave_alone: Whether no variable may change.
        by_proxy: Whether the program reads proxy variables anyway. Nothing is set then that the user has not set: what
            an app does with its base URL is its own business (langchain-openai 1.7 asks for no usage in streams when
            it sees one).
    """

    env: Mapping[str, str]
    in_files: Mapping[str, str] = field(default_factory=dict)
    program: str = ""
    leave_alone: bool = False
    by_proxy: bool = False


def variable_names() -> frozenset[str]:
    """Give every variable that is of interest in a ``.env``."""
    signs = (name for names in _SETTING_HARMS.values() for name in names)
    return frozenset({*signs, *(name for provider in providers() for name in provider.base_url_variables)})


def add_base_urls(changes: Changes, runtime: Runtime, given: Given, adopt: Callable[[str], Adopted]) -> None:
    """Add what must change.

    Args:
        adopt: Asks the gateway for the path that leads to a base URL.
    """
    work = _Work(changes, runtime, given, adopt)
    for provider in providers():
        names = provider.base_url_variables
        # Each must be looked at: several may be set, for several libraries.
        taken = [name for name in names if work.look(name)]
        if names and not taken and work.may_set(provider):
            changes.variables[names[0]] = runtime.base_url + _default_path(provider)


class _Work:
    """One look at an environment."""

    def __init__(self, changes: Changes, runtime: Runtime, given: Given, adopt: Callable[[str], Adopted]) -> None:
        self._changes, self._runtime, self._given, self._adopt = changes, runtime, given, adopt
        paths = "|".join(re.escape(_default_path(provider)) for provider in providers())
        self._default = re.compile(rf"http://(?:127\.0\.0\.1|localhost|\[::1\]):\d+(?:/~[^/]+)?(?:{paths})/?")
        proxies = {given.env.get(name, "").rstrip("/") for name in PROXY_VARIABLES}
        self._ours = {runtime.listen_url, *(_bare(url) for url in proxies if is_local(_host(url)))}

    def may_set(self, provider: Provider) -> bool:
        """Whether a provider has one address for everybody, and setting its variable harms nothing.

        One with several has keys that are good for one of them, and which one the app means cannot be known.
        """
        name = provider.base_url_variables[0]
        harmed_by = [sign for sign in _SETTING_HARMS.get(name, ()) if self._given.env.get(sign) or self._in_file(sign)]
        one_address = len(provider.hosts) == 1 and not provider.resource_host and provider.hosts[0][0] != "*"
        return (
            one_address
            and not harmed_by
            and name not in _NEVER_SET
            and not (self._given.leave_alone or self._given.by_proxy or self._own_way(name))
        )

    def look(self, name: str) -> bool:
        """Lead one variable through the gateway when there is reason to; say whether it is taken by the user."""
        value = self._given.env.get(name, "").strip()
        if value and self._is_ours(value):
            before = self._given.env.get(name + BEFORE, "")
            if not before:
                # Our own default, maybe of a gateway that is gone, is no choice; another path of ours is one.
                return not self._default.fullmatch(value)
            value = before
        if value and not self._given.leave_alone and not (self._own_way(name) and is_known(_host(value))):
            self._lead(name, value)
        elif value or self._in_file(name):
            self._leave(name, value or self._in_file(name), in_file=not value)
        return bool(value or self._in_file(name))

    def _lead(self, name: str, value: str) -> None:
        host, fault = _host(value), _fault(value)
        answer = Adopted() if fault else self._adopt(value)
        fault = fault or answer.refusal
        if fault:
            self._note(f"{name} stays as it is: {fault}")
        elif not answer.path and not is_known(host):
            self._note(_unread(name, host))
        elif answer.path:
            self._changes.variables[name] = self._runtime.base_url + answer.path + "/" * value.endswith("/")
            self._changes.variables[name + BEFORE] = value
            if not is_known(host):
                self._note(f"{name} now leads to {host} through the gateway; calls to it are read like any other.")

    def _leave(self, name: str, value: str, *, in_file: bool) -> None:
        """Leave a variable as it is, and have its host read when calls take the proxy."""
        host, where = _host(value), f"{name} in .env" if in_file else name
        if _fault(value) or is_known(host):
            return
        if is_local(host):
            way = (
                "Set it in the terminal to have them read." if in_file else "Leave out --no-base-url to have them read."
            )
            self._note(f"{where} stays as it is; calls to {host} go past the gateway. {way}")
        elif self._adopt(value).path:
            self._note(f"{where} stays as it is; calls to {host} are read when they take the proxy.")
        else:
            self._note(_unread(where, host))

    def _own_way(self, name: str) -> bool:
        return _OWN_WAYS.get(self._given.program) == name

    def _in_file(self, name: str) -> str:
        return self._given.in_files.get(name, "")

    def _is_ours(self, value: str) -> bool:
        origin = "/".join(value.split("/", 3)[:3])
        return origin in self._ours or bool(self._default.fullmatch(value))

    def _note(self, text: str) -> None:
        self._changes.notes.append(text)


def _default_path(provider: Provider) -> str:
    return f"/{provider.name}{provider.base_path}"


def _unread(name: str, host: str) -> str:
    return (
        f"{name} stays as it is; calls to {host} pass through unread"
        " unless a [[providers]] table of the settings names that host."
    )


def _fault(value: str) -> str:
    """Say why an address cannot be led through the gateway, without repeating what may be secret; empty when it can."""
    try:
        parts = urlsplit(value)
    except ValueError:
        return "it is no address that can be read."
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return "it does not begin with http:// or https:// and a host."
    if parts.username is not None or parts.password is not None:
        return "it holds a user name or password. Without them, calls to that host can be read too."
    return ""


def _bare(url: str) -> str:
    """Leave out the user name and password of an address."""
    scheme, there, rest = url.partition("://")
    return f"{scheme}{there}{rest.rpartition('@')[2]}"


def _host(value: str) -> str:
    try:
        return (urlsplit(value).hostname or urlsplit(f"//{value}").hostname or "").lower()
    except ValueError:
        return ""
