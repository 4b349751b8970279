"""Names, addresses, login pages, the clock: what lies between this machine and the first byte of TLS."""

from typing import Any

from tests.network import faults, http_faults
from tests.network.scenario import Scenario
from tests.network.truth import Host

API = "api.openai.com"
HOST = ("--host", API)
FOUR = ("172.66.0.243", "162.159.140.245")
SIX = ("2606:4700:7::f5", "2a06:98c1:58::f5")
DOH = ("1.1.1.1", "8.8.8.8", "9.9.9.9")
NO_DOH = faults.silence(*DOH, "2606:4700:4700::1111", "2001:4860:4860::8888", "2620:fe::fe", port=443)
GIVES = "Cloudflare over HTTPS gives other addresses: 172.66.0.243"
KNOWS = "Cloudflare over HTTPS knows it: 172.66.0.243"
DNS, TAMPERED, VPN = "network.dns_failure", "network.dns_tampered", "network.vpn_interference"
OUTAGE, OFFLINE = "service.unavailable", "network.offline"

_NAMES = (
    Scenario(
        name="the network's resolver says that the name does not exist",
        faults=(faults.nxdomain(API),),
        args=HOST,
        check="names",
        cause=DNS,
        precision="confirmed",
        evidence=("10.53.0.1 says", KNOWS),
        ruled_out=(OUTAGE, OFFLINE),
    ),
    Scenario(
        name="the network's resolver says that the name has no address",
        faults=(faults.nodata(API),),
        args=HOST,
        check="names",
        cause=DNS,
        precision="confirmed",
        evidence=("has no address", KNOWS),
        ruled_out=(OUTAGE,),
    ),
    Scenario(
        name="the network's resolver fails for every name",
        faults=(faults.servfail(),),
        args=HOST,
        check="names",
        cause=DNS,
        precision="confirmed",
        evidence=("could not look", KNOWS),
        ruled_out=(OUTAGE, OFFLINE),
    ),
    Scenario(
        name="the network's resolver refuses to answer",
        faults=(faults.dns_refused(),),
        args=HOST,
        check="names",
        cause=DNS,
        precision="confirmed",
        evidence=("refuses", KNOWS),
        ruled_out=(OFFLINE,),
    ),
    Scenario(
        name="the network's resolver is silent",
        faults=(faults.dns_silent(),),
        args=HOST,
        check="names",
        cause=DNS,
        precision="confirmed",
        evidence=("does not answer", KNOWS),
        ruled_out=(OFFLINE,),
    ),
    Scenario(
        name="nobody knows the name",
        args=("--host", "api.opnai.com"),
        check="names",
        cause=DNS,
        precision="confirmed",
        evidence=("look for a typing mistake",),
        ruled_out=(OFFLINE, TAMPERED),
    ),
    Scenario(
        name="the name does not exist and no other resolver can be asked",
        faults=(faults.nxdomain(API), NO_DOH),
        args=HOST,
        check="names",
        cause=DNS,
        precision="inferred",
        evidence=("no public resolver could be asked",),
    ),
    Scenario(
        name="a filter leads the name to its block page",
        faults=(http_faults.sunk(API, "umbrella"),),
        args=HOST,
        check="names",
        cause=TAMPERED,
        precision="confirmed",
        vendor="Umbrella",
        evidence=("146.112.61.106", GIVES),
        ruled_out=(OUTAGE, OFFLINE),
    ),
    Scenario(
        name="FortiGuard's filter leads the name away",
        faults=(http_faults.sunk(API, "fortiguard"),),
        args=HOST,
        check="names",
        cause=TAMPERED,
        precision="confirmed",
        vendor="Fort",
        evidence=("208.91.112.55", GIVES),
        ruled_out=(OUTAGE,),
    ),
    Scenario(
        name="pfBlockerNG leads the name to an inner address",
        faults=(http_faults.sunk(API, "pfblockerng"),),
        args=HOST,
        check="names",
        cause=TAMPERED,
        precision="confirmed",
        evidence=("10.10.10.1", GIVES),
        ruled_out=(OUTAGE,),
    ),
    Scenario(
        name="an ad blocker answers with no address at all",
        faults=(http_faults.sunk(API, "zero"),),
        args=HOST,
        check="names",
        cause=TAMPERED,
        precision="confirmed",
        evidence=("0.0.0.0", GIVES),
        ruled_out=(OUTAGE,),
    ),
    Scenario(
        name="an ad blocker answers with this machine",
        faults=(http_faults.sunk(API, "loopback"),),
        args=HOST,
        check="names",
        cause=TAMPERED,
        precision="confirmed",
        evidence=("127.0.0.1", GIVES),
        ruled_out=(OUTAGE,),
    ),
    Scenario(
        name="a filter answers with no address and no other resolver can be asked",
        faults=(http_faults.sunk(API, "zero"), NO_DOH),
        args=HOST,
        check="names",
        cause=TAMPERED,
        precision="inferred",
        evidence=("no public resolver could be asked",),
    ),
    Scenario(
        name="a filter knows a name on the way",
        faults=(faults.dns_answers("cname.incident.test", "0.0.0.0"),),
        args=("--host", "status.openai.com"),
        check="names",
        cause=TAMPERED,
        precision="confirmed",
        evidence=(
            "the name leads on to cname.incident.test",
            "Cloudflare over HTTPS gives other addresses",
        ),
        ruled_out=(OUTAGE,),
    ),
    Scenario(
        name="a name on the way does not exist for a filter",
        faults=(faults.nxdomain("cname.incident.test"),),
        args=("--host", "status.openai.com"),
        check="names",
        cause=DNS,
        precision="confirmed",
        evidence=("the name leads on to cname.incident.test", "Cloudflare over HTTPS knows it"),
    ),
    Scenario(
        name="forged answers overtake the true ones",
        args=HOST,
        faults=(faults.poisoned(API, "31.13.94.36", "2001::1f0d:5e24"),),
        check="names",
        cause=TAMPERED,
        precision="confirmed",
        vendor="GFW",
        evidence=("31.13.94.36", "2001::1f0d:5e24", GIVES, "a second answer to the same question"),
        ruled_out=(OUTAGE,),
    ),
    Scenario(
        name="the hosts file leads the name to another server",
        network={"etc_hosts": {API: "140.82.121.4"}},
        args=HOST,
        check="names",
        cause=TAMPERED,
        precision="confirmed",
        evidence=("/etc/hosts", "140.82.121.4", GIVES),
        ruled_out=(OUTAGE,),
    ),
    Scenario(
        name="a VPN client invents an address that leads nowhere",
        args=HOST,
        faults=(faults.fake_ip(), faults.silence("198.18.0.10")),
        check="names",
        cause=VPN,
        precision="confirmed",
        evidence=("198.18.0.10",),
    ),
)

