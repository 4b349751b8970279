"""ChatGPT in browsers and apps: its domains, by what they are for, and voice."""

from typing import Any

from gateway.doctor.chatgpt import entries
from tests.network import faults
from tests.network.scenario import Scenario
from tests.network.truth import Host

NAMES = tuple(entry.member for entry in entries() if entry.member)
STUN = (
    Host("stun.cloudflare.com", ("162.159.207.0",), edge="stun-cloudflare", stun=True),
    Host("stun.l.google.com", ("74.125.250.129",), edge="stun-google", stun=True),
)
VOICE, TURN = "chatgpt.livekit.cloud", "chatgpt.turn.livekit.cloud"
EVERY_STUN = (VOICE, TURN, *(host.name for host in STUN))
ARGS = ("--host", "api.openai.com", "--chatgpt")
DOH = ("1.1.1.1", "8.8.8.8", "9.9.9.9")
TELEMETRY = tuple(entry.member for entry in entries() if entry.need == "telemetry" and entry.member)
ATTEST = ("register.appattest.apple.com", "data.appattest.apple.com", "humb.apple.com")
SSO = tuple(entry.member for entry in entries() if entry.need == "sso")
UPLOAD, SIGN_IN, ALIAS = "files.oaiusercontent.com", "auth.openai.com", "auth.openai.com.cdn.cloudflare.net"
DNS, TAMPERED, INSPECTION = "network.dns_failure", "network.dns_tampered", "network.tls_inspection"
TIMEOUT, OUTAGE, OFFLINE = "network.tcp_timeout", "service.unavailable", "network.offline"


def _scenario(name: str, *wrong: Any, hosts: tuple[str, ...] = NAMES, **more: Any) -> Scenario:
    values: dict[str, Any] = {"args": ARGS, "check": "chatgpt-domains"} | more
    return Scenario(name=name, faults=(*STUN, *wrong), network={"hosts": hosts} | more.pop("network", {}), **values)


def _healthy(name: str, *others: Any, told: str, about: str = "", status: str = "ok", **more: Any) -> Scenario:
    return _scenario(name, *others, about=about, status=status, told=(told,), exit_code=0, **more)


_NAMED = (
    _scenario(
        "the name behind the sign-in is on a block list",
        faults.dns_answers(ALIAS, "0.0.0.0"),
        about="sign-in", cause=TAMPERED, precision="confirmed",
        evidence=(f"{SIGN_IN} leads to {ALIAS}, which this network's resolver answers with 0.0.0.0",
                  "over HTTPS gives 104.18.41.241", "nobody can sign in"),
        ruled_out=(OUTAGE, OFFLINE),
    ),
    _scenario(
        "a list against advertisements has removed the names for feature switches",
        faults.nxdomain(*TELEMETRY),
        about="telemetry", status="warn", cause=DNS, precision="confirmed",
        evidence=("hang while signing in", "api.oaistatsig.com does not resolve (nxdomain)", "over HTTPS gives"),
        ruled_out=(OFFLINE,),
    ),
    _scenario(
        "a list against advertisements leads feature switches nowhere",
        *(faults.dns_answers(name, "0.0.0.0") for name in TELEMETRY),
        about="telemetry", status="warn", cause=TAMPERED, precision="confirmed",
        evidence=("hang while signing in", "over HTTPS gives"), ruled_out=(OUTAGE,),
    ),
    _scenario(
        "chatgpt.com leads to a forged address",
        faults.dns_answers("chatgpt.com", "31.13.94.36"),
        about="core", cause=TAMPERED, precision="confirmed",
        evidence=("31.13.94.36", "over HTTPS gives 104.18.32.47"), ruled_out=(OUTAGE, OFFLINE),
    ),
    _scenario(
        "uploads do not resolve and no public resolver can be asked",
        faults.nxdomain(UPLOAD), faults.silence(*DOH, port=443),
        about="upload", cause=DNS, precision="inferred", evidence=("there was no control", f"{UPLOAD} does not resolve"),
        ruled_out=(OFFLINE,), most_likely=False,
    ),
    _scenario(
        "the name for payment is filtered",
        faults.nxdomain("js.stripe.com"),
        about="extras", status="warn", cause=DNS, precision="confirmed", evidence=("payment", "js.stripe.com"),
    ),
)  # fmt: skip

_BLOCKED = (
    _scenario(
        "uploads are reset by name",
        faults.reset_at_hello(UPLOAD),
        about="upload", cause="network.connection_reset", evidence=(f"{UPLOAD} at 104.18.41.158", "neither be sent"),
        ruled_out=(OFFLINE,),
    ),
    _scenario(
        "packets to the uploads vanish",
        faults.silence(UPLOAD),
        about="upload", cause=TIMEOUT, evidence=(UPLOAD,), ruled_out=(OFFLINE, DNS),
    ),
    _scenario(
        "a firewall refuses ChatGPT itself",
        faults.refused("chatgpt.com", "ws.chatgpt.com", "chat.openai.com"),
        about="core", cause="network.tcp_refused", evidence=("chatgpt.com", "ChatGPT does not open"), ruled_out=(OFFLINE,),
    ),
    _scenario(
        "the sockets of ChatGPT alone are silent after the first word",
        faults.silence_at_hello("ws.chatgpt.com"),
        about="core", evidence=("ws.chatgpt.com at 104.18.37.228",), cause="network.tls_handshake", ruled_out=(OFFLINE,),
    ),
    _scenario(
        "single sign-on of companies cannot be connected to",
        faults.silence(*SSO),
        about="sso", status="warn", cause=TIMEOUT, evidence=("company's account", "cdn.workos.com"),
    ),
    _scenario(
        "the app for desktops is cut off by name",
        faults.eof_at_hello("desktop.chat.openai.com"),
        about="apps", status="warn", cause="network.connection_reset", evidence=("desktop.chat.openai.com",),
    ),
    _scenario(
        "parts of the pages come with an expired certificate",
        faults.certificate("expired", "cdn.oaistatic.com"),
        about="assets", cause="network.tls_certificate", evidence=("cdn.oaistatic.com", "expired"),
    ),
    _scenario(
        "the company's proxy refuses uploads",
        proxy={"deny": [".oaiusercontent.com"]}, env={"HTTPS_PROXY": "{proxy}"},
        about="upload", cause="network.proxy_denied", evidence=("10.0.0.3:3128", UPLOAD), ruled_out=(OFFLINE,),
    ),
)  # fmt: skip

