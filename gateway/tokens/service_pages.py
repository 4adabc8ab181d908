"""/admin/tokens: the tenant's service accounts and all tokens; /admin/tokens/service: one of these accounts."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urlencode

from aiohttp import web

from gateway.accounts.people_set import modules_of
from gateway.model.account import Account, Module, Status, Unacceptable, check_name
from gateway.tokens import pages
from gateway.tokens.forms import DAYS, Unfit, read_role, read_wanted
from gateway.tokens.pages import given_in, up_to
from gateway.tokens.rows import TokenRow
from gateway.tokens.service import Created, NotCreated, outranks
from gateway.tokens.service_accounts import ServiceAccounts
from gateway.web.redirects import see_other
from gateway.web.visit import Form, asked_of, read_form, signed_in_of, visit_of

DONE = ("created", "revoked", "disabled", "enabled", "proved")
DONE_IN_LIST = ("revoked", "removed", "proved")
RIGHTS = ("created", "token", "enabled")


class Needs(pages.Needs, Protocol):
    @property
    def service_accounts(self) -> ServiceAccounts: ...


def gives_rights(request: web.Request, form: Form) -> bool:
    """Whether the form gives a program rights, so that it needs a fresh proof. Taking them away is not to wait."""
    return form.text("do") in RIGHTS


class TenantTokens:
    """The list of a tenant's service accounts and tokens."""

    def __init__(self, needs: Needs) -> None:
        self._tokens = needs.tokens
        self._service = needs.service_accounts
        self._renderer = needs.renderer
        self._url = needs.url

    async def show_all(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/tokens: the tenant's service accounts, and the live tokens of its people."""
        return await self._list(request)

    async def revoke(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/tokens: `token`, and `account` if it was on a service account's page."""
        form, session, visit = await read_form(request), signed_in_of(request), visit_of(request)
        is_ended = await self._tokens.revoke_in_tenant(session, form.text("token"), visit.inbound, visit.now)
        account, done = form.text("account"), {"done": "revoked"} if is_ended else {}
        page = self._url("admin_service" if account else "admin_tokens")
        query = urlencode({"account": account, **done} if account else done)
        return see_other(f"{page}?{query}" if query else page)

    async def _list(self, request: web.Request, problem: str = "", form: Form | None = None) -> web.Response:
        """Show the list. `problem` is about the form for a new service account."""
        session, visit, done = signed_in_of(request), visit_of(request), request.query.get("done", "")
        return await self._renderer.long_page(
            "tokens/all.html",
            visit,
            status=422 if problem else 200,
            problem=problem,
            done=done if done in DONE_IN_LIST else "",
            held=await self._tokens.list_of_people(session.tenant, visit.now),
            services=await self._service.list_all(session.tenant, visit.now),
            given={"name": form.text("name") if form else "", "role": form.text("role") if form else ""},
            roles=up_to(session.role),
            modules=list(Module),
            chosen=modules_of(form) if form else (),
        )


class ServicePages(TenantTokens):
    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/tokens/service?account=ID; without, back to the list, to which a fresh proof may lead."""
        if not asked_of(request, "account"):
            return see_other(f"{self._url('admin_tokens')}?done=proved")
        return await self._page(request, asked_of(request, "account"))

    async def change(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/tokens/service: `do`, with `name`, `role` and `module-…` (created), or with `account` and
        the fields of a token (token) or nothing more (disabled, enabled, removed). Disabling and removing ask first.
        """
        form = await read_form(request)
        what, account_id = form.text("do"), form.text("account")
        match what:
            case "created":
                return await self._create(request, form)
            case "token":
                return await self._create_token(request, form, account_id)
            case "disabled" | "removed" if not form.is_confirmed:
                return await self._ask(request, what, account_id)
            case "disabled" | "enabled" | "removed":
                return await self._change(request, what, account_id)
        raise web.HTTPBadRequest

    async def _create(self, request: web.Request, form: Form) -> web.StreamResponse:
        session, visit = signed_in_of(request), visit_of(request)
        try:
            name, role = check_name(form.text("name")), read_role(form.text("role"))
        except (Unacceptable, Unfit) as error:
            problem = "name" if isinstance(error, Unacceptable) else "role"
            return await self._list(request, problem, form)
        outcome = await self._service.create(session, name, role, modules_of(form), visit.inbound, visit.now)
        if isinstance(outcome, NotCreated):
            return await self._list(request, outcome.value, form)
        return self._back(outcome.id, "created")

    async def _create_token(self, request: web.Request, form: Form, account_id: str) -> web.StreamResponse:
        session, visit = signed_in_of(request), visit_of(request)
        account, _ = await self._find(request, account_id)
        try:
            wanted = read_wanted(form, account.role)
        except Unfit as error:
            return await self._page(request, account_id, str(error), error.line, form)
        outcome = await self._service.create_token(session, account_id, wanted, visit.inbound, visit.now)
        if isinstance(outcome, Created):
            secret = outcome.secret.reveal()
            return self._renderer.page("tokens/created.html", visit, token=outcome.row, secret=secret, account=account)
        if outcome is None:
            raise web.HTTPNotFound
        return await self._page(request, account_id, outcome.value, form=form)

    async def _ask(self, request: web.Request, what: str, account_id: str) -> web.StreamResponse:
        account, tokens = await self._find(request, account_id)
        visit = visit_of(request)
        live = sum(token.is_live(visit.now) for token in tokens)
        return self._renderer.page("tokens/confirm.html", visit, what=what, account=account, live=live)

    async def _change(self, request: web.Request, what: str, account_id: str) -> web.StreamResponse:
        session, visit = signed_in_of(request), visit_of(request)
        account, _ = await self._find(request, account_id)
        if what == "removed":
            await self._service.remove(session, account.id, visit.inbound, visit.now)
            return see_other(f"{self._url('admin_tokens')}?done=removed")
        status = Status.DISABLED if what == "disabled" else Status.ACTIVE
        await self._service.set_status(session, account.id, status, visit.inbound, visit.now)
        return self._back(account.id, what)

    async def _find(self, request: web.Request, account_id: str) -> tuple[Account, list[TokenRow]]:
        """Raises HTTPNotFound."""
        found = await self._service.find(signed_in_of(request), account_id, visit_of(request).now)
        if found is None:
            raise web.HTTPNotFound
        return found

    def _back(self, account_id: str, done: str) -> web.Response:
        return see_other(f"{self._url('admin_service')}?{urlencode({'account': account_id, 'done': done})}")

    async def _page(
        self, request: web.Request, account_id: str, problem: str = "", line: str = "", form: Form | None = None
    ) -> web.Response:
        session, visit, done = signed_in_of(request), visit_of(request), request.query.get("done", "")
        account, tokens = await self._find(request, account_id)
        return await self._renderer.long_page(
            "tokens/service.html",
            visit,
            status=422 if problem else 200,
            problem=problem,
            line=line,
            done=done if done in DONE else "",
            account=account,
            tokens=tokens,
            given=given_in(request, form),
            days=DAYS,
            roles=[role for role in up_to(session.role) if not outranks(role, account.role)],
            now=visit.now,
        )
