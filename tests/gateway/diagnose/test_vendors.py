"""The product on the path is named by what it leaves there, and nothing harmless is taken for one."""

import re
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.diagnose._marks import PAGE_CHARACTERS
from gateway.diagnose.vendors import (
    MARKS,
    Mark,
    Means,
    Place,
    in_headers,
    in_redirect,
    mentioned,
    of_address,
    of_certificate,
    on_page,
    read,
)

COLUMNS = "vendor,place,mark,means,source"
OPENAI_ERROR = (
    '{"error":{"message":"Incorrect API key provided: sk-a***. You can find your API key at '
    'https://platform.openai.com/account/api-keys.","type":"invalid_request_error","code":"invalid_api_key"}}'
)
ANTHROPIC_ERROR = '{"type":"error","error":{"type":"forbidden","message":"Request not allowed"}}'
GEMINI_ERROR = (
    '{"error":{"code":400,"message":"User location is not supported for the API use.","status":"FAILED_PRECONDITION"}}'
)
RELAY_FRONT_PAGE = '<!doctype html><html lang="zh"><head><title>New API</title><meta name="description" content="OpenAI gateway, three providers, the cloud, Germany"/><script defer src="/static/js/main.1.js"></script></head><body><noscript>You need to enable JavaScript to run this app.</noscript><div id="root"></div></body></html>'
NGINX_502 = "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center><hr><center>nginx</center></body></html>"
APACHE_403 = "<!DOCTYPE HTML><html><head><title>403 Forbidden</title></head><body><h1>Forbidden</h1><p>You don't have permission to access this resource.</p></body></html>"
CLOUDFLARE_CHALLENGE = '<!DOCTYPE html><html lang="en-US"><head><title>Just a moment...</title></head><body>Enable JavaScript and cookies to continue<script>window._cf_chl_opt={cvId:"3"}</script></body></html>'
CLOUDFLARE_1020 = "<title>Access denied | api.example.com used Cloudflare to restrict access</title><h2>Sorry, you have been blocked</h2>"
AMAZON_503 = "<html><body><h1>503 Service Temporarily Unavailable</h1><p>The page you want is blocked, denied and filtered.</p></body></html>"

SQUID_PAGE = """<!DOCTYPE html PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd">
<html><head><title>ERROR: The requested URL could not be retrieved</title></head><body id=ERR_{code}>
<div id="content"><p>The following error was encountered while trying to retrieve the URL: https://api.openai.com/*</p>
<p>Your cache administrator is <a href="mailto:root">root</a>.</p></div>
<div id="footer"><p>Generated Sun, 22 Nov 2026 03:00:00 GMT by proxy (squid/6.6)</p><!-- ERR_{code} --></div></body></html>"""


def named(mark: Mark | None) -> tuple[str, Means] | None:
    """Who, and what it means."""
    return (mark.vendor, mark.means) if mark else None


def test_the_table_is_large_and_covers_every_place() -> None:
    assert len(MARKS) >= 1900
    assert {mark.place for mark in MARKS} == set(Place)
    assert {mark.means for mark in MARKS} == set(Means)
    assert len({mark.vendor for mark in MARKS}) >= 300


def test_every_mark_has_a_source_and_no_mark_stands_twice() -> None:
    assert all(mark.source for mark in MARKS)
    assert len({(mark.place, mark.mark) for mark in MARKS}) == len(MARKS)


def test_the_table_is_sorted_and_in_lower_case() -> None:
    assert all(mark.mark == mark.mark.lower() for mark in MARKS)
    order = [(mark.place.value, mark.vendor.lower(), mark.mark) for mark in MARKS]
    assert all(before < after for before, after in pairwise(order))


