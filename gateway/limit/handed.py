"""What gateways of a team hand one another of limits: what is known of a scope, so that nobody finds it out twice.

Not what is counted: that is asked of all at once, see `gateway.limit.turns`. One fact at a time, the later teller wins.
Pure; ages are seconds before the moment of writing.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from gateway.limit.cost import CONCURRENCY
from gateway.limit.gate import Gate
from gateway.limit.learn import Pace
from gateway.limit.levels import DAMAGE, as_number, learned_document, restore_learned
from gateway.limit.scope import Scope, ScopeKey
from gateway.model.secret import scrub

SCOPES_MAX = 100
"""Of one gateway, those used last."""

_BUSY_SECONDS = 10.0
"""A gateway that has sent nothing for so long has nothing to slow down."""

_PACE, _ACCOUNT = "pace", "account"
_SAME = {"limit", "window_seconds", "stepwise", "most", "account"}

type Document = dict[str, Any]


class Fact(NamedTuple):
    """What something is known of: a scope's limit, and which; or, as ``account``, a credential's organisation."""

    provider: str
    account: str
    model: str
    what: str


def known(gate: Gate) -> dict[Fact, Document]:
    """Give what providers have told this gateway, as JSON-ready values; nothing that it only heard of others."""
    now = gate.clock.now()
    scopes = islice(reversed(gate.scopes.items()), SCOPES_MAX)
    found = {
        Fact(*key, what): document
        for key, scope in scopes
        if scrub(key.model) == key.model  # else a key stands in a model's place
        for what, document in _of(scope, now)
    }
    accounts = list(gate.accounts.items())[-SCOPES_MAX:]
    return found | {Fact(*name, _ACCOUNT): {"account": account} for name, account in accounts}


def gist(document: Document) -> object:
    """Give what is worth telling again when it has changed."""
    told = {name: value for name, value in document.items() if name in _SAME}
    return told or round(document["refused_at"], 1)


def adopt(gate: Gate, fact: Fact, document: object, elapsed_seconds: float) -> None:
    """Take over what another gateway knows and this one does not. What is not understood is left out.

    Args:
        elapsed_seconds: Since the document was written.
    """
    try:
        if not isinstance(document, dict):
            return
        key, elapsed, now = (
            ScopeKey(fact.provider, fact.account, fact.model),
            max(0.0, elapsed_seconds),
            gate.clock.now(),
        )
        if fact.what == _ACCOUNT:
            _adopt_account(gate, fact, str(document["account"]))
        elif fact.what != _PACE:
            _adopt(gate.scope_at(key), fact.what, document, elapsed, now)
        elif (scope := gate.scopes.get(key)) is not None:
            _adopt_pace(scope, now - max(0.0, float(document["refused_seconds_ago"])) - elapsed, now)
    except DAMAGE:
        return


def _of(scope: Scope, now: float) -> Iterator[tuple[str, Document]]:
    for learned in scope.learned.values():
        if learned.meter is not None and learned.shape and not learned.remembered and not learned.faded(now):
            yield learned.kind, learned_document(learned, now)
    if (pace := scope.pace) is not None and not pace.is_heard:
        yield _PACE, {"refused_seconds_ago": now - pace.refused_at, "refused_at": pace.refused_at}
    if (most := scope.most_at_once(now)) is not None and most != scope.concurrency:
        yield CONCURRENCY, {"most": most}


def _adopt(scope: Scope, what: str, said: Document, elapsed: float, now: float) -> None:
    if what == CONCURRENCY:
        if scope.most_at_once(now) == scope.concurrency:
            scope.learn_concurrency(max(1, int(as_number(said["most"]))), now)
    elif said["kind"] == what and what not in scope.learned:
        restore_learned(scope, said, elapsed, now)
        scope.starting.over = scope.starting.over or what in scope.learned


def _adopt_pace(scope: Scope, refused_at: float, now: float) -> None:
    """Go slower by as much as whoever was refused: by a share of what goes out here."""
    if scope.pace is not None:
        scope.pace.follow(refused_at, now)
    elif now - scope.used_at <= _BUSY_SECONDS:
        heard = Pace(scope.users.rate(now), now)
        heard.refused_at, heard.is_heard = refused_at, True
        scope.pace = None if heard.faded(now) else heard


def _adopt_account(gate: Gate, fact: Fact, account: str) -> None:
    """Count with the organisation from the first call on; what is counted by key already is joined with an answer."""
    name = (fact.provider, fact.account, fact.model)
    if name not in gate.accounts and not any(key.account.partition("@")[0] == fact.model for key in gate.scopes):
        gate.accounts[name] = account
