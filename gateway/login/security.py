"""Changes to one's own factors, each with its audit row and mail. The routes require fresh proofs."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.accounts import rows as account_rows
from gateway.actions.action import Actions, requester
from gateway.factors.contract import Factors, News, Panel, Wrong, proof_of
from gateway.login.flow import Flow
from gateway.login.outcome import SignedIn
from gateway.model.account import Account
from gateway.model.factor import Factor, with_proof
from gateway.model.inbound import Inbound
from gateway.model.secret import Secret
from gateway.model.session import Session
from gateway.sessions import rows as session_rows
from gateway.store import Store, Transaction


@dataclass(frozen=True, slots=True)
class Changed:
    """Done. `signed_in` has the session's new cookie; `codes` are to be shown once."""

    signed_in: SignedIn | None = None
    codes: tuple[Secret[str], ...] = ()


@dataclass(frozen=True, slots=True)
class NotAllowed:
    """The account needs the factor, or the session ended meanwhile."""


class SecurityService:
    def __init__(self, *, store: Store, actions: Actions, flow: Flow, factors: Factors) -> None:
        self._store = store
        self._actions = actions
        self._flow = flow
        self._factors = factors

    async def list_panels(self, session: Session) -> list[Panel]:
        """Return the overview's panels, one per factor that has one."""
        async with self._store.reading() as tx:
            proved_at = await session_rows.last_proofs(tx, session.account)
            panels = [await factor.panel(tx, session, proved_at.get(factor.name)) for factor in self._factors]
        return [panel for panel in panels if panel is not None]

    async def enrol(
        self, session: Session, name: Factor, offered: str, given: Secret[str], inbound: Inbound, now: int
    ) -> Changed | Wrong | NotAllowed:
        """Enrol a factor, or replace it (a new phone). The session gets the proof, and a new cookie."""
        async with self._actions.begin(requester(inbound, session.id), now) as action:
            account = await self._account(action.tx, session, inbound)
            if account is None:
                return NotAllowed()
            codes = await self._flow.set_up(action, name, account, offered, given)
            if isinstance(codes, Wrong):
                return codes
            proofs = with_proof(session.proofs, proof_of(self._factors[name], now))
            token = await session_rows.renew(action.tx, session.id, inbound.session_key, proofs)
            if token is None:
                raise RuntimeError("a session ended under the lock of its account")
            return Changed(SignedIn(token, session.is_owner), codes)

    async def renew(
        self, session: Session, name: Factor, news: News, inbound: Inbound, now: int
    ) -> Changed | NotAllowed:
        """Renew a factor that goes with another one, such as backup codes. The old codes stop working."""
        factor = self._factors[name]
        async with self._actions.begin(requester(inbound, session.id), now) as action:
            account = await self._account(action.tx, session, inbound)
            if account is None or factor.goes_with.isdisjoint(account.enrolled.factors):
                return NotAllowed()
            codes = await factor.renew(action.tx, account.id, now)
            await self._flow.report(action, news, account)
            return Changed(codes=codes)

    async def remove(
        self, session: Session, name: Factor, news: News, inbound: Inbound, now: int
    ) -> Changed | NotAllowed:
        """Remove a factor, unless the account needs it."""
        async with self._actions.begin(requester(inbound, session.id), now) as action:
            account = await self._account(action.tx, session, inbound)
            if account is None or not session.second.is_met_by(account.enrolled.without(name)):
                return NotAllowed()
            if not await self._flow.remove(action, name, account, news):
                return NotAllowed()
            return Changed()

    async def _account(self, tx: Transaction, session: Session, inbound: Inbound) -> Account | None:
        """Return the session's account, locked, if the session is still open under this cookie."""
        account = await account_rows.find(tx, session.account, lock=True)
        key = inbound.session_key
        owner = await session_rows.account_of_unended(tx, key) if key else None
        return account if account and owner == account.id else None
