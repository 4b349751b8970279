"""What stands on login pages, block pages and challenges, short, with the marks by which they are known."""

from typing import NamedTuple

CHALLENGE = (
    '<!DOCTYPE html><html lang="en-US"><head><title>Just a moment...</title></head><body><noscript>Enable JavaScript '
    "and cookies to continue</noscript><script>window._cf_chl_opt={cvId:'3'};</script></body></html>"
)
REGION = (
    '{"error": {"code": "unsupported_country_region_territory", "message": "Country, region, or territory not '
    'supported", "param": null, "type": "request_forbidden"}}'
)


class Sink(NamedTuple):
    """Where a DNS filter leads to.

    Args:
        addresses: What its resolver answers.
        name: The block page's own name.
        issuer: Who signs its certificate.
        page: What is served there; empty when nothing is.
    """

    addresses: tuple[str, ...]
    name: str = ""
    issuer: str = ""
    page: str = ""


def _page(title: str, text: str) -> str:
    return f"<!DOCTYPE html><html><head><title>{title}</title></head><body>{text}</body></html>"


SINKS = {
    "umbrella": Sink(
        ("146.112.61.106",), "hit-block.opendns.com", "umbrella",
        _page("Phishing Site Blocked", '<a href="https://block.opendns.com/?url=15&server=fra">This site is blocked.</a>'),
    ),
    "fortiguard": Sink(
        ("208.91.112.55",), "blocked.fortinet.test", "fortigate",
        _page("Web Filter Block Override", "<h1>FortiGuard Intrusion Prevention - Access Blocked</h1>"),
    ),
    "pfblockerng": Sink(
        ("10.10.10.1",), "pfsense.test", "pfblockerng",
        _page("Page Blocked via DNSBL", "Powered by: <strong>pfBlockerNG DNSBL</strong>"),
    ),
    "adguard": Sink(
        ("94.140.14.35",), "standard-block.dns.adguard.com", "unknown-firm",
        _page("Access blocked", "Access to this website is blocked by AdGuard DNS"),
    ),
    "cleanbrowsing": Sink(("185.228.168.254",)),
    "zero": Sink(("0.0.0.0", "::")),
    "loopback": Sink(("127.0.0.1", "::1")),
}  # fmt: skip

BLOCKED = {
    "zscaler": (403, {"server": "Zscaler/6.2"}, _page(
        "Internet Security by Zscaler",
        '<form action="https://gateway.zscaler.net/auT"></form>Sorry, you do not have permission to visit this site',
    )),
    "fortigate": (403, {"x-frame-options": "SAMEORIGIN"}, _page(
        "Web Filter Violation",
        "<h1>FortiGuard Intrusion Prevention - Access Blocked</h1>Web Page Blocked. //globalurl.fortinet.net/images",
    )),
    "paloalto": (503, {}, (
        '<html><head><title>Web Page Blocked</title></head><body bgcolor="#e7e8e9"><div id="content">'
        "<h1>Web Page Blocked</h1><p>Access to the web page you were trying to visit has been blocked in accordance "
        "with company policy.</p></div></body></html>"
    )),
}  # fmt: skip
"""Status, header fields, page."""

PORTALS: dict[str, tuple[int, dict[str, str], str]] = {
    "fortigate": (303, {"location": "http://192.168.7.1:1000/fgtauth?0a2b3c4d5e6f7081"}, ""),
    "meraki": (302, {"location": "http://eu.network-auth.com/splash/abcDEF.1.234?mac=02%3A00&continue_url=x"}, ""),
    "aruba": (302, {"location": "https://securelogin.arubanetworks.com/cgi-bin/login?cmd=login&mac=02:00&essid=hotel"}, ""),
    "cisco-ise": (302, {"location": "https://ise.firm.test:8443/portal/gateway?sessionId=0A0B&portal=1&action=cwa"}, ""),
    "mikrotik": (302, {"location": "http://login.hotel.test/login?dst=http%3A%2F%2Fcaptive.apple.com%2F"}, ""),
    "page": (200, {}, _page("Welcome", '<form action="http://login.hotel.test/login" method="post">Room: <input name=r></form>')),
    "511": (511, {}, _page("Network Authentication Required", '<a href="https://login.hotel.test/">log in</a>')),
}  # fmt: skip
"""What a request of port 80 gets."""
