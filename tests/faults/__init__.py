"""Fault cases: one broken thing each, and three ledgers that must tell the same story of it.

A case takes the fixture ``case``, says what becomes of each attempt, makes calls with real clients, and looks::

    async def test_a_refused_call_is_asked_again(case: Case) -> None:
        call = await case.sdk(case.plan(overloaded(503), answer()))
        assert call.outcome == "answer"
        assert len(case.flow(call)["attempts"]) == 2

What every case has to prove is not written in it: at its end the client's calls, the log and what the upstream got are
compared row by row (`ledgers.reconcile`), and two seconds later the gateway holds no more descriptors, tasks, pool slots
or reservations than before (`rest.Watch`). Faults are in `inject`, one per file. `Field.https_url` and `Field.adopt` lead
calls to a port that was opened for one case; ``site/sitecustomize.py`` documents the names below ``.fault.test``.
"""
