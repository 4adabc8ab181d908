"""Changing an account's email. The same protocol applies to every requester.

Control of the email gives control of the account, so two confirmations are needed. A link proves control of the new
mailbox, and confirming it needs proof of the account: a session in that browser, or the password if the account has no
second factor. Without the first, people could claim addresses of others; without the second, an attacker could attach
a stranger's mailbox to an account that is open elsewhere.

If an administrator requested the change, the old address must agree too, or has 72 hours to stop it. A completed
change ends all other sessions and is mailed to both addresses. For seven days the old address can undo it: it is
restored, later changes are void, and a new password must be chosen, because the attacker knew the old one. What the
other mailbox confirmed meanwhile, as a company's provider asks it to, is void too. Two-step verification is never
reset, so that a mailbox can't bypass it.

No account becomes a platform owner's by a new email, and owners' emails can be changed in the shell only.

Long because the steps (request, agree, stop, undo) of one protocol check each other's state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.accounts import change as account_change
from gateway.accounts import claims, email_changes, links, rows
from gateway.accounts.authors import find_author
from gateway.accounts.email_changes import Change
from gateway.accounts.email_outcome import Agreed, Done, Gone, Open, Overloaded, Proof, Refused, Undone, Waiting
from gateway.accounts.invitations import TooManyMails, count_mail
from gateway.accounts.links import LinkState, Purpose
from gateway.actions.action import Action, Actions, Actor, requester
from gateway.crypto.hashing import Hasher, Verdict
from gateway.crypto.sealing import Sealer
from gateway.factors import tries
from gateway.factors.contract import Factors
from gateway.mail.outbox import Outbox
from gateway.model.account import Account
from gateway.model.clock import DAY
from gateway.model.entry import Details
from gateway.model.event import Event
from gateway.model.inbound import Inbound
from gateway.model.moment import Moment
from gateway.model.secret import Secret
from gateway.model.session import Session
from gateway.store import Store, Transaction
from gateway.throttle import limits
from gateway.throttle.client import client_of
from gateway.throttle.limits import Limit, Locked

ASKED = Limit(failures=10, window_seconds=DAY, lock_seconds=DAY)
AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Addresses:
    """Absolute URLs of the links, each to be followed by its token."""

    confirm: str
    old: str
    undo: str


@dataclass(frozen=True, slots=True)
class EmailChanges:
    """`owners` are normalised identifiers; `limit` is that of failed passwords."""

    store: Store
    hasher: Hasher
    sealer: Sealer
    outbox: Outbox
    actions: Actions
    owners: frozenset[str]
    limit: Limit
    addresses: Addresses
    factors: Factors

    # Requesting.

    async def find_open(self, account: str) -> Change | None:
        async with self.store.reading() as tx:
            return await email_changes.find_open(tx, account)

    async def ask_own(self, session: Session, new: str, inbound: Inbound, now: int) -> bool:
        """Mail a link to the new address. Returns False if the person or the address is over its limit.

        The page is the same for every email. Only a mail to the address says that it is unavailable.
        """
        try:
            async with self.actions.begin(requester(inbound, session.id), now) as action:
                tx = action.tx
                account = await find_author(tx, session)
                if account is None or account.identifier in self.owners:
                    return True
                if isinstance(await limits.reserve(tx, f"email-change:{account.id}", ASKED, now), Locked):
                    return False
                is_free = await claims.may_have(tx, account.tenant, new, self.owners, now, account=account.id)
                await self.ask(action, account, new, is_free=is_free)
        except TooManyMails:
            return False
        return True

    async def ask(self, action: Action, account: Account, new: str, *, is_free: bool = True) -> None:
        """Store the request and mail the links. The email changes only when they are used.

        An actor with a name is an administrator, and the old address gets a link too. If not `is_free`, the new
        address is told so and gets no link. Raises TooManyMails if it was mailed too often today.
        """
        tx, now, asked_by = action.tx, action.now, action.actor.name
        await count_mail(tx, account.tenant, new, now)
        changing = await email_changes.add(tx, account.id, account.identifier, new, asked_by, now)
        company = await rows.find_tenant_name(tx, account.tenant)
        about = {"asked_by": asked_by or account.name, "company": company, "old_email": account.identifier}
        confirm = await self._link(tx, Purpose.EMAIL_CHANGE, changing, new, now)
        link = f"{self.addresses.confirm}{confirm.reveal()}"
        if is_free:
            await self._mail(tx, "email_confirm", new, account, now, link=link, **about)
        else:
            await self.outbox.post(tx, "email_unavailable", new, account=None, now=now)
        if asked_by:
            old = await self._link(tx, Purpose.EMAIL_OLD, changing, account.identifier, now)
            link, until = f"{self.addresses.old}{old.reveal()}", Moment(changing.due_at)
            await self._mail(
                tx, "email_requested", account.identifier, account, now, link=link, new_email=new, until=until, **about
            )
        await action.record(Event.EMAIL_CHANGE_REQUESTED, account, {"to": new})

    # The new address.

    async def look(self, token: str, session: Session | None, now: int) -> Open | Gone:
        """Return what the new address is asked to confirm. Read-only."""
        async with self.store.reading() as tx:
            opened = await self._find(tx, Purpose.EMAIL_CHANGE, token, now)
            if isinstance(opened, Gone):
                return opened
            if opened.change.new_agreed_at is not None or not await self._is_possible(tx, opened.account):
                return Gone()
            return replace(opened, proof=await self._proof(tx, opened.account, session))

    async def confirm(
        self, token: str, password: Secret[str], session: Session | None, inbound: Inbound, now: int
    ) -> Done | Waiting | Refused | Overloaded | Gone:
        """Confirm the new email with proof of the account. Single use: of concurrent requests, one succeeds."""
        opened = await self.look(token, session, now)
        if isinstance(opened, Gone):
            return opened
        if opened.proof is not Proof.SESSION:
            refused = await self._compare(opened, password, inbound, now)
            if refused is not None:
                return refused
        stays = session.id if session is not None and opened.proof is Proof.SESSION else None
        async with self.actions.begin(requester(inbound, stays), now) as action:
            tx = action.tx
            account = await rows.find(tx, opened.account.id, lock=True)
            found = await self._find(tx, Purpose.EMAIL_CHANGE, token, now)
            if isinstance(found, Gone):
                return found
            if account is None or account.password_hash != opened.account.password_hash:
                return Gone()
            if not await links.consume(tx, found.link, now) or not await email_changes.agree_new(
                tx, found.change.id, now
            ):
                return Gone(LinkState.USED)
            agreed = replace(found.change, new_agreed_at=now)
            if not agreed.may_happen(now):
                await action.record(Event.EMAIL_CHANGE_CONFIRMED, account, {"to": agreed.new})
                return Waiting(agreed.due_at)
            is_done = await self.complete(action, account, agreed)
        return Done(is_signed_in=stays is not None) if is_done else Gone()

    async def _proof(self, tx: Transaction, account: Account, session: Session | None) -> Proof:
        if session is not None and session.account == account.id and session.missing is None:
            return Proof.SESSION
        needs_more = bool(account.enrolled.all)
        return Proof.SIGN_IN if needs_more or account.password_hash is None else Proof.PASSWORD

    async def _compare(
        self, opened: Open, password: Secret[str], inbound: Inbound, now: int
    ) -> Refused | Overloaded | None:
        """Verify the account's password under the rate limit of sign-in. None if it is right and sufficient."""
        account = opened.account
        if opened.proof is Proof.SIGN_IN:
            return Refused(opened)
        async with self.store.transaction() as tx:
            reserved = await tries.reserve_try(tx, account.identifier, account.id, inbound, self.limit, now)
            if isinstance(reserved, Locked):
                return Refused(opened, reserved.until)
        verdict = await self.hasher.verify(password, account.password_hash, client_of(inbound.address))
        async with self.actions.begin(requester(inbound), now) as action:
            if verdict is Verdict.BUSY:
                await limits.give_back(action.tx, reserved.key, now)
                return Overloaded()
            if verdict is Verdict.RIGHT:
                await tries.forgive_tries(action.tx, account.identifier, inbound.address)
                return None
            details = {"reason": "wrong", "where": "confirming an email"}
            await action.record_or_count(Event.LOGIN_FAILED, account, details)
        return Refused(opened)

    async def find_link(self, purpose: Purpose, token: str, now: int) -> Open | Gone:
        """Return what the old or the former address is asked. Read-only."""
        async with self.store.reading() as tx:
            return await self._find(tx, purpose, token, now)

    # The old address.

    async def agree(self, token: str, inbound: Inbound, now: int) -> Done | Agreed | Gone:
        """Record the old address's consent. Completes the change if the new address has confirmed."""
        async with self.actions.begin(requester(inbound), now) as action:
            found = await self._use(action.tx, Purpose.EMAIL_OLD, token, now)
            if isinstance(found, Gone):
                return found
            await email_changes.agree_old(action.tx, found.change.id, now)
            agreed = replace(found.change, old_agreed_at=now)
            await action.record(Event.EMAIL_CHANGE_AGREED, found.account, {"to": agreed.new})
            if not agreed.may_happen(now):
                return Agreed()
            return Done() if await self.complete(action, found.account, agreed) else Gone()

    async def stop(self, token: str, inbound: Inbound, now: int) -> Open | Gone:
        """Stop the change. Works for a disabled account too: the requester may have disabled it."""
        async with self.actions.begin(requester(inbound), now) as action:
            found = await self._use(action.tx, Purpose.EMAIL_OLD, token, now)
            if not isinstance(found, Gone):
                await email_changes.end_open(action.tx, found.account.id, now)
                details = {"to": found.change.new, "asked_by": found.change.asked_by}
                await action.record(Event.EMAIL_CHANGE_STOPPED, found.account, details)
            return found

    # The former address.

    async def undo(self, token: str, inbound: Inbound, now: int) -> Undone | Gone:
        """Restore the former email, end every session, clear the password and issue a link to set a new one."""
        async with self.actions.begin(requester(inbound), now) as action:
            tx = action.tx
            found = await self._use(tx, Purpose.EMAIL_UNDO, token, now)
            if isinstance(found, Gone):
                return found
            account, changed = found.account, found.change
            if {changed.old, account.identifier} & self.owners:
                return Gone()
            if not await rows.set_identifier(tx, account.id, changed.old):
                return Gone()
            await email_changes.undo(tx, changed, now)
            await rows.clear_password(tx, account.id)
            await links.void_all(tx, account.id, now)
            await self.factors.suspect(tx, account.id, changed.done_at or 0)
            ended = await account_change.end_everything(action, account)
            details: Details = {"from": account.identifier, "to": changed.old, "sessions_ended": ended}
            await action.record(Event.EMAIL_CHANGE_UNDONE, account, details)
            restored = replace(account, identifier=changed.old)
            for told in (restored, account):
                await action.notify("email_undone", told, email=changed.old, former_email=account.identifier)
            token_for_password = await links.issue(
                tx, self.sealer, Purpose.RESET, account=account.id, identifier=changed.old, now=now
            )
        return Undone(token_for_password)

    # Completing.

    async def run_due(self, now: int) -> int:
        """Complete changes that the new address confirmed and the old one didn't stop in time. Returns how many."""
        async with self.store.reading() as tx:
            due = await email_changes.list_due(tx, now, AT_ONCE)
        for waiting in due:
            async with self.actions.begin(Actor(), now) as action:
                account = await rows.find(action.tx, waiting.account, lock=True)
                changing = await email_changes.find(action.tx, waiting.id)
                if account is not None and changing is not None and changing.may_happen(now):
                    await self.complete(action, account, changing)
        return len(due)

    async def set_now(self, action: Action, account: Account, new: str, *, may_be_owners: bool = True) -> bool:
        """Change an email at once: for the operator's shell, which may change owners' too, and a company's provider."""
        author, now = action.actor.by, action.now
        if not may_be_owners and account.identifier in self.owners:
            return False
        changing = await email_changes.add(action.tx, account.id, account.identifier, new, author, now)
        agreed = replace(changing, old_agreed_at=now, new_agreed_at=now)
        return await self.complete(action, account, agreed, may_be_owners=may_be_owners, is_at_once=True)

    async def complete(
        self,
        action: Action,
        account: Account,
        changing: Change,
        *,
        may_be_owners: bool = False,
        is_at_once: bool = False,
    ) -> bool:
        """Set the new email of an account that the caller has locked. If that is not possible, end the change.

        Returns whether it was done. The actor's own session stays open. `is_at_once`: also of a disabled account.
        """
        tx, now = action.tx, action.now
        owners = frozenset[str]() if may_be_owners else self.owners
        is_possible = is_at_once or await self._is_possible(tx, account)
        if (
            not is_possible
            or account.identifier != changing.old
            or not await claims.may_have(tx, account.tenant, changing.new, owners, now, account=account.id)
            or not await rows.set_identifier(tx, account.id, changing.new)
        ):
            await email_changes.end_open(tx, account.id, now)
            return False
        await email_changes.finish(tx, changing, now)
        await links.void_all(tx, account.id, now)
        ended = await account_change.end_everything(action, account, but=action.actor.session)
        asked_by: Details = {"asked_by": changing.asked_by} if changing.asked_by else {}
        details = {"from": changing.old, "to": changing.new, "sessions_ended": ended, **asked_by}
        await action.record(Event.EMAIL_CHANGED, account, details)
        await self._tell(action, account, changing)
        return True

    async def _tell(self, action: Action, account: Account, done: Change) -> None:
        """Mail both addresses. The old one gets the undo link, unless an owner's email is involved."""
        undo_link = ""
        if not {done.old, done.new} & self.owners:
            token = await self._link(action.tx, Purpose.EMAIL_UNDO, done, done.old, action.now)
            undo_link = f"{self.addresses.undo}{token.reveal()}"
        await action.notify("email_changed", account, new_email=done.new, undo_link=undo_link)
        changed = replace(account, identifier=done.new)
        await action.notify("email_in_use", changed, old_email=done.old)

    # Shared.

    async def _find(self, tx: Transaction, purpose: Purpose, token: str, now: int) -> Open | Gone:
        """Return a valid link with its change and account, or why it is invalid."""
        link = await links.find(tx, self.sealer, purpose, token)
        if link is None or link.account is None:
            return Gone()
        state = link.state(now)
        if state is not LinkState.GOOD:
            return Gone(state)
        changing = await email_changes.find(tx, link.content.get("change", ""))
        account = await rows.find(tx, link.account)
        if changing is None or account is None:
            return Gone()
        if not (changing.can_be_undone(now) if purpose is Purpose.EMAIL_UNDO else changing.is_open):
            return Gone()
        return Open(link, changing, account, await rows.find_tenant_name(tx, account.tenant))

    async def _use(self, tx: Transaction, purpose: Purpose, token: str, now: int) -> Open | Gone:
        """Lock the account of a link and consume the link."""
        found = await self._find(tx, purpose, token, now)
        if isinstance(found, Gone):
            return found
        await rows.find(tx, found.account.id, lock=True)
        found = await self._find(tx, purpose, token, now)
        if isinstance(found, Gone) or await links.consume(tx, found.link, now):
            return found
        return Gone(LinkState.USED)

    async def _is_possible(self, tx: Transaction, account: Account) -> bool:
        return account.identifier not in self.owners and await rows.is_welcome(tx, account)

    async def _link(self, tx: Transaction, purpose: Purpose, changing: Change, to: str, now: int) -> Secret[str]:
        content, account = {"change": changing.id}, changing.account
        return await links.issue(tx, self.sealer, purpose, account=account, identifier=to, now=now, content=content)

    async def _mail(
        self, tx: Transaction, template: str, to: str, account: Account, now: int, **context: str | int
    ) -> None:
        await self.outbox.post(tx, template, to, account=account.id, now=now, name=account.name, **context)