_WAYS = (
    Scenario(
        name="this machine has no network",
        network={"offline": True},
        args=HOST,
        check="machine",
        cause=OFFLINE,
        precision="confirmed",
        evidence=("unreachable",),
    ),
    Scenario(
        name="there is a route and nothing comes back on it",
        args=HOST,
        faults=(faults.silence(faults.EVERYWHERE), faults.dns_silent(at=faults.EVERYWHERE)),
        check="machine",
        cause=OFFLINE,
        precision="confirmed",
        evidence=("nothing that leaves this machine is answered",),
        ruled_out=(OUTAGE,),
    ),
    Scenario(
        name="the target refuses connections",
        faults=(faults.refused(API),),
        args=HOST,
        check="reach",
        cause="network.tcp_refused",
        precision="confirmed",
        evidence=("Cloudflare at 1.1.1.1", "12 connections"),
        ruled_out=(DNS, OFFLINE),
    ),
    Scenario(
        name="packets to the target vanish",
        faults=(faults.silence(API),),
        args=HOST,
        check="reach",
        cause="network.tcp_timeout",
        precision="confirmed",
        evidence=("Cloudflare at 1.1.1.1",),
        ruled_out=(DNS, OFFLINE),
    ),
    Scenario(
        name="port 443 is closed to all",
        faults=(faults.silence(faults.EVERYWHERE, port=443),),
        args=HOST,
        check="reach",
        cause="network.tcp_timeout",
        precision="confirmed",
        evidence=("cannot be reached on port 443 either", "http://captive.apple.com/ answers"),
        ruled_out=(OUTAGE, OFFLINE),
    ),
    Scenario(
        name="a router says that there is no way to the target",
        faults=(faults.unreachable(*FOUR),),
        network={"ipv6": "none"},
        args=HOST,
        check="reach",
        cause="network.tcp_timeout",
        precision="confirmed",
        evidence=("No route to host", "Cloudflare at 1.1.1.1"),
        ruled_out=(OFFLINE,),
    ),
    Scenario(
        name="IPv6 leads nowhere",
        network={"ipv6": "dead"},
        args=HOST,
        check="reach",
        status="warn",
        cause="network.ipv6_broken",
        precision="confirmed",
        evidence=("not reached by IPv6", "6 connections to"),
        ruled_out=(OFFLINE, OUTAGE),
    ),
    Scenario(
        name="IPv4 leads nowhere",
        faults=(faults.silence(*FOUR),),
        args=HOST,
        check="reach",
        status="warn",
        cause="network.ipv6_broken",
        precision="confirmed",
        evidence=("not reached by IPv4",),
        ruled_out=(OFFLINE,),
    ),
    Scenario(
        name="this machine has no IPv4 and the host has nothing else",
        network={"ipv4": "none"},
        args=("--host", "claude.ai"),
        check="reach",
        cause="network.ipv6_broken",
        precision="confirmed",
        evidence=("this machine has no IPv4",),
        ruled_out=(OUTAGE,),
    ),
    Scenario(
        name="one of the addresses is dead",
        faults=(faults.silence(FOUR[1]),),
        args=HOST,
        check="reach",
        status="warn",
        cause="network.tcp_timeout",
        precision="confirmed",
        evidence=("1 of 4 addresses", "162.159.140.245"),
    ),
    Scenario(
        name="the way to the target loses packets",
        faults=(faults.lossy(0.4, API),),
        args=HOST,
        check="reach",
        status="warn",
        cause="network.degraded",
        precision="confirmed",
        evidence=("were lost", "controls lost 0 of 24"),
        most_likely=False,
    ),
    Scenario(
        name="the target picks up slowly",
        faults=(faults.slow_accept(API, seconds=0.1),),
        args=HOST,
        check="reach",
        status="warn",
        cause="network.degraded",
        precision="confirmed",
        evidence=("were lost", "controls lost 0 of 24"),
        most_likely=False,
    ),
)

