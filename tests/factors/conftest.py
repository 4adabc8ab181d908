"""What the tests of factors share: sealers, and two workers on one database."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

import pytest

from gateway.crypto.sealing import Sealer
from gateway.factors.magic_link.mailing import LinkSender
from gateway.model.secret import Secret
from gateway.store import Store


def secret_of(name: str) -> Secret[bytes]:
    """Return one of the gateway's own secrets."""
    return Secret(hashlib.sha384(name.encode()).digest())


def sealer_of(*names: str) -> Sealer:
    return Sealer([secret_of(name) for name in names])


def no_mail() -> LinkSender:
    """For links whose mails are none of the test's business."""
    raise AssertionError("a mail was to be sent")


@pytest.fixture(scope="session")
def sealer() -> Sealer:
    return sealer_of("one")


@pytest.fixture
async def workers(store_url: str, unhurried: None) -> AsyncIterator[tuple[Store, Store]]:
    """Two stores with connections of their own, as two workers have."""
    stores = (Store.open(store_url), Store.open(store_url))
    yield stores
    for store in stores:
        await store.close()
