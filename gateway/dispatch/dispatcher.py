"""Routes each request: find its session, ask the policy, carry out the decision.

This is the hot path. Nothing awaits, unless the session is not cached (always so with PostgreSQL). Policy, forwarding
and pages share one Inbound, so that no request is parsed twice.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import assert_never
from urllib.parse import urlencode

from gateway.dispatch.challenges import CHALLENGE, JSON, NO_STORE, Challenges, refuse_token
from gateway.dispatch.contracts import FramedPage, Notes
from gateway.dispatch.forms.late import Foreign, LateForms, Outcome, RepeatThere, Send, Show
from gateway.dispatch.forward_auth import ForwardAuth
from gateway.dispatch.waits import Waits
from gateway.edge.client_request import ClientRequest
from gateway.edge.origin import is_foreign_websocket, page_origin
from gateway.edge.request import Reader
from gateway.model.factor import Factor
from gateway.model.inbound import NOTHING, Inbound
from gateway.model.session import Session
from gateway.policy.decision import (
    Decision,
    Forward,
    Outside,
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
from gateway.sessions.lookup import Lookup
from gateway.store import StoreUnavailable
from gateway.throttle.client import client_of
from gateway.web.redirects import FLAGS
from gateway.web.return_to import DeadEnds, again_query, lost_query, safe_return, sent_value, way_back, way_query
from gateway.wire.cookies import SENT_COOKIE
from gateway.wire.deadlines import Deadlines
from gateway.wire.failures import Failure

NO_IDENTITY = b""
SENT_SECONDS = 3_600  # the sign-in page may stay open in another tab for this long
# Internal paths of the pages' application. They have no route: only the dispatcher sends requests to them.
KEEP_PATH = b"/_gateway/keep"
KEEP_FOREIGN_PATH = b"/_gateway/keep-foreign"


class Dispatcher:
    """`admit_page` returns the field line of a one-time ticket for the pages (see web.application.Desk).

    `public_origin` is the base of absolute links. Forms and WebSockets may come from any of `origins`. `steps` are the
    paths of the pages that verify each factor; `dead_ends` are not returned to after signing in. `is_hashing_full` says
    whether a client's password would be refused at once; the page that says so costs ten times as much.
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
        notes: Notes,
        challenges: Challenges,
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
        self._notes = notes
        self._challenges = challenges
        self._dead_ends = dead_ends
        self._forward_auth_path = forward_auth_path
        self._forward_auth = ForwardAuth(
            reader, rules, clock, identities, steps, public_origin, origins, challenges, notes
        )
        self._late = late
        self._waits = Waits(lookup, rules, clock, late)
        self._framed_page = framed_page

    def adopt(self, rules: Rules) -> None:
        """Use these rules from now on."""
        self._rules = rules
        self._forward_auth.adopt(rules)
        self._waits.adopt(rules)

    def handle(self, client: ClientRequest, inbound: Inbound) -> None:
        """Respond to `inbound` or relay it. If the store is unavailable, requests with a session cookie are refused."""
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
            self._waits.find_session(client, inbound, key, self._carry_out)

    def reauthorise(self, inbound: Inbound) -> Awaitable[Decision]:
        """Re-authorise a request whose body has arrived (Waits.reauthorise)."""
        return self._waits.reauthorise(inbound)

    def _carry_out(self, client: ClientRequest, inbound: Inbound, session: Session | None) -> None:
        if session is not None:
            client.account = session.account
            views = session.views
            if views is not None and client.view is None and inbound.readings[0] != self._forward_auth_path:
                client.view = views, inbound, self._clock.utc
            if session.grant is not None and inbound.path != self._forward_auth_path:
                self._notes.token(session, inbound, self._clock.utc)
        match decide(inbound, session, self._rules, self._clock.utc):
            case Forward() as admitted:  # faster than Forward(session): unpacking costs more than the decision
                self._forward(client, inbound, admitted.session)
            case Page(known):
                self._show(client, inbound, known)
            case SignIn() if inbound.has_token:
                refuse_token(client, inbound)
            case SignIn() if inbound.method == "OPTIONS":
                self._challenges.answer_options(client, inbound)
            case SignIn():
                if not self._keep_form(client, inbound, None):
                    self._ask_to_sign_in(client, inbound)
            case StepUp(known) as asked:
                if not self._keep_form(client, inbound, known):
                    self._ask_for_proof(client, inbound, asked)
            case Refuse(known, _, is_limit):
                client.refuse(Failure.TOKEN_LIMITED if is_limit else Failure.FORBIDDEN, known)
            case Outside(known):
                self._notes.outside(known, inbound, self._clock.utc)
                client.refuse(Failure.OTHER_NETWORK, known)

    def _forward(self, client: ClientRequest, inbound: Inbound, session: Session | None) -> None:
        if inbound.length and not client.has_enough():
            return
        if inbound.method == "POST" and session is not None and not inbound.has_token and self._late.is_button(inbound):
            self._waits.judge_form(client, inbound, session, self._answer_saved_form)
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
        if self._is_sign_in_while_full(inbound):
            client.refuse(Failure.SIGN_IN_BUSY, session)
            return
        if inbound.length and not client.has_enough():
            return
        if session is not None and self._late.is_page(inbound):
            self._waits.judge_form(client, inbound, session, self._answer_saved_form)
            return
        self._relay(client, inbound, self._pages, self._page_head(inbound, session), None)

    def _is_sign_in_while_full(self, inbound: Inbound) -> bool:
        """Whether this is a sign-in whose password would be refused at once, because the hashing queue is full."""
        is_sign_in = inbound.method == "POST" and inbound.path == self._steps[Factor.PASSWORD]
        return is_sign_in and self._is_hashing_full(client_of(inbound.address))

    def _page_head(self, inbound: Inbound, session: Session | None, target: bytes = b"") -> bytes:
        """Return the head for our pages, which get only the Content-Type. The ticket leads to everything else, so no
        cookie or field can be too long for them.
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
        """Relay to the upstream or the pages. `body` is that of a saved form."""
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
        self._require_sign_in(client, inbound, address, "sign_in_required", "Sign in to continue.", cookie)

    def _ask_for_proof(self, client: ClientRequest, inbound: Inbound, asked: StepUp) -> None:
        """Redirect to the page that verifies the missing factor."""
        address = f"{self._steps[asked.factor]}?{way_query(inbound, self._origins)}&{again_query(asked.is_only)}"
        self._require_sign_in(client, inbound, address, "proof_required", "Confirm that it is you to continue.")

    def _require_sign_in(
        self, client: ClientRequest, inbound: Inbound, address: str, error: str, message: str, *lines: bytes
    ) -> None:
        """Redirect a navigation to `address`, with further field lines; respond with 401 to other requests.

        In frames, and for service workers, the 401 has a page with a link.
        """
        is_lost = self._late.is_lost(inbound)
        told = f"{address}&{lost_query(inbound, self._origins)}" if is_lost else address
        if inbound.is_page:
            self._redirect(client, 303, told, *lines)
            return
        if inbound.wants_html:
            fields, page = self._framed_page(inbound, told, is_lost=is_lost)
            client.answer(401, (*fields, CHALLENGE, *lines), page)
            return
        redirect = (b"HX-Redirect: " + told.encode("ascii"), *lines) if inbound.is_htmx else ()
        body = {
            "error": error,
            "message": message,
            "sign_in": self._public_origin + address,
            "request_id": inbound.request_id,
        }
        challenges = self._challenges.lines(inbound)
        client.answer(401, (JSON, NO_STORE, *challenges, *redirect), json.dumps(body).encode())

    # Saved forms.

    def _keep_form(self, client: ClientRequest, inbound: Inbound, session: Session | None) -> bool:
        """Send a form that must wait for a sign-in to the pages, which save it. Returns whether it was one.

        Forms for our own pages are not saved: they are short, and saved forms are only sent to the upstream.
        """
        if find_page(inbound, self._rules) is not None:
            return False
        if self._late.is_saveable(inbound, session):
            path = KEEP_PATH
        elif session is None and takes_foreign_form(inbound, self._rules) and self._late.is_foreign(inbound):
            path = KEEP_FOREIGN_PATH
        else:
            return False
        if not client.has_enough():
            return True
        self._relay(client, inbound, self._pages, self._page_head(inbound, session, path), None)
        return True

    def _answer_saved_form(
        self, client: ClientRequest, inbound: Inbound, session: Session, outcome: Outcome, decision: Decision | None
    ) -> None:
        """Respond to a request about a saved form. `decision` is about the form that is to be sent."""
        page = self._late.page_of(inbound)
        if isinstance(outcome, Send) and isinstance(decision, Forward):
            original, known = outcome.original, decision.session
            identity = self._identities.lines(known, self._clock.utc) if known else NO_IDENTITY
            head = self._writer.head(original, identity)
            if session.views is not None:
                client.view = session.views, original, self._clock.utc  # in the place of the button
            self._relay(client, original, self._upstream, head, known, outcome.kept.form.body)
        elif isinstance(outcome, Send):
            client.refuse(Failure.FORBIDDEN)
        elif isinstance(outcome, RepeatThere):
            self._redirect(client, 307, page_origin(inbound, self._origins) + outcome.target)
        elif isinstance(outcome, Show) and inbound.method == "POST":
            self._redirect(client, 303, page)
        elif isinstance(outcome, Show):
            self._relay(client, inbound, self._pages, self._page_head(inbound, session), None)
        elif isinstance(outcome, StepUp):
            way = urlencode({"next": page}, safe="/")
            self._redirect(client, 303, f"{self._steps[outcome.factor]}?{way}&{again_query(outcome.is_only)}")
        elif isinstance(outcome, Refuse):
            client.refuse(Failure.FORBIDDEN, outcome.session)
        elif isinstance(outcome, Foreign):
            client.refuse(Failure.FOREIGN_FORM, session)
        else:
            assert_never(outcome)

    def _redirect(self, client: ClientRequest, status: int, address: str, *lines: bytes) -> None:
        client.answer(status, (b"Location: " + address.encode("ascii"), NO_STORE, *lines), b"")
