"""How a key is written, looked at without sending it anywhere. Pure."""

import re

from gateway.doctor.case import Target

SPACES, QUOTES, PLACEHOLDER, FOREIGN, SHORT, CONTROLS = "spaces", "quotes", "placeholder", "foreign", "short", "letters"

_SHORT_CHARACTERS = 16
_PLACEHOLDER = re.compile(
    r"your[-_ ]|api[-_ ]key|change[-_ ]me|<.*>|"
    r"\$\{|\$\w+|x{6,}|\.\.\.|\*{3,}|^(?:sk-)?(?:test|none|null|undefined|key|token)$|"
    r"(?<![a-z0-9])(?:apikey|changeme|placeholder|example|insert|replace|todo|dummy|fake)(?![a-z0-9])",
    re.IGNORECASE,
)
_PREFIXES = (
    ("sk-ant-", "anthropic"), ("sk-or-", "openrouter"), ("sk-proj-", "openai"), ("sk-svcacct-", "openai"),
    ("sk-admin-", "openai"), ("AIza", "gemini"), ("AQ.", "gemini"), ("gsk_", "groq"), ("xai-", "xai"),
    ("fw_", "fireworks"), ("tgp_v1_", "together"),
)  # fmt: skip
"""How the keys of some providers begin (their own pages for keys, read 2026-11), the most special first."""
_ALWAYS = {"anthropic": ("sk-ant-",), "openrouter": ("sk-or-",), "groq": ("gsk_",), "xai": ("xai-",)}
"""Where every key begins so."""


def bare(key: str) -> str:
    """Give a key without white space and quotes around it."""
    return key.strip().strip("\"'`\u201c\u201d\u2018\u2019").strip()


def form_of(target: Target) -> str:
    """Say what is wrong with how the target's key is written: one of the words above, empty when nothing is.

    What a key of a provider looks like is only asked at that provider's own hosts: a relay has keys of its own.
    """
    key, plain = target.key, bare(target.key)
    if not plain.isascii() or not plain.isprintable() or " " in plain:
        return CONTROLS
    if _is_known(target):
        if owner_of(plain) not in {"", target.name}:
            return FOREIGN
        if _PLACEHOLDER.search(plain):
            return PLACEHOLDER
        if len(plain) < _SHORT_CHARACTERS:
            return SHORT
        if not plain.startswith(_ALWAYS.get(target.name, ("",))):
            return FOREIGN
    if key.strip() != plain:
        return QUOTES
    return SPACES if key != plain else ""


def owner_of(key: str) -> str:
    """Name the provider whose keys begin so, empty when none is known."""
    return next((name for prefix, name in _PREFIXES if key.startswith(prefix)), "")


def may_be_sent(form: str) -> bool:
    """Whether the key may go to the target: never one of another provider, nor one that is none."""
    return form in {"", SPACES, QUOTES}


def _is_known(target: Target) -> bool:
    """Whether the target is a provider's own host, and not a relay or a server in its place."""
    provider = target.provider
    return provider is not None and provider.upstream is None and target.host in provider.hosts
