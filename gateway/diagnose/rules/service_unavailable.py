"""The provider's front cannot reach what stands behind it, or it is out for maintenance."""

from gateway.diagnose.author import Kind
from gateway.diagnose.rule import Basis, Rule, first, named, only, said, shown, status
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.SERVICE_UNAVAILABLE,
    match=first(
        named(
            "service_unavailable|service_unavailable_error|unavailable|serviceunavailable|"
            "serviceunavailableexception|modelunavailable|bad_gateway|upstream_error_unavailable|"
            "modelservingerror|modelnotreadyexception|maintenance|provider_unavailable"
        ),
        only(
            lambda seen: seen.by(Kind.MESH) and not seen.message.has("request timeout", "stream timeout"),
            shown(lambda _seen: True, "the text of the provider's own mesh", Basis.NAMED),
        ),
        only(
            lambda seen: seen.status >= 500 or seen.wire_status in {0, 200},
            first(
                said(
                    "upstream connect error|disconnect/reset before headers|reset reason|service unavailable|"
                    "temporarily unavailable|currently unavailable|no healthy upstream|bad gateway|"
                    "under maintenance|maintenance|not ready|connection refused|is down|unable to reach|"
                    "could not connect|upstream unavailable|no available|service is not available|unavailable|"
                    "服务不可用|暂时不可用|维护"
                ),
            ),
        ),
        status(502, 503),
    ),
    outranks=("service.server_error",),
    general=1,
)
