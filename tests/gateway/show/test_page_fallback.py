"""A call that somebody else answered, in a real browser: marked in the table and told in full."""

from gateway.model.attempt import Attempt, Mark, ReplyHead
from gateway.model.cause import Cause
from gateway.model.exchange import Outcome
from gateway.model.failure import NetCode, NetFailure, Phase
from tests.gateway.record.made import a_call, a_concluded, a_live
from tests.gateway.show.browser import Browser
from tests.gateway.show.served import Served
from tests.gateway.show.told import a_verdict

HEAD = ReplyHead(status=200, headers=())
REFUSED = NetFailure(phase=Phase.CONNECT, code=NetCode.CONNECTION_REFUSED, detail="refused", sent=False)


def answer_instead(served: Served, name: str) -> str:
    """Let a fallback of this name answer a call, and give the call's id."""
    call = a_call()
    live = a_live(call)
    served.recorder.opened(live)
    marks = (Mark(Phase.CONNECT, 0.0, 5.0, ok=True),)
    attempts = (
        Attempt(number=1, waited_seconds=0.0, marks=marks, head=None, failure=REFUSED),
        Attempt(number=2, waited_seconds=0.0, marks=marks, head=HEAD, failure=None, fallback=name),
    )
    outcome = Outcome(head=HEAD, complete=True, fallback=name)
    verdict = a_verdict(Cause.NETWORK_TCP_REFUSED, clues=())
    served.recorder.closed(live, a_concluded(call, attempts=attempts, outcome=outcome, diagnosis=verdict))
    return call.id


def test_a_call_that_a_fallback_answered_is_marked_in_the_table_and_in_the_drawer(
    served: Served, browser: Browser
) -> None:
    name = "my \u202elocal <b>"  # a name from an older log may be anything
    flow = answer_instead(served, name)
    browser.look_like(width=1280)
    browser.go(served.link + f"#{flow}")
    browser.wait("document.querySelector('tbody.flow')")
    assert "answered by the fallback my \\u202elocal <b>" in browser.text("tbody.flow .fallback")
    assert browser.run("return document.querySelector('tbody.flow').classList.contains('warn')")
    browser.wait("document.querySelector('#drawer')?.innerText.includes('Answered by')")
    text = browser.text("#drawer")
    assert "Try 2 at the fallback my \\u202elocal <b>, answered 200" in " ".join(text.split())
    assert "Try 1 at" not in " ".join(text.split())
    assert not browser.complaints()