_LOGINS: tuple[tuple[Any, Any, str, tuple[str, ...]], ...] = (
    ("meraki", "silence", "Meraki", ("it redirects to http://eu.network-auth.com/splash",)),
    ("fortigate", "refused", "Forti", ("it redirects to http://192.168.7.1:1000/fgtauth",)),
    ("aruba", "resigned", "Aruba", ("securelogin.arubanetworks.com",)),
    ("cisco-ise", "silence", "Cisco", ("ise.firm.test:8443",)),
    ("mikrotik", "refused", "", ("login.hotel.test/login",)),
    ("page", "refused", "", ("status 200",)),
    ("511", "silence", "", ("status 511",)),
)
_PORTALS = tuple(
    Scenario(
        name=f"a login page stands before all ({vendor})", faults=(http_faults.portal(vendor, https),), args=HOST,
        check="portal", cause="network.captive_portal", precision="confirmed", vendor=product,
        evidence=("in place of captive.apple.com", *words), ruled_out=(OUTAGE, OFFLINE),
    )
    for vendor, https, product, words in _LOGINS
)  # fmt: skip

_HOTEL = Scenario(
    name="a hotel's resolver leads every name to its login page", args=HOST,
    faults=(
        faults.dns_answers(faults.EVERYWHERE, "10.9.9.9"), Host("gate.hotel.test", ("10.9.9.9",), edge="any"),
        http_faults.portal("page", "refused"),
    ),
    check="portal", cause="network.captive_portal", precision="confirmed", ruled_out=(OUTAGE, OFFLINE),
)  # fmt: skip

