"""The account takes calls from certain addresses or networks only."""

from gateway.diagnose.rule import Basis, Rule, first, in_status, named, only, said, shown
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.AUTH_IP_NOT_ALLOWED,
    match=only(
        in_status(4),
        first(
            named(
                "ip_not_authorized|api_key_ip_address_blocked|ip_not_allowed|ip_restricted|ip_forbidden|"
                "accessdenied.ip|ip_address_not_allowed|trafficdenied"
            ),
            said(
                "ip|ip address|client ip|source ip|source address|origin address|ips|地址|ip地址",
                "not allowed|not authorized|not in the|not on|blocked|denied|whitelist|white list|allowlist|"
                "allow list|not permitted|unauthorized|restricted|白名单|不在|限制",
            ),
            said("网段", "只能|指定|限制|不在|不允许"),
            said(
                "virtual network|vnet|firewall rules|public access|public network access|private endpoint|"
                "private link|network rules|network acl|network security perimeter|allowed network"
            ),
            shown(
                lambda seen: (
                    "executetodenyingpolicy" in seen.headers.get("policy-id", "").lower()
                    or "trafficdenied" in seen.headers.get("policy-id", "").lower()
                ),
                "the header policy-id names a network rule",
                Basis.NAMED,
            ),
        ),
    ),
    outranks=("auth.permission", "auth.invalid_key", "request.not_found", "region.unsupported", "edge.blocked"),
)
