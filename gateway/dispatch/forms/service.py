"""Saves forms, finds them, and allows each to be sent once."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.accounts import rows as account_rows
from gateway.actions.action import Actions, requester
from gateway.crypto.sealing import Sealer
from gateway.dispatch.forms import rows
from gateway.dispatch.forms.record import IDLE_SECONDS, Form
from gateway.dispatch.forms.rows import Kept
from gateway.model.event import Event
from gateway.model.inbound import Inbound
from gateway.model.secret import Secret
from gateway.model.session import Lifetimes, Session, has_idled_lately
from gateway.model.token import key_of, new_token
from gateway.sessions import rows as session_rows
from gateway.store import Store
from gateway.throttle.limits import address_bucket


@dataclass(frozen=True, slots=True)
class Receipt:
    """`token` identifies the form; `browser` is the value of a new cookie, None if the browser has one."""

    token: Secret[str]
    browser: Secret[str] | None


class KeptForms:
    """The saved forms of a store. `owners` are identifiers."""

    def __init__(
        self, store: Store, actions: Actions, sealer: Sealer, lifetimes: Lifetimes, owners: frozenset[str]
    ) -> None:
        self._store = store
        self._actions = actions
        self._sealer = sealer
        self._lifetimes = lifetimes
        self._owners = owners

    async def find_sender(self, inbound: Inbound, session: Session | None, now: int) -> str | None:
        """Return the account that sent the form: the session's, or that of a session that idled out recently.

        The cookie of an older session may have been stolen since.
        """
        if session is not None:
            return session.account
        if inbound.session_key is None:
            return None
        async with self._store.reading() as tx:
            found = await session_rows.find_unended(tx, inbound.session_key)
            account = await account_rows.find(tx, found[0]) if found else None
            if found is None or account is None or not await account_rows.is_welcome(tx, account):
                return None
            lifetime = self._lifetimes.of(is_owner=account.identifier in self._owners)
            return account.id if has_idled_lately(*found[1:], lifetime, now, IDLE_SECONDS) else None

    async def keep(self, account_id: str, form: Form, inbound: Inbound, now: int) -> Receipt | None:
        key, browser = browser_of(inbound)
        async with self._actions.begin(requester(inbound), now) as action:
            account = await account_rows.find(action.tx, account_id)
            if account is None:
                return None
            token = await rows.keep(action.tx, self._sealer, account_id, key, form, now)
            await action.record(Event.FORM_KEPT, account, {"path": form.path})
            return Receipt(token, browser)

    async def keep_foreign(self, form: Form, inbound: Inbound, now: int) -> Receipt | None:
        """Save another site's form, for the next person to sign in here. Returns None if there are too many."""
        key, browser = browser_of(inbound)
        async with self._store.transaction() as tx:
            source = address_bucket(inbound.address)
            token = await rows.keep_foreign(tx, self._sealer, source, key, form, now)
        return Receipt(token, browser) if token else None

    async def find(self, token: str, account_id: str, inbound: Inbound, now: int) -> Kept | None:
        async with self._store.reading() as tx:
            return await rows.find(tx, self._sealer, token, account_id, inbound.form_key, now)

    async def consume(self, kept: Kept, session: Session, inbound: Inbound, now: int) -> bool:
        """Consume the form. Returns True once: the caller may then send it."""
        async with self._actions.begin(requester(inbound, session.id), now) as action:
            account = await account_rows.find(action.tx, session.account)
            if account is None or not await rows.consume(action.tx, kept.id, now):
                return False
            await action.record(Event.FORM_SENT, account, {"path": kept.form.path})
            return True

    async def give_back(self, kept: Kept, session: Session, inbound: Inbound, now: int) -> None:
        """Make a consumed form available again, because it could not be sent."""
        async with self._actions.begin(requester(inbound, session.id), now) as action:
            account = await account_rows.find(action.tx, session.account)
            if await rows.give_back(action.tx, self._sealer, kept) and account is not None:
                await action.record(Event.FORM_KEPT, account, {"path": kept.form.path})


def browser_of(inbound: Inbound) -> tuple[bytes, Secret[str] | None]:
    """Return the key of the browser that the form is saved for, and the value of a new cookie if it has none yet.

    The session cookie is not enough: with a stolen copy, an attacker could leave a form for its owner to send.
    """
    if inbound.form_key is not None:
        return inbound.form_key, None
    browser = new_token()
    return key_of(browser), browser
