"""What happened to one account lately, from the audit log.

Read through the index of emails. A person whose email was changed has rows under the former one too, and that email
may have belonged to another account before, so every row must name the account itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import and_, or_, select

from gateway.audit.chain import Row
from gateway.audit.search import Place
from gateway.model.clock import DAY
from gateway.model.event import Event
from gateway.store import Transaction
from gateway.store.schema import audit

DAYS = 30
SHOWN = 100  # rows of one page
EMAILS = (Event.EMAIL_CHANGE_REQUESTED, Event.EMAIL_CHANGED, Event.EMAIL_CHANGE_UNDONE)
TOLD = (
    Event.LOGIN,
    Event.LOGIN_FAILED,
    Event.LOGIN_LOCKOUT,
    Event.LOGIN_2FA_FAILED,
    Event.LOGIN_LINK_SENT,
    Event.LOGOUT,
    Event.TWO_FACTOR_ENABLED,
    Event.TWO_FACTOR_DISABLED,
    Event.TWO_FACTOR_RESET,
    Event.TWO_FACTOR_CODES_REGENERATED,
    Event.TWO_FACTOR_CODE_USED,
    Event.PASSKEY_ADDED,
    Event.PASSKEY_RENAMED,
    Event.PASSKEY_REMOVED,
    Event.PASSKEY_WENT_BACK,
    Event.PASSKEYS_ONLY_ENABLED,
    Event.PASSKEYS_ONLY_DISABLED,
    Event.SESSION_REVOKED,
    Event.SESSION_REVOKED_ALL,
    Event.PASSWORD_RESET_ASKED,
    Event.PASSWORD_CHANGED,
    Event.EMAIL_CHANGE_REQUESTED,
    Event.EMAIL_CHANGE_CONFIRMED,
    Event.EMAIL_CHANGE_AGREED,
    Event.EMAIL_CHANGE_STOPPED,
    Event.EMAIL_CHANGED,
    Event.EMAIL_CHANGE_UNDONE,
    Event.ACCOUNT_ADDED,
    Event.ACCOUNT_SIGNED_UP,
    Event.ACCOUNT_INVITED,
    Event.ACCOUNT_RENAMED,
    Event.ACCOUNT_DISABLED,
    Event.ACCOUNT_ENABLED,
    Event.ACCOUNT_ROLE_CHANGED,
    Event.ACCOUNT_UNLOCKED,
    Event.ACCOUNT_SECURED,
    Event.NETWORKS_CHANGED,
    Event.NETWORK_REFUSED,
    Event.SSO_LINKED,
    Event.SSO_UNLINKED,
    Event.BREAK_GLASS_USED,
    Event.TOKEN_CREATED,
    Event.TOKEN_REVOKED,
    Event.TOKEN_USED_ELSEWHERE,
)


@dataclass(frozen=True, slots=True)
class Story:
    """Rows, newest first; the next page begins at `older`, if there is one."""

    rows: list[Row]
    older: Place | None


async def read(
    tx: Transaction, account: str, identifier: str, tenant: str, now: int, before: Place | None = None
) -> Story:
    """Return what concerns the account in the last DAYS. `identifier` and `tenant` are the account's."""
    since = now - DAYS * DAY
    known = {identifier, *await former_emails(tx, account, tenant, since)}
    query = select(audit).where(
        audit.c.identifier.in_(sorted(known)),
        audit.c.at >= since,
        audit.c.account == account,
        audit.c.event.in_([event.value for event in TOLD]),
    )
    if before is not None:
        query = query.where(or_(audit.c.at < before.at, and_(audit.c.at == before.at, audit.c.id < before.number)))
    query = query.order_by(audit.c.at.desc(), audit.c.id.desc()).limit(SHOWN + 1)
    found = [Row._make(row) for row in await tx.execute(query)]
    shown = found[:SHOWN]
    return Story(shown, Place(shown[-1].at, shown[-1].id) if len(found) > SHOWN else None)


async def former_emails(tx: Transaction, account: str, tenant: str, since: int) -> set[str]:
    """Return the emails under which changes of the account's email were recorded."""
    query = select(audit.c.identifier).where(
        audit.c.tenant == tenant,
        audit.c.event.in_([event.value for event in EMAILS]),
        audit.c.at >= since,
        audit.c.account == account,
    )
    return {email for email in (await tx.execute(query)).scalars() if email}