_INSPECTED = (
    _scenario(
        "a product whose certificate is trusted reads Apple's attestation",
        faults.resigned("zscaler", *ATTEST),
        about="attest", cause=INSPECTION, precision="confirmed", vendor="Zscaler",
        evidence=("register.appattest.apple.com shows a certificate that Zscaler signed", "accept no certificate but the true one"),
    ),
    _scenario(
        "a product whose certificate is trusted reads all that the apps say",
        faults.resigned("netskope", "ios.chat.openai.com", "android.chat.openai.com", "desktop.chat.openai.com"),
        about="apps", cause=INSPECTION, precision="confirmed", vendor="Netskope",
        evidence=("desktop.chat.openai.com", "accept no certificate but the true one"),
    ),
    _scenario(
        "a product that nothing here trusts reads ChatGPT",
        faults.resigned("fortigate", "chatgpt.com", "ws.chatgpt.com", "chat.openai.com", trusted=False),
        about="core", cause=INSPECTION, precision="confirmed", vendor="Forti", evidence=("chatgpt.com",),
    ),
    _scenario(
        "browsers accept a product's certificate and apps do not",
        faults.resigned("zscaler", *(name for name in NAMES if name.endswith((".com", ".net", ".org")))),
        about="core", status="note", told=("browsers here accept it", "Zscaler"), most_likely=False,
    ),
    _scenario(
        "what a product does to the target as well is told once",
        faults.resigned("zscaler", trusted=False),
        status="skipped", told=("and neither does api.openai.com: the same trouble",), most_likely=False,
    ),
)  # fmt: skip

_VOICE = (
    _scenario(
        "UDP does not get out",
        faults.udp_silence(*EVERY_STUN),
        check="chatgpt-voice", status="warn", cause=TIMEOUT, precision="confirmed",
        evidence=(f"no answer to STUN over UDP from {VOICE}:3478", "nor from stun.cloudflare.com:3478",
                  "UDP 3478 and 50000-60000 are not let through", "TCP 443 and 7881"),
        ruled_out=(OFFLINE,),
    ),
    _scenario(
        "UDP and the direct port of voice do not get out",
        faults.udp_silence(*EVERY_STUN), faults.refused(VOICE, port=7881),
        check="chatgpt-voice", status="warn", cause=TIMEOUT, evidence=(f"TCP 443 of {VOICE} is open",),
    ),
    _scenario(
        "voice cannot begin",
        faults.refused(VOICE, port=443),
        check="chatgpt-voice", status="warn", cause="network.tcp_refused", evidence=("TCP 443", "UDP 3478"),
        ruled_out=(OFFLINE,),
    ),
)  # fmt: skip

_FINE = (
    _healthy("every domain of ChatGPT answers", about="sign-in", told="every domain answers (6)"),
    _healthy(
        "a name of the list exists nowhere any more",
        hosts=tuple(name for name in NAMES if name != "tcr9i.chat.openai.com"),
        about="sign-in", told="public resolvers do not know tcr9i.chat.openai.com either",
    ),
    _healthy("voice is open", check="chatgpt-voice", told="UDP 3478 are open"),
    _healthy("the direct port of voice is closed and UDP is open", faults.refused(VOICE, port=7881),
             check="chatgpt-voice", told="costs nothing while UDP works"),
    _healthy("voice's servers answer calls alone", faults.udp_silence(VOICE, TURN),
             check="chatgpt-voice", status="note", told="UDP 3478 passes to stun.cloudflare.com:3478"),
    _healthy("the company's proxy lets all of ChatGPT through", proxy={}, env={"HTTPS_PROXY": "{proxy}"},
             about="core", told="every domain answers (3)"),
    _healthy("a network with IPv6 made of IPv4 addresses", faults.nat64(), about="core", told="every domain answers"),
    _healthy(
        "a VPN client gives every name an address of its own", faults.fake_ip(), about="core", told="every domain answers"
    ),
    Scenario(name="ChatGPT is looked at only when that is asked for", args=("--host", "api.openai.com"),
             check="chatgpt-domains", status="skipped", told=("only with --chatgpt",), exit_code=0,
             untouched=("chatgpt.com", VOICE)),
)  # fmt: skip

SCENARIOS = (*_NAMED, *_BLOCKED, *_INSPECTED, *_VOICE, *_FINE)
