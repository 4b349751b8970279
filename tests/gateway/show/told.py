"""Verdicts with the facts to say them in any language, and calls that ended with them."""

from typing import Any

from gateway.diagnose.remedy import LANGUAGES, words
from gateway.diagnose.say import say
from gateway.model.cause import Cause, Precision
from gateway.model.diagnosis import Clue, Diagnosis, RuledOut
from tests.gateway.record.made import a_call, a_concluded, a_failed_outcome, a_live
from tests.gateway.show.served import Served

TITLES = {language: words(language).remedies[Cause.QUOTA_EXHAUSTED].title for language in LANGUAGES}


def a_verdict(cause: Cause = Cause.QUOTA_EXHAUSTED, language: str = "en", **changes: Any) -> Diagnosis:
    """Give a verdict as the engine would, said in a language."""
    values: dict[str, Any] = {
        "cause": cause,
        "fault": cause.fault,
        "precision": Precision.DECLARED,
        "title": "",
        "what_happened": "",
        "alternatives": (Cause.RATE_LIMIT_UNKNOWN,),
        "ruled_out": (RuledOut(Cause.EDGE_BLOCKED, "", Clue("the provider itself answered")),),
        "author": "provider",
        "facts": (
            ("provider", "openai"),
            ("status", "429"),
            ("billing_page", "https://platform.openai.com/settings/organization/billing/overview"),
        ),
        "clues": (Clue("it names {names}", (("names", "code insufficient_quota"),)),),
    }
    return say(Diagnosis(**(values | changes)), language)


def fail_with(served: Served, diagnosis: Diagnosis) -> str:
    """Let a call fail and give its id."""
    call = a_call()
    live = a_live(call)
    served.recorder.opened(live)
    served.recorder.closed(live, a_concluded(call, diagnosis=diagnosis, outcome=a_failed_outcome(b"{}")))
    return call.id
