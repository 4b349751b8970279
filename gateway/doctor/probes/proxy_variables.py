"""The proxy and base URL variables of whoever asks: whether they can be read, and whether they lead anywhere."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

from gateway.doctor import base_url_form, proxy_trying
from gateway.doctor.case import Case
from gateway.doctor.finding import clue, evidence_for, named, note, ok, skipped, telling, trouble
from gateway.doctor.measured import Tunnel
from gateway.doctor.measured_here import ProxyVariable, Variables
from gateway.doctor.own_way import PROXY_NAMES, bears_our_mark, is_own, spelled
from gateway.doctor.probe import Check, Done, Group, Probe, Status
from gateway.doctor.report import said
from gateway.egress.network import Ways, is_local, parse_via, split_no_proxy
from gateway.model.call import Origin
from gateway.model.cause import Cause

UNREADABLE, STALE, OWN = "unreadable", "stale", "own"
_WRONG, _GONE = Cause.NETWORK_PROXY_MISCONFIGURED, Cause.NETWORK_PROXY_UNREACHABLE
_TROUBLE = {
    UNREADABLE: (_WRONG, "{names} is no address of a proxy"),
    proxy_trying.SCHEME: (_WRONG, "{names} has the wrong scheme: {place} does not speak {scheme}"),
    proxy_trying.NOT_A_PROXY: (_WRONG, "{names} names {place}, which answers and is no proxy"),
    proxy_trying.NAME: (_GONE, "{names} names {place}, whose name leads to no address"),
    proxy_trying.REFUSED: (_GONE, "{names} names {place}, where nothing listens"),
    proxy_trying.SILENT: (_GONE, "{names} names {place}, which does not answer"),
    STALE: (_GONE, "{names} names {place}, a gateway that no longer runs"),
}
_DETAILS = {
    UNREADABLE: "the address cannot be read",
    proxy_trying.SCHEME: "the scheme is wrong",
    proxy_trying.NOT_A_PROXY: "what answers there is no proxy",
    proxy_trying.NAME: "its name leads to no address",
    proxy_trying.REFUSED: "nothing listens there",
    proxy_trying.SILENT: "no answer",
    STALE: "nothing listens there",
}
_UNSET = "Open a new terminal, or let go of it in this one: `unset {names}`."
_SET_AGAIN = "To go through whygate again, start programs with `whygate run -- CMD`."
_URL = Cause.REQUEST_INVALID_URL
_BASE_URLS = {
    base_url_form.UNREADABLE: (_URL, Status.FAIL, "{variable} is no address with https:// and a host"),
    base_url_form.NO_BASE: (_URL, Status.FAIL, "{variable} lacks {base} at its end"),
    base_url_form.DOUBLED: (_URL, Status.FAIL, "{variable} ends with /v1, which the SDK adds by itself"),
    base_url_form.STALE: (_GONE, Status.FAIL, "{variable} names a gateway that no longer runs"),
    base_url_form.REFUSED: (
        Cause.NETWORK_TCP_REFUSED,
        Status.FAIL,
        "{variable} names a port of this machine where nothing listens",
    ),
    base_url_form.SPACES: (_URL, Status.WARN, "{variable} has white space around its address"),
    base_url_form.PLAIN: (
        Cause.REQUEST_METHOD_NOT_ALLOWED,
        Status.WARN,
        "{variable} begins with http://, which the provider redirects",
    ),
}
_LOCAL_ENTRIES = frozenset({"localhost", "127.0.0.1", "127.0.0.0/8", "*"})


async def _measure(case: Case, _done: Done) -> Variables:
    environ = case.environ
    named_here = [name for one in PROXY_NAMES for name in spelled(one) if environ.get(name, "").strip()]
    proxies, base_urls = await asyncio.gather(
        asyncio.gather(*(_variable(case, name, environ[name].strip()) for name in named_here)),
        base_url_form.problems_of(case),
    )
    entries = split_no_proxy(environ.get("no_proxy") or environ.get("NO_PROXY") or "")
    return Variables(
        proxies=tuple(proxies),
        no_proxy=entries,
        covers_target=_covers(entries, case.target.host, case.target.port),
        covers_local=not _LOCAL_ENTRIES.isdisjoint(entries),
        base_urls=base_urls,
        local_models=base_url_form.calls_local_models(environ, case.flows),
    )


async def _variable(case: Case, name: str, text: str) -> ProxyVariable:
    lower, upper = spelled(name.upper())
    other = case.environ.get(upper if name == lower else lower, "").strip()
    differs = bool(other) and other.rstrip("/") != text.rstrip("/")
    try:
        via = parse_via(text)
    except ValueError:
        return ProxyVariable(name=name, problem=UNREADABLE, differs=differs)
    found = OWN if is_own(case, via) else await proxy_trying.problem_at(case, via)
    if found == proxy_trying.REFUSED and is_local(via.host) and bears_our_mark(case.environ, text):
        found = STALE
    place = str(via).partition("://")[2]
    return ProxyVariable(name=name, scheme=via.scheme, place=place, problem=found, differs=differs)


def _covers(entries: tuple[str, ...], host: str, port: int) -> bool:
    """Whether an entry of NO_PROXY names a host; one of this machine needs none."""
    nowhere = parse_via("http://proxy.invalid:1")
    ways = Ways(https=nowhere, http=nowhere, no_proxy=entries)
    return not is_local(host) and ways.way_to(Origin("https", host, port)) is None


def _judge(case: Case, done: Done) -> Iterator[Check]:
    seen = done.get(Variables)
    if seen is None:
        return
    found = [*_of_proxies(case, done, seen), *_of_no_proxy(case, seen), *_of_base_urls(case, seen)]
    if not seen.proxies and not any(what for _, what in seen.base_urls):
        found.append(ok("no proxy variable is set"))
    yield from found


def _of_proxies(case: Case, done: Done, seen: Variables) -> Iterator[Check]:
    groups: dict[tuple[str, str, str], list[str]] = {}
    for one in seen.proxies:
        groups.setdefault((one.problem, one.scheme, one.place), []).append(one.name)
    for (problem, scheme, place), names in groups.items():
        facts = {"names": ", ".join(names), "place": place, "scheme": "TLS" if scheme == "https" else "plain HTTP"}
        yield _of_place(case, done, problem, facts, socks=scheme.startswith("socks"))
    if differing := sorted({one.name.upper() for one in seen.proxies if one.differs}):
        text = "{names} says something else in upper case than in lower case, and programs read one or the other"
        verdict = named(
            Cause.NETWORK_PROXY_MISCONFIGURED, evidence_for(case), clues=(clue(text, names=", ".join(differing)),),
            language=case.language,
        )  # fmt: skip
        yield trouble(
            Status.WARN, telling(verdict, case.language, variable=differing[0]), text, names=", ".join(differing)
        )
    set_names = {one.name.upper() for one in seen.proxies}
    if "HTTP_PROXY" in set_names and not set_names & {"HTTPS_PROXY", "ALL_PROXY"}:
        yield note("HTTP_PROXY is set and HTTPS_PROXY is not: calls to providers go past the proxy")


def _of_place(case: Case, done: Done, problem: str, facts: dict[str, str], *, socks: bool) -> Check:
    names = facts["names"]
    if problem == OWN:
        return ok("{names} names this gateway", names=names)
    if problem == "":
        text = "{names} names {place}, which speaks SOCKS: programs in Python need an extra package for that"
        return note(text, **_two(facts)) if socks else ok("{names} names {place}, which is a proxy", **_two(facts))
    if problem != STALE and _is_the_tunnels(case, done, facts["place"]):
        return skipped("{names} names {place}: see the check of the proxy", **_two(facts))
    cause, text = _TROUBLE[problem]
    clues = [clue(text, **facts)]
    verdict = named(cause, evidence_for(case), clues=clues, language=case.language)
    variable = names.partition(",")[0].upper()
    verdict = telling(verdict, case.language, variable=variable, proxy=facts["place"], detail=_DETAILS[problem])
    if problem == STALE:
        steps = (clue(_UNSET, names=names.replace(",", "")), clue(_SET_AGAIN))
        verdict = replace(verdict, what_to_do=tuple(said(one, case.language) for one in steps))
    # Providers are called over https alone.
    only_http = {name.upper() for name in names.split(", ")} == {"HTTP_PROXY"}
    return trouble(Status.WARN if only_http else Status.FAIL, verdict, text, **facts)


def _two(facts: dict[str, str]) -> dict[str, str]:
    return {name: facts[name] for name in ("names", "place")}


def _is_the_tunnels(case: Case, done: Done, place: str) -> bool:
    """Whether the check of the proxy that calls go through reports the same."""
    tunnel = done.get(Tunnel)
    if case.via is None or tunnel is None or str(case.via).partition("://")[2] != place:
        return False
    return bool(tunnel.reach.failures) or tunnel.connect.failure is not None or tunnel.connect.status >= 400


def _of_no_proxy(case: Case, seen: Variables) -> Iterator[Check]:
    if not seen.proxies:
        return
    if seen.covers_target:
        yield note("NO_PROXY covers {host}: calls to it go past the proxy", host=case.target.host)
    if seen.local_models and not seen.covers_local:
        text = "NO_PROXY lacks localhost, and models on this machine are called"
        evidence = evidence_for(case, host="::1", proxy="")
        verdict = named(Cause.CLIENT_NO_PROXY_MISSING, evidence, clues=(clue(text),), language=case.language)
        yield trouble(Status.WARN, verdict, text)


def _of_base_urls(case: Case, seen: Variables) -> Iterator[Check]:
    for name, what in seen.base_urls:
        owner = base_url_form.owner_of(name)
        if what == base_url_form.OTHER:
            host = base_url_form.host_of(case.environ.get(name, ""))
            yield note("{variable} leads to {host}, which is another provider's", about=name, variable=name, host=host)
        elif what in _BASE_URLS:
            cause, status, text = _BASE_URLS[what]
            mine = owner is not None and owner.name == case.target.name
            facts = {"variable": name, "base": owner.base_path if owner is not None else ""}
            verdict = named(cause, evidence_for(case), clues=(clue(text, **facts),), language=case.language)
            verdict = telling(verdict, case.language, variable=name)
            if what == base_url_form.STALE:
                steps = (clue(_UNSET, names=name), clue(_SET_AGAIN))
                verdict = replace(verdict, what_to_do=tuple(said(one, case.language) for one in steps))
            yield trouble(status if mine else Status.WARN, verdict, text, about=name, **facts)
    if good := [name for name, what in seen.base_urls if not what]:
        yield ok("well written, and somebody answers there: {names}", names=", ".join(good))


def _touched(case: Case) -> Iterator[str]:
    for one in PROXY_NAMES:
        for name in spelled(one):
            try:
                yield str(parse_via(case.environ.get(name, "").strip())).partition("://")[2]
            except ValueError:
                continue


PROBE = Probe(
    name="proxy-variables",
    group=Group.CONFIGURATION,
    rank=20,
    gives=Variables,
    measure=_measure,
    judge=_judge,
    after=(),
    seconds=3.0,
    touches=_touched,
)
