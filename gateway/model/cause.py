"""The closed set of verdicts: what can be wrong, who can fix it, and whether trying again can help.

A slug is stable once released. A new one needs a rule or a table entry, a scenario and a changelog line.
"""

from enum import StrEnum
from typing import NamedTuple


class Fault(StrEnum):
    """Who can fix it."""

    CALLER = "caller"
    POLICY = "policy"
    NETWORK = "network"
    EDGE = "edge"
    PROVIDER = "provider"
    PROXY = "proxy"


class Again(StrEnum):
    """What a retry can do about a cause."""

    NEVER = "N"
    WITHIN_BUDGET = "Y"
    AFTER_STATED_WAIT = "W"
    IF_UNPROCESSED = "P"


class Precision(StrEnum):
    """How sure a verdict is."""

    DECLARED = "declared"
    INFERRED = "inferred"
    CONFIRMED = "confirmed"


class CauseFacts(NamedTuple):
    """What is fixed about a cause: ``fault`` is None for `unknown` alone."""

    fault: Fault | None
    again: Again
    meaning: str


class Cause(StrEnum):
    """One slug a verdict; ``Cause("quota.exhausted")`` finds it, an unknown slug raises ValueError."""

    NETWORK_OFFLINE = "network.offline"
    NETWORK_DNS_FAILURE = "network.dns_failure"
    NETWORK_DNS_TAMPERED = "network.dns_tampered"
    NETWORK_TCP_REFUSED = "network.tcp_refused"
    NETWORK_TCP_TIMEOUT = "network.tcp_timeout"
    NETWORK_CONNECTION_RESET = "network.connection_reset"
    NETWORK_READ_TIMEOUT = "network.read_timeout"
    NETWORK_STREAM_INTERRUPTED = "network.stream_interrupted"
    NETWORK_DEGRADED = "network.degraded"
    NETWORK_IPV6_BROKEN = "network.ipv6_broken"
    NETWORK_MTU_BLACKHOLE = "network.mtu_blackhole"
    NETWORK_VPN_INTERFERENCE = "network.vpn_interference"
    NETWORK_WEBSOCKET_BLOCKED = "network.websocket_blocked"
    NETWORK_PROXY_MISCONFIGURED = "network.proxy_misconfigured"
    NETWORK_PROXY_UNREACHABLE = "network.proxy_unreachable"
    NETWORK_PROXY_AUTH = "network.proxy_auth"
    NETWORK_PROXY_DENIED = "network.proxy_denied"
    NETWORK_PROXY_UPSTREAM_ERROR = "network.proxy_upstream_error"
    NETWORK_CAPTIVE_PORTAL = "network.captive_portal"
    NETWORK_BLOCKED_PAGE = "network.blocked_page"
    NETWORK_TLS_INSPECTION = "network.tls_inspection"
    NETWORK_TLS_CERTIFICATE = "network.tls_certificate"
    NETWORK_TLS_HANDSHAKE = "network.tls_handshake"
    REGION_UNSUPPORTED = "region.unsupported"
    EDGE_CHALLENGE = "edge.challenge"
    EDGE_BLOCKED = "edge.blocked"
    EDGE_RATE_LIMITED = "edge.rate_limited"
    EDGE_ORIGIN_ERROR = "edge.origin_error"
    SERVICE_SERVER_ERROR = "service.server_error"
    SERVICE_OVERLOADED = "service.overloaded"
    SERVICE_UNAVAILABLE = "service.unavailable"
    SERVICE_TIMEOUT = "service.timeout"
    SERVICE_MODEL_ERROR = "service.model_error"
    SERVICE_INCIDENT = "service.incident"
    SERVICE_PROTOCOL_ERROR = "service.protocol_error"
    SERVICE_STREAM_TRUNCATED = "service.stream_truncated"
    SERVICE_STREAM_ERROR = "service.stream_error"
    SERVICE_STREAM_STALLED = "service.stream_stalled"
    RATE_LIMIT_REQUESTS = "rate_limit.requests"
    RATE_LIMIT_TOKENS = "rate_limit.tokens"
    RATE_LIMIT_DAILY = "rate_limit.daily"
    RATE_LIMIT_CONCURRENCY = "rate_limit.concurrency"
    RATE_LIMIT_RAMP = "rate_limit.ramp"
    RATE_LIMIT_UNKNOWN = "rate_limit.unknown"
    QUOTA_EXHAUSTED = "quota.exhausted"
    QUOTA_PLAN_WINDOW = "quota.plan_window"
    QUOTA_SPEND_LIMIT = "quota.spend_limit"
    AUTH_MISSING_KEY = "auth.missing_key"
    AUTH_MALFORMED_HEADER = "auth.malformed_header"
    AUTH_INVALID_KEY = "auth.invalid_key"
    AUTH_EXPIRED_KEY = "auth.expired_key"
    AUTH_WRONG_ORGANIZATION = "auth.wrong_organization"
    AUTH_NOT_A_MEMBER = "auth.not_a_member"
    AUTH_PERMISSION = "auth.permission"
    AUTH_IP_NOT_ALLOWED = "auth.ip_not_allowed"
    ACCOUNT_DEACTIVATED = "account.deactivated"
    ACCOUNT_BILLING_INACTIVE = "account.billing_inactive"
    ACCOUNT_VERIFICATION = "account.verification"
    ACCOUNT_PLAN_REQUIRED = "account.plan_required"
    REQUEST_INVALID_JSON = "request.invalid_json"
    REQUEST_INVALID_PARAMETER = "request.invalid_parameter"
    REQUEST_MISSING_PARAMETER = "request.missing_parameter"
    REQUEST_UNSUPPORTED_PARAMETER = "request.unsupported_parameter"
    REQUEST_UNSUPPORTED_MEDIA_TYPE = "request.unsupported_media_type"
    REQUEST_MODEL_NOT_FOUND = "request.model_not_found"
    REQUEST_MODEL_DEPRECATED = "request.model_deprecated"
    REQUEST_CONTEXT_LENGTH = "request.context_length"
    REQUEST_PAYLOAD_TOO_LARGE = "request.payload_too_large"
    REQUEST_INVALID_URL = "request.invalid_url"
    REQUEST_WRONG_ENDPOINT = "request.wrong_endpoint"
    REQUEST_METHOD_NOT_ALLOWED = "request.method_not_allowed"
    REQUEST_API_VERSION = "request.api_version"
    REQUEST_CONTENT_POLICY = "request.content_policy"
    REQUEST_NOT_FOUND = "request.not_found"
    REQUEST_CONFLICT = "request.conflict"
    CLIENT_DISCONNECTED = "client.disconnected"
    CLIENT_TIMEOUT_TOO_SHORT = "client.timeout_too_short"
    CLIENT_RETRY_STORM = "client.retry_storm"
    CLIENT_SLOW_READER = "client.slow_reader"
    CLIENT_MALFORMED_REQUEST = "client.malformed_request"
    CLIENT_CA_NOT_TRUSTED = "client.ca_not_trusted"
    CLIENT_CA_BUNDLE_MISCONFIGURED = "client.ca_bundle_misconfigured"
    CLIENT_NO_PROXY_MISSING = "client.no_proxy_missing"
    CLIENT_PROXY_UNSUPPORTED_SCHEME = "client.proxy_unsupported_scheme"
    CLIENT_OUTDATED_SDK = "client.outdated_sdk"
    PROXY_BUDGET_EXCEEDED = "proxy.budget_exceeded"
    PROXY_NOT_ALLOWED = "proxy.not_allowed"
    PROXY_REQUEST_TOO_LARGE = "proxy.request_too_large"
    PROXY_QUEUE_FULL = "proxy.queue_full"
    PROXY_QUEUE_TIMEOUT = "proxy.queue_timeout"
    PROXY_CIRCUIT_OPEN = "proxy.circuit_open"
    PROXY_OVERLOADED = "proxy.overloaded"
    PROXY_DRAINING = "proxy.draining"
    PROXY_LOOP_DETECTED = "proxy.loop_detected"
    PROXY_DESTINATION_BLOCKED = "proxy.destination_blocked"
    PROXY_UNAUTHORIZED = "proxy.unauthorized"
    PROXY_INTERNAL_ERROR = "proxy.internal_error"
    UNKNOWN = "unknown"

    @property
    def fault(self) -> Fault | None:
        """Who can fix it; None for `unknown`."""
        return FACTS[self].fault

    @property
    def again(self) -> Again:
        """What a retry can do."""
        return FACTS[self].again

    @property
    def meaning(self) -> str:
        """One line, as in the catalogue."""
        return FACTS[self].meaning