def alone(mark: Mark) -> Mark | None:
    """What is found where a mark stands, in other case and with something around it."""
    match mark.place:
        case Place.PAGE:
            text = f"xx {mark.mark.replace(' & ', ' .. ')} yy"
            return on_page(text.upper() if text.isascii() else text)
        case Place.REDIRECT:
            return in_redirect(mark.mark.replace(" & ", "--").upper())
        case Place.ISSUER:
            return of_certificate(f"CN=x, {mark.mark.replace(' & ', ', ').upper()}")
        case Place.HEADER:
            name, _, part = mark.mark.partition(":")
            return in_headers([("Date", "now"), (name.title(), f"a {part.strip().upper()} b")])
        case Place.ADDRESS:
            return of_address(mark.mark.partition("/")[0])


def test_every_mark_is_found_where_it_stands_alone_or_a_longer_one_that_holds_it() -> None:
    for mark in MARKS:
        found = alone(mark)
        assert found is not None, mark
        assert found.means is not Means.PRESENCE or mark.means is Means.PRESENCE, mark
        assert found == mark or len(found.mark) >= len(mark.mark) or not mark.vendor or mark.means is Means.PRESENCE, (
            mark
        )


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("Zscaler,elsewhere,some text,block,s", "'elsewhere' is not a valid Place"),
        ("Zscaler,page,some text,shut,s", "'shut' is not a valid Means"),
        ("Zscaler,page,Some Text,block,s", "lower case"),
        ("Zscaler,page,some text,block,", "no source"),
        ("Zscaler,page,some text,block", "4 fields"),
        ("Zscaler,page,some  text,block,s", "white space"),
        (" Zscaler,page,some text,block,s", "white space"),
        ("Zscaler,page,,block,s", "too short"),
        ("Zscaler,page,some text & ok,block,s", "too short"),
        ("Zscaler,page,some text,sinkhole,s", "cannot be told by page"),
        ("Zscaler,address,10.0.0.1/8,sinkhole,s", "host bits"),
        ("Zscaler,address,some text,sinkhole,s", "does not appear"),
        ("Zscaler,address,localhost,sinkhole,s", "does not appear"),
        ("Zscaler,address,example.net.,sinkhole,s", "does not appear"),
        ("Zscaler,header,server zscaler,block,s", "name: part"),
    ],
)
def test_a_row_that_is_not_well_formed_is_refused_with_its_line(row: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"line 2: .*{re.escape(why)}"):
        read(f"{COLUMNS}\n{row}\n")


def test_a_table_with_other_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="line 1"):
        read("vendor,mark\n")


def test_a_table_out_of_order_or_with_a_mark_twice_is_refused() -> None:
    one, two = "Avast,page,some text,block,s", "Zscaler,page,other text,block,s"
    with pytest.raises(ValueError, match="line 3: not sorted"):
        read(f"{COLUMNS}\n{two}\n{one}\n")
    with pytest.raises(ValueError, match="line 3: the mark stands there twice"):
        read(f"{COLUMNS}\n{one}\n{one}\n")


@given(st.text())
def test_any_text_is_a_page_a_redirect_a_certificate_and_an_address(text: str) -> None:
    for look in (on_page, in_redirect, of_certificate, of_address):
        found = look(text)
        assert found is None or found in MARKS


@given(st.lists(st.tuples(st.text(), st.text())))
def test_any_headers_can_be_looked_at(headers: list[tuple[str, str]]) -> None:
    found = in_headers(headers)
    assert found is None or found.place is Place.HEADER


@given(st.binary())
def test_bytes_that_were_decoded_somehow_can_be_looked_at(raw: bytes) -> None:
    for text in (raw.decode("latin-1"), raw.decode("utf-8", "surrogateescape"), raw.decode("utf-8", "replace")):
        for look in (on_page, in_redirect, of_certificate, of_address):
            look(text)


@given(st.text(max_size=60), st.sampled_from([m for m in MARKS if m.place is Place.PAGE]), st.text(max_size=60))
def test_what_surrounds_a_mark_does_not_hide_it(before: str, mark: Mark, after: str) -> None:
    assert on_page(f"{before} {mark.mark.replace(' & ', ' .. ')} {after}") is not None


