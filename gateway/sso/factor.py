"""The identity provider as a factor: a first proof, which stands for the password."""

from __future__ import annotations

from gateway.accounts import rows as account_rows
from gateway.crypto.sealing import Sealer
from gateway.factors.contract import FactorContract, Panel
from gateway.model.account import Account
from gateway.model.factor import Factor
from gateway.model.sentence import Sentence
from gateway.model.session import Session
from gateway.sso import farewell, origins, rows
from gateway.store import Transaction

SSO = Factor("sso")


class ProviderFactor(FactorContract):
    """`left_path` is the page for people who have signed out, to be followed by a token."""

    name = SSO
    page = "sso"
    counts_as = (SSO, Factor.PASSWORD)

    def __init__(self, sealer: Sealer, left_path: str, *, is_on: bool) -> None:
        self._sealer = sealer
        self._left_path = left_path
        self._is_on = is_on
        self.first_template = "sso/first.html" if is_on else ""
        self.way_in = rows.is_linked if is_on else None

    label = Sentence("single sign-on")
    means = Sentence("single sign-on")

    async def panel(self, tx: Transaction, session: Session, used_at: int | None) -> Panel | None:
        connection = await rows.find_connection(tx, session.account) if self.first_template else None
        if connection is None:
            return None
        account = await account_rows.find(tx, session.account)
        may_leave = account is not None and has_another_way(session, account)
        return Panel("sso/panel.html", {"connection": connection, "may_leave": may_leave})

    async def describe_way(self, tx: Transaction, account: str) -> str:
        connection = await rows.find_connection(tx, account)
        return connection.issuer if connection else ""

    async def suspect(self, tx: Transaction, account: str, since: int) -> None:
        await rows.remove_links_of(tx, account, since)

    async def take_along(self, tx: Transaction, attempt: str, session: str) -> None:
        await origins.move(tx, attempt, session)

    async def way_out(self, tx: Transaction, session: Session, now: int) -> str:
        origin = await origins.find(tx, session.id) if self._is_on else None
        return "" if origin is None else self._left_path + farewell.seal(self._sealer, origin, now)


def has_another_way(session: Session, account: Account) -> bool:
    """Whether the password signs the person in: they have one, and their tenant doesn't require single sign-on."""
    return account.password_hash is not None and session.first == Factor.PASSWORD
