"""A provider's users: accounts of its tenant, with an email in one of the tenant's domains.

Creating a user makes an account without a password, or takes over the account that the tenant has under that email;
the connection to the provider's sign-in still needs its own proof (see sso/arrival.py). Removing a user disables the
account. The provider enables only accounts that it has disabled itself, and never disables the last admin. Some
accounts are out of its reach (protection.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, false

from gateway.accounts import change, claims
from gateway.accounts import rows as account_rows
from gateway.accounts.email_change import EmailChanges
from gateway.actions.action import Action
from gateway.factors.contract import Factors
from gateway.model.account import Account, Role, Status, Unacceptable, check_name, normalise_identifier
from gateway.model.event import Event
from gateway.scim import group_rows, patching, user_rows
from gateway.scim.admission import SCIM, Admission, Caller
from gateway.scim.answers import Refusal
from gateway.scim.filters import Condition, InvalidFilter
from gateway.scim.patching import Operation
from gateway.scim.protection import find_protection
from gateway.scim.shapes import USER
from gateway.scim.user_rows import Managed, scim_users
from gateway.sso import rows as sso_rows
from gateway.store import Transaction
from gateway.store.schema import accounts

Content = Mapping[str, Any]
PROTECTED = {
    "owner": "this account can’t be changed by provisioning",
    "service": "this is a service account, which provisioning can’t change",
    "break_glass": "this account is kept for emergencies and can’t be changed by provisioning",
    "last_admin": "this is the company’s last administrator; make someone else an administrator first",
}


class UserService:
    """`owners` are normalised identifiers."""

    def __init__(
        self, admission: Admission, email_changes: EmailChanges, factors: Factors, owners: frozenset[str]
    ) -> None:
        self._admission = admission
        self._email_changes = email_changes
        self._factors = factors
        self._owners = owners

    # Reading.

    async def find(self, caller: Caller, account_id: str) -> Managed:
        async with self._admission.reading(caller) as tx:
            return found(await user_rows.find(tx, caller.tenant, account_id))

    async def list(
        self, caller: Caller, conditions: Sequence[Condition], start: int, count: int
    ) -> tuple[int, list[Managed]]:
        """Return how many users match, and a page of them. Raises InvalidFilter."""
        wanted = [condition_of(condition) for condition in conditions]
        async with self._admission.reading(caller) as tx:
            return await user_rows.find_page(tx, caller.tenant, wanted, start, count)

    # Changing.

    async def create(self, caller: Caller, content: Content) -> Managed:
        """Add an account, or take over the one that the tenant has under this email."""
        async with self._admission.begin(caller) as action:
            tx = action.tx
            identifier = await self._identify(tx, caller.tenant, content)
            known = await account_rows.find_by_identifier(tx, identifier)
            account = known and await account_rows.find_in_tenant(tx, known.id, caller.tenant, lock=True)
            if known is None:
                account = await self._add(action, caller.tenant, identifier, content)
            if account is None or await user_rows.is_managed(tx, account.id):
                raise taken()
            if find_protection(account, self._owners):
                raise taken()
            if known is not None:
                await self._take_over(action, account, content)
            await user_rows.add(tx, account, content, action.now)
            return found(await user_rows.find(tx, caller.tenant, account.id))

    async def replace(self, caller: Caller, account_id: str, content: Content) -> Managed:
        async with self._admission.begin(caller) as action:
            managed = found(await user_rows.find(action.tx, caller.tenant, account_id, lock=True), "not_there")
            return await self._change(action, managed, content)

    async def patch(self, caller: Caller, account_id: str, operations: Sequence[Operation]) -> Managed:
        """Apply all operations, or none."""
        from gateway.scim.models import check

        async with self._admission.begin(caller) as action:
            managed = found(await user_rows.find(action.tx, caller.tenant, account_id, lock=True), "not_there")
            patched = patching.apply(content_of(managed), operations, USER)
            return await self._change(action, managed, check(USER, patched, "PATCH"))

    async def remove(self, caller: Caller, account_id: str) -> None:
        """Disable the account, and forget what its provider said, its groups and its connection to the provider."""
        async with self._admission.begin(caller) as action:
            tx = action.tx
            account = found(await user_rows.find(tx, caller.tenant, account_id, lock=True), "not_there").account
            if reason := find_protection(account, self._owners):
                raise protected(reason)
            await self._set_active(action, account, is_active=False)
            await group_rows.leave_all(tx, account.id)
            was_connected = await sso_rows.remove_links_of(tx, account.id)
            await user_rows.remove(tx, account.id)
            await action.record(Event.SCIM_USER_UNLINKED, account, {"was_connected": was_connected})

    async def _identify(self, tx: Transaction, tenant: str, content: Content) -> str:
        """Return the email of a user. Raises Refusal unless it is in a domain of the tenant."""
        try:
            identifier = normalise_identifier(content["userName"])
            claim = await claims.find(tx, identifier.rpartition("@")[2])
        except Unacceptable:
            claim = None
        if claim is None or claim.tenant != tenant:
            detail = "userName must be an email address in one of the company’s domains"
            raise Refusal(400, detail, "invalidValue", reason="domain")
        return identifier

    async def _add(self, action: Action, tenant: str, identifier: str, content: Content) -> Account | None:
        """Add an account without a password; None if the tenant can't have the email."""
        if not await claims.may_have(action.tx, tenant, identifier, self._owners, action.now):
            return None
        account = Account(
            account_rows.new_account_id(), identifier, name_of(content, identifier), tenant, Role.EMPLOYEE, frozenset(),
            Status.ACTIVE, None, action.now,
        )  # fmt: skip
        if not await account_rows.add(action.tx, account):
            return None
        await action.record(Event.ACCOUNT_ADDED, account, {"role": Role.EMPLOYEE.value, "how": SCIM})
        await self._set_active(action, account, is_active=content["active"])
        return account

    async def _take_over(self, action: Action, account: Account, content: Content) -> None:
        """Manage an account from now on. It keeps its name, role, password and factors.

        One that an administrator has disabled stays so: only asking for it again, as a change, is refused.
        """
        await action.record(Event.SCIM_USER_LINKED, account)
        is_active = content["active"]
        if not is_active or await account_rows.is_disabled_by(action.tx, account.id, SCIM):
            await self._set_active(action, account, is_active=is_active)

    async def _change(self, action: Action, managed: Managed, content: Content) -> Managed:
        tx, account = action.tx, managed.account
        if reason := find_protection(account, self._owners):
            raise protected(reason)
        identifier = account.identifier
        if not is_spelling_of(content["userName"], identifier):
            # Only a new one has to be in a domain of the tenant: people whose email isn't, any more, must be able to
            # lose their access, too.
            identifier = await self._identify(tx, account.tenant, content)
            await self._set_email(action, account, identifier)
            account = replace(account, identifier=identifier)
        await self._set_active(action, account, is_active=content.get("active", is_active(account)))
        changed = sorted(
            name for name in USER.names if name != "active" and content.get(name) != content_of(managed).get(name)
        )
        if not changed:
            return found(await user_rows.find(tx, account.tenant, account.id))
        await change.rename(action, account, name_of(content, identifier))
        await user_rows.put(tx, account.id, content, action.now)
        await action.record(Event.SCIM_USER_CHANGED, account, {"attributes": ", ".join(changed)})
        return found(await user_rows.find(tx, account.tenant, account.id))

    async def _set_email(self, action: Action, account: Account, identifier: str) -> None:
        if not await self._email_changes.set_now(action, account, identifier, may_be_owners=False):
            raise taken()

    async def _set_active(self, action: Action, account: Account, *, is_active: bool) -> None:
        """Enable or disable an account, unless it is so already."""
        if is_active is (account.status is Status.ACTIVE):
            return
        if is_active:
            if not await account_rows.is_disabled_by(action.tx, account.id, SCIM):
                detail = "an administrator has disabled this account, and only an administrator can enable it"
                raise Refusal(403, detail, reason="disabled_by_admin")
            await change.set_status(action, account, Status.ACTIVE)
            return
        if reason := find_protection(account, self._owners):
            raise protected(reason)
        if await change.is_last_admin(action.tx, self._factors, account):
            raise protected("last_admin")
        await change.set_status(action, account, Status.DISABLED, by=SCIM)


