"""What has to wait for the store, each request in a task of its own: sessions that are not in memory, and saved forms.

The dispatcher itself never waits. It has no coroutine, so that it can be compiled (process/compiled.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from gateway.crypto.sealing import Unopenable
from gateway.dispatch.forms.late import LateForms, Outcome, Send
from gateway.edge.client_request import ClientRequest
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.observe.logs import get_logger
from gateway.policy.decision import Decision, Forward, Rules, decide
from gateway.sessions.lookup import Lookup, Pending
from gateway.store import StoreUnavailable
from gateway.wire.deadlines import Deadlines
from gateway.wire.failures import Failure

log = get_logger("front")

Found = Callable[[ClientRequest, Inbound, Session | None], None]
Judged = Callable[[ClientRequest, Inbound, Session, Outcome, Decision | None], None]


class Waits:
    """Calls back with what was found, if the client is still waiting for it."""

    def __init__(self, lookup: Lookup, rules: Rules, clock: Deadlines, late: LateForms) -> None:
        self._lookup = lookup
        self._rules = rules
        self._clock = clock
        self._late = late
        self._running: set[asyncio.Task[None]] = set()

    def adopt(self, rules: Rules) -> None:
        """Use these rules from now on."""
        self._rules = rules

    def find_session(self, client: ClientRequest, inbound: Inbound, key: bytes, found: Found) -> None:
        """Look the session up in the store."""
        self._begin(client, inbound, self._find_session(client, inbound, key, found))

    def judge_form(self, client: ClientRequest, inbound: Inbound, session: Session, judged: Judged) -> None:
        """Decide about a request for a saved form, and again about the form itself."""
        self._begin(client, inbound, self._judge_form(client, inbound, session, judged))

    async def reauthorise(self, inbound: Inbound) -> Decision:
        """Re-authorise a request whose body has arrived: the session may have been revoked meanwhile.

        Raises StoreUnavailable.
        """
        key = inbound.session_key
        session = None if key is None else self._lookup.find(key, self._clock.utc)
        if key is not None and session is Pending.ASK:
            session = await self._lookup.fetch(key, self._clock.utc)
        return decide(inbound, session if isinstance(session, Session) else None, self._rules, self._clock.utc)

    def _begin(self, client: ClientRequest, inbound: Inbound, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(self._run(client, inbound, work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, client: ClientRequest, inbound: Inbound, work: Coroutine[None, None, None]) -> None:
        """Await `work`, and respond with a failure if it raises: the client waits without a deadline."""
        try:
            await work
            return
        except StoreUnavailable:
            failure = Failure.STORE_AWAY
        except Unopenable as error:
            log.error("secret_missing", reason=str(error), request_id=inbound.request_id)
            failure = Failure.STORE_AWAY
        except Exception:
            log.exception("request_failed", request_id=inbound.request_id)
            failure = Failure.INTERNAL
        if client.is_asked:
            client.refuse(failure)

    async def _find_session(self, client: ClientRequest, inbound: Inbound, key: bytes, found: Found) -> None:
        session = await self._lookup.fetch(key, self._clock.utc)
        if client.is_asked:
            found(client, inbound, session)

    async def _judge_form(self, client: ClientRequest, inbound: Inbound, session: Session, judged: Judged) -> None:
        outcome = await self._late.judge(inbound, session, self._rules, self._clock.utc)
        # Awaiting the store takes time, so authorise again: the session may have been revoked, or the role changed.
        decision = await self.reauthorise(outcome.original) if isinstance(outcome, Send) else None
        if isinstance(outcome, Send) and not (isinstance(decision, Forward) and client.is_asked):
            await self._late.give_back(outcome.kept, session, inbound, self._clock.utc)
        if client.is_asked:
            judged(client, inbound, session, outcome, decision)
