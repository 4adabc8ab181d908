"""Changes of accounts, shared by pages, shell and imports. Each writes its audit row and queues its mail."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.accounts import email_changes, links, rows
from gateway.accounts.csv_import.reading import Create
from gateway.actions.action import NOTHING, Action
from gateway.factors import enrolment, tries
from gateway.factors.contract import Factors
from gateway.model.account import Account, Module, Role, Status
from gateway.model.entry import Details
from gateway.model.event import Event
from gateway.model.secret import Secret
from gateway.sessions import attempt as attempts
from gateway.sessions import rows as session_rows
from gateway.store import Transaction
from gateway.throttle import limits, streaks
from gateway.web.user_agents import label


async def create(action: Action, wanted: Create, remarks: Details = NOTHING) -> Account | None:
    """Add an account; None if the tenant can't have the email. `remarks` are added to the audit row."""
    (account,) = await create_all(action, [wanted], remarks)
    return account


async def create_all(action: Action, wanted: Sequence[Create], remarks: Details = NOTHING) -> list[Account | None]:
    """Do the same for several accounts."""
    accounts = [each.account(rows.new_account_id(), action.now) for each in wanted]
    added = await rows.add_all(action.tx, accounts)
    for account in accounts:
        if account.id in added:
            await action.record(Event.ACCOUNT_ADDED, account, {"role": account.role.value, **remarks})
    return [account if account.id in added else None for account in accounts]


async def rename(action: Action, account: Account, name: str) -> None:
    if name != account.name:
        await rows.set_name(action.tx, account.id, name)
        await action.record(Event.ACCOUNT_RENAMED, account, {"from": account.name, "to": name})


async def set_status(
    action: Action, account: Account, status: Status, by: str = "", details: Details = NOTHING
) -> bool:
    """Enable, or disable and end all sessions. Returns whether the status changed. For `by`, see rows.set_status.

    `details` are added to the audit row.
    """
    if not await rows.set_status(action.tx, account.id, status, by):
        return False
    is_disabled = status is Status.DISABLED
    ended = await end_everything(action, account) if is_disabled else 0
    event = Event.ACCOUNT_DISABLED if is_disabled else Event.ACCOUNT_ENABLED
    await action.record(event, account, {"sessions_ended": ended, **details})
    return True


async def is_last_admin(tx: Transaction, factors: Factors, account: Account) -> bool:
    """Whether the tenant has no other active admin. Locks the tenant, or two admins could remove each other."""
    if account.role is not Role.ADMIN or account.status is not Status.ACTIVE or account.is_service:
        return False
    await rows.lock_tenant(tx, account.tenant)
    return await rows.count_admins(tx, account.tenant, but=account.id, has_way_in=factors.has_way_in) == 0


async def set_role(action: Action, account: Account, role: Role, modules: frozenset[Module]) -> None:
    """Set role and modules, effective from the person's next request. Only an administrator stays exempt."""
    if (role, modules) != (account.role, account.modules):
        await rows.set_role(action.tx, account.id, role, modules)
        if role is not Role.ADMIN and account.enrolled.is_exempt:
            await enrolment.exempt(action.tx, account.id, False)
        before, after = describe_rights(account.role, account.modules), describe_rights(role, modules)
        await action.record(Event.ACCOUNT_ROLE_CHANGED, account, {"from": before, "to": after})


def describe_rights(role: Role, modules: frozenset[Module]) -> str:
    return ",".join((role.value, *sorted(modules)))


async def set_password(
    action: Action,
    factors: Factors,
    account: Account,
    password_hash: Secret[str],
    details: Details = NOTHING,
    but: str | None = None,
) -> int:
    """Set a password; end all sessions except `but`, sign-in attempts, mailed links, email changes and lockouts.

    Factors that stand for the password need the new one once (see FactorContract.distrust).
    Returns how many sessions were ended. Sends no mail: a person's own change does so itself, an operator hands the
    password over, and after an import the application has already told the person.
    """
    await rows.set_password_hash(action.tx, account.id, password_hash)
    ended = await end_everything(action, account, but)
    await links.void_all(action.tx, account.id, action.now)
    await email_changes.end_open(action.tx, account.id, action.now)
    await limits.clear_all(action.tx, tries.limit_prefix(account.identifier))
    for factor in factors:
        await factor.distrust(action.tx, account.id)
    await action.record(Event.PASSWORD_CHANGED, account, {"sessions_ended": ended, **details})
    return ended


