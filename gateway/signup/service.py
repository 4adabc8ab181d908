"""Self-service sign-up: off, open, or limited to email domains of tenants.

No account exists before the email is confirmed: name, tenant and password hash are sealed in the link's row. Confirming
needs the chosen password, because a stranger can sign up with another person's email, who would otherwise let the
stranger in with one click. Only a mail to the email itself says that it has an account already; the page gives the same
response after the same work.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.accounts import claims, links
from gateway.accounts import rows as account_rows
from gateway.accounts.links import LinkState, MailedLink, Purpose, kept_way
from gateway.actions.action import Actions, requester
from gateway.crypto.hashing import Hasher, Verdict
from gateway.crypto.sealing import Sealer
from gateway.languages.reader import current_reader
from gateway.mail.outbox import Outbox
from gateway.model.account import Account, Role, Status, Unacceptable, check_name, normalise_identifier
from gateway.model.clock import DAY
from gateway.model.event import Event
from gateway.model.inbound import Inbound
from gateway.model.secret import Secret
from gateway.model.sentence import Sentence
from gateway.passwords.policy import Person, Refusal
from gateway.passwords.service import PasswordChecker
from gateway.settings.record import Signup
from gateway.store import Store
from gateway.throttle import limits
from gateway.throttle.client import client_of
from gateway.throttle.limits import Limit, Locked, address_bucket
from gateway.web.return_to import HOME, return_query

FROM_ADDRESS = Limit(failures=20, window_seconds=3_600, lock_seconds=3_600)
TO_EMAIL = Limit(failures=5, window_seconds=DAY, lock_seconds=43_200)
TO_EMAIL_FROM_ANYWHERE = Limit(failures=10, window_seconds=DAY, lock_seconds=43_200)
CONFIRMING = Limit(failures=5, window_seconds=900, lock_seconds=900)
NOT_HERE = Sentence(
    "You can’t sign up with this email address. Use your work email, or ask your administrator to invite you."
)


@dataclass(frozen=True, slots=True)
class Asked:
    """The request was accepted, whether or not the email can sign up. Its owner gets a mail."""


@dataclass(frozen=True, slots=True)
class BadField:
    """The value of `field` is not acceptable; `why` says what is."""

    field: str
    why: Sentence


@dataclass(frozen=True, slots=True)
class UnfitPassword:
    why: Refusal


@dataclass(frozen=True, slots=True)
class TooManySignups:
    """`until` is UTC seconds."""

    until: int


@dataclass(frozen=True, slots=True)
class Overloaded:
    """The password hashing queue is full; nothing was done."""


@dataclass(frozen=True, slots=True)
class WrongPassword:
    """Not the password chosen for this link. `locked_until` is the end of a lockout, in UTC seconds."""

    link: MailedLink
    locked_until: int | None = None


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The account is created; `email` is its identifier, `target` the page to open after sign-in, "" if none."""

    email: str
    target: str


