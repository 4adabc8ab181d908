"""Changes of accounts that an operator makes: each with its audit row, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gateway.accounts import email_changes, links, rows
from gateway.accounts.csv_import.reading import Create
from gateway.audit import rows as audit
from gateway.factors.contract import Factors
from gateway.model.account import Account, Role, Status
from gateway.model.event import Entry, Event, Outcome
from gateway.model.secret import Secret
from gateway.sessions import attempt as attempts
from gateway.sessions import rows as session_rows
from gateway.store import Transaction
from gateway.throttle import limits, streaks

NOTHING: Mapping[str, str] = MappingProxyType({})


async def create(
    tx: Transaction, wanted: Create, by: str, now: int, remarks: Mapping[str, str] = NOTHING
) -> Account | None:
    """Add an account; None if the email is taken. `by` names the operator, `remarks` go into the audit row."""
    account = wanted.account(rows.new_account_id(), now)
    if not await rows.add(tx, account):
        return None
    await note(tx, Event.ACCOUNT_ADDED, account, by, now, {"role": account.role.value, **remarks})
    return account


async def set_status(tx: Transaction, account: Account, status: Status, by: str, now: int) -> bool:
    """Disable or enable; who is disabled is signed out everywhere. Returns whether anything changed."""
    if not await rows.set_status(tx, account.id, status):
        return False
    ended = await end_everything(tx, account, now) if status is Status.DISABLED else 0
    event = Event.ACCOUNT_DISABLED if status is Status.DISABLED else Event.ACCOUNT_ENABLED
    await note(tx, event, account, by, now, {"sessions_ended": ended})
    return True


async def set_role(tx: Transaction, account: Account, role: Role, by: str, now: int) -> None:
    await rows.set_role(tx, account.id, role)
    await note(tx, Event.ACCOUNT_ROLE_CHANGED, account, by, now, {"from": account.role.value, "to": role.value})


async def set_password(
    tx: Transaction,
    account: Account,
    password_hash: Secret[str],
    by: str,
    now: int,
    remarks: Mapping[str, str] = NOTHING,
) -> int:
    """Set a password, sign the account out everywhere and void what was mailed. Returns how many sessions were open."""
    await rows.set_password_hash(tx, account.id, password_hash)
    ended = await end_everything(tx, account, now)
    await links.void_all(tx, account.id, now)
    await email_changes.end_open(tx, account.id, now)
    await note(tx, Event.PASSWORD_CHANGED, account, by, now, {"sessions_ended": ended, **remarks})
    return ended


async def unlock(tx: Transaction, factors: Factors, account: Account, by: str, now: int) -> int:
    """Forgive all failures of the password and of codes, and all mails that were asked for. Returns how many counts."""
    forgiven = await limits.clear_all(tx, f"code:{account.id}|")
    for prefix in (prefix for factor in factors for prefix in factor.limits_of(account)):
        forgiven += await limits.clear_all(tx, prefix)
    for kind in ("forgot", "forgot-day"):
        forgiven += await limits.clear_all(tx, f"{kind}:{account.identifier}|")
    await limits.clear(tx, f"forgot:{account.identifier}")
    forgiven += await streaks.reset_all(tx, account.id)
    await note(tx, Event.ACCOUNT_UNLOCKED, account, by, now, {"counts_forgiven": forgiven})
    return forgiven


async def reset_factors(
    tx: Transaction, factors: Factors, account: Account, by: str, now: int, *, is_owner: bool
) -> Entry:
    """Take away what the account has set up and sign out everywhere; at the next sign-in it is set up again.

    Returns the audit row, for the caller to record with what it knows of the request.
    """
    for factor in factors:
        await factor.reset(tx, account.id, now, is_owner=is_owner)
    await streaks.reset_all(tx, account.id)
    ended = await end_everything(tx, account, now)
    return entry_by(Event.TWO_FACTOR_RESET, account, by, now, {"sessions_ended": ended})


async def end_everything(tx: Transaction, account: Account, now: int, but: str | None = None) -> int:
    """End every sign-in in progress, and every session but the one with that id. Returns how many were open.

    Their devices are not known any more: the next sign-in from one of them is told by mail.
    """
    await attempts.end_all(tx, account.id, now)
    await session_rows.forget_devices(tx, account.id, now, but)
    return await session_rows.end_all(tx, account.id, now, but)


async def end_session(tx: Transaction, session_id: str, by: str, now: int) -> bool:
    """Returns whether there was such an open session."""
    session = await session_rows.find_open(tx, session_id)
    account = await rows.find(tx, session.account) if session else None
    if session is None or account is None or not await session_rows.end(tx, session_id, now):
        return False
    await session_rows.forget_device(tx, account.id, session.device, now)
    await note(tx, Event.SESSION_REVOKED, account, by, now, {}, session_id)
    return True


async def end_sessions(tx: Transaction, account: Account, by: str, now: int) -> int:
    """Returns how many were open."""
    ended = await end_everything(tx, account, now)
    await note(tx, Event.SESSION_REVOKED_ALL, account, by, now, {"sessions_ended": ended})
    return ended


async def note(
    tx: Transaction,
    event: Event,
    account: Account,
    by: str,
    now: int,
    details: Mapping[str, str] | Mapping[str, int] | Mapping[str, str | int],
    session: str | None = None,
) -> None:
    await audit.record(tx, entry_by(event, account, by, now, details, session))


def entry_by(
    event: Event,
    account: Account,
    by: str,
    now: int,
    details: Mapping[str, str] | Mapping[str, int] | Mapping[str, str | int],
    session: str | None = None,
) -> Entry:
    return Entry(
        event,
        Outcome.SUCCESS,
        now,
        account.identifier,
        tenant=account.tenant,
        account=account.id,
        session=session,
        request_id="cli",
        details={"by": by, **details},
    )
