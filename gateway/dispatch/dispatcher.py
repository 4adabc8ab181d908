"""What becomes of each request: find its session, ask the gate, carry out the decision.

This is the middle of the hot path. Nothing here waits, except that a store without a local answer (PostgreSQL)
is asked first; and nothing here reads a request again: policy, forwarding and pages share one Inbound.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import Protocol
from urllib.parse import urlencode

from gateway.crypto.sealing import Unopenable
from gateway.dispatch.forms.late import Foreign, LateForms, PressThere, Send, Show
from gateway.dispatch.forward_auth import CHALLENGE, JSON, NO_STORE, ForwardAuth, refuse_options
from gateway.edge.client_request import ClientRequest
from gateway.edge.origin import is_foreign_websocket, page_origin
from gateway.edge.request import Reader
from gateway.edge.request_line import SERVER_ITSELF
from gateway.model.factor import Factor
from gateway.model.inbound import NOTHING, Inbound
from gateway.model.session import Session
from gateway.observe.logs import get_logger
from gateway.policy.decision import (
    Decision,
    Forward,
    Page,
    Refuse,
    Rules,
    SignIn,
    StepUp,
    decide,
    find_page,
    takes_foreign_form,
)
from gateway.proxy.exchange import Exchange
from gateway.proxy.identity import Identities
from gateway.proxy.request import RequestWriter
from gateway.proxy.upstream import Upstream
from gateway.sessions.live import Lookup, Pending
from gateway.store import StoreUnavailable
from gateway.throttle.client import client_of
from gateway.web.redirects import FLAGS
from gateway.web.return_to import DeadEnds, lost_query, safe_return, sent_value, way_back, way_query
from gateway.wire.cookies import SENT_COOKIE
from gateway.wire.deadlines import Deadlines
from gateway.wire.failures import Failure
from gateway.wire.http1 import ALLOW

log = get_logger("front")

NO_IDENTITY = b""
SENT_SECONDS = 3_600  # for which a page to sign in may stay open in another tab
# Among the pages, and not among the routes: only the front hands requests to them.
KEEP_PATH = b"/_gateway/keep"
KEEP_FOREIGN_PATH = b"/_gateway/keep-foreign"


class FramedPage(Protocol):
    """Makes the page that leads to `address` from within another (see Renderer.framed_page)."""

    def __call__(self, address: str, *, is_lost: bool) -> tuple[list[bytes], bytes]: ...


class Front:
    """`admit_page` makes the field line under which the pages find inbound and session (see web.application.Desk).

    `public_origin` is where absolute links lead; forms and WebSockets may come from any of `origins`. `steps` are the
    paths of the pages where each factor is proved; `dead_ends` are no targets after signing in. `is_hashing_full` says
    whether a client's password would not be checked now: to find that out by a page costs ten times as much.
    """

    def __init__(
        self,
        *,
        lookup: Lookup,
        rules: Rules,
        clock: Deadlines,
        reader: Reader,
        upstream: Upstream,
        pages: Upstream,
        writer: RequestWriter,
        identities: Identities,
        admit_page: Callable[[Inbound, Session | None], bytes],
        public_origin: str,
        origins: Collection[str],
        steps: Mapping[Factor, str],
        is_hashing_full: Callable[[str], bool],
        dead_ends: DeadEnds,
        forward_auth_path: str,
        late: LateForms,
        framed_page: FramedPage,
    ) -> None:
        self._lookup = lookup
        self._rules = rules
        self._clock = clock
        self._upstream = upstream
        self._pages = pages
        self._writer = writer
        self._identities = identities
        self._admit_page = admit_page
        self._public_origin = public_origin
        self._origins = origins
        self._steps = steps
        self._is_hashing_full = is_hashing_full
        self._dead_ends = dead_ends
        self._forward_auth_path = forward_auth_path
        self._forward_auth = ForwardAuth(reader, rules, clock, identities, steps, public_origin, origins)
        self._late = late
        self._framed_page = framed_page
        self._asking: set[asyncio.Task[None]] = set()

    def adopt(self, rules: Rules) -> None:
        """Decide by these from now on."""
        self._rules = rules
        self._forward_auth.adopt(rules)

    def handle(self, client: ClientRequest, inbound: Inbound) -> None:
        """Answer or relay `inbound`. Without the store nobody is anybody: the request is refused, never passed."""
        key = inbound.session_key
        if key is None:
            self._carry_out(client, inbound, None)
            return
        try:
            session = self._lookup.find(key, self._clock.utc)
        except StoreUnavailable:
            client.refuse(Failure.STORE_AWAY)
            return
        if session is None or isinstance(session, Session):
            self._carry_out(client, inbound, session)
        else:
            self._begin(client, inbound, self._ask(client, inbound, key))

    async def judge_again(self, inbound: Inbound) -> Decision:
        """Decide about a request of which more has come since, by what is true now. Raises StoreUnavailable."""
        key = inbound.session_key
        session = None if key is None else self._lookup.find(key, self._clock.utc)
        if key is not None and session is Pending.ASK:
            session = await self._lookup.fetch(key, self._clock.utc)
        return decide(inbound, session if isinstance(session, Session) else None, self._rules, self._clock.utc)

    def _begin(self, client: ClientRequest, inbound: Inbound, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(self._see_through(client, inbound, work))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _see_through(self, client: ClientRequest, inbound: Inbound, work: Coroutine[None, None, None]) -> None:
        """Do `work`, and whatever goes wrong in it, answer: a client waits for that without a deadline."""
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

    async def _ask(self, client: ClientRequest, inbound: Inbound, key: bytes) -> None:
        session = await self._lookup.fetch(key, self._clock.utc)
        if client.is_asked:
            self._carry_out(client, inbound, session)

    def _carry_out(self, client: ClientRequest, inbound: Inbound, session: Session | None) -> None:
        if session is not None:
            client.account = session.account
        match decide(inbound, session, self._rules, self._clock.utc):
            case Forward() as admitted:  # not Forward(session): to take it apart costs more than to decide
                self._forward(client, inbound, admitted.session)
            case Page(known):
                self._show(client, inbound, known)
            case SignIn() if inbound.method == "OPTIONS":
                answer_options(client, inbound)
            case SignIn():
                if not self._keep_form(client, inbound, None):
                    self._ask_to_sign_in(client, inbound)
            case StepUp(known, factor):
                if not self._keep_form(client, inbound, known):
                    self._ask_for_proof(client, inbound, factor)
            case Refuse(known):
                client.refuse(Failure.FORBIDDEN, known)

    def _forward(self, client: ClientRequest, inbound: Inbound, session: Session | None) -> None:
        if inbound.length and not client.has_enough():
            return
        if inbound.method == "POST" and session is not None and self._late.is_button(inbound):
            self._begin(client, inbound, self._answer_late(client, inbound, session))
            return
        identity = NO_IDENTITY if session is None else self._identities.lines(session, self._clock.utc)
        if inbound.is_websocket and session is not None and is_foreign_websocket(inbound, self._origins):
            client.refuse(Failure.FORBIDDEN, session)
            return
        self._relay(client, inbound, self._upstream, self._writer.head(inbound, identity), session)

    def _show(self, client: ClientRequest, inbound: Inbound, session: Session | None) -> None:
        if inbound.path == self._forward_auth_path:
            self._forward_auth.answer(client, inbound, session)
            return
        if self._is_hopeless_sign_in(inbound):
            client.refuse(Failure.SIGN_IN_BUSY, session)
            return
        if inbound.length and not client.has_enough():
            return
        if session is not None and self._late.is_page(inbound):
            self._begin(client, inbound, self._answer_late(client, inbound, session))
            return
        self._relay(client, inbound, self._pages, self._page_head(inbound, session), None)

    def _is_hopeless_sign_in(self, inbound: Inbound) -> bool:
        """Whether this is a password that would not be checked now, because too many wait."""
        is_sign_in = inbound.method == "POST" and inbound.path == self._steps[Factor.PASSWORD]
        return is_sign_in and self._is_hashing_full(client_of(inbound.address))

    def _page_head(self, inbound: Inbound, session: Session | None, target: bytes = b"") -> bytes:
        """Return the head for the pages: of all that was sent they read what kind of body it is, and have the rest
        on their desk. So neither the application's cookies nor anything else is too long for them.
        """
        lines = [line for line in inbound.lines if line[:13].lower() == b"content-type:"]
        told = inbound._replace(target=target or inbound.target, lines=lines, nominated=NOTHING)
        return self._writer.head(told, self._admit_page(inbound, session))

    def _relay(
        self,
        client: ClientRequest,
        inbound: Inbound,
        to: Upstream,
        head: bytes,
        session: Session | None,
        body: bytes = b"",
    ) -> None:
        """`body` is that of a request which did not come just now."""
        exchange = Exchange(client, inbound, to, head, session)
        client.relay(exchange)
        if body:
            exchange.send_body(body, True)
        if not exchange.is_over:
            to.send(exchange)

    def _ask_to_sign_in(self, client: ClientRequest, inbound: Inbound) -> None:
        address = f"{self._steps[Factor.PASSWORD]}?{way_query(inbound, self._origins)}"
        sent = sent_value(safe_return(way_back(inbound, self._origins), self._dead_ends))
        cookie = f"Set-Cookie: {SENT_COOKIE.decode()}={sent}; Path=/; Max-Age={SENT_SECONDS}; {FLAGS}".encode("ascii")
        self._send_away(client, inbound, address, "sign_in_required", "Sign in to continue.", cookie)

    def _ask_for_proof(self, client: ClientRequest, inbound: Inbound, factor: Factor) -> None:
        """Signed in, and a factor is missing: ask for just that one."""
        address = f"{self._steps[factor]}?{way_query(inbound, self._origins)}&again=1"
        self._send_away(client, inbound, address, "proof_required", "Confirm that it is you to continue.")

    def _send_away(
        self, client: ClientRequest, inbound: Inbound, address: str, error: str, message: str, *lines: bytes
    ) -> None:
        """A person is taken to `address`, with further field lines; a program is told of it.

        What is shown within a page, or by a service worker, is a page that leads there by a link.
        """
        is_lost = self._late.is_lost(inbound)
        told = f"{address}&{lost_query(inbound, self._origins)}" if is_lost else address
        if inbound.is_page:
            self._lead(client, 303, told, *lines)
            return
        if inbound.wants_html:
            fields, page = self._framed_page(told, is_lost=is_lost)
            client.answer(401, (*fields, CHALLENGE, *lines), page)
            return
        redirect = (b"HX-Redirect: " + told.encode("ascii"), *lines) if inbound.is_htmx else ()
        body = {
            "error": error,
            "message": message,
            "sign_in": self._public_origin + address,
            "request_id": inbound.request_id,
        }
        client.answer(401, (JSON, NO_STORE, CHALLENGE, *redirect), json.dumps(body).encode())

    # Forms that came too late.

    def _keep_form(self, client: ClientRequest, inbound: Inbound, session: Session | None) -> bool:
        """Hand a form that has to wait for a sign-in over to the pages. Returns whether it is one.

        It is none if it was for a page of ours: those forms are short, and no kept one is ever sent to them.
        """
        if find_page(inbound, self._rules) is not None:
            return False
        if self._late.is_one(inbound, session):
            path = KEEP_PATH
        elif session is None and takes_foreign_form(inbound, self._rules) and self._late.is_foreign(inbound):
            path = KEEP_FOREIGN_PATH
        else:
            return False
        if not client.has_enough():
            return True
        self._relay(client, inbound, self._pages, self._page_head(inbound, session, path), None)
        return True

    async def _answer_late(self, client: ClientRequest, inbound: Inbound, session: Session) -> None:
        """Carry out what becomes of a kept form."""
        outcome = await self._late.judge(inbound, session, self._rules, self._clock.utc)
        # The store may have kept it waiting. Who was signed out meanwhile, or lost a role, sends nothing any more.
        decision = await self.judge_again(outcome.original) if isinstance(outcome, Send) else None
        if isinstance(outcome, Send) and not (isinstance(decision, Forward) and client.is_asked):
            await self._late.give_back(outcome.kept, session, inbound, self._clock.utc)
        if not client.is_asked:
            return
        page = self._late.page_of(inbound)
        match outcome:
            case Send(original, kept) if isinstance(decision, Forward):
                known = decision.session
                identity = self._identities.lines(known, self._clock.utc) if known else NO_IDENTITY
                head = self._writer.head(original, identity)
                self._relay(client, original, self._upstream, head, known, kept.form.body)
            case Send():
                client.refuse(Failure.FORBIDDEN)
            case PressThere(target):
                self._lead(client, 307, page_origin(inbound, self._origins) + target)
            case Show() if inbound.method == "POST":
                self._lead(client, 303, page)
            case Show():
                self._relay(client, inbound, self._pages, self._page_head(inbound, session), None)
            case StepUp(_, factor):
                self._lead(client, 303, f"{self._steps[factor]}?{urlencode({'next': page, 'again': '1'}, safe='/')}")
            case Refuse(known):
                client.refuse(Failure.FORBIDDEN, known)
            case Foreign():
                client.refuse(Failure.FOREIGN_FORM, session)

    def _lead(self, client: ClientRequest, status: int, address: str, *lines: bytes) -> None:
        client.answer(status, (b"Location: " + address.encode("ascii"), NO_STORE, *lines), b"")


def answer_options(client: ClientRequest, inbound: Inbound) -> None:
    """Answer an OPTIONS that goes no further: about the server itself (RFC 9110 §9.3.7), or about a path.

    Nobody is asked to sign in for it, for a session would change nothing.
    """
    if inbound.target == SERVER_ITSELF:
        client.answer(204, (ALLOW, NO_STORE), b"")
        return
    refuse_options(client, inbound)
