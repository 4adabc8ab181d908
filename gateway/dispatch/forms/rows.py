"""Saved forms in the store: encrypted, for ten minutes, each sent at most once."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    LargeBinary,
    String,
    Table,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from gateway.crypto.sealing import Place, Sealer
from gateway.dispatch.forms.record import KEEP_SECONDS, Form
from gateway.model.secret import Secret
from gateway.model.token import key_of, key_of_text, new_id, new_token
from gateway.store import Transaction
from gateway.store.schema import metadata
from gateway.store.stored import EXPIRING, Sealed, Stored

kept_forms = Table(
    "kept_forms",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("token_key", LargeBinary(32), nullable=False, unique=True),
    Column("account", String(40), ForeignKey("accounts.id"), index=True),  # None: sent by another site
    Column("source", String(50)),  # the client's address or network, if there is no account
    Column("browser_key", LargeBinary(32), nullable=False),
    Column("content", LargeBinary, nullable=False),  # encrypted
    Column("kept_at", BigInteger, nullable=False, index=True),
    Column("sent_at", BigInteger),
)

MAX_KEPT = 5  # per account
MAX_FOREIGN = 500  # of other sites' forms
MAX_OF_SOURCE = 10  # of other sites' forms per source


@dataclass(frozen=True, slots=True)
class Kept:
    """`kept_at` is UTC seconds."""

    id: str
    form: Form
    kept_at: int


async def keep(tx: Transaction, sealer: Sealer, account: str, browser_key: bytes, form: Form, now: int) -> Secret[str]:
    """Save a form; return its token. Deletes the account's oldest forms beyond MAX_KEPT."""
    form_id, token = await add(tx, sealer, form, now, account=account, browser_key=browser_key)
    newest = select(kept_forms.c.id).where(kept_forms.c.account == account).order_by(kept_forms.c.kept_at.desc())
    keeping = list((await tx.execute(newest.limit(MAX_KEPT))).scalars())
    if form_id not in keeping:
        keeping.append(form_id)
    await tx.execute(delete(kept_forms).where(kept_forms.c.account == account, kept_forms.c.id.not_in(keeping)))
    return token


async def keep_foreign(
    tx: Transaction, sealer: Sealer, source: str, browser_key: bytes, form: Form, now: int
) -> Secret[str] | None:
    """Save another site's form, for the next person to sign in here. Returns None if there are too many.

    `source` is the client's address or network. Anyone can send such forms, so there is a limit per source and in all.
    """
    waiting = select(
        func.count(), func.count().filter(kept_forms.c.source == source)
    ).where(kept_forms.c.account.is_(None), kept_forms.c.kept_at > now - KEEP_SECONDS)  # fmt: skip
    of_all, of_source = (await tx.execute(waiting)).one()
    if of_all >= MAX_FOREIGN or of_source >= MAX_OF_SOURCE:
        return None
    return (await add(tx, sealer, form, now, source=source, browser_key=browser_key))[1]


async def add(
    tx: Transaction,
    sealer: Sealer,
    form: Form,
    now: int,
    *,
    browser_key: bytes,
    account: str | None = None,
    source: str | None = None,
) -> tuple[str, Secret[str]]:
    """Return the new row's id and its token."""
    token = new_token()
    form_id = new_id("frm")
    await tx.execute(
        insert(kept_forms).values(
            id=form_id,
            token_key=key_of(token),
            account=account,
            source=source,
            browser_key=browser_key,
            content=sealer.seal(form.encode(), place(form_id)),
            kept_at=now,
        )
    )
    return form_id, token


async def find(
    tx: Transaction, sealer: Sealer, token: str, account: str, browser_key: bytes | None, now: int
) -> Kept | None:
    """Return the form if it is for this account (or for any) and this browser, unsent, and not expired."""
    key = key_of_text(token)
    if key is None or browser_key is None:
        return None
    query = select(kept_forms.c.id, kept_forms.c.content, kept_forms.c.kept_at).where(
        kept_forms.c.token_key == key,
        or_(kept_forms.c.account == account, kept_forms.c.account.is_(None)),
        kept_forms.c.browser_key == browser_key,
        kept_forms.c.sent_at.is_(None),
        kept_forms.c.kept_at > now - KEEP_SECONDS,
    )
    row = (await tx.execute(query)).one_or_none()
    return Kept(row.id, Form.decode(sealer.open(row.content, place(row.id))), row.kept_at) if row else None


async def consume(tx: Transaction, form_id: str, now: int) -> bool:
    """Return whether the caller may send the form. Of several concurrent calls, one returns True."""
    statement = update(kept_forms).where(
        kept_forms.c.id == form_id, kept_forms.c.sent_at.is_(None), kept_forms.c.kept_at > now - KEEP_SECONDS
    )
    return (await tx.execute(statement.values(sent_at=now, content=b""))).rowcount == 1


async def give_back(tx: Transaction, sealer: Sealer, kept: Kept) -> bool:
    """Save a consumed form that could not be sent again, until its original expiry.

    Returns False if it was deleted meanwhile.
    """
    content = sealer.seal(kept.form.encode(), place(kept.id))
    statement = update(kept_forms).where(kept_forms.c.id == kept.id, kept_forms.c.sent_at.is_not(None))
    return (await tx.execute(statement.values(sent_at=None, content=content))).rowcount == 1


def place(form_id: str) -> Place:
    return Place("kept_forms", "content", form_id)


STORED = (
    Stored(
        kept_forms,
        lambda longest, now: kept_forms.c.kept_at < now - KEEP_SECONDS,
        restored=lambda now: delete(kept_forms),
        erased=EXPIRING,
        sealed=Sealed(kept_forms.c.content, kept_forms.c.sent_at.is_(None), "forms", "saved forms"),
    ),
)
