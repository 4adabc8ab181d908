"""The password factor. login.service verifies it, because hashing takes a thread and must not hold a transaction."""

from __future__ import annotations

from gateway.factors.contract import FactorContract, Panel, matches
from gateway.factors.tries import limit_prefix
from gateway.model.account import Account
from gateway.model.factor import Factor
from gateway.model.sentence import Sentence
from gateway.model.session import Session
from gateway.store import Transaction
from gateway.store.schema import accounts


class PasswordFactor(FactorContract):
    name = Factor.PASSWORD
    page = "login"
    way_in = accounts.c.password_hash.is_not(None)

    label = Sentence("Password")
    means = Sentence("a password")

    async def panel(self, tx: Transaction, session: Session, used_at: int | None) -> Panel | None:
        has_password = await matches(tx, session.account, self.way_in)
        return Panel("password/panel.html", {"used_at": used_at, "has_password": has_password})

    def limits_of(self, account: Account) -> tuple[str, ...]:
        return (limit_prefix(account.identifier),)
