"""Tenants that demand models of passkeys need the certificates of their makers, or nobody can add one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.accounts import rows
from gateway.factors.passkey.models import inspect
from gateway.model.factor_policy import NO_POLICY
from gateway.settings import Settings
from gateway.store import Store
from tests.store.people import add_person
from tests.store.people import person as person_of

WITHOUT = Settings()
WITH = WITHOUT.model_copy(
    update={"factors": WITHOUT.factors.model_copy(update={"attestation_roots": "/etc/roots.pem"})}
)


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    opened = Store.open(store_url)
    yield opened
    await opened.close()


async def test_tenants_whose_people_can_add_no_passkeys_are_named(store: Store) -> None:
    tenant = (await add_person(store, person_of("ann@example.com"))).tenant
    async with store.transaction() as tx:
        assert await inspect(tx, WITHOUT) == []
        await rows.set_sign_in(tx, tenant, NO_POLICY, ("cb69481e-8ff7-4039-93ec-0a2729a154a8",))
        ((key, reason),) = await inspect(tx, WITHOUT)
        assert key == "factors.attestation_roots"
        assert reason.startswith(f"{tenant} demands certain models of passkeys; without this file")
        assert await inspect(tx, WITH) == []