def found(managed: Managed | None, reason: str = "") -> Managed:
    """Return the user, or raise Refusal: another tenant's, and one that isn't managed, are not there."""
    if managed is None:
        raise Refusal(404, "there is no such user", reason=reason)
    return managed


def taken() -> Refusal:
    return Refusal(409, "this userName can’t be used", "uniqueness", reason="taken")


def protected(reason: str) -> Refusal:
    return Refusal(403, PROTECTED[reason], reason=reason)


def is_active(account: Account) -> bool:
    return account.status is Status.ACTIVE


def content_of(managed: Managed) -> dict[str, Any]:
    """Return the attributes of a user. The email has the spelling in which it was sent, as long as it is the same."""
    content, identifier = dict(managed.content), managed.account.identifier
    if not is_spelling_of(content["userName"], identifier):
        content["userName"] = identifier
    more = {"externalId": managed.external_id} if managed.external_id else {}
    return {**content, **more, "active": is_active(managed.account)}


def is_spelling_of(text: str, identifier: str) -> bool:
    try:
        return text.lower() == identifier or normalise_identifier(text) == identifier
    except Unacceptable:
        return False


def name_of(content: Content, identifier: str) -> str:
    """Return the name to show for a user: the first one that is given and can be shown, else the email."""
    name = content.get("name", {})
    composed = f"{name.get('givenName', '')} {name.get('familyName', '')}"
    for candidate in (content.get("displayName", ""), name.get("formatted", ""), composed):
        try:
            return check_name(candidate)
        except Unacceptable:
            continue
    return identifier


def condition_of(condition: Condition) -> ColumnElement[bool]:
    """Return what a filter asks for. Raises InvalidFilter."""
    match condition:
        case ("username", str(value)):
            try:
                return accounts.c.identifier == normalise_identifier(value)
            except Unacceptable:  # nobody's: providers test the connection with a random name
                return false()
        case ("externalid", str(value)):
            return scim_users.c.external_id == value if value else false()
        case ("id", str(value)):
            return scim_users.c.account == value
        case ("active", bool(value)):
            return accounts.c.status == (Status.ACTIVE if value else Status.DISABLED).value
    raise InvalidFilter("users can be found by userName, externalId, id and active")
