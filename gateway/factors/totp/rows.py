"""Statements on TOTP: one row per account that has enrolled, or must enrol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, select

from gateway.factors import enrolment
from gateway.factors.totp.codes import Clock, clock_of
from gateway.model.factor import Factor
from gateway.store import Transaction
from gateway.store.schema import totp
from gateway.store.stored import AS_IT_WAS, OF_ACCOUNT, Kept, Sealed, Stored
from gateway.store.upsert import upsert


@dataclass(frozen=True, slots=True)
class Enrolment:
    """For the security page. Times are UTC seconds; `drift` as in codes.next_drift."""

    is_enrolled: bool
    is_demanded: bool
    confirmed_at: int | None
    used_at: int | None
    drift: int

    @property
    def clock(self) -> Clock:
        return clock_of(self.drift)


NOT_ENROLLED = Enrolment(False, False, None, None, 0)


async def find_enrolment(tx: Transaction, account: str) -> Enrolment:
    query = select(
        totp.c.secret.is_not(None).label("is_enrolled"),
        totp.c.demanded_at,
        totp.c.confirmed_at,
        totp.c.used_at,
        totp.c.drift,
    ).where(totp.c.account == account)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        return NOT_ENROLLED
    is_demanded = row.demanded_at is not None
    return Enrolment(bool(row.is_enrolled), is_demanded, row.confirmed_at, row.used_at, row.drift)


async def forget(tx: Transaction, account: str) -> bool:
    """Remove TOTP. Returns whether it was enrolled."""
    was_on = await enrolment.remove(tx, account, Factor.TOTP)
    await tx.execute(delete(totp).where(totp.c.account == account))
    return was_on


async def demand(tx: Transaction, account: str, now: int) -> None:
    """Remove TOTP and require a new enrolment at the next sign-in."""
    await enrolment.demand(tx, account, Factor.TOTP)
    values = {
        "secret": None,
        "demanded_at": now,
        "confirmed_at": None,
        "used_at": None,
        "last_step": 0,
        "drift": 0,
    }
    await put(tx, account, values)


async def put(tx: Transaction, account: str, values: Mapping[str, object]) -> None:
    statement = upsert(tx, totp).values(account=account, **values)
    await tx.execute(statement.on_conflict_do_update(index_elements=["account"], set_=dict(values)))


STORED = (
    Stored(
        totp,
        Kept("as long as its account"),
        AS_IT_WAS,
        OF_ACCOUNT,
        Sealed(totp.c.secret, totp.c.secret.is_not(None), "totp", "TOTP secrets", is_vital=True),
    ),
)
