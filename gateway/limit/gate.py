"""The gate: calls pass as fast as the limits allow and no faster, each tenant its share, each in its turn.

One `Scope` for each account and model group. A waiter knows its ETA; one that could not be served before its app gives
up is refused at once. Whoever leaves while waiting gives its place up at that moment. In shadow mode everything is
decided and counted, and nobody waits.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Sequence
from fnmatch import fnmatchcase

from gateway.limit.block import Block
from gateway.limit.cost import TOKENS, Cost
from gateway.limit.heirs import Heirs
from gateway.limit.permit import Answer, Permit
from gateway.limit.rule import LimitRule
from gateway.limit.scope import Scope, ScopeKey
from gateway.limit.sharing import Sharing
from gateway.limit.users import User
from gateway.limit.waiter import Waiter, home_of
from gateway.model.cause import Cause
from gateway.model.clock import Clock
from gateway.model.decision import Refuse, StatedPolicy
from gateway.model.event import Live
from gateway.model.flow import State
from gateway.model.route import Route

__all__ = ["Answer", "Gate", "LimitRule", "Permit"]

SCOPES_MAX = 10_000
DEFAULT_TENANT = "default"
DOUBT = 1.25
"""A call is refused as larger than a learned limit when our estimate of it is larger by this; it may be wrong."""


class Gate:
    """All scopes.

    Args:
        queue_max: Waiters over all scopes.
        queue_max_bytes: Bytes of bodies that wait.
        shadow: Decide and count, but let everybody through.
        sharing: With whom limits are counted; None when this gateway is alone.
    """

    def __init__(
        self,
        rules: Sequence[LimitRule],
        clock: Clock,
        *,
        queue_max: int,
        queue_max_bytes: int,
        shadow: bool = False,
        sharing: Sharing | None = None,
    ) -> None:
        self.sharing = sharing
        self.clock, self.shadow = clock, shadow
        self.queue_max, self.queue_max_bytes = queue_max, queue_max_bytes
        self.scopes: OrderedDict[ScopeKey, Scope] = OrderedDict()
        self.accounts: OrderedDict[tuple[str, str, str], str] = OrderedDict()
        self.heirs = Heirs()
        self.govern(rules)
        self.waiting = 0
        self.waiting_bytes = 0
        self.draining = False
        self.cut = False
        """Whether the gateway itself cuts what still runs: a drain that lasted too long, or a second signal."""

    def govern(self, rules: Sequence[LimitRule]) -> None:
        """Take on the rules for scopes to come; those that are there have to be told: see `gateway.limit.renew`."""
        self.rules = tuple(rules)
        self._groups: dict[tuple[str, str], str] = {}
        self._patterns = {rule.model for rule in self.rules if rule.together}

    @property
    def reservations(self) -> int:
        """Calls that hold a permit, over all scopes. Users are not asked: of many, some are forgotten."""
        return sum(scope.in_flight for scope in self.scopes.values())

    async def acquire(
        self, route: Route, live: Live, *, deadline: float, size_bytes: int, front: bool = False
    ) -> Permit | Refuse:
        """Wait for the call's turn.

        Args:
            live: Is told what the call waits for.
            deadline: Monotonic seconds after which the app has given up.
            size_bytes: Of the body that waits.
            front: Before the tenant's others: for a call that has had its turn, and was sent back.
        """
        if self.draining:
            return _draining()
        now = self.clock.now()
        scope, cost = self.scope_at(self._scope_key(route)), Cost(1, route.input_tokens, route.output_tokens)
        user = User(route.tenant, route.key, live.call.client)
        scope.users.asked(user, cost.of(TOKENS), now)
        too_large = scope.too_large(cost, DOUBT)
        if not self.shadow and too_large is not None:
            return _too_large(too_large, cost)
        taken = None if self.shadow else scope.pass_now(cost, now)
        if taken is not None:
            return Permit(self, route, scope, user, taken, cost=cost)
        tenant = route.tenant if route.tenant != DEFAULT_TENANT else route.key
        ahead = scope.queue.ahead(tenant, cost, front=front)
        foreseen = scope.block(cost, now, ahead, trying=front)
        held = foreseen if scope.queue and foreseen.seconds > 0 else scope.block(cost, now)
        if self.shadow:
            permit = Permit(self, route, scope, user, scope.take(cost, now), cost=cost)
            permit.shadow = held if held.seconds > 0 or too_large is not None else None
            return permit
        likely = foreseen
        if foreseen.seconds > deadline - now:  # nobody is refused on a guess of what others will take
            likely = scope.block(cost, now, scope.users.likely(ahead), trying=front)
        refused = self._refuse(likely, deadline - now, size_bytes)
        if refused is not None:
            return refused
        if scope.queue or held.seconds > 0:  # else it only asks the others
            live.enter(State.QUEUED, held.reason, round(scope.expected(cost, now, ahead, foreseen) * 1000))
        waiter = Waiter(scope, tenant, cost, scope.weight(cost), live)
        self.waiting += 1
        self.waiting_bytes += size_bytes
        scope.users.of(user).queued += 1
        try:
            async with asyncio.timeout(max(0.0, deadline - now)):
                taken = await waiter.wait(front=front)
        except TimeoutError:
            return self._waited_in_vain(waiter, held, self.clock.now(), now)
        finally:
            self.waiting -= 1
            self.waiting_bytes -= size_bytes
            home_of(waiter.scope).users.got(user)
        if taken is None:
            large = None if self.draining else home_of(waiter.scope).too_large(cost, DOUBT)
            return _draining(self.clock.now() - now) if large is None else _too_large(large, cost)
        waited, ms = self.clock.now() - now, waiter.granted_ms
        return Permit(self, route, home_of(waiter.scope), user, taken, cost=cost, waited=waited, granted_ms=ms)

    def _waited_in_vain(self, waiter: Waiter, held: Block, now: float, began: float) -> Refuse:
        """Refuse who has waited as long as its app does; whoever comes back sits down behind the others."""
        scope = home_of(waiter.scope)
        newcomer = scope.block(waiter.cost, now, scope.queue.ahead(waiter.tenant, waiter.cost))
        still = newcomer if newcomer.reason else scope.block(waiter.cost, now)
        return _too_late(still._replace(reason=still.reason or held.reason), now - began)

    def drain(self) -> None:
        """Refuse whoever waits, now and from now on."""
        self.draining = True
        for scope in self.scopes.values():
            scope.open()

    def know_account(self, route: Route, account: str) -> None:
        """Count a key's calls with its organisation's from now on, and what has been counted so far."""
        name = (route.provider.name, route.upstream.host, route.scope)
        known = self.accounts.get(name)
        if known == account:
            return
        before = self._scope_key(route)
        self.accounts[name] = account
        if len(self.accounts) > SCOPES_MAX:
            self.accounts.popitem(last=False)
        after = self._scope_key(route)
        if before == after or known is not None:
            return  # what was counted for another account stays with that account's other keys
        # What was counted for the key: under each of its models.
        for key in [key for key in self.scopes if key[:2] == before[:2]]:
            scope, named = self.scopes.pop(key), key._replace(account=after.account)
            home = self.scopes.get(named)
            if home is not None:
                pairs = zip(scope.configured, home.configured, strict=True)
                self.heirs.pass_on(((theirs.meter, ours.meter) for theirs, ours in pairs), anybody_holds=True)
                home.join(scope)
            else:
                scope.key = named
                self.scopes[named] = scope
                if scope.turns is not None:
                    scope.turns.renamed()
            self.scopes[named].is_organisation = True

    def scope_at(self, key: ScopeKey) -> Scope:
        """Give the scope, making it when it is new."""
        scope = self.scopes.get(key)
        if scope is None:
            scope = self.scopes[key] = Scope(key, self.rules_of(key), self.clock)
            if self.sharing is not None:
                scope.turns = self.sharing.turns_of(scope)
            self._forget_idle()
        else:
            self.scopes.move_to_end(key)
        return scope

    def rules_of(self, key: ScopeKey) -> list[LimitRule]:
        """Give the rules that hold in a scope."""
        together = key.model in self._patterns
        return [rule for rule in self.rules if rule.fits(key.provider, key.model) or (together and _is_part(rule, key))]

    def _scope_key(self, route: Route) -> ScopeKey:
        provider = route.provider.name
        account = self.accounts.get((provider, route.upstream.host, route.scope))
        if account is None:
            # A key of its own host may be another's elsewhere: a deployment, a relay.
            known = route.upstream.host in route.provider.hosts
            account = route.scope if known else f"{route.scope}@{route.upstream.host}"
        return ScopeKey(provider, account, self._group(provider, route.model_group))

    def _group(self, provider: str, model: str) -> str:
        """Give the models that are counted together: those of one name, or of one rule that says so."""
        if not self._patterns:
            return model
        found = self._groups.get((provider, model))
        if found is None:
            rule = next((rule for rule in self.rules if rule.together and rule.fits(provider, model)), None)
            if len(self._groups) >= SCOPES_MAX:
                self._groups.clear()
            found = self._groups[provider, model] = model if rule is None else rule.model
        return found

    def _refuse(self, foreseen: Block, left_seconds: float, size_bytes: int) -> Refuse | None:
        if self.waiting >= self.queue_max or self.waiting_bytes + size_bytes > self.queue_max_bytes:
            holds = f"their bodies hold {self.waiting_bytes / 1_048_576:.1f} MiB, which leaves no room for this one"
            many = self.waiting >= self.queue_max
            why = (
                f"{self.waiting:,} calls already wait for their turn, {'as many as the queue holds' if many else holds}"
            )
            return Refuse(
                cause=Cause.PROXY_QUEUE_FULL,
                status=429,
                why=why,
                retry_after_seconds=max(1.0, foreseen.seconds),
                policy=_policy(foreseen),
            )
        return _too_late(foreseen, 0.0) if foreseen.seconds > left_seconds else None

    def _forget_idle(self) -> None:
        """Keep the number of scopes bounded; one that counts or waits is never forgotten."""
        if len(self.scopes) <= SCOPES_MAX:
            return
        now = self.clock.now()
        for key, scope in list(self.scopes.items())[: max(1, SCOPES_MAX // 10)]:
            if scope.idle(now):
                del self.scopes[key]


def _is_part(rule: LimitRule, key: ScopeKey) -> bool:
    """Whether it is for some of the models that are counted together under a pattern: it then holds for all of them."""
    same = rule.model == key.model or fnmatchcase(rule.model, key.model)
    return same and rule.provider in {"*", key.provider}


def _policy(block: Block) -> StatedPolicy | None:
    if not block.limit:
        return None
    return StatedPolicy(
        kind=block.kind, limit=block.limit, window_seconds=block.window_seconds, reset_seconds=block.seconds
    )


def _draining(waited_seconds: float = 0.0) -> Refuse:
    return Refuse(
        cause=Cause.PROXY_DRAINING,
        status=503,
        why="the gateway is shutting down",
        retry_after_seconds=1.0,
        queued_seconds=waited_seconds,
    )


def _too_late(block: Block, waited_seconds: float) -> Refuse:
    seconds = block.seconds if math.isfinite(block.seconds) else 1.0
    waits = f"it has waited {waited_seconds:.1f} s" if waited_seconds else f"it would have to wait {seconds:.1f} s"
    return Refuse(
        cause=Cause.PROXY_QUEUE_TIMEOUT,
        status=429,
        why=f"{waits} ({block.reason})",
        retry_after_seconds=max(1.0, seconds),
        queued_seconds=waited_seconds,
        policy=_policy(block),
    )


def _too_large(block: Block, cost: Cost) -> Refuse:
    asked = cost.of(block.kind)
    return Refuse(
        cause=Cause.PROXY_REQUEST_TOO_LARGE,
        status=413,
        why=f"it takes about {asked:,} {block.kind.replace('_', ' ')} ({block.reason})",
        policy=_policy(block),
    )
