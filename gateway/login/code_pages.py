"""The pages that ask for a code: TOTP, its first set-up, and backup codes."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from gateway.factors.contract import Wrong
from gateway.factors.totp import TOTPFactor, provisioning_uri, write_key
from gateway.login.answers import Answers
from gateway.login.commands import unlock_command
from gateway.login.counting import SignInCounts
from gateway.login.evidence import Evidence
from gateway.login.flow import Flow, Outcome
from gateway.login.next_factor import NextFactor
from gateway.login.outcome import Blocked, Gone, GoOn, LockedOut, Refused, SignedIn
from gateway.login.qr import draw
from gateway.model.account import Role
from gateway.model.factor import Factor
from gateway.model.secret import Secret
from gateway.throttle.side_work import SideWork
from gateway.web.platform import Platform
from gateway.web.redirects import Wish, see_other
from gateway.web.rendering import minutes_of, seconds_until
from gateway.web.return_to import NOT_KEPT
from gateway.web.visit import Visit, read_form, visit_of


class Needs(Platform, Protocol):
    @property
    def answers(self) -> Answers: ...
    @property
    def flow(self) -> Flow: ...
    @property
    def next_factor(self) -> NextFactor: ...
    @property
    def product(self) -> str: ...
    @property
    def side(self) -> SideWork: ...
    @property
    def sign_in_counts(self) -> SignInCounts: ...
    @property
    def totp(self) -> TOTPFactor: ...


class CodePages:
    """`issuer` is how the account is called in an authenticator app."""

    def __init__(self, needs: Needs) -> None:
        self._flow = needs.flow
        self._next_factor = needs.next_factor
        self._answers = needs.answers
        self._totp = needs.totp
        self._issuer = needs.product
        self._side = needs.side
        self._counts = needs.sign_in_counts
        self._renderer = needs.renderer
        self._url = needs.url

    async def show_totp(self, request: web.Request) -> web.StreamResponse:
        """GET /login/totp: the form for a code, or for setting TOTP up where that is what comes next."""
        return await self._show(request, Factor.TOTP)

    async def submit_totp(self, request: web.Request) -> web.StreamResponse:
        """POST /login/totp: `code`, `next`; `offered` where it is being set up."""
        form = await read_form(request)
        visit = visit_of(request)
        wish, now = self._answers.wish_of_form(form), visit.now
        offered, code = form.text("offered"), Secret(form.text("code"))
        if not offered:
            outcome = await self._flow.prove(visit, Factor.TOTP, code, again=wish.again, now=now)
            return await self._answer(visit, wish, outcome, Factor.TOTP, now)
        outcome = await self._flow.enrol(visit, offered, code, again=wish.again, now=now)
        if isinstance(outcome, SignedIn) and outcome.backup_codes:
            self._counts.note(Factor.TOTP, outcome)
            target = self._answers.way_on(visit, outcome, wish.target)
            page = self._renderer.page("login/codes.html", None, codes=outcome.backup_codes, target=target, count=None)
            return self._answers.with_session(page, visit, outcome, wish.target)
        return await self._answer(visit, wish, outcome, Factor.TOTP, now, offered)

    async def show_backup(self, request: web.Request) -> web.StreamResponse:
        """GET /login/backup"""
        return await self._show(request, Factor.BACKUP_CODE)

    async def submit_backup(self, request: web.Request) -> web.StreamResponse:
        """POST /login/backup: `code`, `next`."""
        form = await read_form(request)
        visit = visit_of(request)
        wish, now = self._answers.wish_of_form(form), visit.now
        outcome = await self._flow.prove(
            visit, Factor.BACKUP_CODE, Secret(form.text("code")), again=wish.again, now=now
        )
        return await self._answer(visit, wish, outcome, Factor.BACKUP_CODE, now)

    # Showing.

    async def _show(self, request: web.Request, factor: Factor) -> web.StreamResponse:
        visit, wish = visit_of(request), self._answers.wish_of_query(request)
        now = visit.now
        evidence = await self._flow.find(visit, again=wish.again, now=now)
        if evidence is None:
            return self._nothing_to_prove(visit, wish)
        if evidence.next not in (Factor.TOTP, None) or (evidence.next is None and not wish.again):
            return self._answers.step(evidence.next, wish) if evidence.next else see_other(wish.target)
        return await self._page(visit, evidence, wish, factor, now, is_lost=NOT_KEPT in request.query)

    def _nothing_to_prove(self, visit: Visit, wish: Wish) -> web.Response:
        """Who is signed in goes on; everybody else begins at the beginning."""
        if visit.signed_in is not None:
            return see_other(wish.target)
        return self._answers.step(Factor.PASSWORD, Wish(wish.target))

    async def _page(
        self,
        visit: Visit,
        evidence: Evidence,
        wish: Wish,
        factor: Factor,
        now: int,
        problem: Wrong | LockedOut | Blocked | None = None,
        offered: str = "",
        is_lost: bool = False,
    ) -> web.Response:
        if factor is Factor.TOTP and not evidence.has_totp:
            if evidence.next is not Factor.TOTP:  # a page wants a factor that the account need not have
                return see_other(f"{self._url('security_totp')}?{Wish(wish.target).query}")
            return await self._enrolment(evidence, wish, now, problem, offered)
        status, wait, minutes = judge(problem, now)
        return self._renderer.page(
            "login/totp.html" if factor is Factor.TOTP else "login/backup.html",
            visit if evidence.session else None,
            status=status,
            wait=wait,
            action=self._answers.steps[factor],
            other=f"{self._url('backup') if factor is Factor.TOTP else self._answers.steps[Factor.TOTP]}?{wish.query}",
            start_over=self._answers.steps[Factor.PASSWORD],
            who=evidence.account.identifier,
            wish=wish,
            problem=name_of(problem),
            minutes=minutes,
            clock=evidence.enrolment.clock,
            helper=helper_of(evidence),
            command=unlock_command(evidence.account.identifier, "--reset-2fa"),
            is_lost=is_lost,
        )

    async def _enrolment(
        self, evidence: Evidence, wish: Wish, now: int, problem: Wrong | LockedOut | Blocked | None, offered: str
    ) -> web.Response:
        """Show the secret that was offered already (a wrong code does not change it), or a new one."""
        account = evidence.account
        secret = self._totp.reopen(account.id, offered, now) if offered else None
        if secret is None:
            secret, offered = self._totp.offer(account.id, now)
        uri = provisioning_uri(secret, account.identifier, self._issuer)
        status, wait, minutes = judge(problem, now)
        return self._renderer.page(
            "login/enrol.html",
            None,
            status=status,
            wait=wait,
            action=self._answers.steps[Factor.TOTP],
            start_over=self._answers.steps[Factor.PASSWORD],
            who=account.identifier,
            wish=wish,
            is_needed=False,
            offered=offered,
            uri=uri,
            key=grouped(write_key(secret)),
            picture=await self._side.run(draw, uri),
            problem=name_of(problem),
            minutes=minutes,
        )

    # Answering.

    async def _answer(
        self, visit: Visit, wish: Wish, outcome: Outcome, factor: Factor, now: int, offered: str = ""
    ) -> web.StreamResponse:
        self._counts.note(factor, outcome)
        match outcome:
            case SignedIn():
                return self._answers.welcome(visit, outcome, wish.target)
            case GoOn():
                return await self._next_factor.ask(visit, outcome, wish, now)
            case Gone():
                return self._nothing_to_prove(visit, wish)
            case Refused(why):
                return await self._again(visit, wish, factor, now, why, offered)
            case LockedOut() | Blocked():
                return await self._again(visit, wish, factor, now, outcome, offered)

    async def _again(
        self, visit: Visit, wish: Wish, factor: Factor, now: int, problem: Wrong | LockedOut | Blocked, offered: str
    ) -> web.StreamResponse:
        evidence = await self._flow.find(visit, again=wish.again, now=now)
        if evidence is None:
            return self._nothing_to_prove(visit, wish)
        return await self._page(visit, evidence, wish, factor, now, problem, offered)


def helper_of(evidence: Evidence) -> str:
    """Return who can reset the two-factor sign-in: for an owner the operator, for an admin another one if any."""
    if evidence.is_owner:
        return "operator"
    return "other admin" if evidence.account.role is Role.ADMIN else "admin"


def judge(problem: Wrong | LockedOut | Blocked | None, now: int) -> tuple[int, int, int]:
    """Return status, the seconds to wait, and the minutes that the page speaks of."""
    match problem:
        case None:
            return 200, 0, 0
        case LockedOut(until):
            wait = seconds_until(until, now)
            return 429, wait, minutes_of(wait)
        case Blocked():
            return 403, 0, 0
        case Wrong(_, minutes):
            return 422, 0, minutes


def name_of(problem: Wrong | LockedOut | Blocked | None) -> str:
    match problem:
        case None:
            return ""
        case LockedOut():
            return "locked"
        case Blocked():
            return "blocked"
        case Wrong(reason):
            return reason.value


def grouped(key: str) -> str:
    """Return a manual key in groups of four, as people type it."""
    return " ".join(key[at : at + 4] for at in range(0, len(key), 4))
