"""What the tests of the sign-in share: its factors, and a world in which people sign in through the flow."""

from __future__ import annotations

import pytest

from gateway.factors.backup_code import BackupCodeFactor
from gateway.factors.magic_link import MagicLinkFactor
from gateway.factors.totp import TOTPFactor
from gateway.limits import Limit
from gateway.login.flow import Flow
from gateway.login.guard import Guard
from gateway.mail.notices import Notices
from gateway.mail.outbox import Outbox
from gateway.sealing import Sealer
from gateway.secret import Secret
from gateway.store import Store
from tests.login.world import OWNER, World
from tests.mail.conftest import make_composer


def flow_of(store: Store, sealer: Sealer) -> World:
    totp, codes, links = TOTPFactor(sealer), BackupCodeFactor(sealer), MagicLinkFactor(Secret(b"k" * 32))
    flow = Flow(
        store=store,
        guard=Guard(Limit(failures=5, window_seconds=900, lock_seconds=900)),
        owners=frozenset({OWNER}),
        notices=Notices(Outbox(make_composer(), sealer), "https://app.example.com/me/security"),
        totp_factor=totp,
        backup_codes=codes,
        magic_links=links,
    )
    return World(store, flow, totp, codes, links)


@pytest.fixture
def world(store: Store) -> World:
    return flow_of(store, Sealer([Secret(b"s" * 48)]))


@pytest.fixture
def world_on_postgresql(store_on_postgresql: Store) -> World:
    return flow_of(store_on_postgresql, Sealer([Secret(b"s" * 48)]))