class SignupService:
    """`confirm_address` is the URL of links, to be followed by the token; `login_address` that of the sign-in page."""

    def __init__(
        self,
        *,
        store: Store,
        actions: Actions,
        hasher: Hasher,
        checker: PasswordChecker,
        sealer: Sealer,
        outbox: Outbox,
        settings: Signup,
        owners: frozenset[str],
        product: str,
        confirm_address: str,
        login_address: str,
    ) -> None:
        self._store = store
        self._actions = actions
        self._hasher = hasher
        self._checker = checker
        self._sealer = sealer
        self._outbox = outbox
        self._settings = settings
        self._owners = owners
        self._product = product
        self._confirm_address = confirm_address
        self._login_address = login_address

    def tenant_of(self, identifier: str) -> str | None:
        """Return the tenant that an email may sign up for by the settings, or None."""
        match self._settings.mode:
            case "open":
                return self._settings.tenant
            case "domains":
                return self._settings.domains.get(identifier.rpartition("@")[2])
            case _:
                return None

    async def _find_tenant(self, identifier: str) -> str | None:
        """Return tenant_of, or None if another tenant claims the email's domain."""
        tenant = self.tenant_of(identifier)
        if tenant is None:
            return None
        async with self._store.reading() as tx:
            return tenant if await claims.is_open_to(tx, tenant, identifier) else None

    async def ask(
        self, name: str, email: str, password: Secret[str], inbound: Inbound, now: int, target: str = HOME
    ) -> Asked | BadField | UnfitPassword | TooManySignups | Overloaded:
        """Mail a link to confirm the email. `target`, the page to open afterwards, is kept with the link."""
        try:
            identifier = normalise_identifier(email)
        except Unacceptable as error:
            return BadField("email", error.sentence)
        try:
            name = check_name(name)
        except Unacceptable as error:
            return BadField("name", error.sentence)
        tenant = await self._find_tenant(identifier)
        if tenant is None:
            return BadField("email", NOT_HERE)
        # Limited before the expensive steps, or a flood of sign-ups would slow down sign-ins.
        from_here = f"signup:|{address_bucket(inbound.address)}"
        async with self._store.transaction() as tx:
            reserved = await limits.reserve(tx, from_here, FROM_ADDRESS, now)
        if isinstance(reserved, Locked):
            return TooManySignups(reserved.until)
        client = client_of(inbound.address)
        verdict = await self._checker.check(password, Person(identifier, name, tenant, self._product), client)
        hashed = await self._hasher.hash(password, client) if verdict.refusal is None else None
        if hashed is None:
            async with self._store.transaction() as tx:
                await limits.give_back(tx, from_here, now)
            return Overloaded() if verdict.refusal is None else UnfitPassword(verdict.refusal)
        waiting = {"name": name, "tenant": tenant, "password_hash": hashed.reveal(), **kept_way(target)}
        if verdict.is_api_silent:
            waiting["breach_api"] = "did not answer"
        async with self._store.transaction() as tx:
            to_there = (
                (f"signup:{identifier}|{address_bucket(inbound.address)}", TO_EMAIL),
                (f"signup:{identifier}", TO_EMAIL_FROM_ANYWHERE),
            )
            if isinstance(await limits.reserve_all(tx, to_there, now), Locked):
                return Asked()
            known = await account_rows.find_by_identifier(tx, identifier)
            token = await links.issue(
                tx, self._sealer, Purpose.SIGNUP, account=None, identifier=identifier, now=now, content=waiting
            )
            link = f"{self._confirm_address}{token.reveal()}"
            if known is not None:
                login = self._login_address + return_query(target)
                await self._outbox.post(
                    tx, "account_exists", identifier, account=None, now=now, name=known.name, link=login
                )
            elif identifier in self._owners:  # owners are added in the shell; not disclosed
                await self._outbox.pretend(tx, "signup_confirm", now=now, name=name, link=link)
            else:
                asker = current_reader()
                await self._outbox.post_to_asker(
                    tx, "signup_confirm", identifier, asker=asker, now=now, name=name, link=link
                )
        return Asked()

    async def look(self, token: str, now: int) -> MailedLink | LinkState | None:
        """Return a valid link, its state if it is invalid, or None if it is unknown. Read-only."""
        async with self._store.reading() as tx:
            link = await links.find(tx, self._sealer, Purpose.SIGNUP, token)
        if link is None:
            return None
        state = link.state(now)
        return link if state is LinkState.GOOD else state

    async def confirm(
        self, token: str, password: Secret[str], inbound: Inbound, now: int
    ) -> Confirmed | WrongPassword | Overloaded | LinkState | None:
        """Create the account, if the password is the chosen one. Of concurrent requests, exactly one succeeds."""
        found = await self.look(token, now)
        if not isinstance(found, MailedLink):
            return found
        refused = await self._compare(found, password, client_of(inbound.address), now)
        if refused is not None:
            return refused
        waiting = found.content
        account = Account(
            account_rows.new_account_id(),
            found.identifier,
            waiting["name"],
            waiting["tenant"],
            Role.EMPLOYEE,
            frozenset(),
            Status.ACTIVE,
            Secret(waiting["password_hash"]),
            now,
        )
        async with self._actions.begin(requester(inbound), now) as action:
            tx = action.tx
            may_sign_up = found.identifier not in self._owners and self.tenant_of(found.identifier) is not None
            if not may_sign_up or not await links.consume(tx, found, now):
                return LinkState.USED
            await links.supersede(tx, Purpose.SIGNUP, account=None, identifier=found.identifier, now=now)
            if not await account_rows.add(tx, account):
                return LinkState.USED
            details = {"breach_api": waiting["breach_api"]} if "breach_api" in waiting else {}
            await action.record(Event.ACCOUNT_SIGNED_UP, account, details)
        return Confirmed(found.identifier, found.target)

    async def _compare(
        self, link: MailedLink, password: Secret[str], client: str, now: int
    ) -> WrongPassword | Overloaded | None:
        """Verify the chosen password; None if it is right."""
        tries = f"signup-confirm:{link.id}"
        async with self._store.transaction() as tx:
            reserved = await limits.reserve(tx, tries, CONFIRMING, now)
            if isinstance(reserved, Locked):
                return WrongPassword(link, reserved.until)
        match await self._hasher.verify(password, Secret(link.content["password_hash"]), client):
            case Verdict.WRONG:
                return WrongPassword(link)
            case verdict:
                async with self._store.transaction() as tx:
                    await limits.give_back(tx, tries, now)
                return Overloaded() if verdict is Verdict.BUSY else None