async def unlock(action: Action, factors: Factors, account: Account) -> int:
    """Clear the failure counters of every factor and the limits on reset mails. Returns how many were cleared."""
    tx = action.tx
    forgiven = await limits.clear_all(tx, f"code:{account.id}|")
    for prefix in (prefix for factor in factors for prefix in factor.limits_of(account)):
        forgiven += await limits.clear_all(tx, prefix)
    # In the order in which a request for a reset mail locks them (limits.read_all).
    forgiven += await limits.clear_all(tx, f"forgot-day:{account.identifier}|")
    await limits.clear(tx, f"forgot:{account.identifier}")
    forgiven += await limits.clear_all(tx, f"forgot:{account.identifier}|")
    forgiven += await streaks.reset_all(tx, account.id)
    await action.record(Event.ACCOUNT_UNLOCKED, account, {"counts_forgiven": forgiven})
    return forgiven


async def reset_factors(action: Action, factors: Factors, account: Account, *, is_owner: bool) -> None:
    """Remove the enrolled second factors, end all sessions, and mail. The next sign-in asks to enrol again."""
    for factor in factors:
        await factor.reset(action.tx, account.id, action.now, is_owner=is_owner)
    await streaks.reset_all(action.tx, account.id)
    ended = await end_everything(action, account)
    await action.record(Event.TWO_FACTOR_RESET, account, {"sessions_ended": ended})
    await action.notify("totp_reset", account, by=action.actor.name)


# Signing out.


async def end_everything(action: Action, account: Account, but: str | None = None) -> int:
    """End all sign-in attempts, and all sessions except `but`. Returns how many sessions were open.

    Their devices are forgotten, so the next sign-in from one of them sends a new-device mail.
    """
    await attempts.end_all(action.tx, account.id, action.now)
    await session_rows.forget_devices(action.tx, account.id, action.now, but)
    return await session_rows.end_all(action.tx, account.id, action.now, but)


async def end_session(
    action: Action, session_id: str, account_id: str | None = None, details: Details = NOTHING
) -> bool:
    """End a session, if it is open and belongs to `account_id` (when given), and mail. Returns whether it did."""
    session = await session_rows.find_open(action.tx, session_id, account_id)
    account = await rows.find(action.tx, session.account) if session else None
    if session is None or account is None or not await session_rows.end(action.tx, session_id, action.now):
        return False
    await session_rows.forget_device(action.tx, account.id, session.device, action.now)
    device = label(session.user_agent)
    await action.record(Event.SESSION_REVOKED, account, {"device": device, **details}, session=session_id)
    await action.notify_about("session_revoked", account, device, session.address)
    return True


async def end_sessions(action: Action, account: Account) -> int:
    """End all sessions without a mail, for a restore that signs every account out. Returns how many were open."""
    ended = await end_everything(action, account)
    await action.record(Event.SESSION_REVOKED_ALL, account, {"sessions_ended": ended})
    return ended


async def sign_out(action: Action, account: Account, but: str | None = None, *, is_quiet: bool = False) -> int:
    """End all sessions except `but`, and mail if any were open. Returns how many were open.

    `is_quiet`: write no audit row if none were open.
    """
    ended = await end_everything(action, account, but)
    if ended or not is_quiet:
        await action.record(Event.SESSION_REVOKED_ALL, account, {"sessions_ended": ended})
    if ended:
        await action.notify("sessions_revoked", account, count=ended)
    return ended


async def sign_out_all(action: Action, accounts: Sequence[Account], but: str | None = None) -> int:
    """Sign out each account. Those without open sessions get no audit row and no mail. Returns the number ended."""
    return sum([await sign_out(action, account, but, is_quiet=True) for account in accounts])
