"""People whom a provider sends for the first time: which account is theirs, and how that is confirmed."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.accounts import claims as domains
from gateway.accounts import links
from gateway.accounts import rows as account_rows
from gateway.accounts.change import describe_rights
from gateway.accounts.links import LinkState, MailedLink, Purpose
from gateway.actions.action import Action, Actions, requester
from gateway.crypto.sealing import Sealer
from gateway.mail.outbox import Outbox
from gateway.model.account import Account, Status, Unacceptable, check_name, normalise_identifier
from gateway.model.event import Event
from gateway.model.factor_policy import FactorPolicy
from gateway.model.inbound import Inbound
from gateway.sso import origins, rows
from gateway.sso.oidc.record import Claims
from gateway.sso.roles.follow import Follower
from gateway.sso.roles.mapping import Asserted
from gateway.sso.rows import Registered
from gateway.store import Store, Transaction
from gateway.web.return_to import HOME


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A first sign-in that its mailed link has confirmed. `target` is the page that it began at."""

    tenant: str
    target: str


class Arrivals:
    """`link` is the absolute URL of mailed links, to be followed by the token."""

    def __init__(
        self,
        *,
        store: Store,
        actions: Actions,
        sealer: Sealer,
        outbox: Outbox,
        policy: FactorPolicy,
        follower: Follower,
        link: str,
    ) -> None:
        self._store = store
        self._actions = actions
        self._sealer = sealer
        self._outbox = outbox
        self._policy = policy
        self._follower = follower
        self._link = link

    async def match(self, tx: Transaction, registered: Registered, claims: Claims) -> tuple[str, Account | None] | str:
        """Return the email of a new arrival, and the account that has it; or why it can't be used.

        The email only names an account: its mailbox has to confirm. It must be in a domain of the tenant, and no
        owner's. A guest's home directory vouches for the guest, and not the tenant's.
        """
        if claims.is_guest:
            return "guest"
        try:
            identifier = normalise_identifier(claims.email)
        except Unacceptable:
            return "email"
        tenant = registered.provider.tenant
        if not await self._is_ours(tx, identifier, tenant):
            return "email"
        account = await account_rows.find_by_identifier(tx, identifier)
        if account is None:
            return (identifier, None) if registered.creates_accounts else "account"
        if not await self.may_enter(tx, account, tenant) or await rows.find_link_of(tx, account.id) is not None:
            return "account"
        return identifier, account

    async def _is_ours(self, tx: Transaction, identifier: str, tenant: str) -> bool:
        claim = await domains.find(tx, identifier.rpartition("@")[2])
        return claim is not None and claim.tenant == tenant and identifier not in self._policy.owners

    async def may_enter(self, tx: Transaction, account: Account, tenant: str) -> bool:
        is_ours = account.tenant == tenant and account.identifier not in self._policy.owners
        is_active = account.status is Status.ACTIVE
        return (
            is_ours
            and is_active
            and not account.is_service
            and await account_rows.find_factor_policy(tx, tenant) is not None
        )

    # Mailed confirmations.

    async def look(self, token: str) -> MailedLink | None:
        async with self._store.reading() as tx:
            return await links.find(tx, self._sealer, Purpose.SSO_LINK, token)

    async def confirm(self, token: str, inbound: Inbound, now: int) -> Confirmed | None:
        """Consume a mailed link: link the account, or create it. Returns None if it is no longer good.

        Only in the browser that came from the provider. Otherwise a colleague could sign in there as themselves with
        another person's email, and that person would link the colleague to their own account by one click.
        """
        async with self._actions.begin(requester(inbound), now) as action:
            mailed = await links.find(action.tx, self._sealer, Purpose.SSO_LINK, token)
            if mailed is None or mailed.state(now) is not LinkState.GOOD or not is_from(mailed, inbound):
                return None
            if not await origins.hold(action.tx, mailed.content["provider"]):
                return None
            registered = await rows.find_provider(action.tx, self._sealer, mailed.content["provider"])
            if registered is None or not registered.provider.is_enabled or not is_of(mailed, registered):
                return None
            account = await self._find_mailed(action, registered, mailed)
            if account is None or not await links.consume(action.tx, mailed, now):
                return None
            is_linked = await self.connect(action, registered, mailed.content["subject"], account)
            return Confirmed(registered.provider.tenant, mailed.target or HOME) if is_linked else None

    async def _find_mailed(self, action: Action, registered: Registered, mailed: MailedLink) -> Account | None:
        """Return the account of a mailed link, locked, or the one that it creates."""
        tenant = registered.provider.tenant
        if not await self._is_ours(action.tx, mailed.identifier, tenant):
            return None
        if mailed.account is None:
            asserted = self._follower.unpack(mailed.content.get("asserted", ""))
            return await self.create(action, registered, mailed.identifier, mailed.content["name"], asserted)
        account = await account_rows.find(action.tx, mailed.account, lock=True)
        is_same = account is not None and account.identifier == mailed.identifier
        return account if account and is_same and await self.may_enter(action.tx, account, tenant) else None

    async def mail(
        self,
        action: Action,
        registered: Registered,
        claims: Claims,
        identifier: str,
        account: Account | None,
        *,
        browser: bytes,
        target: str,
    ) -> None:
        """Mail a link that works in that browser (SHA-256 of its cookie), and then leads to the target."""
        content = {
            "provider": registered.provider.id,
            "subject": claims.key,
            "issuer": registered.provider.issuer,
            "client": registered.provider.client_id,
            "name": claims.name,
            "browser": browser.hex(),
            links.TARGET: target,
        }
        if account is None:
            content["asserted"] = await self._follower.pack(action.tx, registered, claims)
        token = await links.issue(
            action.tx,
            self._sealer,
            Purpose.SSO_LINK,
            account=account.id if account else None,
            identifier=identifier,
            now=action.now,
            content=content,
        )
        await self._outbox.post(
            action.tx,
            "sso_link",
            identifier,
            account=account.id if account else None,
            now=action.now,
            name=account.name if account else claims.name,
            tenant=await account_rows.find_tenant_name(action.tx, registered.provider.tenant),
            link=f"{self._link}{token.reveal()}",
        )

    async def create(
        self, action: Action, registered: Registered, identifier: str, name: str, asserted: Asserted
    ) -> Account | None:
        """Add an account without a password. Returns None if the tenant can't have the email, or doesn't allow it."""
        if not registered.creates_accounts:
            return None
        try:
            shown = check_name(name)
        except Unacceptable:
            shown = identifier
        given = await self._follower.grant(action.tx, registered, asserted)
        account = Account(
            account_rows.new_account_id(), identifier, shown, registered.provider.tenant, given.role, given.modules,
            Status.ACTIVE, None, action.now,
        )  # fmt: skip
        if not await account_rows.add(action.tx, account):
            return None
        await action.record(
            Event.ACCOUNT_ADDED, account, {"role": describe_rights(given.role, given.modules), "how": "single sign-on"}
        )
        return account

    async def connect(self, action: Action, registered: Registered, subject: str, account: Account) -> bool:
        if not await rows.add_link(action.tx, registered.provider.id, subject, account.id, action.now):
            return False
        await action.record(Event.SSO_LINKED, account, {"issuer": registered.provider.issuer})
        await action.notify("sso_linked", account, issuer=registered.provider.issuer)
        return True


def is_of(mailed: MailedLink, registered: Registered) -> bool:
    """Whether a link was mailed for what the provider is now. Another issuer, or client, may mean another person by the
    same subject.
    """
    provider, content = registered.provider, mailed.content
    return (content.get("issuer"), content.get("client")) == (provider.issuer, provider.client_id)


def is_from(mailed: MailedLink, inbound: Inbound) -> bool:
    """Whether a request comes from the browser that a mailed link was made for."""
    return inbound.sso_key is not None and mailed.content["browser"] == inbound.sso_key.hex()
