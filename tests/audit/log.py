"""A log to look at, and hands that change it behind the program's back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import text

from gateway.app import erasure
from gateway.app.erasure import Erased
from gateway.audit import rows
from gateway.audit.keeping import Keeper
from gateway.audit.marks import Mark, Signer
from gateway.audit.verify import Broken, Verifier, Whole
from gateway.crypto.sealing import Sealer
from gateway.languages.reader import Readers
from gateway.mail.outbox import Outbox
from gateway.model.entry import Entry, Outcome
from gateway.model.event import Event
from gateway.model.secret import Secret
from gateway.store import Store
from tests.mail.conftest import make_composer
from tests.store.people import NOW

SECRET = Secret(b"s" * 48)
ENTRY = Entry(
    Event.LOGIN,
    Outcome.SUCCESS,
    NOW,
    "ann@acme.example",
    tenant="acme",
    account="acc_ann",
    address="192.0.2.7",
    user_agent="Mozilla/5.0 (X11; Linux x86_64) Chrome/142.0 Safari/537.36",
    session="ses_1",
    request_id="r1",
    details={"method": "2fa"},
)


async def write(store: Store, *entries: Entry) -> None:
    async with store.transaction() as tx:
        for entry in entries:
            await rows.record(tx, entry)


async def write_many(store: Store, count: int, **changes: Any) -> None:
    """Write rows of consecutive seconds, two to a transaction."""
    made = [replace(ENTRY, at=NOW + n, request_id=f"r{n}", **changes) for n in range(count)]
    for at in range(0, count, 2):
        await write(store, *made[at : at + 2])


async def meddle(store: Store, *statements: str) -> None:
    async with store.transaction() as tx:
        for statement in statements:
            await tx.execute(text(statement))


async def erase(
    store: Store, identifier: str = ENTRY.identifier, account: str | None = None, by: str = "root", now: int = NOW
) -> Erased:
    return await erasure.erase(store, keeper(store), identifier, account, by, now)


async def verify(store: Store, *kept: Mark, secret: Secret[bytes] = SECRET) -> Whole | Broken:
    return await Verifier(store, Signer([secret]), kept).run()


def keeper(store: Store, **changes: Any) -> Keeper:
    sealer = Sealer([SECRET])
    values: dict[str, Any] = {"checkpoint_file": "", "checkpoint_mail": "", "keep_days": 0, **changes}
    return Keeper(store=store, signer=Signer([SECRET]), outbox=Outbox(make_composer(), sealer, Readers()), **values)
