"""What to do when something stands between this computer and the provider."""

from collections.abc import Mapping

from gateway.diagnose.remedy import Remedy
from gateway.model.cause import Cause

BETWEEN: Mapping[Cause, Remedy] = {
    Cause.NETWORK_WEBSOCKET_BLOCKED: Remedy(
        title="WebSocket connections are blocked",
        what_it_means=(
            "Ordinary calls get through, but the switch to a permanent two-way connection does not. A proxy or "
            "firewall on the way refuses or swallows it."
        ),
        what_happened="The switch to a WebSocket with the server {host} did not get through: {detail}.",
        what_to_do=(
            "Switch the app to plain HTTP streaming if it has such a setting.",
            "Ask whoever runs the proxy or firewall to allow WebSocket (`Upgrade: websocket`) for this host.",
            "Check whether the proxy inspects this host's traffic; many inspection features drop WebSocket.",
        ),
        not_to_be_confused_with=(
            "A wrong key also ends a WebSocket at once, but then the refusal comes from the provider with status 401."
        ),
    ),
    Cause.NETWORK_PROXY_MISCONFIGURED: Remedy(
        title="The proxy setting is wrong",
        what_it_means=(
            "A proxy is set, but the setting does not fit it: wrong scheme, wrong port, or a variable that the app "
            "ignores."
        ),
        what_happened="The company proxy could not be used with the setting it was given: {detail}.",
        what_to_do=(
            (
                "Compare host, port and scheme with those you were given. They stand in `[network] proxy`, else in "
                "HTTPS_PROXY of the terminal that whygate was started in."
            ),
            "Write the proxy address with `http://` in front, even for HTTPS traffic, unless its owner says otherwise.",
            "Start the app with `whygate run -- CMD`, which sets the variables that it reads.",
        ),
        not_to_be_confused_with=(
            "An unreachable proxy gives no reply at all; here something replied, but in a different language."
        ),
    ),
    Cause.NETWORK_PROXY_UNREACHABLE: Remedy(
        title="The company proxy cannot be reached",
        what_it_means=(
            "All traffic is meant to go through a proxy, and no connection to that proxy came about. The provider has "
            "not been tried."
        ),
        what_happened="No connection to the configured proxy came about on the way to the server {host}: {detail}.",
        what_to_do=(
            (
                "Check the proxy's host and port. They stand in `[network] proxy`, else in HTTPS_PROXY of the terminal "
                "that whygate was started in."
            ),
            "Inside a container `127.0.0.1` is the container: use `host.docker.internal` or the proxy's real address.",
            "If the proxy exists only in the office network or its VPN, connect to that first.",
            "Ask whoever runs the proxy whether it is up.",
        ),
        not_to_be_confused_with=(
            "If the proxy answers and only the provider cannot be reached from it, the fault lies behind the proxy."
        ),
    ),
    Cause.NETWORK_PROXY_AUTH: Remedy(
        title="The company proxy wants a login",
        what_it_means=(
            "The proxy between you and the internet asks for a user name and password. Your API key has nothing to do "
            "with it."
        ),
        what_happened="The proxy asked for a login before letting the call pass: {detail}.",
        what_to_do=(
            (
                "Put the login into `[network] proxy`, or into HTTPS_PROXY where whygate is started, as "
                "`http://USER:PASSWORD@PROXY:PORT`, with special characters percent-encoded."
            ),
            (
                "If the proxy accepts only Kerberos or NTLM, ask its owner for a basic login or a local helper that "
                "speaks it."
            ),
            "After a password change, update the setting too.",
        ),
        not_to_be_confused_with=(
            "Status 401 comes from the provider and is about the API key; 407 always comes from a proxy."
        ),
    ),
    Cause.NETWORK_PROXY_DENIED: Remedy(
        title="The company proxy said no",
        what_it_means="The proxy is working and refuses this destination by its rules. Only its owner can change that.",
        what_happened="The proxy refused to connect to the server {host}: {detail}.",
        what_to_do=(
            (
                "Ask whoever runs the proxy to allow this host on port 443, and send them the output of `whygate flows "
                "show ID`."
            ),
            "Check that the base URL names the host you are meant to use; an approved internal gateway may exist.",
        ),
        not_to_be_confused_with=(
            "A 403 from the provider would be about your account; this refusal was given before the provider was "
            "reached."
        ),
    ),
    Cause.NETWORK_PROXY_UPSTREAM_ERROR: Remedy(
        title="The proxy cannot reach the provider",
        what_it_means=(
            "Your connection to the company proxy is fine, but the proxy failed to reach the provider. The fault lies "
            "on its far side."
        ),
        what_happened="The proxy could not reach the server {host}: {detail}.",
        what_to_do=(
            "Wait a minute and try again; whygate repeats the call within its retry budget where that is safe.",
            "Check the provider's status page to see whether the provider itself is down.",
            "If it lasts, tell whoever runs the proxy: it may lack a route or DNS for this host.",
        ),
        not_to_be_confused_with=(
            "A 502 or 504 written by the provider looks similar, but this page was written by the proxy."
        ),
    ),
    Cause.NETWORK_CAPTIVE_PORTAL: Remedy(
        title="This network wants a sign-in",
        what_it_means=(
            "The network shows a login or terms page in place of the API until someone signs in, as in hotels, trains "
            "and guest Wi-Fi."
        ),
        what_happened="In place of the server {host} a sign-in page of the network answered: {detail}.",
        what_to_do=(
            "Open a browser, visit `http://neverssl.com` and complete the sign-in page that appears.",
            "Then send the call again.",
            "On a server without a browser, ask whoever runs the network to register the machine.",
        ),
        not_to_be_confused_with=(
            "A company's block page says that a site is forbidden; a sign-in page only waits for you."
        ),
    ),
    Cause.NETWORK_BLOCKED_PAGE: Remedy(
        title="A security filter blocked this",
        what_it_means=(
            "A web filter or security product on the way answered with its block page. The provider never saw the "
            "call, and your account is not involved."
        ),
        what_happened="A security filter answered ({status}) in place of the server {host}: {detail}.",
        what_to_do=(
            "Ask whoever runs the filter to allow this host; quote the product, category or rule named on the page.",
            "Send them the output of `whygate flows show ID`, which holds the page's identifying marks.",
            "Check whether your organisation has an approved way to use this provider.",
        ),
        not_to_be_confused_with=(
            "The provider's own edge also sends block pages, but those carry its marks and not those of a filter near "
            "you."
        ),
    ),
    Cause.NETWORK_TLS_INSPECTION: Remedy(
        title="Something re-signs the secure connection",
        what_it_means=(
            "A product on the way opens the encrypted traffic and signs it again with its own certificate. In a "
            "company this is usually intended, but whygate does not trust that certificate yet."
        ),
        what_happened=(
            "The certificate shown for the server {host} was issued by someone other than a public authority: {detail}."
        ),
        what_to_do=(
            (
                "Ask your IT department for its root certificate as a PEM file and name it in the `[network] ca_file` "
                "setting."
            ),
            "If you know of no such product on your network, stop and ask before sending keys through it.",
            "Leave certificate checks on; switching them off hides the problem and exposes your key.",
        ),
        not_to_be_confused_with=(
            "If the app complains about whygate's own certificate, the repair is `whygate run -- CMD`, not this one."
        ),
    ),
    Cause.NETWORK_TLS_CERTIFICATE: Remedy(
        title="The server's certificate is not valid",
        what_it_means=(
            "The certificate is expired, not valid yet, for another name, or incomplete. Often the clock of this "
            "machine is wrong."
        ),
        what_happened="The certificate of the server {host} did not pass the check: {detail}.",
        what_to_do=(
            "Check date, time and time zone of this machine; virtual machines often wake up with an old clock.",
            "Check that the base URL uses the exact host name and not an IP address or an alias.",
            "For a server of your own, renew the certificate and serve the whole chain.",
        ),
        not_to_be_confused_with=(
            "A valid certificate from an unknown issuer is a different fault; it points to a product that re-signs "
            "traffic."
        ),
    ),
    Cause.NETWORK_TLS_HANDSHAKE: Remedy(
        title="No secure connection came about",
        what_it_means=(
            "Both sides talked but could not agree on how to encrypt. One of them is old, strictly configured, or does "
            "not speak TLS on that port."
        ),
        what_happened="Setting up encryption with the server {host} failed: {detail}.",
        what_to_do=(
            "Check scheme and port: `https://` towards a plain HTTP port fails in this way.",
            "If a company proxy is set, write it with `http://` in front, even for HTTPS traffic.",
            (
                "Update Python, Node or the operating system if they predate TLS 1.2; for your own server, allow TLS "
                "1.2 or later."
            ),
        ),
        not_to_be_confused_with=(
            "A certificate that is refused is a different fault; here the talk ended before trust became the question."
        ),
    ),
}
