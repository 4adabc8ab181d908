"""Base class of pages that ask for one factor's code: show the form, pass the code to the flow, show the outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Protocol

from aiohttp import web

from gateway.factors.contract import Factors, Wrong
from gateway.login import step_pages
from gateway.login.commands import unlock_command
from gateway.login.evidence import Evidence
from gateway.login.flow import Outcome
from gateway.login.new_codes import show_codes
from gateway.login.outcome import Blocked, Gone, GoOn, LockedOut, OtherNetwork, Refused, SignedIn
from gateway.login.step_pages import StepPages
from gateway.model.account import Role
from gateway.model.factor import Factor
from gateway.model.secret import Secret
from gateway.web.redirects import Wish, see_other
from gateway.web.rendering import minutes_of, seconds_until
from gateway.web.return_to import NOT_KEPT
from gateway.web.visit import Form, Visit, read_form, visit_of

Problem = Wrong | LockedOut | Blocked


class Needs(step_pages.Needs, Protocol):
    @property
    def factors(self) -> Factors: ...


class CodePage(StepPages):
    """Asks for `factor` with `template`. Each factor's pages inherit from it; `facts` adds values for the template."""

    template: ClassVar[str]

    def __init__(self, needs: Needs) -> None:
        super().__init__(needs)
        self._factors = needs.factors

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET: the form, if the factor is next or a page needs a fresh proof of it."""
        visit, wish = visit_of(request), self._answers.wish_of_query(request)
        now = visit.now
        evidence = await self._flow.find(visit, again=wish.again, now=now)
        if evidence is None:
            return self._answers.restart(visit, wish)
        if evidence.next is None and not wish.again:
            return see_other(wish.target)
        factor = self._factors[self.factor]
        if not evidence.admits(factor) or not (evidence.next is None or evidence.expects(factor)):
            # The sign-in page then asks for the password of the session's person.
            is_again = wish.again or evidence.session is not None
            return self._answers.step(evidence.next or Factor.PASSKEY, replace(wish, again=is_again))
        return await self.page(visit, evidence, wish, now, is_lost=NOT_KEPT in request.query)

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """POST: `code`, `next`."""
        form = await read_form(request)
        visit, wish = visit_of(request), self._answers.wish_of_form(form)
        now = visit.now
        outcome = await self._flow.prove(visit, self.factor, self.given_in(form), again=wish.again, now=now)
        return await self.answer(visit, wish, outcome, now)

    def given_in(self, form: Form) -> Secret[str]:
        """Return what the factor verifies."""
        return Secret(form.text("code"))

    async def enrol(self, visit: Visit, wish: Wish, offered: str, given: Secret[str], now: int) -> web.StreamResponse:
        """Set the factor up during sign-in, and show the backup codes that come with it, if any."""
        outcome = await self._flow.enrol(visit, self.factor, offered, given, again=wish.again, now=now)
        if not isinstance(outcome, SignedIn) or not outcome.codes:
            return await self.answer(visit, wish, outcome, now, offered)
        self._counts.note(self.factor, outcome)
        target = self._answers.next_url(visit, outcome, wish.target)
        page = show_codes(self._renderer, self._url, visit, outcome.codes, account=outcome.account, target=target)
        return self._answers.with_session(page, visit, outcome, wish.target)

    async def answer(
        self, visit: Visit, wish: Wish, outcome: Outcome, now: int, offered: str = ""
    ) -> web.StreamResponse:
        """Respond to an outcome. `offered` is the enrolment that the code was to complete, if any."""
        self._counts.note(self.factor, outcome)
        if isinstance(outcome, SignedIn | GoOn | OtherNetwork):
            return await self.proceed(visit, wish, outcome, now)
        evidence = await self._flow.find(visit, again=wish.again, now=now)
        if evidence is None or isinstance(outcome, Gone):
            return self._answers.restart(visit, wish)
        problem = outcome.why if isinstance(outcome, Refused) else outcome
        return await self.page(visit, evidence, wish, now, problem, offered)

    async def page(
        self,
        visit: Visit,
        evidence: Evidence,
        wish: Wish,
        now: int,
        problem: Problem | None = None,
        offered: str = "",
        is_lost: bool = False,
    ) -> web.Response:
        status, wait, minutes = judge(problem, now)
        return self._renderer.page(
            self.template,
            visit if evidence.session else None,
            status=status,
            wait=wait,
            action=self._answers.steps[self.factor],
            start_over=self._answers.steps[Factor.PASSWORD],
            who=evidence.account.identifier,
            wish=wish,
            problem=name_of(problem),
            minutes=minutes,
            helper=helper_of(evidence),
            command=unlock_command(evidence.account.identifier, "--reset-2fa"),
            is_lost=is_lost,
            **await self.facts(evidence, wish),
        )

    async def facts(self, evidence: Evidence, wish: Wish) -> Mapping[str, object]:
        """Return further values for the template."""
        return {}


def helper_of(evidence: Evidence) -> str:
    """Return who can reset the person's second factor: the operator for owners, another admin for admins."""
    if evidence.is_owner:
        return "operator"
    return "other admin" if evidence.account.role is Role.ADMIN else "admin"


def judge(problem: Problem | None, now: int) -> tuple[int, int, int]:
    """Return the status, the seconds of Retry-After, and the minutes that the page shows."""
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


def name_of(problem: Problem | None) -> str:
    match problem:
        case None:
            return ""
        case LockedOut():
            return "locked"
        case Blocked():
            return "blocked"
        case Wrong(reason):
            return reason.value
