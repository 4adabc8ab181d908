"""/admin/accounts: find and change people of a tenant; /ops/accounts: the same for the owner, in all tenants."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import urlencode

from aiohttp import web

from gateway.accounts.directory import Wanted
from gateway.accounts.people import Administrator, PeopleService, Result
from gateway.accounts.people_set import PeopleSet, modules_of, status_of
from gateway.model.account import (
    Module,
    Role,
    State,
    Status,
    Unacceptable,
    check_name,
    is_respelled,
    normalise_identifier,
)
from gateway.model.sentence import Sentence
from gateway.sessions.reach import Reaches
from gateway.web.platform import Platform
from gateway.web.redirects import see_other
from gateway.web.visit import Form, asked_of, read_form, signed_in_of, visit_of

NOTHING: Mapping[str, str] = MappingProxyType({})
UNSEEN_DAYS = (30, 90, 365)
MAX_WORDS = 200  # characters
DONE = (
    "reset",
    "signed-out",
    "invited",
    "resent",
    "renamed",
    "role",
    "email",
    "disabled",
    "enabled",
    "removed",
    "secured",
    "proved",
)


class Needs(Platform, Protocol):
    @property
    def people(self) -> PeopleService: ...
    @property
    def reaches(self) -> Reaches: ...


class AccountsPages:
    def __init__(self, needs: Needs, *, people: PeopleSet) -> None:
        self._service = needs.people
        self._reaches = needs.reaches
        self._renderer = needs.renderer
        self._people = people
        self._at = partial(people.path, needs.url)
        self._changes: Mapping[str, Callable[[Administrator, str, Form], Awaitable[Result]]] = {
            "resent": self._resend,
            "renamed": self._rename,
            "role": self._set_role,
            "email": self._set_email,
            "disabled": self._disable,
            "enabled": self._enable,
            "removed": self._remove,
        }

    # The list.

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/accounts: `q`, `role`, `state`, `totp`, `unseen`, `tenant`, `after`."""
        wanted = parse_filters(request.query)
        members, after = await self._service.page(self._people.admin_of(request), wanted)
        more = {name: value for name, value in request.query.items() if name not in ("after", "done")}
        return await self._page(
            "accounts/accounts.html",
            request,
            members=members,
            wanted=wanted,
            roles=list(Role),
            states=list(State),
            unseen_days=UNSEEN_DAYS,
            next_page=f"{self._at()}?{urlencode({**more, 'after': after})}" if after else "",
            first_page=f"{self._at()}?{urlencode(more)}",
            is_filtered=wanted != Wanted(after=wanted.after),
        )

    # One person.

    async def show_member(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/accounts/member?account=ID"""
        return await self._show_member(request, asked_of(request, "account"))

    async def change(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/accounts/member: `account`, `do`, and its `name`, `role`, `module-…` or `email`.

        Disabling and removing ask for confirmation.
        """
        form = await read_form(request)
        account_id, what = form.text("account"), form.text("do")
        act = self._changes.get(what)
        if act is None:
            raise web.HTTPBadRequest
        if what in ("disabled", "removed") and not form.is_confirmed:
            return await self._ask(what, request, account_id, self._at("member"), {"do": what})
        try:
            result = await act(self._people.admin_of(request), account_id, form)
        except Respelled as error:
            return await self._show_member(request, account_id, problem="respelled", email=error.identifier)
        except Unacceptable as error:
            return await self._show_member(request, account_id, problem=error.sentence)
        match result:
            case Result.DONE if what == "removed":
                return see_other(f"{self._at()}?done=removed")
            case Result.DONE:
                return see_other(f"{self._at('member')}?{urlencode({'account': account_id, 'done': what})}")
            case Result.NOT_THERE:
                raise web.HTTPNotFound
            case _:
                return await self._show_member(request, account_id, problem=result.value)

    async def _show_member(
        self, request: web.Request, account_id: str, problem: str = "", email: str = ""
    ) -> web.Response:
        admin = self._people.admin_of(request)
        member = await self._service.find(admin, account_id)
        if member is None:
            raise web.HTTPNotFound
        return await self._page(
            "accounts/member.html",
            request,
            status=status_of(problem),
            member=member,
            may_change=self._service.may_change(admin, member.account),
            is_self=member.account.id == admin.session.account,
            summaries=await self._service.summarise_factors(account_id),
            ways=await self._service.list_ways(account_id),
            pending=await self._service.find_change(account_id),
            email=email,
            roles=list(Role),
            modules=list(Module),
            problem=problem,
        )

    async def _resend(self, admin: Administrator, account_id: str, form: Form) -> Result:
        return await self._service.resend(admin, account_id)

    async def _rename(self, admin: Administrator, account_id: str, form: Form) -> Result:
        return await self._service.rename(admin, account_id, check_name(form.text("name")))

    async def _set_role(self, admin: Administrator, account_id: str, form: Form) -> Result:
        role, modules = role_of(form), modules_of(form)
        return await self._service.set_role(admin, account_id, role, modules)

    async def _set_email(self, admin: Administrator, account_id: str, form: Form) -> Result:
        identifier = check_spelling(form.text("email"))
        return await self._service.ask_for_email(admin, account_id, identifier)

    async def _disable(self, admin: Administrator, account_id: str, form: Form) -> Result:
        return await self._service.set_status(admin, account_id, Status.DISABLED)

    async def _enable(self, admin: Administrator, account_id: str, form: Form) -> Result:
        return await self._service.set_status(admin, account_id, Status.ACTIVE)

    async def _remove(self, admin: Administrator, account_id: str, form: Form) -> Result:
        return await self._service.remove(admin, account_id)

    # Changes that ask for confirmation.

    async def confirm_reset(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/accounts/reset-2fa?account=ID"""
        return await self._ask("reset", request, asked_of(request, "account"), self._at("reset"))

    async def reset(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/accounts/reset-2fa: `account`, `confirmed`."""
        form = await read_form(request)
        account_id = form.text("account")
        if not form.is_confirmed:
            return await self._ask("reset", request, account_id, self._at("reset"))
        result = await self._service.reset_two_factor(self._people.admin_of(request), account_id)
        return self._back(result, account_id, "reset")

    async def confirm_sign_out(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/accounts/sign-out?account=ID"""
        return await self._ask("signed-out", request, asked_of(request, "account"), self._at("sign_out"))

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/accounts/sign-out: `account`, `confirmed`."""
        form = await read_form(request)
        account_id = form.text("account")
        if not form.is_confirmed:
            return await self._ask("signed-out", request, account_id, self._at("sign_out"))
        result = await self._service.sign_out(self._people.admin_of(request), account_id)
        return self._back(result, account_id, "signed-out")

    async def _ask(
        self, kind: str, request: web.Request, account_id: str, action: str, more: Mapping[str, str] = NOTHING
    ) -> web.Response:
        """Show the confirmation page, with the number of devices affected."""
        admin = self._people.admin_of(request)
        member = await self._service.find(admin, account_id)
        if member is None or not self._service.may_change(admin, member.account):
            raise web.HTTPNotFound
        if kind == "removed" and member.state is not State.INVITED:
            raise web.HTTPNotFound
        return await self._page(
            "web/confirm.html",
            request,
            kind=kind,
            subject=member.account.name,
            reach=await self._reaches.of_account(account_id, visit_of(request).now),
            action=action,
            fields={"account": account_id, **more},
            back=f"{self._at('member')}?{urlencode({'account': account_id})}",
        )

    def _back(self, result: Result, account_id: str, done: str) -> web.Response:
        if result is not Result.DONE:
            raise web.HTTPNotFound
        return see_other(f"{self._at('member')}?{urlencode({'account': account_id, 'done': done})}")

    # Shared.

    async def _page(self, template: str, request: web.Request, *, status: int = 200, **context: Any) -> web.Response:
        done = request.query.get("done", "")
        context |= {
            "tenant": signed_in_of(request).tenant,
            "done": done if done in DONE else "",
            "people_url": self._at,
            "people_name": self._people.name,
            "is_owners": self._people.is_owners,
        }
        return await self._renderer.long_page(template, visit_of(request), status=status, **context)


def changes_rights(request: web.Request, form: Form) -> bool:
    """Whether the form sets a role or an email. Either could be used to gain access, so these need a fresh proof."""
    return form.text("do") in ("role", "email")


class Respelled(Unacceptable):
    """Normalising changes the email that was typed, so the result must be confirmed."""

    def __init__(self, identifier: str) -> None:
        super().__init__(Sentence("{email} is how this address will be used.", email=identifier))
        self.identifier = identifier


def check_spelling(email: str) -> str:
    """Normalise an email. Raises Unacceptable, or Respelled if the result differs from what was typed."""
    identifier = normalise_identifier(email)
    if is_respelled(email, identifier):
        raise Respelled(identifier)
    return identifier


def parse_filters(given: Mapping[str, str]) -> Wanted:
    """Parse the filters of a query; ignore invalid values, and NUL characters, which PostgreSQL rejects."""
    query = {name: value.replace("\0", "") for name, value in given.items()}
    unseen = query.get("unseen", "")
    return Wanted(
        words=query.get("q", "").strip()[:MAX_WORDS],
        role=next((role for role in Role if role == query.get("role")), None),
        state=next((state for state in State if state == query.get("state")), None),
        has_two_step={"on": True, "off": False}.get(query.get("totp", "")),
        unseen_days=int(unseen) if unseen in map(str, UNSEEN_DAYS) else None,
        tenant=query.get("tenant", "").strip()[:63],
        after=query.get("after", "")[:320],
    )


def role_of(form: Form) -> Role:
    try:
        return Role(form.text("role"))
    except ValueError:
        raise Unacceptable(Sentence("Choose a role.")) from None