@given(st.permutations([("via", "1.1 a (squid/6.6)"), ("server", "Zscaler/6.2"), ("x-mwg-via", "x"), ("date", "now")]))
def test_the_order_of_headers_does_not_matter(headers: list[tuple[str, str]]) -> None:
    assert named(in_headers(headers)) == ("Zscaler", Means.BLOCK)


@pytest.mark.parametrize(
    "page",
    [
        "",
        OPENAI_ERROR,
        ANTHROPIC_ERROR,
        NGINX_502,
        APACHE_403,
        CLOUDFLARE_CHALLENGE,
        CLOUDFLARE_1020,
        AMAZON_503,
        GEMINI_ERROR,
        RELAY_FRONT_PAGE,
        "blocked",
        "您的账户余额不足，请充值后再试",
        '{"error":{"message":"请求中可能含有敏感内容，已被模型拦截","type":"content_filter"}}',
    ],
)
def test_a_providers_and_an_edges_own_pages_name_nobody(page: str) -> None:
    assert on_page(page) is None


@pytest.mark.parametrize(
    ("page", "vendor", "means"),
    [
        (SQUID_PAGE.format(code="ACCESS_DENIED"), "Squid", Means.DENIED),
        (SQUID_PAGE.format(code="CACHE_ACCESS_DENIED"), "Squid", Means.SIGN_IN),
        (SQUID_PAGE.format(code="DNS_FAIL"), "Squid", Means.UPSTREAM),
        (SQUID_PAGE.format(code="CONNECT_FAIL"), "Squid", Means.UPSTREAM),
        (SQUID_PAGE.format(code="SOMETHING_NEW"), "Squid", Means.PRESENCE),
        ("<title>Internet Security by Zscaler</title>", "Zscaler", Means.BLOCK),
        ("Your organization has selected Zscaler to protect you\n from internet threats.", "Zscaler", Means.BLOCK),
        ('<a href="https://gateway.zscalertwo.net/auD?origurl=https%3A%2F%2Fx">', "Zscaler", Means.SIGN_IN),
        ('<script>location.replace("https://block.opendns.com/?url=17")', "Cisco Umbrella (OpenDNS)", Means.BLOCK),
        ("<title>Notification: Policy: URL Filtering</title>", "Cisco Secure Web Appliance", Means.BLOCK),
        ("<TITLE>Access Denied</TITLE> Access Denied (policy_denied) ", "Broadcom Symantec (Blue Coat)", Means.DENIED),
        ("Network Error (tcp_error) A communication error occurred", "Broadcom Symantec (Blue Coat)", Means.UPSTREAM),
        (
            "Access to the web page you were trying to visit has been blocked in accordance with company policy.",
            "Palo Alto Networks",
            Means.BLOCK,
        ),
        (
            '<img src="https://globalurl.fortinet.net/x"><h3>FortiGuard Intrusion Prevention - Access Blocked</h3>',
            "Fortinet",
            Means.BLOCK,
        ),
        ('<link href="http://passthrough.fw-notify.net/static/default.css">', "Sophos", Means.BLOCK),
        ("<p>Redirecting you to Barracuda Web Filter.</p>", "Barracuda", Means.BLOCK),
        (
            "<title>McAfee Web Gateway - Notification - Blocked by URL filtering</title>",
            "Skyhigh (McAfee)",
            Means.BLOCK,
        ),
        (
            '<title>McAfee Web Gateway - Notification</title><script src="/mwg-internal/x/sw.js"><!-- FileName: cannotconnect.html',
            "Skyhigh (McAfee)",
            Means.UPSTREAM,
        ),
        ("Request denied by WatchGuard HTTP Proxy.", "WatchGuard", Means.BLOCK),
        ("<p>Powered by UTM Web Protection</p>", "Sophos", Means.BLOCK),
        ("<meta http-equiv='refresh' content='1; url=http://x/&arubalp=302a74a0'>", "Aruba", Means.PORTAL),
        ('<form action="/fs/customwebauth/login.html">', "Cisco Wireless LAN Controller", Means.PORTAL),
        ("<iframe src='http://blocked.mts.ru/?host=x'>", "Russia (blocking register)", Means.BLOCK),
        ("sayılı kararıyla erişime engellenmiştir.", "Turkey (national filter)", Means.BLOCK),
        ("<title>Website gesperrt</title>", "", Means.BLOCK),
        ("<title>¡Página Web Bloqueada!</title>", "", Means.BLOCK),
        ("您的域名因未取得工信部网站备案号，按照工信部33号令屏蔽访问", "China (site without ICP filing)", Means.BLOCK),
        ("<b>This web page is blocked</b> because it violates network policy.", "Untangle (Arista)", Means.BLOCK),
        ("<title>Request blocked (Privoxy@localhost)</title>", "Privoxy", Means.BLOCK),
        (
            '<h1>Unable to connect</h1> Generated by <a href="https://tinyproxy.github.io/">tinyproxy</a> version',
            "tinyproxy",
            Means.UPSTREAM,
        ),
        ("<title>E2Guardian - Access Denied</title>", "e2guardian", Means.BLOCK),
        ("[Fiddler] The connection to 'api.openai.com' failed.", "Fiddler", Means.UPSTREAM),
        ("<!-- <WISPAccessGatewayParam xmlns:xsi=", "", Means.PORTAL),
        ('<iframe src="http://10.10.34.34?type=Invalid Site"', "Iran (national filter)", Means.BLOCK),
        ("<title>Telekomünikasyon İletişim Başkanlığı</title>", "Turkey (national filter)", Means.BLOCK),
        ("ДОСТУП К РЕСУРСУ ЗАБЛОКИРОВАН!", "Russia (blocking register)", Means.BLOCK),
        ("<frame src='http://warning.or.kr'>", "South Korea (KCSC)", Means.BLOCK),
    ],
)
def test_a_page_names_who_wrote_it_and_what_it_means(page: str, vendor: str, means: Means) -> None:
    assert named(on_page(page)) == (vendor, means)


