"""Keeping forms, finding them again, and letting each be sent once."""

from __future__ import annotations

from gateway.accounts import rows as account_rows
from gateway.audit import rows as audit
from gateway.audit.events import Event, entry_of
from gateway.edge.inbound import Inbound
from gateway.forms import rows
from gateway.forms.record import Form
from gateway.forms.rows import Kept
from gateway.sealing import Sealer
from gateway.secret import Secret
from gateway.sessions import rows as session_rows
from gateway.sessions.record import Session
from gateway.store import Store


class KeptForms:
    """The forms of one store."""

    def __init__(self, store: Store, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer

    async def whose(self, inbound: Inbound, session: Session | None) -> str | None:
        """Return the account that sent this: of the session, or of one that has expired and that nobody ended."""
        if session is not None:
            return session.account
        if inbound.session_key is None:
            return None
        async with self._store.reading() as tx:
            account_id = await session_rows.account_of_unended(tx, inbound.session_key)
            account = await account_rows.find(tx, account_id) if account_id else None
            return account.id if account and await account_rows.is_welcome(tx, account) else None

    async def keep(self, account_id: str, form: Form, inbound: Inbound, now: int) -> Secret[str] | None:
        """Return the token under which the form is found again."""
        async with self._store.transaction(announce=False) as tx:
            account = await account_rows.find(tx, account_id)
            if account is None:
                return None
            token = await rows.keep(tx, self._sealer, account_id, form, now)
            await audit.record(tx, entry_of(Event.FORM_KEPT, account, inbound, now, {"path": form.path}))
            return token

    async def find(self, token: str, account_id: str, now: int) -> Kept | None:
        async with self._store.reading() as tx:
            return await rows.find(tx, self._sealer, token, account_id, now)

    async def consume(self, kept: Kept, session: Session, inbound: Inbound, now: int) -> bool:
        """Return whether the form may be sent now; it never may again."""
        async with self._store.transaction(announce=False) as tx:
            account = await account_rows.find(tx, session.account)
            if account is None or not await rows.consume(tx, kept.id, now):
                return False
            details = {"path": kept.form.path}
            await audit.record(tx, entry_of(Event.FORM_SENT, account, inbound, now, details, session.id))
            return True

    async def give_back(self, kept: Kept, session: Session, inbound: Inbound, now: int) -> None:
        """A form that was consumed did not go out after all: its sender can send it still."""
        async with self._store.transaction(announce=False) as tx:
            account = await account_rows.find(tx, session.account)
            if await rows.give_back(tx, self._sealer, kept) and account is not None:
                details = {"path": kept.form.path}
                await audit.record(tx, entry_of(Event.FORM_KEPT, account, inbound, now, details, session.id))
