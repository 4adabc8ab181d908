"""Pages of the sign-in link: the waiting page, and the page that the link opens."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Protocol

from aiohttp import web

from gateway.factors.contract import Factors, Reason, Wrong
from gateway.factors.magic_link.factor import MagicLinkFactor
from gateway.factors.magic_link.mailing import note_of
from gateway.factors.magic_link.rows import LIFE_SECONDS, Link, State
from gateway.factors.magic_link.service import Links, Opened
from gateway.login import step_pages
from gateway.login.code_page import helper_of
from gateway.login.commands import unlock_command
from gateway.login.evidence import Evidence
from gateway.login.outcome import Blocked, Gone, GoOn, LockedOut, OtherNetwork, Refused, SignedIn
from gateway.login.step_pages import StepPages
from gateway.mail.outbox import MailState
from gateway.model.factor import Factor
from gateway.model.secret import Secret
from gateway.store import Store
from gateway.web.redirects import Wish, see_other
from gateway.web.rendering import minutes_of, seconds_until
from gateway.web.visit import Visit, read_form, visit_of

NOTES = ("again", "many")
STATES = {Reason.EXPIRED: State.EXPIRED, Reason.USED: State.USED, Reason.SUPERSEDED: State.SUPERSEDED}
STATUS = {State.GOOD: 200, State.EXPIRED: 410, State.USED: 410, State.SUPERSEDED: 410}


class Needs(step_pages.Needs, Protocol):
    @property
    def factors(self) -> Factors: ...
    @property
    def store(self) -> Store: ...


class LinkPages(StepPages):
    factor: ClassVar[Factor] = Factor.MAGIC_LINK

    def __init__(self, needs: Needs) -> None:
        super().__init__(needs)
        self._factor = needs.factors.find(MagicLinkFactor)
        self._sender = self._factor.sender
        self._links = Links(needs.store, needs.flow, self._factor)

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /login/link: the waiting page. Its script polls whether the link was used."""
        visit, wish = visit_of(request), self._answers.wish_of_query(request)
        now = visit.now
        evidence = await self._flow.find(visit, again=wish.again, now=now)
        if evidence is None:
            return self._answers.restart(visit, wish)
        if not self._may_mail(evidence, wish):
            return self._answers.step(evidence.next, wish) if evidence.next else see_other(wish.target)
        link = await self._links.latest(evidence.holder)
        is_said_to_be_opened = "waiting" in request.query
        if is_said_to_be_opened and link and link.used_at is not None:
            return see_other(wish.target)  # for a fresh proof, the session alone doesn't show that the link was used
        note = request.query.get("mail", "")
        return await self._waiting(visit, evidence, wish, link, now, note=note, is_unopened=is_said_to_be_opened)

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """POST /login/link: `code`, as another browser showed it, or `resend`."""
        form = await read_form(request)
        visit = visit_of(request)
        wish, now = self._answers.wish_of_form(form), visit.now
        if form.text("resend"):
            return await self._resend(visit, wish, now)
        outcome = await self._flow.prove(visit, self.factor, Secret(form.text("code")), again=wish.again, now=now)
        self._counts.note(self.factor, outcome)
        if isinstance(outcome, SignedIn | GoOn | OtherNetwork):
            return await self.proceed(visit, wish, outcome, now)
        evidence = await self._flow.find(visit, again=wish.again, now=now)
        if evidence is None or isinstance(outcome, Gone) or not self._may_mail(evidence, wish):
            return self._answers.restart(visit, wish)
        link = await self._links.latest(evidence.holder)
        return await self._waiting(visit, evidence, wish, link, now, problem=outcome)

    async def open(self, request: web.Request) -> web.StreamResponse:
        """GET /login/link/{token}: a button, a code, or why the link is invalid. Read-only."""
        visit = visit_of(request)
        now = visit.now
        opened = await self._links.look(visit, request.match_info["token"], now)
        return self._opened(visit, opened, opened.link.state(now)) if opened else self._unknown(visit)

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """POST /login/link/{token}: complete the sign-in."""
        visit, token = visit_of(request), request.match_info["token"]
        now = visit.now
        opened = await self._links.look(visit, token, now)
        if opened is None:
            return self._unknown(visit)
        link = opened.link
        outcome = await self._links.open(visit, token, now)
        self._counts.note(self.factor, outcome)
        match outcome:
            case SignedIn() | GoOn() | OtherNetwork():
                return await self.proceed(visit, Wish(link.target), outcome, now)
            case Refused(Wrong(reason)):
                return self._opened(visit, opened, STATES[reason])
            case _:
                return self._opened(visit, replace(opened, is_ours=False), link.state(now))

    # Pages.

    async def _resend(self, visit: Visit, wish: Wish, now: int) -> web.StreamResponse:
        evidence = await self._flow.find(visit, again=wish.again, now=now)
        if evidence is None or not self._may_mail(evidence, wish):
            return self._answers.restart(visit, wish)
        before = await self._links.latest(evidence.holder)
        sent = await self._sender.send(evidence.account, evidence.holder, wish.target, visit.inbound, now)
        response = self._answers.step(Factor.MAGIC_LINK, wish)
        is_another = before is not None and before.state(now) is State.GOOD
        response.headers["Location"] += "&mail=again" if is_another and sent is MailState.SENT else note_of(sent)
        return response

    async def _waiting(
        self,
        visit: Visit,
        evidence: Evidence,
        wish: Wish,
        link: Link | None,
        now: int,
        *,
        note: str = "",
        problem: Refused | LockedOut | Blocked | None = None,
        is_unopened: bool = False,
    ) -> web.Response:
        """Show the page that waits for `link`. If there is no valid one, it offers to send one."""
        status, wait, name = 200, 0, ""
        match problem:
            case Refused(why):
                status, name = 422, why.reason.value
            case LockedOut(until):
                status, wait, name = 429, seconds_until(until, now), "locked"
            case Blocked():
                status, name = 403, "blocked"
        is_good = link is not None and link.state(now) is State.GOOD
        mail = await self._sender.state_of(link) if link is not None and is_good else None
        return self._renderer.page(
            "magic_link/wait.html",
            visit if evidence.session else None,
            status=status,
            action=self._answers.steps[Factor.MAGIC_LINK],
            start_over=self._answers.steps[Factor.PASSWORD],
            who=evidence.account.identifier,
            wish=wish,
            note=note if note in NOTES else "",
            is_unopened=is_unopened,
            mail=mail.value if mail else "",
            has_server=self._sender.has_server,
            minutes_left=-(-(link.created_at + LIFE_SECONDS - now) // 60) if link and is_good else 0,
            helper=helper_of(evidence),
            command=unlock_command(evidence.account.identifier, "--one-time-link"),
            wait=wait,
            minutes=minutes_of(wait),
            life=LIFE_SECONDS // 60,
            problem=name,
            passkey=f"{self._answers.steps[Factor.PASSKEY]}?{wish.query}" if evidence.may_be_found else "",
        )

    def _opened(self, visit: Visit, opened: Opened, state: State) -> web.Response:
        link, is_ours = opened.link, opened.is_ours
        shown, status = state.value, STATUS[state]
        if state is State.GOOD and not is_ours:
            shown, status = ("elsewhere", 200) if opened.is_awaited else ("over", 410)
        return self._page(
            visit,
            shown,
            status,
            code=self._factor.code_of(link) if shown == "elsewhere" else "",
            who=opened.account.identifier if opened.account else "",
            waiting=f"{self._answers.steps[Factor.MAGIC_LINK]}?{Wish(link.target).query}" if is_ours else "",
        )

    def _unknown(self, visit: Visit) -> web.Response:
        """Show that the link is unknown: truncated by a mail program, or deleted because of its age."""
        return self._page(visit, "unknown", 404)

    def _page(
        self, visit: Visit, state: str, status: int, *, code: str = "", who: str = "", waiting: str = ""
    ) -> web.Response:
        return self._renderer.page(
            "magic_link/opened.html",
            visit if visit.signed_in else None,
            status=status,
            state=state,
            code=code,
            who=who,
            waiting=waiting,
            sign_in=self._answers.steps[Factor.PASSWORD],
        )

    def _may_mail(self, evidence: Evidence, wish: Wish) -> bool:
        """Whether a link may be mailed: it is next, or a page needs a fresh proof and earlier factors are proved."""
        return evidence.next == self.factor or (wish.again and evidence.admits(self._factor))
