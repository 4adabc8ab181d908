"""Actions of an operator and of requests, for tests of functions that take one."""

from __future__ import annotations

from functools import cache

from gateway.actions.action import Action, Actions, operator, requester
from gateway.crypto.sealing import Sealer
from gateway.languages.reader import Readers
from gateway.mail.notices import Notices
from gateway.mail.outbox import Outbox
from gateway.model.inbound import Inbound
from gateway.model.secret import Secret
from gateway.store import Store, Transaction
from tests.mail.conftest import make_composer
from tests.store.people import NOW

SEALER = Sealer((Secret(bytes(range(48))),))


@cache
def notices() -> Notices:
    return Notices(
        Outbox(make_composer(), SEALER, Readers()),
        "https://app.example.com/me/security",
        "https://app.example.com/me/security/compromised",
    )


def actions_of(store: Store) -> Actions:
    return Actions(store, notices())


def action_in(tx: Transaction, by: str = "root", now: int = NOW) -> Action:
    """Return an operator's action in an open transaction."""
    return Action(tx, operator(by), now, notices())


def action_from(tx: Transaction, inbound: Inbound, now: int = NOW) -> Action:
    """Return a request's action in an open transaction."""
    return Action(tx, requester(inbound), now, notices())