def test_what_happened_beats_mere_presence() -> None:
    assert named(on_page("Your cache administrator is root. Internet Security by Zscaler")) == ("Zscaler", Means.BLOCK)
    assert named(in_headers([("Via", "1.1 a (squid/6.6)"), ("X-Squid-Error", "ERR_DNS_FAIL 0")])) == (
        "Squid",
        Means.UPSTREAM,
    )


def test_only_the_top_of_a_page_is_looked_at() -> None:
    assert on_page("." * PAGE_CHARACTERS + "Internet Security by Zscaler") is None
    assert on_page("." * 1000 + "Internet Security by Zscaler") is not None


def test_a_full_page_takes_little_time() -> None:
    page = ("<p>Access to the blocked gateway of the administrator at https://www.example.org/a?b=c</p> " * 2000)[
        :PAGE_CHARACTERS
    ]

    def once() -> float:
        began = time.perf_counter()
        on_page(page)
        return time.perf_counter() - began

    assert min(once() for _ in range(10)) < 0.010  # some 1 ms; room for a busy machine


@pytest.mark.parametrize(
    ("headers", "vendor", "means"),
    [
        ([("Server", "Zscaler/6.2")], "Zscaler", Means.BLOCK),
        ([("Via", "1.1 wsa01.example.com:80 (Cisco-WSA/9.1.2-010)")], "Cisco Secure Web Appliance", Means.PRESENCE),
        ([("Via", "1.1 proxy (squid/5.7)")], "Squid", Means.PRESENCE),
        ([("X-Squid-Error", "ERR_ACCESS_DENIED 0")], "Squid", Means.DENIED),
        ([("x-squid-error", "ERR_CACHE_ACCESS_DENIED 0")], "Squid", Means.SIGN_IN),
        ([("X-BlueCoat-Via", "ce2cfae06b3f12b4")], "Broadcom Symantec (Blue Coat)", Means.PRESENCE),
        ([("X-MWG-Via", "564DC781")], "Skyhigh (McAfee)", Means.PRESENCE),
        ([("X-Pi-hole", "A black hole for Internet advertisements.")], "Pi-hole", Means.BLOCK),
        ([("Proxy-Agent", "Privoxy/3.0.34")], "Privoxy", Means.PRESENCE),
        ([("x-deny-reason", "host_not_allowed")], "Claude sandbox egress proxy", Means.DENIED),
        ([("x-deny-reason", "other")], "", Means.DENIED),
    ],
)
def test_headers_name_who_added_them(headers: list[tuple[str, str]], vendor: str, means: Means) -> None:
    assert named(in_headers(headers)) == (vendor, means)


