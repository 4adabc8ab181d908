"""/admin/accounts: a tenant's people, and letting one who lost the phone begin anew. Only ever of the own tenant."""

from __future__ import annotations

import time
from dataclasses import dataclass

from aiohttp import web

from gateway.accounts import change, rows
from gateway.accounts.record import Account
from gateway.audit import rows as audit
from gateway.edge.inbound import Inbound
from gateway.factors import totp
from gateway.login.answers import Answers, Wish, see_other
from gateway.login.security import stale_factor
from gateway.mail.notices import Notices
from gateway.pages import Renderer, read_form, signed_in_of, visit_of
from gateway.sessions.record import Session
from gateway.sessions.service import DeviceService
from gateway.store import Store


@dataclass(frozen=True, slots=True)
class Member:
    """One line of the list."""

    account: Account
    has_totp: bool
    is_owner: bool


class AccountsService:
    """`owners` are normalised identifiers: an admin does not touch them."""

    def __init__(self, store: Store, notices: Notices, owners: frozenset[str]) -> None:
        self._store = store
        self._notices = notices
        self._owners = owners

    async def members(self, tenant: str) -> list[Member]:
        async with self._store.reading() as tx:
            enrolled = await totp.list_enrolled(tx, tenant)
            return [
                Member(account, account.id in enrolled, account.identifier in self._owners)
                for account in await rows.list_all(tx, tenant)
            ]

    async def find(self, admin: Session, account_id: str) -> Account | None:
        """Return a member whom this admin may reset: of the own tenant, no owner, somebody else."""
        async with self._store.reading() as tx:
            account = await rows.find_in_tenant(tx, account_id, admin.tenant)
            return account if account and self._is_in_reach(admin, account) else None

    async def reset_two_factor(self, admin: Session, account_id: str, inbound: Inbound, now: int) -> bool:
        """Take a member's TOTP away; they are mailed, and set it up again at the next sign-in."""
        async with self._store.transaction() as tx:
            account = await rows.find_in_tenant(tx, account_id, admin.tenant, lock=True)
            if account is None or not self._is_in_reach(admin, account):
                return False
            entry = await change.reset_two_factor(tx, account, admin.identifier, now, is_owner=False)
            await audit.record(tx, entry.seen_from(inbound, admin.id))
            await self._notices.send(tx, "totp_reset", account, inbound, now, by=admin.name)
            return True

    def _is_in_reach(self, admin: Session, account: Account) -> bool:
        return account.id != admin.account and account.identifier not in self._owners


@dataclass(frozen=True, slots=True)
class AccountsPaths:
    """Where the pages are."""

    overview: str
    reset: str
    sign_out: str


class AccountsPages:
    def __init__(
        self,
        *,
        service: AccountsService,
        devices: DeviceService,
        renderer: Renderer,
        answers: Answers,
        paths: AccountsPaths,
    ) -> None:
        self._service = service
        self._devices = devices
        self._renderer = renderer
        self._answers = answers
        self._paths = paths

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/accounts"""
        visit = visit_of(request)
        admin = signed_in_of(request)
        return self._renderer.page(
            "accounts.html",
            visit,
            members=await self._service.members(admin.tenant),
            tenant=admin.tenant,
            paths=self._paths,
            done=request.query.get("done", ""),
        )

    async def confirm_reset(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/accounts/reset-2fa?account=ID"""
        visit, admin = visit_of(request), signed_in_of(request)
        account_id = request.query.get("account", "")
        stale = self._prove_first(admin, account_id)
        if stale is not None:
            return stale
        account = await self._service.find(admin, account_id)
        if account is None:
            raise web.HTTPNotFound
        return self._renderer.page("reset-2fa.html", visit, member=account, paths=self._paths)

    async def reset(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/accounts/reset-2fa: `account`."""
        visit, admin = visit_of(request), signed_in_of(request)
        account_id = (await read_form(request)).text("account")
        stale = self._prove_first(admin, account_id)
        if stale is not None:
            return stale
        if not await self._service.reset_two_factor(admin, account_id, visit.inbound, int(time.time())):
            raise web.HTTPNotFound
        return see_other(f"{self._paths.overview}?done=reset")

    async def confirm_sign_out(self, request: web.Request) -> web.StreamResponse:
        """GET /admin/accounts/sign-out?account=ID"""
        visit, admin = visit_of(request), signed_in_of(request)
        account = await self._service.find(admin, request.query.get("account", ""))
        if account is None:
            raise web.HTTPNotFound
        return self._renderer.page("sign-out-member.html", visit, member=account, paths=self._paths)

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/accounts/sign-out: `account`. It asks for no fresh proof: it only takes away."""
        admin = signed_in_of(request)
        account_id = (await read_form(request)).text("account")
        inbound = visit_of(request).inbound
        if await self._devices.end_member(admin, account_id, inbound, int(time.time())) is None:
            raise web.HTTPNotFound
        return see_other(f"{self._paths.overview}?done=signed-out")

    def _prove_first(self, admin: Session, account_id: str) -> web.Response | None:
        factor = stale_factor(admin, int(time.time()))
        back = f"{self._paths.reset}?account={account_id}"
        return self._answers.step(factor, Wish(back, again=True)) if factor else None
