"""The audit log in the store. A row is written in the transaction of what it tells, or neither happens."""

from __future__ import annotations

import json

from sqlalchemy import insert, select

from gateway.audit.events import Entry, Event, Outcome
from gateway.store import Transaction
from gateway.store.schema import audit

MAX_USER_AGENT = 512


async def record(tx: Transaction, entry: Entry) -> None:
    await tx.execute(
        insert(audit).values(
            at=entry.at,
            event=entry.event.value,
            outcome=entry.outcome.value,
            tenant=entry.tenant,
            account=entry.account,
            identifier=entry.identifier,
            address=entry.address,
            user_agent=entry.user_agent[:MAX_USER_AGENT],
            session=entry.session,
            request_id=entry.request_id,
            details=json.dumps(dict(entry.details), sort_keys=True),
        )
    )


async def recent(tx: Transaction, limit: int, tenant: str | None = None) -> list[Entry]:
    """Return the latest entries, the newest first; those of one tenant if it is given."""
    query = (
        select(
            audit.c.event,
            audit.c.outcome,
            audit.c.at,
            audit.c.identifier,
            audit.c.tenant,
            audit.c.account,
            audit.c.address,
            audit.c.user_agent,
            audit.c.session,
            audit.c.request_id,
            audit.c.details,
        )
        .order_by(audit.c.id.desc())
        .limit(limit)
    )
    if tenant is not None:
        query = query.where(audit.c.tenant == tenant)
    return [
        Entry(
            event=Event(row.event),
            outcome=Outcome(row.outcome),
            at=row.at,
            identifier=row.identifier,
            tenant=row.tenant,
            account=row.account,
            address=row.address,
            user_agent=row.user_agent,
            session=row.session,
            request_id=row.request_id,
            details=json.loads(row.details),
        )
        for row in await tx.execute(query)
    ]