def test_usual_headers_name_nobody() -> None:
    usual = [
        ("server", "cloudflare"),
        ("server", "nginx/1.27"),
        ("via", "1.1 google"),
        ("via", "1.1 varnish, 1.1 abc.cloudfront.net (CloudFront)"),
        ("cf-ray", "9a-FRA"),
        ("x-request-id", "req_1"),
        ("proxy-authenticate", 'Basic realm="proxy"'),
        ("", ""),
    ]
    assert in_headers(usual) is None
    assert in_headers([]) is None


@pytest.mark.parametrize(
    ("location", "vendor", "means"),
    [
        ("https://10.0.0.1:1003/fgtauth?0a1b2c3d", "Fortinet", Means.PORTAL),
        ("https://ise.corp.example:8443/portal/gateway?sessionId=0A&portal=x&action=cwa", "Cisco ISE", Means.PORTAL),
        ("https://eu.network-auth.com/splash/x/?mac=aa", "Cisco Meraki", Means.PORTAL),
        ("http://wired.meraki.com:8090/blocked.cgi?blocked_server=x", "Cisco Meraki", Means.BLOCK),
        ("https://securelogin.arubanetworks.com/cgi-bin/login?cmd=login&mac=aa", "Aruba", Means.PORTAL),
        ("http://hotspot.lan/login?dst=http%3A%2F%2Fx", "MikroTik", Means.PORTAL),
        ("https://192.0.2.1/fs/customwebauth/login.html?switch_url=x", "Cisco Wireless LAN Controller", Means.PORTAL),
        ("http://10.3.8.211/index?cmd=redirect&arubalp=12345", "Aruba", Means.PORTAL),
        ("https://guest.example/s?base_grant_url=a&user_continue_url=b", "Cisco Meraki", Means.PORTAL),
        ("https://guest.example/p?ga_ssid=a&ga_ap_mac=b&ga_cmac=c", "Cambium", Means.PORTAL),
        ("https://wireless.wifirst.net/index.txt", "Wifirst", Means.PORTAL),
        ("https://login.example/captive-portal/?x=1", "", Means.PORTAL),
        ("https://10.0.0.9/?cfru=aHR0cDovL3g=", "Broadcom Symantec (Blue Coat)", Means.SIGN_IN),
        ("http://block.orionnet.ru/index-zapret.php", "Russia (blocking register)", Means.BLOCK),
        ("https://stop.rtk.lt/", "Lithuania (national order)", Means.BLOCK),
        ("https://10.214.28.254:8090/ips/block/webcat?cat=46&pl=1", "Sophos", Means.BLOCK),
        ("http://10.1.1.1:6080/php/urlblock.php?args=x", "Palo Alto Networks", Means.BLOCK),
        ("https://10.1.1.1:6082/php/uid.php?vsys=1&url=x", "Palo Alto Networks", Means.PORTAL),
        ("http://10.2.2.2:15871/cgi-bin/blockpage.cgi?ws-session=1", "Forcepoint (Websense)", Means.BLOCK),
        ("http://10.3.3.3:8080/ibreports/ibp/bp.html?url=x", "iboss", Means.BLOCK),
        ("https://10.4.4.4/sslauth?x", "SonicWall", Means.PORTAL),
        ("http://fw/UserCheck/PortalMain?IID=1&origUrl=x", "Check Point", Means.BLOCK),
        ("https://gateway.zscaler.net/zsproxy?x", "Zscaler", Means.BLOCK),
        ("https://gateway.zscalertwo.net/auD?origurl=https%3A%2F%2Fx", "Zscaler", Means.SIGN_IN),
        ("https://blocked.teams.cloudflare.com/?account_id=1", "Cloudflare Gateway (Zero Trust)", Means.BLOCK),
        ("https://block.opendns.com/main?url=1", "Cisco Umbrella (OpenDNS)", Means.BLOCK),
        ("http://192.168.1.1:8002/index.php?zone=guest&redirurl=x", "pfSense", Means.PORTAL),
        ("http://192.168.1.35/guest/s/default/?ap=74:83&id=38:f9", "Ubiquiti UniFi", Means.PORTAL),
        ("http://portal.example/?res=notyet&uamip=10.1.0.1&uamport=3990&challenge=a", "CoovaChilli", Means.PORTAL),
        ("http://login.nomadix.com:1111/usg/process?OS=x", "Nomadix", Means.PORTAL),
        ("http://1.1.1.3/ac_portal/default/pc.html?tabs=pwd", "Sangfor", Means.PORTAL),
        ("http://10.18.0.250/disable/disable.htm?url_type=x", "Sangfor", Means.BLOCK),
        ("https://blocked.goguardian.com/?ctx=a", "GoGuardian", Means.BLOCK),
        ("http://www.warning.or.kr", "South Korea (KCSC)", Means.BLOCK),
        ("http://82.114.160.94/webadmin/deny/?dpid=1&dpruleid=2", "Netsweeper", Means.BLOCK),
    ],
)
def test_a_redirect_names_whose_page_it_leads_to(location: str, vendor: str, means: Means) -> None:
    assert named(in_redirect(location)) == (vendor, means)


