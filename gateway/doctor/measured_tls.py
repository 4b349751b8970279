"""What probes measure of TLS. Read through `gateway.doctor.measured`, like all that is out there."""

from dataclasses import dataclass

from gateway.doctor.wire import Answer, Served
from gateway.model.failure import NetCode, NetFailure, Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaken:
    """One TLS handshake, verified as for calls.

    Attributes:
        address: Empty through a proxy.
        name: What the handshake asked for (SNI).
        by: Who had given the address: ``system``, ``control``, or ``proxy`` for the tunnel.
        version: Of TLS, when it came about.
        served: The certificate that was shown; after a failure read by a second handshake that believes anybody.
        page: What that server answers to a request without any credential, when its certificate was refused.
        failure: None when it is valid for the name.
        silent: It failed for want of any answer, and not with words of the other side.
    """

    address: str
    name: str
    by: str = "system"
    version: str = ""
    took_ms: float = 0.0
    served: Served | None = None
    page: Answer | None = None
    failure: NetFailure | None = None
    silent: bool = False

    @property
    def begun(self) -> bool:
        """Whether there was a connection to shake hands on."""
        return self.failure is None or self.failure.phase is Phase.TLS

    @property
    def cut(self) -> bool:
        """Whether it was cut off, or not answered, before the other side had said a word about TLS."""
        return (
            self.failure is not None and self.begun and (self.silent or self.failure.code is NetCode.CONNECTION_RESET)
        )

    @property
    def mistrusted(self) -> bool:
        """Whether a certificate was shown and refused."""
        return self.failure is not None and self.failure.code in {
            NetCode.TLS_CERTIFICATE,
            NetCode.TLS_UNTRUSTED_ISSUER,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshakes:
    """At every address of the target that takes connections."""

    each: tuple[Shaken, ...] = ()

    @property
    def valid(self) -> tuple[str, ...]:
        """The addresses where a handshake valid for the name was completed."""
        return tuple(one.address for one in self.each if one.failure is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Swapped:
    """The same address asked for another name, and another address for ours: which of the two is disturbed.

    Attributes:
        other_name: At the target's address with another name.
        elsewhere: With the target's name at a control's address, whose certificate cannot fit: only how far it gets.
    """

    other_name: Shaken | None = None
    elsewhere: Shaken | None = None
