"""What to do when the connection itself fails."""

from collections.abc import Mapping

from gateway.diagnose.remedy import Remedy
from gateway.model.cause import Cause

CONNECTION: Mapping[Cause, Remedy] = {
    Cause.NETWORK_OFFLINE: Remedy(
        title="This computer is offline",
        what_it_means="Nothing on the internet could be reached from here, so the provider never saw the call.",
        what_happened="The call to the server {host} could not leave this computer: {detail}.",
        what_to_do=(
            "Check Wi-Fi or the cable, then open any website in a browser.",
            (
                "In a container or virtual machine, check that it has a network at all: `docker run` with `--network "
                "none` has none."
            ),
            "Once the network is back, send the call again; whygate needs no restart.",
        ),
        not_to_be_confused_with="A provider outage looks similar in the app, but then other websites still open.",
    ),
    Cause.NETWORK_DNS_FAILURE: Remedy(
        title="The server name was not found",
        what_it_means=(
            "The name of the API server could not be turned into an address, so nothing was sent to it. The cause is "
            "either a typing mistake in the name or a name service that does not answer."
        ),
        what_happened="Looking up the name of the server {host} failed: {detail}.",
        what_to_do=(
            (
                "Check the host name in the base URL for a typing mistake, a stray space or a placeholder that was "
                "never filled in."
            ),
            "Look the name up by hand with `nslookup HOST`; if other names fail too, the network's DNS is the problem.",
            (
                "In Docker, check the DNS servers the container uses (`/etc/resolv.conf` inside it) and restart it "
                "after a network change."
            ),
            (
                "For a private Azure endpoint, ask whoever runs the network whether its private DNS zone is linked to "
                "yours."
            ),
        ),
        not_to_be_confused_with=(
            "A name that resolves to a false address is another matter: there the lookup succeeds and the connection "
            "fails later."
        ),
    ),
    Cause.NETWORK_DNS_TAMPERED: Remedy(
        title="The name gives a false address",
        what_it_means=(
            "The lookup of the server's name gave an address that does not belong to the provider. A filter, a hosts "
            "file or someone on the network replaced the real one."
        ),
        what_happened=(
            "The name of the server {host} was answered with an address that is not the provider's: {detail}."
        ),
        what_to_do=(
            (
                "Look for the name in your hosts file and in your own ad blocker or Pi-hole, and remove the entry if "
                "it is yours."
            ),
            (
                "Otherwise ask whoever runs this network or its DNS whether the name is filtered on purpose, and show "
                "them the address."
            ),
            "Do not send your API key until the address is right; keep certificate checks switched on.",
        ),
        not_to_be_confused_with=(
            "In the app this often reads like a plain connection timeout, but there the address would be the right one."
        ),
    ),
    Cause.NETWORK_TCP_REFUSED: Remedy(
        title="The connection was refused",
        what_it_means=(
            "The address exists, but nothing there accepts connections on that port, or a firewall says no on its "
            "behalf."
        ),
        what_happened="The server {host} was reached but refused the connection: {detail}.",
        what_to_do=(
            "Check the host and port in the base URL; for a local model server, check that it is running.",
            (
                "Inside a container `127.0.0.1` means the container itself: use `host.docker.internal` or the host's "
                "address."
            ),
            "If this is the provider's own address, ask whoever runs the firewall whether port 443 to it is open.",
        ),
        not_to_be_confused_with=(
            "A timeout is different: there nobody answers at all, here something answered with a no."
        ),
    ),
    Cause.NETWORK_TCP_TIMEOUT: Remedy(
        title="The server did not pick up",
        what_it_means=(
            "The attempt to connect got no answer of any kind. Usually a firewall drops the traffic silently or the "
            "route is broken."
        ),
        what_happened="No connection to the server {host} came about in time: {detail}.",
        what_to_do=(
            "Check whether other HTTPS sites open from the same machine; if none does, fix the network first.",
            (
                "If the network only lets traffic out through a company proxy, put its address in the `[network] "
                "proxy` setting."
            ),
            "Ask whoever runs the firewall whether port 443 to this host is open from this machine.",
        ),
        not_to_be_confused_with=(
            "A slow model is not the cause: the call never got as far as a conversation with the server."
        ),
    ),
    Cause.NETWORK_CONNECTION_RESET: Remedy(
        title="The connection was cut early",
        what_it_means=(
            "The line was closed before any answer arrived. A firewall, an unstable network or the far end can do "
            "that, and one call alone does not show which."
        ),
        what_happened="The connection to the server {host} was closed before an answer came: {detail}.",
        what_to_do=(
            "Try again; whygate itself retries only when it is sure that a second attempt cannot be charged twice.",
            (
                "Watch `whygate tail`: if only this host is cut every time, ask whoever runs the network about a "
                "filter for it."
            ),
            "If it happens after minutes of silence, some device closes idle connections: ask for its idle limit.",
        ),
        not_to_be_confused_with=(
            "An answer that starts and then breaks off is a different fault; here not one byte of an answer was seen."
        ),
    ),
    Cause.NETWORK_READ_TIMEOUT: Remedy(
        title="Connected, then silence",
        what_it_means=(
            "The connection stood and the request went out, but no answer came back in the time allowed. The request "
            "may still have been processed."
        ),
        what_happened="After the request was sent, the server {host} stayed silent until the time was up: {detail}.",
        what_to_do=(
            "Check the provider's status page, then send the call again if doing the work twice does no harm.",
            "For long answers switch streaming on (`stream=True`), so that the first words arrive early.",
            "If only large requests hang, reduce one to a few words to compare; a VPN may be dropping big packets.",
        ),
        not_to_be_confused_with=(
            "When the app itself gives up first, its own timeout setting is the cause, not the network."
        ),
    ),
    Cause.NETWORK_STREAM_INTERRUPTED: Remedy(
        title="The answer broke off midway",
        what_it_means=(
            "Part of the answer arrived and then the line was cut. Typical causes are a proxy or firewall that closes "
            "connections after a fixed time."
        ),
        what_happened="The streamed answer from the server {host} was cut before it was complete: {detail}.",
        what_to_do=(
            (
                "Treat the text received so far as incomplete and ask again; whygate does not repeat a half-delivered "
                "answer."
            ),
            (
                "Compare the moment of the cut in `whygate flows show ID`: always the same number of seconds points to "
                "a timer."
            ),
            "Ask whoever runs the proxy or load balancer to raise its idle or session limit for this host.",
            "Ask for shorter answers until that is done.",
        ),
        not_to_be_confused_with=(
            "A provider that ends the stream too early closes the connection properly; here the line itself was cut."
        ),
    ),
    Cause.NETWORK_DEGRADED: Remedy(
        title="The network is very slow",
        what_it_means=(
            "Calls get through, but with far more delay or loss than is usual on this connection. The provider may be "
            "fine."
        ),
        what_happened=(
            "Traffic to the server {host} was much slower or less reliable than other traffic from here: {detail}."
        ),
        what_to_do=(
            "Compare with another site; if everything is slow, look at Wi-Fi, the VPN and large downloads first.",
            "Raise the app's timeout until the line recovers.",
            "If only this host is slow, check the provider's status page and tell your network provider.",
        ),
        not_to_be_confused_with="A slow model makes only its answers slow; here the connection itself takes long.",
    ),
    Cause.NETWORK_IPV6_BROKEN: Remedy(
        title="One address type is broken",
        what_it_means=(
            "The server has two kinds of address, IPv4 and IPv6, and only one kind works from here. Apps that try the "
            "broken one first hang or fail."
        ),
        what_happened="One of the two address families of the server {host} cannot be reached from here: {detail}.",
        what_to_do=(
            "Compare `curl -4 https://HOST` with `curl -6 https://HOST` to see which one fails.",
            "Repair IPv6 on the router or adapter, or switch it off there until your internet provider has fixed it.",
            "In Node, set `NODE_OPTIONS=--dns-result-order=ipv4first` if IPv4 is the one that works.",
        ),
        not_to_be_confused_with=(
            "If both kinds of address fail, the server or the whole network is out of reach, which is a different "
            "fault."
        ),
    ),
    Cause.NETWORK_MTU_BLACKHOLE: Remedy(
        title="Large packets get lost",
        what_it_means=(
            "Small messages pass but large ones vanish on the way. This usually happens in VPN tunnels, WSL2 or DSL "
            "lines with a packet size set too high."
        ),
        what_happened="Small requests to the server {host} pass while larger ones hang: {detail}.",
        what_to_do=(
            (
                "Lower the packet size (the MTU setting) of the VPN or network adapter, for example to 1350, and try "
                "again."
            ),
            'In Docker, set the same value under `"mtu"` in `daemon.json` and restart Docker.',
            "Tell whoever runs the VPN or router; the lasting repair is there.",
        ),
        not_to_be_confused_with=(
            "A request that is too big for the provider gets a clear answer with status 413, not silence."
        ),
    ),
    Cause.NETWORK_VPN_INTERFERENCE: Remedy(
        title="A VPN disturbs the connection",
        what_it_means=(
            "A VPN or traffic client on this machine changes names, routes or packet sizes in a way that breaks this "
            "call. It may do so without being noticed."
        ),
        what_happened="A VPN or similar client on this machine stands in the way of the server {host}: {detail}.",
        what_to_do=(
            "If your rules allow it, pause the VPN client for one test call to confirm that it is the cause.",
            (
                "In a client with a fake-IP or TUN mode, exclude `127.0.0.1` and whygate's process from it, or switch "
                "that mode off."
            ),
            "For a company VPN, send the output of `whygate flows show ID` to the people who run it.",
        ),
        not_to_be_confused_with=(
            "False addresses handed out by the network's own name service look alike, but remain when the VPN client "
            "is off."
        ),
    ),
}
