"""Start-up check: can the configured secrets decrypt the stored ones?

If no stored TOTP secret can be decrypted, the gateway does not start, because no account with TOTP could sign in. If
only some can't, that is a warning: refusing to serve would lock out everyone else. Queued mails that can't be decrypted
are a warning, too.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, func, select, union

from gateway.app.nouns import SEALED
from gateway.crypto.sealing import NAME_BYTES, key_names
from gateway.model.secret import Secret
from gateway.store import Transaction
from gateway.store.schema import accounts, outbox, totp
from gateway.store.stored import account_of

NAMED = 3


class SecretMissing(Exception):
    """Stored secrets can't be decrypted. The message says whose, and what to do."""


async def check_secrets(tx: Transaction, secrets: Sequence[Secret[bytes]]) -> list[str]:
    """Return warnings about TOTP secrets, backup codes and queued mails that none of `secrets` decrypts.

    Raises SecretMissing if no TOTP secret can be decrypted.
    """
    given = key_names(secrets)
    lost = union(
        *(
            select(whose).where(sealed.in_use, func.substr(sealed.column, 1, NAME_BYTES).not_in(given))
            for sealed in SEALED.values()
            if sealed.is_vital and (whose := account_of(sealed.column.table)) is not None
        )
    )
    query = select(accounts.c.identifier).where(accounts.c.id.in_(lost)).order_by(accounts.c.identifier)
    people = (await tx.execute(query)).scalars().all()
    mails = await count_lost_mails(tx, given)
    if not people:
        return mails
    readable = select(func.count()).where(func.substr(totp.c.secret, 1, NAME_BYTES).in_(given))
    if not (await tx.execute(readable)).scalar_one():
        raise SecretMissing(describe(people))
    return [describe(people), *mails]


async def count_lost_mails(tx: Transaction, given: Sequence[bytes]) -> list[str]:
    """Return a warning about the queued mails that can't be decrypted, if there are any."""
    is_waiting = and_(outbox.c.sent_at.is_(None), outbox.c.abandoned_at.is_(None))
    is_lost = func.substr(outbox.c.content, 1, NAME_BYTES).not_in(given)
    count = (await tx.execute(select(func.count()).where(is_waiting, is_lost))).scalar_one()
    if not count:
        return []
    return [
        f"{count} waiting mail{'s were' if count > 1 else ' was'} sealed with a secret that is not given, and will be "
        "given up. Give the former secret as one more line, below the one in use; `otium-gateway mail retry --confirm` "
        "then sends what was given up"
    ]


def describe(people: Sequence[str]) -> str:
    more = f" and {len(people) - NAMED} more" if len(people) > NAMED else ""
    return (
        f"the TOTP of {', '.join(people[:NAMED])}{more} was encrypted with a secret that is missing. Give the former "
        "secret as one more line, below the one in use (see Rotate secrets in docs/operations.md). If it is lost for "
        "good, `otium-gateway account unlock --email EMAIL --reset-2fa --confirm` lets each of them set TOTP up again"
    )
