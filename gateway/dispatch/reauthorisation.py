"""Re-authorises long-lived connections (WebSockets, streams, downloads), and closes those no longer allowed."""

from __future__ import annotations

from gateway.edge.client_request import ClientRequest
from gateway.edge.connection import ClientConnection
from gateway.model.session import Session
from gateway.observe.logs import get_logger
from gateway.policy.decision import Decision, Forward, Rules, StepUp, decide
from gateway.proxy.exchange import Exchange
from gateway.sessions.lookup import Lookup, Pending
from gateway.store import StoreUnavailable
from gateway.wire.deadlines import Deadlines
from gateway.wire.websocket import POLICY_VIOLATION

log = get_logger("front")


class Reauthorisation:
    """Re-authorises all open requests of a worker."""

    def __init__(self, lookup: Lookup, rules: Rules, clock: Deadlines) -> None:
        self._lookup = lookup
        self._rules = rules
        self._clock = clock

    def adopt(self, rules: Rules) -> None:
        self._rules = rules

    async def end_stale(self, connections: set[ClientConnection]) -> None:
        """Re-authorise every open request that was authorised by a session. Called about once a second.

        A request is ended, too, if its identity (role, tenant, modules) has changed, because the application was told
        the former one when it began.

        Progress counts as use of the session, so that a long upload does not idle out. Data that only the application
        sends does not count: such a stream ends at the idle limit.

        Raises StoreUnavailable if a session can't be looked up, after all others.
        """
        unavailable: StoreUnavailable | None = None
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
            try:
                session = await self._find(key, is_use=is_use)
            except StoreUnavailable as error:
                unavailable = error
                continue
            if isinstance(exchange, Exchange) and exchange.session is not None and client.exchange is exchange:
                self._judge(client, exchange, exchange.session, session)
        if unavailable is not None:
            raise unavailable

    def _judge(self, client: ClientRequest, exchange: Exchange, opened_for: Session, session: Session | None) -> None:
        """End the request, unless the policy allows it and the identity is unchanged. `session` is the current one."""
        now, inbound = self._clock.utc, exchange.inbound
        decision = decide(inbound, session, self._rules, now)
        if session is not None and is_still_allowed(decision) and has_same_identity(session, opened_for):
            return
        key = inbound.session_key
        is_idle = session is None and key is not None and self._lookup.has_outlived(key, opened_for, now)
        reason = "its session was idle for too long, or is too old" if is_idle else "its session has ended or changed"
        log.info("connection_ended", reason=reason, request_id=inbound.request_id)
        client.end_for(POLICY_VIOLATION, cleanly=is_idle)

    async def _find(self, key: bytes, *, is_use: bool) -> Session | None:
        """Return the live session with this key. The look-up itself is not a use."""
        session = self._lookup.find(key, self._clock.utc, is_use=is_use)
        if session is Pending.ASK:
            return await self._lookup.fetch(key, self._clock.utc, is_use=is_use)
        return session


def is_still_allowed(decision: Decision) -> bool:
    """Rules with `fresh` apply when a connection opens, and not later."""
    if isinstance(decision, StepUp):
        return decision.session.missing is None
    return isinstance(decision, Forward) and decision.session is not None


def has_same_identity(one: Session, other: Session) -> bool:
    """Whether both have the same identity for the application."""
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