@pytest.mark.parametrize(
    "location",
    [
        "",
        "/v1/models",
        "https://platform.openai.com/docs",
        "https://api.openai.com/v1/chat/completions",
        "https://login.microsoftonline.com/common/oauth2/authorize?x",
        "https://portal.azure.com/?feature=x",
        "https://auth.openai.com/log-in?continue=https%3A%2F%2Fchatgpt.com",
        "https://claude.ai/login?returnTo=%2F",
        "https://accounts.google.com/v3/signin/identifier?continue=x",
        "https://console.anthropic.com/settings/keys",
    ],
)
def test_a_providers_own_redirects_name_nobody(location: str) -> None:
    assert in_redirect(location) is None


@pytest.mark.parametrize(
    ("names", "vendor"),
    [
        (("CN=Zscaler Root CA, O=Zscaler Inc.",), "Zscaler"),
        (
            (
                "C = US, ST = California, O = Zscaler Inc., OU = Zscaler Inc., CN = Zscaler Intermediate Root CA (zscaler.net)",
            ),
            "Zscaler",
        ),
        (("/C=US/O=Fortinet/CN=FG100E4Q16000000",), "Fortinet"),
        (('O = "Fortinet, Inc.", CN = x',), "Fortinet"),
        (((("organizationName", "Sophos"),).__repr__(),), "Sophos"),
        (("emailAddress=certadmin@netskope.com; CN=ca.darva.de.goskope.com; O=DARVA; C=FR",), "Netskope"),
        (("CN=Cisco Umbrella Primary SubCA ams-SG, O=Cisco",), "Cisco Umbrella (OpenDNS)"),
        (("CN=Gateway CA - Cloudflare Managed G1 d4ca",), "Cloudflare Gateway (Zero Trust)"),
        (("CN=Microsoft Global Secure Access Intermediate CA2",), "Microsoft Entra Global Secure Access"),
        (("CN=avast! Web/Mail Shield Root, O=avast! Web/Mail Shield",), "Avast"),
        ((r"C=SK,O=ESET\, spol. s r. o.,CN=ESET SSL Filter CA",), "ESET"),
        (("CN=Kaspersky Anti-Virus Personal Root Certificate, O=AO Kaspersky Lab",), "Kaspersky"),
        (("CN=Menlo Security Intermediate CA,OU=Production,O=Menlo Security Inc.",), "Menlo Security"),
        (("CN=mitmproxy, O=mitmproxy",), "mitmproxy"),
        (("CN=DO_NOT_TRUST_FiddlerRoot, O=DO_NOT_TRUST",), "Fiddler"),
        (("O=Superfish, Inc., CN=Superfish, Inc.",), "Superfish (Lenovo)"),
        (("CN=SteamTools Certificate, O=BeyondDimension",), "Watt Toolkit (Steam++)"),
        (("CN=R11, O=Let's Encrypt, C=US", "CN=*.mcas.ms"), "Microsoft Defender for Cloud Apps"),
    ],
)
def test_a_certificate_names_who_reads_along_in_any_notation(names: tuple[str, ...], vendor: str) -> None:
    assert named(of_certificate(*names)) == (vendor, Means.INSPECTION)


