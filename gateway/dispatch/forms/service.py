"""Keeping forms, finding them again, and letting each be sent once."""

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
    """`token` is where the form is found again; `browser` is for the cookie of a browser that has none yet."""

    token: Secret[str]
    browser: Secret[str] | None


class KeptForms:
    """The forms of one store. `owners` are normalised identifiers."""

    def __init__(
        self, store: Store, actions: Actions, sealer: Sealer, lifetimes: Lifetimes, owners: frozenset[str]
    ) -> None:
        self._store = store
        self._actions = actions
        self._sealer = sealer
        self._lifetimes = lifetimes
        self._owners = owners

    async def whose(self, inbound: Inbound, session: Session | None, now: int) -> str | None:
        """Return the account that sent this: of the session, or of one that has just ended by idling.

        The cookie of an older one may have come into other hands by now.
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
        async with self._actions.begin(requester(inbound), now, announce=False) as action:
            account = await account_rows.find(action.tx, account_id)
            if account is None:
                return None
            token = await rows.keep(action.tx, self._sealer, account_id, key, form, now)
            await action.record(Event.FORM_KEPT, account, {"path": form.path})
            return Receipt(token, browser)

    async def keep_foreign(self, form: Form, inbound: Inbound, now: int) -> Receipt | None:
        """Keep a form that another site sent, for whoever signs in in this browser. None if too many wait."""
        key, browser = browser_of(inbound)
        async with self._store.transaction(announce=False) as tx:
            source = address_bucket(inbound.address)
            token = await rows.keep_foreign(tx, self._sealer, source, key, form, now)
        return Receipt(token, browser) if token else None

    async def find(self, token: str, account_id: str, inbound: Inbound, now: int) -> Kept | None:
        async with self._store.reading() as tx:
            return await rows.find(tx, self._sealer, token, account_id, inbound.form_key, now)

    async def consume(self, kept: Kept, session: Session, inbound: Inbound, now: int) -> bool:
        """Return whether the form may be sent now; it never may again."""
        async with self._actions.begin(requester(inbound, session.id), now, announce=False) as action:
            account = await account_rows.find(action.tx, session.account)
            if account is None or not await rows.consume(action.tx, kept.id, now):
                return False
            await action.record(Event.FORM_SENT, account, {"path": kept.form.path})
            return True

    async def give_back(self, kept: Kept, session: Session, inbound: Inbound, now: int) -> None:
        """A form that was consumed did not go out after all: its sender can send it still."""
        async with self._actions.begin(requester(inbound, session.id), now, announce=False) as action:
            account = await account_rows.find(action.tx, session.account)
            if await rows.give_back(action.tx, self._sealer, kept) and account is not None:
                await action.record(Event.FORM_KEPT, account, {"path": kept.form.path})


def browser_of(inbound: Inbound) -> tuple[bytes, Secret[str] | None]:
    """Return the key of the browser that a form is kept for, and the value of its cookie if it gets one now.

    The cookie of the session is not enough: a copy of it in other hands could leave a form for its owner to send.
    """
    if inbound.form_key is not None:
        return inbound.form_key, None
    browser = new_token()
    return key_of(browser), browser
