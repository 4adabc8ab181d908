"""One worker with a real store, outbox and lookup, and people who sign in through its flow."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from sqlalchemy import func, select

from gateway.actions.action import Actions, requester
from gateway.crypto.sealing import Sealer
from gateway.devices.new_device import NewDevices
from gateway.devices.revoke_link import RevokeLinks
from gateway.factors.backup_code.factor import BackupCodeFactor
from gateway.factors.contract import Asked, Factors
from gateway.factors.magic_link import rows
from gateway.factors.magic_link.factor import MagicLinkFactor
from gateway.factors.magic_link.rows import Link
from gateway.factors.magic_link.service import Links
from gateway.factors.password.factor import PasswordFactor
from gateway.factors.totp.codes import code_at
from gateway.factors.totp.factor import TOTPFactor
from gateway.factors.totp.rows import Enrolment, find_enrolment
from gateway.languages.reader import Readers
from gateway.login.flow import Flow, Outcome
from gateway.login.guard import Guard
from gateway.login.outcome import GoOn, SignedIn
from gateway.mail.notices import Notices
from gateway.mail.outbox import Outbox
from gateway.model.account import Account
from gateway.model.factor import Factor, Proof
from gateway.model.factor_policy import FactorPolicy
from gateway.model.secret import Secret
from gateway.model.session import Session
from gateway.sessions.lookup import Lookup
from gateway.store import Store
from gateway.store.schema import audit, outbox, sessions
from gateway.throttle.limits import Limit
from tests.factors.conftest import no_mail
from tests.login.people import Browser, key_of
from tests.mail.conftest import make_composer
from tests.store.people import NOW, add_person, look, person, worker

OWNER = "olga@example.com"
PHONE = Secret(b"12345678901234567890")
STEP = NOW // 30
WRONG = "000000"  # no code of PHONE
NEAR = range(-60, 60)  # steps around NOW
OWNED = FactorPolicy(frozenset({OWNER}))


def code(steps: int = 0, phone: Secret[bytes] = PHONE) -> str:
    """Return the code that a phone shows so many steps after NOW."""
    return code_at(phone, STEP + steps)


@dataclass(frozen=True, slots=True)
class World:
    store: Store
    actions: Actions
    lookup: Lookup
    flow: Flow
    totp: TOTPFactor
    codes: BackupCodeFactor
    links: MagicLinkFactor
    opened: Links
    factors: Factors

    # People.

    async def member(self, email: str = "ann@example.com", *, totp: bool = False) -> Account:
        account = await add_person(self.store, person(email))
        if totp:
            await self.give_phone(account)
        return account

    async def owner(self, *, totp: bool = False) -> Account:
        return await self.member(OWNER, totp=totp)

    async def give_phone(self, account: Account, phone: Secret[bytes] = PHONE) -> None:
        """Set TOTP up, an hour ago."""
        async with self.store.transaction() as tx:
            given = Secret(code_at(phone, STEP - 120))
            assert await self.totp.confirm(tx, account.id, phone, given, NOW - 3_600)

    def offer(self, account: Account) -> tuple[Secret[bytes], str]:
        """Offer another phone than PHONE. It shows none of its codes, and not WRONG: of a million pairs, some are equal."""
        others = {WRONG, *map(code, NEAR)}
        while True:
            phone, offered = self.totp.offer(account.id, NOW)
            if others.isdisjoint(code(at, phone) for at in NEAR):
                return phone, offered

    async def give_backup_codes(self, account: Account) -> list[str]:
        async with self.store.transaction() as tx:
            return [given.reveal() for given in await self.codes.regenerate(tx, account.id, NOW)]

    # What a browser does.

    async def begin(self, browser: Browser, account: Account, now: int = NOW) -> SignedIn | GoOn:
        """Sign in with the right password."""
        visit = browser.visit()
        async with self.actions.begin(requester(visit.inbound), now) as action:
            outcome = await self.flow.begin(action, account, Proof(Factor.PASSWORD, now), visit)
        if isinstance(outcome, GoOn):
            assert outcome.token is not None
            browser.attempt = outcome.token
        await self.keep(browser, outcome, now)
        return outcome

    async def prove(
        self, browser: Browser, given: str, factor: Factor = Factor.TOTP, *, again: bool = False, now: int = NOW
    ) -> Outcome:
        outcome = await self.flow.prove(browser.visit(), factor, Secret(given), again=again, now=now)
        await self.keep(browser, outcome, now)
        return outcome

    async def open_link(self, browser: Browser, token: str, now: int = NOW) -> Outcome:
        outcome = await self.opened.open(browser.visit(), token, now)
        await self.keep(browser, outcome, now)
        return outcome

    async def enrol(
        self, browser: Browser, offered: str, given: str, *, again: bool = False, now: int = NOW
    ) -> Outcome:
        outcome = await self.flow.enrol(browser.visit(), Factor.TOTP, offered, Secret(given), again=again, now=now)
        await self.keep(browser, outcome, now)
        return outcome

    async def keep(self, browser: Browser, outcome: Outcome, now: int) -> None:
        """Let the browser have the cookie that it was given."""
        if isinstance(outcome, SignedIn):
            browser.cookie = outcome.token
            browser.session = await self.session_of(outcome.token, now)

    # What the mailbox holds.

    async def mail_link(self, account: Account, holder: str, now: int = NOW) -> str:
        async with self.store.transaction() as tx:
            return (await rows.issue(tx, Asked(account.id, holder), "/", now)).reveal()

    # What the store holds.

    async def session_of(self, cookie: Secret[str], now: int = NOW) -> Session | None:
        key = key_of(cookie)
        assert key is not None
        return await look(self.lookup, key, now)

    async def open_sessions(self, account: Account) -> int:
        query = select(func.count()).where(sessions.c.account == account.id, sessions.c.ended_at.is_(None))
        async with self.store.reading() as tx:
            return int((await tx.execute(query)).scalar_one())

    async def link(self, token: str) -> Link:
        async with self.store.reading() as tx:
            link = await rows.find(tx, token)
        assert link is not None
        return link

    async def enrolment(self, account: Account) -> Enrolment:
        async with self.store.reading() as tx:
            return await find_enrolment(tx, account.id)

    async def events(self) -> list[str]:
        async with self.store.reading() as tx:
            return list((await tx.execute(select(audit.c.event).order_by(audit.c.id))).scalars())

    async def details(self, event: str) -> list[str]:
        async with self.store.reading() as tx:
            return list((await tx.execute(select(audit.c.details).where(audit.c.event == event))).scalars())

    async def mails(self) -> list[str]:
        async with self.store.reading() as tx:
            return list(
                (await tx.execute(select(outbox.c.template).order_by(outbox.c.created_at, outbox.c.template))).scalars()
            )


@contextlib.asynccontextmanager
async def running(url: str, factors: Factors | None = None, policy: FactorPolicy = OWNED) -> AsyncIterator[World]:
    """`factors` are those of the sign-in, if not the usual ones."""
    sealer = Sealer([Secret(b"s" * 48)])
    totp, codes, links = TOTPFactor(sealer), BackupCodeFactor(sealer), MagicLinkFactor(Secret(b"k" * 32), (), no_mail)
    factors = factors or Factors((PasswordFactor(), totp, codes, links))
    store = Store.open(url)
    actions = Actions(
        store,
        Notices(
            Outbox(make_composer(), sealer, Readers()),
            "https://app.example.com/me/security",
            "https://app.example.com/me/security/compromised",
        ),
    )
    revoke_links = RevokeLinks([Secret(b"s" * 48)], "https://app.example.com/devices/revoke/")
    flow = Flow(
        store=store,
        actions=actions,
        guard=Guard(Limit(failures=5, window_seconds=900, lock_seconds=900)),
        policy=policy,
        new_devices=NewDevices(revoke_links, "https://app.example.com/me/sessions"),
        factors=factors,
    )
    async with worker(url, policy=policy) as lookup:
        yield World(store, actions, lookup, flow, totp, codes, links, Links(store, flow, links), factors)
    await store.close()
