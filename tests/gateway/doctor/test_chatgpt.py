"""The list of what ChatGPT needs is whole and in order."""

from gateway.doctor.chatgpt import NEEDS, entries, patterns

PUBLISHED = (
    "*.auth.openai.com", "*.chatgpt.com", "*.ct.sendgrid.net", "*.intercom.io", "*.intercomcdn.com", "*.oaistatic.com",
    "*.oaiusercontent.com", "*.openai.com", "*.oaistatsig.com", "android.chat.openai.com", "auth0.openai.com",
    "cdn.openaimerge.com", "cdn.workos.com", "challenges.cloudflare.com", "chat.openai.com", "desktop.chat.openai.com",
    "forwarder.workos.com", "humb.apple.com", "images.workoscdn.com", "ios.chat.openai.com", "js.intercomcdn.com",
    "js.stripe.com", "o207216.ingest.sentry.io", "o33249.ingest.sentry.io", "rum.browser-intake-datadoghq.com",
    "setup.auth.openai.com", "setup.workos.com", "tcr9i.chat.openai.com", "workos.imgix.net",
)  # fmt: skip
"""help.openai.com article 9247338, as read in 2026-11."""
BEFORE = ("*.featuregates.org", "*.statsig.com", "events.statsigapi.net", "featureassets.org", "prodregistryv2.org",
          "statsigapi.net")  # fmt: skip
"""What stood there until 2025 in place of one of them."""


def test_every_published_domain_is_on_the_list() -> None:
    assert {*PUBLISHED, *BEFORE} <= {entry.pattern for entry in entries()}


def test_every_entry_has_a_need_and_a_reason_and_each_host_stands_once() -> None:
    assert {entry.need for entry in entries()} == set(NEEDS)
    assert all(entry.why for entry in entries())
    members = [entry.member for entry in entries() if entry.member]
    assert len(members) == len(set(members))


def test_a_member_is_covered_by_its_pattern() -> None:
    for entry in entries():
        if entry.member and entry.pattern.startswith("*."):
            zone = entry.pattern.removeprefix("*.")
            assert entry.member == zone or entry.member.endswith(f".{zone}")
        elif entry.member:
            assert entry.member == entry.pattern


def test_apples_attestation_is_pinned_and_what_is_vital_is_no_telemetry() -> None:
    assert all(entry.pinned for entry in entries() if entry.need == "attest")
    assert {entry.need for entry in entries() if entry.vital} == {"core", "sign-in", "upload", "assets"}


def test_a_zone_that_is_itself_used_is_named_beside_its_wildcard() -> None:
    assert {"chatgpt.com", "*.chatgpt.com", "auth.openai.com"} <= set(patterns())
    assert len(patterns()) == len(set(patterns()))
