"""Connections that outlive a decision: WebSockets, streams and downloads end with what allowed them."""

from __future__ import annotations

from gateway.deadlines import Deadlines
from gateway.edge.connection import POLICY_VIOLATION, ClientConnection
from gateway.edge.inbound import Inbound
from gateway.gate import Decision, Forward, Rules, StepUp, decide
from gateway.logs import get_logger
from gateway.proxy.exchange import Exchange
from gateway.sessions.live import Lookup, Pending
from gateway.sessions.record import Session

log = get_logger("front")


class Revocation:
    """Looks once a second at everything that is still open."""

    def __init__(self, lookup: Lookup, rules: Rules, clock: Deadlines) -> None:
        self._lookup = lookup
        self._rules = rules
        self._clock = clock

    def adopt(self, rules: Rules) -> None:
        self._rules = rules

    async def end_stale(self, connections: set[ClientConnection]) -> None:
        """Decide again about everything still open that was opened for a session; called about once a second.

        Who is somebody else by now (another role, tenant or module) is cut off as well: the application was told who
        they were when it opened, and is told again when they come back.
        """
        for client in list(connections):
            exchange, inbound = client.exchange, client.inbound
            if not isinstance(exchange, Exchange) or exchange.session is None or inbound is None:
                continue
            session = await self._still(inbound)
            if client.inbound is not inbound:
                continue
            decision = decide(exchange.inbound, session, self._rules, self._clock.utc)
            if session is None or not is_still_forwarded(decision) or not is_same(session, exchange.session):
                log.info("connection_ended", reason="its session is gone or another", request_id=inbound.request_id)
                client.end_for(POLICY_VIOLATION)

    async def _still(self, inbound: Inbound) -> Session | None:
        """Return the session that `inbound` came with, if it is live still. Looking is not using it."""
        if inbound.session_key is None:
            return None
        session = self._lookup.find(inbound.session_key, self._clock.utc, is_use=False)
        if session is Pending.ASK:
            return await self._lookup.fetch(inbound.session_key, self._clock.utc, is_use=False)
        return session


def is_still_forwarded(decision: Decision) -> bool:
    """A rule that asks for a fresh proof asks when something is opened, not all the time."""
    if isinstance(decision, StepUp):
        return decision.session.missing is None
    return isinstance(decision, Forward) and decision.session is not None


def is_same(one: Session, other: Session) -> bool:
    """Whether the application would be told the same about both."""
    return identity_of(one) == identity_of(other)


def identity_of(session: Session) -> tuple[object, ...]:
    return (
        session.id,
        session.identifier,
        session.name,
        session.tenant,
        session.role,
        session.modules,
        session.is_owner,
    )