def test_a_certificate_may_be_a_portals_or_a_block_pages() -> None:
    assert named(of_certificate("CN=GeoTrust, O=DigiCert Inc", "CN=securelogin.arubanetworks.com")) == (
        "Aruba",
        Means.PORTAL,
    )
    assert named(of_certificate("CN=pfSense-pfBNG-DNSBL-5f, O=pfBlockerNG DNSBL Self-Signed Certificate")) == (
        "pfBlockerNG",
        Means.BLOCK,
    )


@pytest.mark.parametrize(
    "issuer",
    [
        "CN=WE1, O=Google Trust Services, C=US",
        "CN=DigiCert TLS RSA SHA256 2020 CA1, O=DigiCert Inc, C=US",
        "C = US, O = Let's Encrypt, CN = R11",
        "CN=Cloudflare Inc ECC CA-3, O=Cloudflare, Inc., C=US",
        "CN=Amazon RSA 2048 M02, O=Amazon, C=US",
        "CN=Microsoft Azure RSA TLS Issuing CA 04, O=Microsoft Corporation, C=US",
        "CN=Symantec Class 3 Secure Server CA - G4, O=Symantec Corporation, C=US",
        "CN=GlobalSign Atlas R3 DV TLS CA 2025 Q4, O=GlobalSign nv-sa, C=BE",
        "CN=Sectigo RSA Domain Validation Secure Server CA, O=Sectigo Limited, L=Salford, C=GB",
        "CN=Entrust Certification Authority - L1K, O=Entrust, Inc., C=US",
        "CN=HydrantID Server CA O1, O=IdenTrust, C=US",
        "CN=Gandi RSA Domain Validation Secure Server CA 3, O=Gandi SAS, C=FR",
        "CN=GEANT TLS RSA 1, O=Hellenic Academic and Research Institutions CA, C=GR",
        "CN=GEANT OV RSA CA 4, O=GEANT Vereniging, C=NL",
        "CN=ISRG Root X1, O=Internet Security Research Group, C=US",
        "CN=GTS Root R1, O=Google Trust Services LLC, C=US",
        "CN=Amazon Root CA 1, O=Amazon, C=US",
        "CN=ZeroSSL ECC Domain Secure Site CA, O=ZeroSSL, C=AT",
        "CN=TrustAsia DV TLS RSA CA 2025, O=TrustAsia Technologies, Inc., C=CN",
        "CN=Encryption Everywhere DV TLS CA - G2, O=DigiCert Inc, OU=www.digicert.com, C=US",
        "CN=GeoTrust CN RSA CA G1, O=DigiCert Inc, C=US",
        "CN=WoTrus DV Server CA, O=WoTrus CA Limited, C=CN",
        "CN=SwissSign RSA TLS DV ICA 2022 - 1, O=SwissSign AG, C=CH",
        "CN=Go Daddy Secure Certificate Authority - G2, O=GoDaddy.com, Inc., C=US",
        "CN=Telekom Security DV RSA CA 22, O=Deutsche Telekom Security GmbH, C=DE",
        "CN=Contoso Proxy CA, O=Contoso Ltd",
        "",
    ],
)
def test_a_genuine_or_a_companys_own_issuer_names_nobody(issuer: str) -> None:
    assert of_certificate(issuer) is None
    assert of_certificate(issuer, "CN=api.openai.com") is None


