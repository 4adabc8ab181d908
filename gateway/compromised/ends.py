"""Ends everything that can act for an account: in one transaction, with one audit row and one mail."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from gateway.accounts import change, email_changes, links
from gateway.accounts import rows as account_rows
from gateway.accounts.admin_mails import tell_admins
from gateway.accounts.links import Purpose
from gateway.actions.action import Action
from gateway.crypto.sealing import Sealer
from gateway.factors.contract import Factors
from gateway.model.account import Account
from gateway.model.event import Event
from gateway.model.factor_policy import FactorPolicy
from gateway.model.secret import Secret
from gateway.passwords.changes import demands_another
from gateway.store import Transaction
from gateway.tokens import rows as token_rows


@dataclass(frozen=True, slots=True)
class Ended:
    """How many of each were open."""

    sessions_ended: int = 0
    tokens_ended: int = 0
    links_ended: int = 0
    email_changes_ended: int = 0

    def __bool__(self) -> bool:
        return any(asdict(self).values())

    def __add__(self, other: Ended) -> Ended:
        mine, theirs = asdict(self), asdict(other)
        return Ended(**{name: mine[name] + theirs[name] for name in mine})


async def end_all(action: Action, account: Account, but: str | None = None) -> Ended:
    """End sessions (except `but`), sign-in attempts, API tokens, mailed links and email changes; forget the devices.

    Links that undo an email change stay: they may be the owner's only way back.
    """
    tx, now = action.tx, action.now
    return Ended(
        sessions_ended=await change.end_everything(action, account, but),
        tokens_ended=await token_rows.revoke_all(tx, account.id, now),
        links_ended=await links.void_all(tx, account.id, now),
        email_changes_ended=await email_changes.end_open(tx, account.id, now),
    )


async def secure(action: Action, account: Account, but: str | None = None, *, is_quiet: bool = False) -> Ended:
    """End everything, record and mail it. `is_quiet`: neither, if there was nothing to end."""
    ended = await end_all(action, account, but)
    if ended or not is_quiet:
        await action.record(Event.ACCOUNT_SECURED, account, asdict(ended))
        await tell(action, account)
    return ended


async def tell(action: Action, account: Account, link: str = "") -> None:
    """Mail the person, or for a service account the administrators of its tenant."""
    if account.is_service:
        await tell_admins(action, account.tenant, "service_secured", service=account.name)
    else:
        await action.notify("account_secured", account, by=action.actor.name, link=link)


@dataclass(frozen=True, slots=True)
class Replacement:
    """How a person's password is taken away. `reset_address` is the URL of reset links, without the token."""

    factors: Factors
    policy: FactorPolicy
    sealer: Sealer
    reset_address: str

    async def secure(self, action: Action, account: Account, unknown: Secret[str]) -> tuple[Ended, bool]:
        """End everything for another person; their password becomes `unknown`, a hash without a known password.

        Mails a link to choose a new one. Returns also whether it did: not to people who sign in with a provider.
        """
        ended = await end_all(action, account)
        if account.password_hash is not None:
            await change.set_password(action, self.factors, account, unknown, {"how": "secured"})
        link = await self._make_link(action, account)
        await action.record(Event.ACCOUNT_SECURED, account, {**asdict(ended), "link_sent": bool(link)})
        await tell(action, account, link)
        return ended, bool(link)

    async def _make_link(self, action: Action, account: Account) -> str:
        if not await signs_in_by_password(action.tx, self.policy, account):
            return ""
        token = await links.issue(
            action.tx,
            self.sealer,
            Purpose.RESET,
            account=account.id,
            identifier=account.identifier,
            now=action.now,
        )
        return f"{self.reset_address}{token.reveal()}"


async def signs_in_by_password(tx: Transaction, policy: FactorPolicy, account: Account) -> bool:
    """Whether a new password is of use: the account has one, and its tenant doesn't demand a provider instead."""
    demanded = await account_rows.find_factor_policy(tx, account.tenant, even_suspended=True)
    return account.password_hash is not None and not demands_another(policy, account, demanded)