_CLOCK = (
    Scenario(
        name="the clock is behind, so that a new certificate is not valid yet",
        args=HOST,
        faults=(http_faults.clock_off(5 * faults.DAY_SECONDS), faults.certificate("future", API)),
        check="clock",
        cause="network.tls_certificate",
        precision="confirmed",
        evidence=("5 days behind", "is valid from"),
        ruled_out=(OUTAGE,),
    ),
    Scenario(
        name="the clock is ten minutes ahead",
        faults=(http_faults.clock_off(-600.0),),
        args=HOST,
        check="clock",
        status="warn",
        cause="network.tls_certificate",
        precision="inferred",
        evidence=("10 min ahead",),
    ),
)

_HEALTHY = (
    Scenario(name="all is well", args=HOST, exit_code=0, check="reach", status="ok", told=("at each of 4 addresses",)),
    Scenario(
        name="this machine has IPv4 alone", network={"ipv6": "none"}, args=HOST, exit_code=0, check="reach", status="ok",
        told=("at each of 2 addresses",),
    ),
    Scenario(
        name="this machine has IPv6 alone, with NAT64", network={"ipv4": "none"}, faults=(faults.nat64(),), args=HOST,
        exit_code=0, check="machine", status="note", told=("IPv6 alone",),
    ),
    Scenario(
        name="a VPN client invents an address, and the call gets through", faults=(faults.fake_ip(),), args=HOST,
        network={"interfaces": ("tun0",)}, exit_code=0, check="names", status="note", told=("198.18.0.10",),
    ),
    Scenario(
        name="the name has no IPv6 address", args=("--host", "claude.ai"), exit_code=0, check="names", status="ok",
        told=("claude.ai leads to 160.79.104.11",),
    ),
    Scenario(
        name="a host of no provider that we know",
        args=("--host", "only4.example.net"),
        faults=(Host("only4.example.net", ("104.18.99.1",)),),
        exit_code=0,
        check="names",
        status="ok",
        told=("only4.example.net leads to 104.18.99.1",),
    ),
    Scenario(
        name="no public resolver can be asked, and all is well", faults=(NO_DOH,), args=HOST, exit_code=0, check="reach",
        status="ok",
    ),
    Scenario(
        name="the hosts file holds the right address", network={"etc_hosts": {API: FOUR[0]}}, args=HOST, exit_code=0,
        check="names", status="note", told=("hosts file",),
    ),
    Scenario(
        name="the resolver is slow", faults=(faults.dns_slow(1.0),), args=HOST, exit_code=0, check="names", status="note",
        told=("the look-up took",),
    ),
    Scenario(
        name="answers are too long for UDP", faults=(faults.truncated(),), args=HOST, exit_code=0, check="names",
        status="ok",
    ),
    Scenario(
        name="plain pages are replaced, and calls get through", faults=(http_faults.portal("meraki", "ok"),), args=HOST,
        exit_code=0, check="portal", status="note", told=("calls to api.openai.com get through",),
    ),
    Scenario(
        name="a proxy's policy refuses plain pages", args=HOST, exit_code=0, check="portal", status="note", told=("403",),
        faults=tuple(
            http_faults.html_403(name)
            for name in ("captive.apple.com", "www.msftconnecttest.com", "connectivitycheck.gstatic.com",
                         "detectportal.firefox.com")
        ),
    ),
    Scenario(
        name="the clock is a minute and a half off", faults=(http_faults.clock_off(90.0),), args=HOST, exit_code=0,
        check="clock", status="note", told=("behind",),
    ),
    Scenario(
        name="names are looked up by the proxy alone", faults=(*faults.direct(faults.nxdomain(API)),), proxy={}, args=HOST,
        env={"HTTPS_PROXY": "{proxy}"}, exit_code=0, check="names", status="note", told=("has no address here",),
    ),
)  # fmt: skip

SCENARIOS = (*_NAMES, *_WAYS, *_PORTALS, _HOTEL, *_CLOCK, *_HEALTHY)
