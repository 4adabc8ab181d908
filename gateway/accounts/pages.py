"""/admin/accounts, and /ops/accounts for the owner: people, found and changed. The same pages with another reach."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from gateway.accounts.csv_import.reading import Create, Reject, judge
from gateway.accounts.directory import Wanted
from gateway.accounts.people import Actor, PeopleService, Result
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
from gateway.model.inbound import Inbound
from gateway.policy.freshness import stale_factor
from gateway.sessions.reach import Reaches
from gateway.web.redirects import Steps, Wish, see_other
from gateway.web.rendering import Renderer
from gateway.web.visit import Form, asked_of, read_form, signed_in_of, visit_of

NOTHING: Mapping[str, str] = MappingProxyType({})
UNSEEN_DAYS = (30, 90, 365)
MAX_WORDS = 200  # characters of a search
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
    "proved",
)


@dataclass(frozen=True, slots=True)
class AccountsPaths:
    """Where the pages are."""

    overview: str
    member: str
    invite: str
    bulk: str
    bulk_start: str
    reset: str
    sign_out: str
    audit: str


class AccountsPages:
    """`is_owners`: these are the owner's pages, which reach across tenants."""

    def __init__(
        self,
        *,
        service: PeopleService,
        renderer: Renderer,
        steps: Steps,
        paths: AccountsPaths,
        reaches: Reaches,
        is_owners: bool,
    ) -> None:
        self._service = service
        self._reaches = reaches
        self._renderer = renderer
        self._steps = steps
        self._paths = paths
        self._is_owners = is_owners
        self._changes: Mapping[str, Callable[[Actor, str, Form, Inbound, int], Awaitable[Result]]] = {
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
        wanted = wanted_of(request.query)
        members, after = await self._service.page(self._actor(request), wanted, int(time.time()))
        more = {name: value for name, value in request.query.items() if name not in ("after", "done")}
        return await self._page(
            "accounts.html",
            request,
            members=members,
            wanted=wanted,
            roles=list(Role),
            states=list(State),
            unseen_days=UNSEEN_DAYS,
            next_page=f"{self._paths.overview}?{urlencode({**more, 'after': after})}" if after else "",
            first_page=f"{self._paths.overview}?{urlencode(more)}",
            is_filtered=wanted != Wanted(after=wanted.after),
        )

    # One person.

    async def show_member(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/accounts/member?account=ID"""
        return await self._show_member(request, asked_of(request, "account"))

    async def change(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/accounts/member: `account`, `do`, and what that needs: `name`, `role`, `module-…`, `email`.

        Disabling or removing somebody asks first.
        """
        form = await read_form(request)
        account_id, what = form.text("account"), form.text("do")
        act = self._changes.get(what)
        if act is None:
            raise web.HTTPBadRequest
        if what in ("disabled", "removed") and not form.is_confirmed:
            return await self._ask(what, request, account_id, self._paths.member, {"do": what})
        if what in ("role", "email"):
            stale = self._prove_first(
                request, f"{self._paths.member}?{urlencode({'account': account_id, 'done': 'proved'})}"
            )
            if stale is not None:
                return stale
        try:
            result = await act(self._actor(request), account_id, form, visit_of(request).inbound, int(time.time()))
        except Respelled as error:
            return await self._show_member(request, account_id, problem="respelled", email=error.identifier)
        except Unacceptable as error:
            return await self._show_member(request, account_id, problem=str(error))
        match result:
            case Result.DONE if what == "removed":
                return see_other(f"{self._paths.overview}?done=removed")
            case Result.DONE:
                return see_other(f"{self._paths.member}?{urlencode({'account': account_id, 'done': what})}")
            case Result.NOT_THERE:
                raise web.HTTPNotFound
            case _:
                return await self._show_member(request, account_id, problem=result.value)

    async def _show_member(
        self, request: web.Request, account_id: str, problem: str = "", email: str = ""
    ) -> web.Response:
        actor = self._actor(request)
        member = await self._service.find(actor, account_id)
        if member is None:
            raise web.HTTPNotFound
        return await self._page(
            "member.html",
            request,
            status=status_of(problem),
            member=member,
            may_change=self._service.may_change(actor, member.account),
            is_self=member.account.id == actor.session.account,
            pending=await self._service.find_change(account_id),
            email=email,
            roles=list(Role),
            modules=list(Module),
            problem=problem,
        )

    async def _resend(self, actor: Actor, account_id: str, form: Form, inbound: Inbound, now: int) -> Result:
        return await self._service.resend(actor, account_id, inbound, now)

    async def _rename(self, actor: Actor, account_id: str, form: Form, inbound: Inbound, now: int) -> Result:
        return await self._service.rename(actor, account_id, check_name(form.text("name")), inbound, now)

    async def _set_role(self, actor: Actor, account_id: str, form: Form, inbound: Inbound, now: int) -> Result:
        role, modules = role_of(form), modules_of(form)
        return await self._service.set_role(actor, account_id, role, modules, inbound, now)

    async def _set_email(self, actor: Actor, account_id: str, form: Form, inbound: Inbound, now: int) -> Result:
        identifier = as_shown(form.text("email"))
        return await self._service.ask_for_email(actor, account_id, identifier, inbound, now)

    async def _disable(self, actor: Actor, account_id: str, form: Form, inbound: Inbound, now: int) -> Result:
        return await self._service.set_status(actor, account_id, Status.DISABLED, inbound, now)

    async def _enable(self, actor: Actor, account_id: str, form: Form, inbound: Inbound, now: int) -> Result:
        return await self._service.set_status(actor, account_id, Status.ACTIVE, inbound, now)

    async def _remove(self, actor: Actor, account_id: str, form: Form, inbound: Inbound, now: int) -> Result:
        return await self._service.remove(actor, account_id, inbound, now)

    # What is asked about first.

    async def confirm_reset(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/accounts/reset-2fa?account=ID"""
        account_id = asked_of(request, "account")
        stale = self._prove_first(request, f"{self._paths.reset}?account={account_id}")
        return stale or await self._ask("reset", request, account_id, self._paths.reset)

    async def reset(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/accounts/reset-2fa: `account`, `confirmed`."""
        form = await read_form(request)
        account_id = form.text("account")
        stale = self._prove_first(request, f"{self._paths.reset}?account={account_id}")
        if stale is not None:
            return stale
        if not form.is_confirmed:
            return await self._ask("reset", request, account_id, self._paths.reset)
        inbound, now = visit_of(request).inbound, int(time.time())
        result = await self._service.reset_two_factor(self._actor(request), account_id, inbound, now)
        return self._back(result, account_id, "reset")

    async def confirm_sign_out(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/accounts/sign-out?account=ID"""
        return await self._ask("signed-out", request, asked_of(request, "account"), self._paths.sign_out)

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/accounts/sign-out: `account`, `confirmed`. It asks for no fresh proof: it only takes away."""
        form = await read_form(request)
        account_id = form.text("account")
        if not form.is_confirmed:
            return await self._ask("signed-out", request, account_id, self._paths.sign_out)
        inbound, now = visit_of(request).inbound, int(time.time())
        result = await self._service.sign_out(self._actor(request), account_id, inbound, now)
        return self._back(result, account_id, "signed-out")

    async def _ask(
        self, kind: str, request: web.Request, account_id: str, action: str, more: Mapping[str, str] = NOTHING
    ) -> web.Response:
        """Ask before something is done to somebody, and say how many devices that reaches."""
        actor = self._actor(request)
        member = await self._service.find(actor, account_id)
        if member is None or not self._service.may_change(actor, member.account):
            raise web.HTTPNotFound
        if kind == "removed" and member.state is not State.INVITED:
            raise web.HTTPNotFound
        return await self._page(
            "confirm.html",
            request,
            kind=kind,
            subject=member.account.name,
            reach=await self._reaches.of_account(account_id, int(time.time())),
            action=action,
            fields={"account": account_id, **more},
            back=f"{self._paths.member}?{urlencode({'account': account_id})}",
        )

    def _back(self, result: Result, account_id: str, done: str) -> web.Response:
        if result is not Result.DONE:
            raise web.HTTPNotFound
        return see_other(f"{self._paths.member}?{urlencode({'account': account_id, 'done': done})}")

    # Inviting.

    async def show_invite(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/accounts/invite"""
        return await self._invite_form(request, Form({}))

    async def invite(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/accounts/invite: `email`, `name`, `role`, `module-…`; the owner gives `tenant` as well."""
        form, actor = await read_form(request), self._actor(request)
        wanted = self._read_invitation(form, actor)
        if isinstance(wanted, Create):
            if is_respelled(form.text("email"), wanted.identifier):
                return await self._respelled(request, form, wanted.identifier)
            # Like giving the role to somebody: who found an open browser could else invite themselves to administer.
            stale = self._prove_first(request, self._paths.invite) if wanted.role is Role.ADMIN else None
            if stale is not None:
                return stale
            result = await self._service.invite(actor, wanted, visit_of(request).inbound, int(time.time()))
            if result is Result.DONE:
                return see_other(f"{self._paths.overview}?done=invited")
            return await self._invite_form(request, form, problem=result.value)
        return await self._invite_form(request, form, problem=wanted.reason)

    async def _respelled(self, request: web.Request, form: Form, identifier: str) -> web.Response:
        """Show what an email becomes before anything is done with it."""
        return await self._invite_form(request, Form({**form.fields, "email": identifier}), problem="respelled")

    def _read_invitation(self, form: Form, actor: Actor) -> Create | Reject:
        row = {name: form.text(name) for name in ("email", "name", "role")}
        row["tenant"] = form.text("tenant") if actor.tenant is None else actor.tenant
        verdict = judge(0, row)
        return verdict if isinstance(verdict, Reject) else replace(verdict, modules=modules_of(form))

    async def _invite_form(self, request: web.Request, form: Form, problem: str = "") -> web.Response:
        return await self._page(
            "invite.html",
            request,
            status=status_of(problem),
            given={name: form.text(name)[:320] for name in ("email", "name", "role", "tenant")},
            chosen=modules_of(form),
            roles=list(Role),
            modules=list(Module),
            problem=problem,
        )

    # Shared.

    def _actor(self, request: web.Request) -> Actor:
        return actor_of(request, is_owners=self._is_owners)

    def _prove_first(self, request: web.Request, back: str) -> web.Response | None:
        factor = stale_factor(signed_in_of(request), int(time.time()))
        return self._steps.step(factor, Wish(back, again=True)) if factor else None

    async def _page(self, template: str, request: web.Request, *, status: int = 200, **context: Any) -> web.Response:
        done = request.query.get("done", "")
        context |= {
            "paths": self._paths,
            "is_owners": self._is_owners,
            "tenant": signed_in_of(request).tenant,
            "done": done if done in DONE else "",
        }
        return await self._renderer.long_page(template, visit_of(request), status=status, **context)


class Respelled(Unacceptable):
    """An email becomes another one than was typed; it is shown first."""

    def __init__(self, identifier: str) -> None:
        super().__init__(identifier)
        self.identifier = identifier


def as_shown(email: str) -> str:
    """Return an email that is written as it will be kept. Raises Unacceptable, and Respelled if it is not."""
    identifier = normalise_identifier(email)
    if is_respelled(email, identifier):
        raise Respelled(identifier)
    return identifier


def status_of(problem: str) -> int:
    if problem == Result.TOO_MANY.value:
        return 429
    return 422 if problem else 200


def actor_of(request: web.Request, *, is_owners: bool) -> Actor:
    """Return who asks, and whom they reach on this set of pages."""
    session = signed_in_of(request)
    return Actor(session, None if is_owners else session.tenant)


def wanted_of(given: Mapping[str, str]) -> Wanted:
    """Read the filters from an address; what makes no sense is left out, NUL among it (PostgreSQL takes none)."""
    query = {name: value.replace("\0", "") for name, value in given.items()}
    unseen = query.get("unseen", "")
    return Wanted(
        words=query.get("q", "").strip()[:MAX_WORDS],
        role=next((role for role in Role if role == query.get("role")), None),
        state=next((state for state in State if state == query.get("state")), None),
        has_totp={"on": True, "off": False}.get(query.get("totp", "")),
        unseen_days=int(unseen) if unseen in map(str, UNSEEN_DAYS) else None,
        tenant=query.get("tenant", "").strip()[:63],
        after=query.get("after", "")[:320],
    )


def role_of(form: Form) -> Role:
    try:
        return Role(form.text("role"))
    except ValueError:
        raise Unacceptable("Choose a role.") from None


def modules_of(form: Form) -> frozenset[Module]:
    return frozenset(module for module in Module if form.text(f"module-{module.value}"))
