"""What this machine and its programs trust: the system's list, and the variables that put another in its place."""

import asyncio
import os
import ssl
from collections.abc import Iterator
from pathlib import Path

from gateway.doctor.asking import own_ca
from gateway.doctor.case import Case
from gateway.doctor.finding import clue, evidence_for, named, ok, telling, trouble
from gateway.doctor.measured_here import Trust
from gateway.doctor.own_way import leads_here
from gateway.doctor.probe import Check, Done, Group, Probe, Status
from gateway.doctor.report import said
from gateway.model.cause import Cause
from gateway.trust import FILE_VARIABLES, holds, system_file, system_roots

_FOLDERS = "SSL_CERT_DIR"
_REPLACING = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
"""Those that our certificate has to be in for the usual programs."""
_OF_TOOLS = frozenset({
    "GIT_SSL_CAINFO", "PIP_CERT", "CARGO_HTTP_CAINFO", "HTTPLIB2_CA_CERTS", "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
    "NIX_SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", _FOLDERS,
})  # fmt: skip
"""Of tools that make no calls to models, or that add to another list: calls may work all the same."""
_WRONG = {
    "missing": "{variable} names a file that is not there",
    "unreadable": "{variable} names a file that cannot be read",
    "empty": "{variable} names an empty file",
    "folder": "{variable} names a folder where a file belongs",
    "not_pem": "{variable} names a file without a certificate in PEM form",
    "no_folder": "{variable} names a folder that is not there",
}
LACKS, UNSET = "lacks_ours", "unset"
_VERSIONS = (("TLSv1", ssl.HAS_TLSv1), ("TLSv1.1", ssl.HAS_TLSv1_1), ("TLSv1.2", ssl.HAS_TLSv1_2),
             ("TLSv1.3", ssl.HAS_TLSv1_3))  # fmt: skip


async def _measure(case: Case, _done: Done) -> Trust:
    return await asyncio.to_thread(_look, case)


def _look(case: Case) -> Trust:
    ours = own_ca(case.state) if leads_here(case) else None
    found = [(name, _problem(Path(value), ours)) for name in FILE_VARIABLES if (value := case.environ.get(name, ""))]
    if folders := case.environ.get(_FOLDERS, ""):
        there = any(Path(one).is_dir() for one in folders.split(os.pathsep) if one)
        found.append((_FOLDERS, "" if there else "no_folder"))
    if ours is not None and not any(name in _REPLACING for name, _ in found):
        store = system_file()
        if store is None or not holds(store, ours):
            found.append((_REPLACING[0], UNSET))
    return Trust(
        roots=system_roots(),
        versions=tuple(name for name, there in _VERSIONS if there),
        library=" ".join(ssl.OPENSSL_VERSION.split()[:2]),
        variables=tuple(found),
    )


def _problem(path: Path, ours: Path | None) -> str:
    """Say what is wrong with a file of certificates, empty when nothing is."""
    try:
        if path.is_dir():
            return "folder"
        pem = path.read_bytes()
    except FileNotFoundError:
        return "missing"
    except (OSError, ValueError):
        return "unreadable"
    if not pem.strip():
        return "empty"
    if b"-----BEGIN CERTIFICATE-----" not in pem and b"-----BEGIN TRUSTED CERTIFICATE-----" not in pem:
        return "not_pem"
    return LACKS if ours is not None and not holds(path, ours) else ""


def _judge(case: Case, done: Done) -> Iterator[Check]:
    seen = done.get(Trust)
    if seen is None:
        return
    bad = [(name, what) for name, what in seen.variables if what in _WRONG]
    for name, what in bad:
        yield _misconfigured(case, name, what)
    if lacking := [name for name, what in seen.variables if what in {LACKS, UNSET} and name in _REPLACING]:
        yield _not_trusted(case, lacking, unset=(_REPLACING[0], UNSET) in seen.variables)
    if seen.roots == 0:
        told = "this machine has no list of trusted certificates"
        fix = clue("on Debian and Ubuntu the package ca-certificates brings it, on Alpine as well")
        verdict = named(
            Cause.CLIENT_CA_BUNDLE_MISCONFIGURED, evidence_for(case), clues=(clue(told), fix), language=case.language
        )
        yield trouble(Status.FAIL, verdict, told)
    elif not bad:
        count = "" if seen.roots is None else str(seen.roots)
        yield ok(
            "{library} with the system's list[ of {count} certificates]",
            library=seen.library,
            count=count if count != "1" else "",
        )


def _misconfigured(case: Case, name: str, what: str) -> Check:
    verdict = named(
        Cause.CLIENT_CA_BUNDLE_MISCONFIGURED,
        evidence_for(case),
        clues=(clue(_WRONG[what], variable=name),),
        language=case.language,
    )
    status = Status.WARN if name in _OF_TOOLS else Status.FAIL
    told = said(clue(_WRONG[what], variable=name), case.language)
    verdict = telling(verdict, case.language, variable=name, detail=told)
    return trouble(status, verdict, _WRONG[what], about=name, variable=name)


def _not_trusted(case: Case, names: list[str], *, unset: bool) -> Check:
    text = "the proxy variables name this gateway, and the file in {names} lacks its certificate"
    if unset:
        text = "the proxy variables name this gateway, and no variable makes programs trust its certificate"
    evidence = evidence_for(case)
    verdict = named(
        Cause.CLIENT_CA_NOT_TRUSTED, evidence, clues=(clue(text, names=", ".join(names)),), language=case.language
    )
    return trouble(Status.WARN, verdict, text, names=", ".join(names))


PROBE = Probe(
    name="trust",
    group=Group.ENVIRONMENT,
    rank=14,
    gives=Trust,
    measure=_measure,
    judge=_judge,
    seconds=2.0,
    unasked=True,
)