FACTS: dict[Cause, CauseFacts] = {
    Cause.NETWORK_OFFLINE: CauseFacts(Fault.NETWORK, Again.IF_UNPROCESSED, "no connectivity at all"),
    Cause.NETWORK_DNS_FAILURE: CauseFacts(Fault.NETWORK, Again.IF_UNPROCESSED, "NXDOMAIN, SERVFAIL, resolver timeout"),
    Cause.NETWORK_DNS_TAMPERED: CauseFacts(Fault.NETWORK, Again.NEVER, "bogus answer: hijack, sinkhole, poisoning"),
    Cause.NETWORK_TCP_REFUSED: CauseFacts(Fault.NETWORK, Again.IF_UNPROCESSED, "connection refused"),
    Cause.NETWORK_TCP_TIMEOUT: CauseFacts(Fault.NETWORK, Again.IF_UNPROCESSED, "SYN dropped, connect timeout"),
    Cause.NETWORK_CONNECTION_RESET: CauseFacts(
        Fault.NETWORK, Again.IF_UNPROCESSED, "RST or EOF during TCP, TLS or before the response"
    ),
    Cause.NETWORK_READ_TIMEOUT: CauseFacts(Fault.NETWORK, Again.IF_UNPROCESSED, "connected, then silence"),
    Cause.NETWORK_STREAM_INTERRUPTED: CauseFacts(
        Fault.NETWORK, Again.NEVER, "stream cut mid-answer by an idle timer or middlebox"
    ),
    Cause.NETWORK_DEGRADED: CauseFacts(Fault.NETWORK, Again.IF_UNPROCESSED, "loss or latency far above the control"),
    Cause.NETWORK_IPV6_BROKEN: CauseFacts(Fault.NETWORK, Again.IF_UNPROCESSED, "one address family unreachable"),
    Cause.NETWORK_MTU_BLACKHOLE: CauseFacts(Fault.NETWORK, Again.NEVER, "small packets pass, large ones die"),
    Cause.NETWORK_VPN_INTERFERENCE: CauseFacts(
        Fault.NETWORK, Again.NEVER, "VPN, WARP or fake-IP client breaks DNS, routes or MTU"
    ),
    Cause.NETWORK_WEBSOCKET_BLOCKED: CauseFacts(Fault.NETWORK, Again.NEVER, "Upgrade swallowed or refused on the path"),
    Cause.NETWORK_PROXY_MISCONFIGURED: CauseFacts(
        Fault.CALLER, Again.NEVER, "wrong scheme or port for the corporate proxy, variable ignored"
    ),
    Cause.NETWORK_PROXY_UNREACHABLE: CauseFacts(
        Fault.NETWORK, Again.IF_UNPROCESSED, "the configured upstream proxy cannot be reached"
    ),
    Cause.NETWORK_PROXY_AUTH: CauseFacts(Fault.NETWORK, Again.NEVER, "407 from the upstream proxy"),
    Cause.NETWORK_PROXY_DENIED: CauseFacts(Fault.NETWORK, Again.NEVER, "CONNECT or forward refused by policy, no page"),
    Cause.NETWORK_PROXY_UPSTREAM_ERROR: CauseFacts(
        Fault.NETWORK, Again.WITHIN_BUDGET, "the upstream proxy is fine but cannot reach the target"
    ),
    Cause.NETWORK_CAPTIVE_PORTAL: CauseFacts(Fault.NETWORK, Again.NEVER, "a login page instead of the API"),
    Cause.NETWORK_BLOCKED_PAGE: CauseFacts(
        Fault.NETWORK, Again.NEVER, "block page of a security product (vendor named)"
    ),
    Cause.NETWORK_TLS_INSPECTION: CauseFacts(
        Fault.NETWORK, Again.NEVER, "certificate re-signed by a middlebox (issuer named)"
    ),
    Cause.NETWORK_TLS_CERTIFICATE: CauseFacts(
        Fault.NETWORK, Again.NEVER, "expired, not yet valid, wrong host, incomplete chain, clock skew"
    ),
    Cause.NETWORK_TLS_HANDSHAKE: CauseFacts(Fault.NETWORK, Again.IF_UNPROCESSED, "protocol or cipher failure"),
    Cause.REGION_UNSUPPORTED: CauseFacts(Fault.POLICY, Again.NEVER, "country, region or territory not supported"),
    Cause.EDGE_CHALLENGE: CauseFacts(Fault.EDGE, Again.NEVER, "'enable JavaScript and cookies' challenge"),
    Cause.EDGE_BLOCKED: CauseFacts(Fault.EDGE, Again.NEVER, "edge firewall block (1006-1010, 1020, WAF)"),
    Cause.EDGE_RATE_LIMITED: CauseFacts(Fault.EDGE, Again.AFTER_STATED_WAIT, "the edge throttles this address (1015)"),
    Cause.EDGE_ORIGIN_ERROR: CauseFacts(Fault.EDGE, Again.WITHIN_BUDGET, "502/504/520-527 written by the edge"),
    Cause.SERVICE_SERVER_ERROR: CauseFacts(Fault.PROVIDER, Again.WITHIN_BUDGET, "500"),
    Cause.SERVICE_OVERLOADED: CauseFacts(Fault.PROVIDER, Again.WITHIN_BUDGET, "503, 529, 'overloaded' in any status"),
    Cause.SERVICE_UNAVAILABLE: CauseFacts(
        Fault.PROVIDER,
        Again.WITHIN_BUDGET,
        "502, or a 503 that does not say overloaded (mesh or no-healthy-upstream text)",
    ),
    Cause.SERVICE_TIMEOUT: CauseFacts(
        Fault.PROVIDER, Again.WITHIN_BUDGET, "the provider timed out (408, 504, deadline exceeded)"
    ),
    Cause.SERVICE_MODEL_ERROR: CauseFacts(Fault.PROVIDER, Again.NEVER, "the model produced an unusable answer"),
    Cause.SERVICE_INCIDENT: CauseFacts(Fault.PROVIDER, Again.WITHIN_BUDGET, "confirmed by the provider's status page"),
    Cause.SERVICE_PROTOCOL_ERROR: CauseFacts(Fault.PROVIDER, Again.IF_UNPROCESSED, "the answer breaks HTTP"),
    Cause.SERVICE_STREAM_TRUNCATED: CauseFacts(Fault.PROVIDER, Again.NEVER, "stream ended without its terminal event"),
    Cause.SERVICE_STREAM_ERROR: CauseFacts(Fault.PROVIDER, Again.NEVER, "error event inside a 200 stream"),
    Cause.SERVICE_STREAM_STALLED: CauseFacts(Fault.PROVIDER, Again.NEVER, "headers or events, then silence"),
    Cause.RATE_LIMIT_REQUESTS: CauseFacts(Fault.CALLER, Again.AFTER_STATED_WAIT, "requests per second or minute"),
    Cause.RATE_LIMIT_TOKENS: CauseFacts(Fault.CALLER, Again.AFTER_STATED_WAIT, "tokens per minute"),
    Cause.RATE_LIMIT_DAILY: CauseFacts(Fault.CALLER, Again.NEVER, "requests or tokens per day"),
    Cause.RATE_LIMIT_CONCURRENCY: CauseFacts(Fault.CALLER, Again.AFTER_STATED_WAIT, "too many at once"),
    Cause.RATE_LIMIT_RAMP: CauseFacts(
        Fault.CALLER, Again.AFTER_STATED_WAIT, "within the limits but rising too fast (slow_down)"
    ),
    Cause.RATE_LIMIT_UNKNOWN: CauseFacts(Fault.CALLER, Again.AFTER_STATED_WAIT, "429 without detail"),
    Cause.QUOTA_EXHAUSTED: CauseFacts(Fault.POLICY, Again.NEVER, "no credit, insufficient_quota, prepaid balance gone"),
    Cause.QUOTA_PLAN_WINDOW: CauseFacts(
        Fault.POLICY, Again.NEVER, "a subscription's usage window is used up (resets at a stated time)"
    ),
    Cause.QUOTA_SPEND_LIMIT: CauseFacts(
        Fault.POLICY, Again.NEVER, "organisation, project or monthly spend cap reached"
    ),
    Cause.AUTH_MISSING_KEY: CauseFacts(Fault.CALLER, Again.NEVER, "no credential sent"),
    Cause.AUTH_MALFORMED_HEADER: CauseFacts(Fault.CALLER, Again.NEVER, "credential header malformed"),
    Cause.AUTH_INVALID_KEY: CauseFacts(
        Fault.CALLER, Again.NEVER, "unknown key, wrong provider's key, stray white space"
    ),
    Cause.AUTH_EXPIRED_KEY: CauseFacts(Fault.CALLER, Again.NEVER, "revoked, rotated, disabled, expired"),
    Cause.AUTH_WRONG_ORGANIZATION: CauseFacts(
        Fault.CALLER, Again.NEVER, "organisation or project header does not fit the key"
    ),
    Cause.AUTH_NOT_A_MEMBER: CauseFacts(Fault.POLICY, Again.NEVER, "not a member of the organisation"),
    Cause.AUTH_PERMISSION: CauseFacts(Fault.POLICY, Again.NEVER, "key lacks a scope, role or entitlement"),
    Cause.AUTH_IP_NOT_ALLOWED: CauseFacts(Fault.POLICY, Again.NEVER, "address not on the account's allow-list"),
    Cause.ACCOUNT_DEACTIVATED: CauseFacts(Fault.POLICY, Again.NEVER, "deactivated or suspended"),
    Cause.ACCOUNT_BILLING_INACTIVE: CauseFacts(Fault.POLICY, Again.NEVER, "unpaid, billing not active"),
    Cause.ACCOUNT_VERIFICATION: CauseFacts(
        Fault.POLICY, Again.NEVER, "organisation, e-mail or identity must be verified"
    ),
    Cause.ACCOUNT_PLAN_REQUIRED: CauseFacts(Fault.POLICY, Again.NEVER, "the plan does not include this"),
    Cause.REQUEST_INVALID_JSON: CauseFacts(Fault.CALLER, Again.NEVER, "body cannot be parsed"),
    Cause.REQUEST_INVALID_PARAMETER: CauseFacts(Fault.CALLER, Again.NEVER, "wrong value or type"),
    Cause.REQUEST_MISSING_PARAMETER: CauseFacts(Fault.CALLER, Again.NEVER, "required field omitted"),
    Cause.REQUEST_UNSUPPORTED_PARAMETER: CauseFacts(Fault.CALLER, Again.NEVER, "not supported with this model"),
    Cause.REQUEST_UNSUPPORTED_MEDIA_TYPE: CauseFacts(Fault.CALLER, Again.NEVER, "415 or missing Content-Type"),
    Cause.REQUEST_MODEL_NOT_FOUND: CauseFacts(
        Fault.CALLER, Again.NEVER, "unknown model, or no access (providers answer the same)"
    ),
    Cause.REQUEST_MODEL_DEPRECATED: CauseFacts(Fault.CALLER, Again.NEVER, "retired model"),
    Cause.REQUEST_CONTEXT_LENGTH: CauseFacts(Fault.CALLER, Again.NEVER, "too many tokens for the model"),
    Cause.REQUEST_PAYLOAD_TOO_LARGE: CauseFacts(Fault.CALLER, Again.NEVER, "413, file or image too large"),
    Cause.REQUEST_INVALID_URL: CauseFacts(Fault.CALLER, Again.NEVER, "unknown path, wrong base URL"),
    Cause.REQUEST_WRONG_ENDPOINT: CauseFacts(
        Fault.CALLER, Again.NEVER, "right model or feature, wrong endpoint for it"
    ),
    Cause.REQUEST_METHOD_NOT_ALLOWED: CauseFacts(
        Fault.CALLER, Again.NEVER, "405; often an http:// base URL whose redirect turned POST into GET"
    ),
    Cause.REQUEST_API_VERSION: CauseFacts(Fault.CALLER, Again.NEVER, "missing or wrong API version"),
    Cause.REQUEST_CONTENT_POLICY: CauseFacts(Fault.CALLER, Again.NEVER, "refused by a safety system"),
    Cause.REQUEST_NOT_FOUND: CauseFacts(Fault.CALLER, Again.NEVER, "file, thread, response or deployment id not found"),
    Cause.REQUEST_CONFLICT: CauseFacts(Fault.CALLER, Again.WITHIN_BUDGET, "409"),
    Cause.CLIENT_DISCONNECTED: CauseFacts(Fault.CALLER, Again.NEVER, "the app hung up"),
    Cause.CLIENT_TIMEOUT_TOO_SHORT: CauseFacts(
        Fault.CALLER, Again.NEVER, "the app's own deadline is shorter than the answer needs"
    ),
    Cause.CLIENT_RETRY_STORM: CauseFacts(
        Fault.CALLER, Again.NEVER, "the app multiplies retries (SDK x framework x loop)"
    ),
    Cause.CLIENT_SLOW_READER: CauseFacts(Fault.CALLER, Again.NEVER, "the app reads too slowly"),
    Cause.CLIENT_MALFORMED_REQUEST: CauseFacts(Fault.CALLER, Again.NEVER, "not valid HTTP"),
    Cause.CLIENT_CA_NOT_TRUSTED: CauseFacts(Fault.CALLER, Again.NEVER, "the app does not trust this gateway's CA"),
    Cause.CLIENT_CA_BUNDLE_MISCONFIGURED: CauseFacts(
        Fault.CALLER, Again.NEVER, "the app's own CA variable points nowhere"
    ),
    Cause.CLIENT_NO_PROXY_MISSING: CauseFacts(Fault.CALLER, Again.NEVER, "local or internal calls sent to the proxy"),
    Cause.CLIENT_PROXY_UNSUPPORTED_SCHEME: CauseFacts(
        Fault.CALLER, Again.NEVER, "SOCKS extra missing, unknown proxy scheme"
    ),
    Cause.CLIENT_OUTDATED_SDK: CauseFacts(Fault.CALLER, Again.NEVER, "old library speaks a removed API"),
    Cause.PROXY_BUDGET_EXCEEDED: CauseFacts(
        Fault.POLICY, Again.NEVER, "the tenant's budget (money, tokens, requests) is used up"
    ),
    Cause.PROXY_NOT_ALLOWED: CauseFacts(Fault.POLICY, Again.NEVER, "provider or model not allowed for this tenant"),
    Cause.PROXY_REQUEST_TOO_LARGE: CauseFacts(
        Fault.CALLER, Again.NEVER, "larger than the whole limit: can never be sent"
    ),
    Cause.PROXY_QUEUE_FULL: CauseFacts(Fault.PROXY, Again.AFTER_STATED_WAIT, "our queue is full"),
    Cause.PROXY_QUEUE_TIMEOUT: CauseFacts(
        Fault.PROXY, Again.AFTER_STATED_WAIT, "could not be served before the app's deadline"
    ),
    Cause.PROXY_CIRCUIT_OPEN: CauseFacts(
        Fault.PROXY, Again.AFTER_STATED_WAIT, "failing fast while the upstream recovers"
    ),
    Cause.PROXY_OVERLOADED: CauseFacts(
        Fault.PROXY, Again.AFTER_STATED_WAIT, "our own limits (descriptors, memory) reached"
    ),
    Cause.PROXY_DRAINING: CauseFacts(Fault.PROXY, Again.AFTER_STATED_WAIT, "shutting down"),
    Cause.PROXY_LOOP_DETECTED: CauseFacts(Fault.PROXY, Again.NEVER, "request would reach ourselves"),
    Cause.PROXY_DESTINATION_BLOCKED: CauseFacts(Fault.PROXY, Again.NEVER, "destination not allowed here"),
    Cause.PROXY_UNAUTHORIZED: CauseFacts(Fault.PROXY, Again.NEVER, "missing or wrong gateway credential"),
    Cause.PROXY_INTERNAL_ERROR: CauseFacts(
        Fault.PROXY, Again.WITHIN_BUDGET, "a bug of ours; traffic passes, the row says so"
    ),
    Cause.UNKNOWN: CauseFacts(None, Again.NEVER, "nothing matched: shown as such, never dressed up as another cause"),
}
