"""The service is not offered where the call comes from. The wording names a country, a region or a territory."""

from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import Rule, first, heard, named, only, said, shown
from gateway.model.cause import Cause


def _anthropic_edge(seen: Observation) -> bool:
    """Anthropic's edge refuses places and addresses with a type that its API does not have."""
    declared = seen.declared
    if seen.status == 403 and declared.type == "forbidden" and seen.message.has("request not allowed"):
        return "request-id" not in seen.headers
    return seen.status == 403 and seen.raw.startswith("<!doctype html><meta") and "<title>403</title>" in seen.raw


RULE = Rule(
    cause=Cause.REGION_UNSUPPORTED,
    match=only(
        lambda seen: seen.status // 100 in {0, 2, 3, 4},
        first(
            named(
                "unsupported_country_region_territory|region_not_supported|unsupported_region|"
                "country_not_supported|region_restricted|location_not_supported|geo_blocked|unsupported_country"
            ),
            said(
                "country|countries|region |regions|territory|territories|user location|your location|location |"
                "geographic|jurisdiction|地区|国家|区域",
                "not supported|unsupported|not available|only available|unavailable|is not supported|restricted|"
                "not permitted|not offered|not allowed|blocked|block access|不支持|不可用|限制",
            ),
            heard(
                "unsupported region|for this country|location is not supported|"
                "country region or territory not supported|not available in your country|"
                "not available in your region|unsupported country"
            ),
            shown(_anthropic_edge, "the edge's refusal, without the API's own envelope and request id"),
            only(lambda seen: seen.status == 451, shown(lambda _seen: True, "status 451")),
        ),
    ),
    authors=None,
    outranks=("request.", "auth.", "edge.", "account.", "network.blocked_page"),
)
