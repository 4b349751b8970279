"""What to do about the region and the provider's outer gate."""

from collections.abc import Mapping

from gateway.diagnose.remedy import Remedy
from gateway.model.cause import Cause

EDGE: Mapping[Cause, Remedy] = {
    Cause.REGION_UNSUPPORTED: Remedy(
        title="Not offered in this region",
        what_it_means=(
            "The provider does not serve the country or territory that the call appears to come from. Trying again or "
            "using another key changes nothing."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because it does not serve the place it came from: "
            "{detail}."
        ),
        what_to_do=(
            "Compare your country with the provider's published list of supported countries.",
            (
                "If you are in a supported country but your traffic leaves elsewhere, ask whoever runs your VPN or "
                "cloud network why."
            ),
            "For a cloud server, move it to a region that the provider and your contract allow.",
            "If you believe that your location is judged wrongly, write to the provider's support with the request id.",
        ),
        not_to_be_confused_with=(
            "A block on a single address or a missing right of the key also gives 403, but its text names no country."
        ),
    ),
    Cause.EDGE_CHALLENGE: Remedy(
        title="A browser check stands between",
        what_it_means=(
            "The gate in front of the provider wants proof of a real browser, which an app cannot give. Often the base "
            "URL is a website, or the address in use has a bad reputation."
        ),
        what_happened=(
            "The gate in front of the server {host} asked for a browser check ({status}) and did not pass the call on: "
            "{detail}."
        ),
        what_to_do=(
            "Check that the base URL is the API host (for OpenAI `https://api.openai.com/v1`) and not the website.",
            "Stop fast loops for some minutes; many calls from one shared address raise suspicion.",
            "If it stays, send the Ray ID from `whygate flows show ID` to the provider's support.",
        ),
        not_to_be_confused_with=(
            "A company filter also answers with a web page, but this one was written by the provider's own gate."
        ),
    ),
    Cause.EDGE_BLOCKED: Remedy(
        title="The provider's gate blocked this",
        what_it_means=(
            "A firewall in front of the provider turned the call away before the API saw it. It judges address and "
            "shape of the request, not your account."
        ),
        what_happened="The gate in front of the server {host} blocked this call ({status}): {detail}.",
        what_to_do=(
            "Compare with a minimal call; unusual headers, an empty User-Agent or certain text can trigger the rule.",
            (
                "If every call fails, the address is blocked: send the Ray ID from `whygate flows show ID` to the "
                "provider's support."
            ),
            "If you share an exit address with many others, ask whoever runs that network as well.",
        ),
        not_to_be_confused_with=(
            "A 403 in the API's own JSON is about rights or region; this refusal came from the gate in front."
        ),
    ),
    Cause.EDGE_RATE_LIMITED: Remedy(
        title="The gate is slowing this address",
        what_it_means=(
            "The gate in front of the provider limits calls by address, before account limits count. Others who share "
            "the address use up the same allowance."
        ),
        what_happened=(
            "The gate in front of the server {host} refused this call ({status}) because this address sent too much in "
            "a short time: {detail}."
        ),
        what_to_do=(
            "Let the stated time pass; whygate waits and paces the calls that go through it.",
            "Send all apps behind this address through one whygate, so that they are paced together.",
            "If it persists at a low rate, send the Ray ID from `whygate flows show ID` to the provider's support.",
        ),
        not_to_be_confused_with=(
            "The limits of your account are a different thing; buying a higher tier does not raise this one."
        ),
    ),
    Cause.EDGE_ORIGIN_ERROR: Remedy(
        title="The gate cannot reach the provider",
        what_it_means=(
            "The outer gate works, but the servers behind it did not give it a proper answer. The trouble is on the "
            "provider's side."
        ),
        what_happened=(
            "The gate in front of the server {host} reported an error ({status}) because the servers behind it failed: "
            "{detail}."
        ),
        what_to_do=(
            "Wait a minute and try again; whygate repeats the call within its retry budget where that is safe.",
            "Look at the provider's status page.",
            "If only very long calls fail, switch streaming on so that the gate sees data in time.",
        ),
        not_to_be_confused_with=(
            "An error in the API's own JSON comes from further inside; here not even that part could answer."
        ),
    ),
}