def test_no_certificate_names_nobody() -> None:
    assert of_certificate() is None


@pytest.mark.parametrize(
    ("address", "vendor", "means"),
    [
        ("146.112.61.106", "Cisco Umbrella (OpenDNS)", Means.SINKHOLE),
        ("::ffff:146.112.61.106", "Cisco Umbrella (OpenDNS)", Means.SINKHOLE),
        ("208.91.112.55", "Fortinet", Means.SINKHOLE),
        ("10.10.34.35", "Iran (national filter)", Means.SINKHOLE),
        ("d0::11", "Iran (national filter)", Means.SINKHOLE),
        ("31.13.94.36", "Great Firewall of China (GFW)", Means.POISON),
        ("45.114.11.238", "Great Firewall of China (GFW)", Means.POISON),
        ("2001::1f0d:5e24", "Great Firewall of China (GFW)", Means.POISON),
        ("198.18.0.42", "Clash, sing-box or Surge", Means.FAKE_IP),
        ("198.19.255.255", "Clash, sing-box or Surge", Means.FAKE_IP),
        (" 198.18.0.42\n", "Clash, sing-box or Surge", Means.FAKE_IP),
        ("64:ff9b::a2f:1", "", Means.NAT64),
        ("hit-block.opendns.com", "Cisco Umbrella (OpenDNS)", Means.SINKHOLE),
        (" Sinkhole.PaloAltoNetworks.com. ", "Palo Alto Networks", Means.SINKHOLE),
        ("internet-positif.org", "Indonesia (Internet Positif)", Means.SINKHOLE),
        ("www.internet-positif.org", "Indonesia (Internet Positif)", Means.SINKHOLE),
    ],
)
def test_an_address_names_who_hands_it_out(address: str, vendor: str, means: Means) -> None:
    assert named(of_address(address)) == (vendor, means)


@pytest.mark.parametrize(
    "address",
    [
        "104.18.0.1",
        "172.66.0.243",
        "162.159.140.245",
        "160.79.104.10",
        "8.8.8.8",
        "2606:4700::6812:1",
        "2001:db8::1",
        "2001:4860:4860::8888",
    ],
)
def test_genuine_addresses_name_nobody(address: str) -> None:
    assert of_address(address) is None


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::", "::1", "192.168.1.1", "10.0.0.1", "100.64.0.1"])
def test_addresses_that_no_vendor_owns_name_nobody(address: str) -> None:
    assert of_address(address) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "api.openai.com",
        "api.openai.com.cdn.cloudflare.net",
        "not-internet-positif.org",
        "co.id",
        "." * 9000,
        "1.2.3",
        "1.2.3.4.5",
        "01.2.3.4",
        "1.2.3.4:443",
        "[::1]",
        "198.18.0.0/15",
        "fe80::1%eth0",
        "\x00",
    ],
)
def test_what_is_no_address_names_nobody(text: str) -> None:
    assert of_address(text) is None


def test_the_smallest_net_that_holds_an_address_wins() -> None:
    nets = [mark for mark in MARKS if mark.place is Place.ADDRESS and "/" in mark.mark]
    assert nets
    assert all(of_address(mark.mark.partition("/")[0]) == mark for mark in nets)


@pytest.mark.parametrize(
    ("text", "vendor"),
    [
        ("Blocked by Zscaler on behalf of your company", "Zscaler"),
        ("This page was written by Palo-Alto Networks", "Palo Alto Networks"),
        ("the three of us in Germany, e.g. data in the cloud of Alibaba Cloud, by order of Italy", ""),
        (RELAY_FRONT_PAGE, ""),
        ("", ""),
    ],
)
def test_a_text_may_speak_of_a_product_by_name_but_no_common_word_is_one(text: str, vendor: str) -> None:
    assert mentioned(text) == vendor
