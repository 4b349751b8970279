"""Whether variables lead to a gateway of ours. Pure."""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from gateway.doctor.case import Case
from gateway.egress.network import Via, is_local, is_same, parse_via

PROXY_NAMES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
_MARKS = ("whygate:", "/~")
_OURS = re.compile(r"whygate[/\\]", re.IGNORECASE)


def spelled(name: str) -> tuple[str, str]:
    """Give both spellings, the one that wins in most programs first."""
    return name.lower(), name


def proxies(environ: Mapping[str, str]) -> Iterator[tuple[str, Via]]:
    """Give the proxy variables that can be read, with what they name."""
    for name in PROXY_NAMES:
        for spelling in spelled(name):
            text = environ.get(spelling, "").strip()
            if text:
                try:
                    yield spelling, parse_via(text)
                except ValueError:
                    continue


def is_own(case: Case, via: Via) -> bool:
    """Whether a proxy is the gateway that runs here."""
    return any(is_same(via, host, port) for host, port in case.own[:1])


def leads_here(case: Case) -> bool:
    """Whether the proxy variables name the gateway that runs here."""
    return any(is_own(case, via) for _, via in proxies(case.environ))


def bears_our_mark(environ: Mapping[str, str], value: str) -> bool:
    """Whether a gateway of ours has set this address of this machine: by its own mark, or by what stands beside it."""
    try:
        host = urlsplit(value if "://" in value else f"//{value}").hostname or ""
    except ValueError:
        return False
    if not is_local(host):
        return False
    beside = any(_OURS.search(environ.get(name, "")) for name in ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"))
    return beside or any(mark in value for mark in _MARKS)
