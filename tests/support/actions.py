"""Actions of an operator, for tests of what is done in one."""

from __future__ import annotations

from gateway.actions.action import Action, Actions, operator
from gateway.crypto.sealing import Sealer
from gateway.mail.notices import Notices
from gateway.mail.outbox import Outbox
from gateway.model.secret import Secret
from gateway.store import Store, Transaction
from tests.mail.conftest import make_composer
from tests.store.people import NOW

SEALER = Sealer((Secret(bytes(range(48))),))


def notices() -> Notices:
    return Notices(Outbox(make_composer(), SEALER), "https://app.example.com/me/security")


def actions_of(store: Store) -> Actions:
    return Actions(store, notices())


def action_in(tx: Transaction, by: str = "root", now: int = NOW) -> Action:
    """Return what an operator does in a transaction that is open already."""
    return Action(tx, operator(by), now, notices())
