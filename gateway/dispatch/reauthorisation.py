"""Connections that outlive a decision: WebSockets, streams and downloads end with what allowed them."""

from __future__ import annotations

from gateway.edge.client_request import ClientRequest
from gateway.edge.connection import ClientConnection
from gateway.model.session import Session
from gateway.observe.logs import get_logger
from gateway.policy.decision import Decision, Forward, Rules, StepUp, decide
from gateway.proxy.exchange import Exchange
from gateway.sessions.live import Lookup, Pending
from gateway.wire.deadlines import Deadlines
from gateway.wire.websocket import POLICY_VIOLATION

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

        What moves is a use of its session: an upload of an hour is not an idle hour. A stream that only the application
        fills is none; it ends at the idle limit, like any session that is left alone.
        """
        for connection in list(connections):
            client = connection.request
            key = client.inbound.session_key if client is not None else None
            if client is None or key is None:
                continue
            is_use = client.has_moved()
            exchange = client.exchange
            is_open = isinstance(exchange, Exchange) and exchange.session is not None
            if not is_open and not is_use:
                continue
            session = await self._find(key, is_use=is_use)
            if isinstance(exchange, Exchange) and exchange.session is not None and client.exchange is exchange:
                self._judge(client, exchange, exchange.session, session)

    def _judge(self, client: ClientRequest, exchange: Exchange, opened_for: Session, session: Session | None) -> None:
        """End what was opened for one session, unless it may go on by `session`, which is what there is of it now."""
        now, inbound = self._clock.utc, exchange.inbound
        decision = decide(inbound, session, self._rules, now)
        if session is not None and is_still_forwarded(decision) and is_same(session, opened_for):
            return
        key = inbound.session_key
        is_idle = session is None and key is not None and self._lookup.has_outlived(key, opened_for, now)
        reason = "its session was idle for too long, or is too old" if is_idle else "its session has ended or changed"
        log.info("connection_ended", reason=reason, request_id=inbound.request_id)
        client.end_for(POLICY_VIOLATION, cleanly=is_idle)

    async def _find(self, key: bytes, *, is_use: bool) -> Session | None:
        """Return the session with this key, if it is live still. Looking is not using it."""
        session = self._lookup.find(key, self._clock.utc, is_use=is_use)
        if session is Pending.ASK:
            return await self._lookup.fetch(key, self._clock.utc, is_use=is_use)
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
