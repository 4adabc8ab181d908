"""Warns before the certificate of a key of ours expires: from then on, none of the tenant's people could sign in.

Administrators get a mail two months, a month and a week ahead, and see it on their pages; the log has a line each time.
Keys without a certificate don't expire. A client secret may, but only the provider knows when.
"""

from __future__ import annotations

import time

from sqlalchemy import func, select

from gateway.accounts.admin_mails import tell_admins
from gateway.actions.action import Actions, Actor
from gateway.model.clock import DAY
from gateway.model.moment import Moment
from gateway.observe.logs import get_logger
from gateway.sso.keys import rows
from gateway.sso.keys.rows import KeyState, StoredKey
from gateway.sso.oidc.assertion import CERTIFICATE_DAYS
from gateway.sso.rows import identity_providers
from gateway.store import Store, Transaction

log = get_logger("sso")

LIFE_SECONDS = CERTIFICATE_DAYS * DAY
WARNING_DAYS = (60, 30, 7)  # before it expires


def expires_at(key: StoredKey) -> int | None:
    """Return when a key's certificate expires, in UTC seconds; None if it has none."""
    return key.made_at + LIFE_SECONDS if key.certificate else None


def expires_soon(key: StoredKey | None, now: int) -> int | None:
    """Return when the certificate of the key in use expires, if that is soon or over; otherwise None."""
    until = expires_at(key) if key is not None and key.state is KeyState.CURRENT else None
    return until if until is not None and now >= until - max(WARNING_DAYS) * DAY else None


def due_since(until: int, now: int) -> int | None:
    """Return when the latest warning became due, or None if none is due yet."""
    return max((moment for days in WARNING_DAYS if (moment := until - days * DAY) <= now), default=None)


class ExpiryWarnings:
    """`address` is the URL of the page on which administrators change the key."""

    def __init__(self, store: Store, actions: Actions, address: str) -> None:
        self._store = store
        self._actions = actions
        self._address = address

    async def run_due(self, now: int) -> None:
        """Send the warnings that are due, each once, whichever worker comes first."""
        async with self._store.reading() as tx:
            found = await list_expiring(tx, now)
        for tenant, key, until in found:
            if (since := due_since(until, now)) is not None:
                await self._warn(tenant, key, until, since, now)

    async def _warn(self, tenant: str, key: str, until: int, since: int, now: int) -> None:
        async with self._actions.begin(Actor(), now) as action:
            if not await rows.note_warning(action.tx, key, since, now):
                return
            await tell_admins(action, tenant, "sso_certificate", until=Moment(until), link=self._address)
        log.warning("certificate_expires_soon", tenant=tenant, key=key, days=(until - now) // DAY)


async def advise(tx: Transaction, now: int) -> list[str]:
    """Return a warning for the operator for each certificate that expires soon, or has expired."""
    how = "one of its administrators makes a new key at /admin/sso/key"
    return [
        f"the certificate with which the gateway signs for {tenant}'s provider expires on {day_of(until)}; {how}"
        for tenant, _, until in await list_expiring(tx, now)
    ]


def day_of(at: int) -> str:
    return time.strftime("%d %B %Y", time.gmtime(at))


async def list_expiring(tx: Transaction, now: int) -> list[tuple[str, str, int]]:
    """Return the keys in use whose certificate expires soon, or has expired: tenant, id and when."""
    keys, providers = rows.sso_keys.c, identity_providers.c
    query = (
        select(providers.tenant, keys.id, keys.made_at)
        .join(identity_providers, providers.id == keys.provider)
        .where(
            keys.state == KeyState.CURRENT.value,
            keys.made_at <= now - LIFE_SECONDS + max(WARNING_DAYS) * DAY,
            func.length(keys.certificate) > 0,
            providers.is_enabled,
        )
    )
    found = await tx.execute(query.order_by(keys.made_at, keys.id))
    return [(row.tenant, row.id, row.made_at + LIFE_SECONDS) for row in found]
