"""/admin/accounts/member: one person, and all that is done about them; /ops/accounts/member: the same for the owner."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import urlencode

from aiohttp import web

from gateway.accounts.edit import Part, Saved
from gateway.accounts.people import Administrator, PeopleService, Result
from gateway.accounts.people_set import PeopleSet, status_of
from gateway.audit.telling import Teller
from gateway.model.account import Module, Role, State, Status, Unacceptable
from gateway.model.factor import Factor
from gateway.model.sentence import Sentence
from gateway.person import forms
from gateway.person.forms import FIELDS, Respelled
from gateway.person.service import Person, PersonService
from gateway.sessions.reach import Reach, Reaches
from gateway.sessions.rows import MAX_DEVICES
from gateway.web.carried_form import carried_of
from gateway.web.platform import Platform
from gateway.web.redirects import see_other
from gateway.web.user_agents import label_all
from gateway.web.visit import Form, asked_of, read_form, signed_in_of, visit_of

Change = Callable[[Administrator, str, Form], Awaitable[Result]]

NOTHING: Mapping[str, str] = MappingProxyType({})
SHOWN = 10  # devices, and tokens
ASKS_FIRST = ("disabled", "removed", "device-out", "tokens-revoked")
DONE = (
    "saved",
    "reset",
    "signed-out",
    "device-out",
    "revoked",
    "tokens-revoked",
    "unlocked",
    "resent",
    "disabled",
    "enabled",
    "secured",
    "proved",
)


class Needs(Platform, Protocol):
    @property
    def means(self) -> Mapping[Factor, Sentence]: ...
    @property
    def people(self) -> PeopleService: ...
    @property
    def persons(self) -> PersonService: ...
    @property
    def reaches(self) -> Reaches: ...


class PersonPages:
    def __init__(self, needs: Needs, *, people: PeopleSet) -> None:
        self._people = needs.people
        self._persons = needs.persons
        self._reaches = needs.reaches
        self._renderer = needs.renderer
        self._means = needs.means
        self._set = people
        self._at = partial(people.path, needs.url)
        self._changes = changes_of(needs.people, needs.persons)

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/accounts/member: `account`, `all=1` for all devices and tokens, and after a fresh proof the form's
        fields, sealed.
        """
        return await self._show(request, asked_of(request, "account"), given=carried_of(request))

    async def change(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/accounts/member: `account`, `do`, and its `session`, `token`, or the fields of the form.

        Disabling, removing, signing a device out, and revoking all tokens ask for confirmation.
        """
        form = await read_form(request)
        account_id, what = form.text("account"), form.text("do")
        if what == "saved":
            return await self._save(request, account_id, form)
        act = self._changes.get(what)
        if act is None:
            raise web.HTTPBadRequest
        if what in ASKS_FIRST and not form.is_confirmed:
            return await self._ask(what, request, account_id, self._at("member"), {"do": what}, form)
        result = await act(self._set.admin_of(request), account_id, form)
        if result is Result.DONE and what == "removed":
            return see_other(f"{self._at()}?done=removed")
        if result in (Result.DONE, Result.NOT_THERE):
            return self._back(result, account_id, what)
        return await self._show(request, account_id, problem=result.value)

    async def _save(self, request: web.Request, account_id: str, form: Form) -> web.StreamResponse:
        """Save the form. What can't be saved is shown again, with what was typed."""
        given = {name: form.text(name) for name in FIELDS if name in form.fields}
        try:
            saved = await self._people.save(self._set.admin_of(request), account_id, forms.read(given))
        except Respelled as error:
            typed = {**given, "email": error.identifier}
            return await self._show(request, account_id, problem="respelled", given=typed)
        except Unacceptable as error:
            return await self._show(request, account_id, problem=error.sentence, given=given)
        match saved:
            case Saved(parts):
                query = {"account": account_id, "done": "saved", "changed": ",".join(parts)}
                return see_other(f"{self._at('member')}?{urlencode(query)}")
            case Result.NOT_THERE:
                raise web.HTTPNotFound
            case _:
                return await self._show(request, account_id, problem=saved.value, given=given)

    async def _show(
        self, request: web.Request, account_id: str, *, problem: str = "", given: Mapping[str, str] = NOTHING
    ) -> web.Response:
        person = await self._find(request, account_id)
        await label_all(row.user_agent for row in person.events)
        teller = Teller(person.named, self._at("member"), self._means)
        done, changed = request.query.get("done", ""), request.query.get("changed", "").split(",")
        return await self._page(
            "person/person.html",
            request,
            status=status_of(problem),
            person=person,
            member=person.member,
            typed=forms.show(person.account, given, keeps_seen=problem != Result.CHANGED.value),
            is_typed=bool(given) and person.sees_all,
            lines=[teller.tell(row) for row in person.events],
            most=MAX_DEVICES if request.query.get("all") == "1" else SHOWN,
            roles=list(Role),
            modules=list(Module),
            problem=problem,
            done=done if done in DONE and request.method != "POST" else "",
            changed=[part for part in Part if part in changed],
        )

    async def _find(self, request: web.Request, account_id: str) -> Person:
        """Raises HTTPNotFound."""
        person = await self._persons.look(self._set.admin_of(request), account_id)
        if person is None:
            raise web.HTTPNotFound
        return person

    # Changes that have a page of their own, which asks.

    async def confirm_reset(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/accounts/reset-2fa?account=ID"""
        return await self._ask("reset", request, asked_of(request, "account"), self._at("reset"))

    async def reset(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/accounts/reset-2fa: `account`, `confirmed`."""
        return await self._confirmed("reset", request, self._at("reset"), self._people.reset_two_factor)

    async def confirm_sign_out(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/accounts/sign-out?account=ID"""
        return await self._ask("signed-out", request, asked_of(request, "account"), self._at("sign_out"))

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/accounts/sign-out: `account`, `confirmed`."""
        return await self._confirmed("signed-out", request, self._at("sign_out"), self._people.sign_out)

    async def _confirmed(
        self, kind: str, request: web.Request, action: str, act: Callable[[Administrator, str], Awaitable[Result]]
    ) -> web.StreamResponse:
        """Do what the form confirms, or else ask first."""
        form = await read_form(request)
        account_id = form.text("account")
        if not form.is_confirmed:
            return await self._ask(kind, request, account_id, action)
        return self._back(await act(self._set.admin_of(request), account_id), account_id, kind)

    async def _ask(
        self,
        kind: str,
        request: web.Request,
        account_id: str,
        action: str,
        more: Mapping[str, str] = NOTHING,
        form: Form | None = None,
    ) -> web.Response:
        """Show the confirmation page, with the number of devices or tokens affected."""
        person = await self._find(request, account_id)
        if not person.may_change or (kind == "removed" and person.member.state is not State.INVITED):
            raise web.HTTPNotFound
        wanted = form.text("session") if form else ""
        device = next((device for device in person.devices if device.id == wanted), None)
        if kind == "device-out" and device is None:  # it was signed out meanwhile
            return see_other(f"{self._at('member')}?{urlencode({'account': account_id})}")
        return await self._page(
            "web/confirm.html",
            request,
            kind=kind,
            subject=person.account.name,
            device=device,
            reach=await self._measure(kind, person, visit_of(request).now),
            action=action,
            fields={"account": account_id, **more, **({"session": device.id} if device else {})},
            back=f"{self._at('member')}?{urlencode({'account': account_id})}",
        )

    async def _measure(self, kind: str, person: Person, now: int) -> Reach:
        match kind:
            case "device-out":
                return Reach(1, 1)
            case "tokens-revoked":
                return Reach(1, 0, len(person.tokens))
        return await self._reaches.of_account(person.account.id, now)

    # Shared.

    def _back(self, result: Result, account_id: str, done: str) -> web.Response:
        if result is not Result.DONE:
            raise web.HTTPNotFound
        return see_other(f"{self._at('member')}?{urlencode({'account': account_id, 'done': done})}")

    async def _page(self, template: str, request: web.Request, *, status: int = 200, **context: Any) -> web.Response:
        context |= {
            "tenant": signed_in_of(request).tenant,
            "people_url": self._at,
            "people_name": self._set.name,
            "is_owners": self._set.is_owners,
        }
        return await self._renderer.long_page(template, visit_of(request), status=status, **context)


def changes_of(people: PeopleService, persons: PersonService) -> Mapping[str, Change]:
    """Return what one press of a button does, by the value of `do`."""
    return {
        "resent": lambda admin, account, form: people.resend(admin, account),
        "disabled": lambda admin, account, form: people.set_status(admin, account, Status.DISABLED),
        "enabled": lambda admin, account, form: people.set_status(admin, account, Status.ACTIVE),
        "removed": lambda admin, account, form: people.remove(admin, account),
        "unlocked": lambda admin, account, form: persons.unlock(admin, account),
        "device-out": lambda admin, account, form: persons.end_device(admin, account, form.text("session")),
        "revoked": lambda admin, account, form: persons.revoke_token(admin, account, form.text("token")),
        "tokens-revoked": lambda admin, account, form: persons.revoke_tokens(admin, account),
    }


def gives_access(request: web.Request, form: Form) -> bool:
    """Whether the form sets a role or an email, or forgets failed attempts: each can be used to gain access.

    A name alone can be changed without a fresh proof. What a form doesn't have stays as it is (accounts.edit).
    """
    what = form.text("do")
    return what == "unlocked" or (what == "saved" and any(name in form.fields for name in ("role", "email")))
