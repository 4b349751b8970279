"""What probes measure on this machine itself: its clock, its trust, its variables, its runtimes, the gateway."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The clock of this machine against what servers say in ``Date``.

    Attributes:
        skew_seconds: Of the median; positive when this machine is ahead. None when nobody said the time.
        by: Who was asked.
    """

    skew_seconds: float | None
    by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What this machine trusts.

    Attributes:
        roots: How many certificates the system's store gave; None when it does not say.
        versions: Of TLS that this Python speaks, oldest first.
        library: As ``OpenSSL 3.0.15``.
        variables: Name of a variable that names a file -> what is wrong with the file, empty when nothing is.
    """

    roots: int | None
    versions: tuple[str, ...]
    library: str
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def is_broken(self) -> bool:
        """Whether our own handshakes may fail for want of any list: OpenSSL takes the variable's file for it."""
        lost = {"missing", "unreadable", "empty", "folder", "not_pem"}
        return self.roots == 0 or any(name == "SSL_CERT_FILE" and what in lost for name, what in self.variables)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyVariable:
    """One proxy variable.

    Attributes:
        scheme: Of its value.
        place: Host and port, without a credential.
        problem: ``""``, ``unreadable``, ``scheme`` (https:// towards a proxy that speaks plain HTTP, or the other way
            round), ``name`` (its host has no address), ``refused``, ``silent``, ``stale`` (an earlier gateway of ours),
            ``not_a_proxy``, ``own`` (this gateway).
        differs: Its other spelling (upper or lower case) says something else.
    """

    name: str
    scheme: str = ""
    place: str = ""
    problem: str = ""
    differs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """The proxy and base-URL variables of whoever asks.

    Attributes:
        no_proxy: Its entries.
        covers_target: An entry of NO_PROXY covers the target, so calls go past every proxy.
        covers_local: Entries cover this machine's own addresses.
        base_urls: Variable -> what is wrong with its value, empty when nothing is.
        local_models: Something here calls a model on this machine.
    """

    proxies: tuple[ProxyVariable, ...] = ()
    no_proxy: tuple[str, ...] = ()
    covers_target: bool = False
    covers_local: bool = True
    base_urls: tuple[tuple[str, str], ...] = ()
    local_models: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSeen:
    """One runtime of this machine, and what its ways of calling do with the proxy and our certificate.

    Attributes:
        name: ``python``, ``node`` ...
        version: As it says.
        means: Name of a way of calling -> ``yes``, ``base URL`` (by that alone), ``no`` (past the gateway) or
            ``no trust``.
        problem: Why it could not be asked; empty when it could.
    """

    name: str
    version: str = ""
    means: tuple[tuple[str, str], ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtimes:
    """Those that were found."""

    each: tuple[RuntimeSeen, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """The gateway itself.

    Attributes:
        version: Ours.
        running: ``host:port`` where it takes calls; empty when none runs.
        problems: What is wrong with state directory, certificate authority or environment, by a short word.
        fixable: Those of them that ``--fix`` mends.
    """

    version: str
    running: str = ""
    problems: tuple[tuple[str, str], ...] = ()
    fixable: tuple[str, ...] = ()
