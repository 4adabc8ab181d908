"""The keys with which the gateway proves itself to providers, on both engines."""

from __future__ import annotations

from gateway.crypto.sealing import Sealer, reseal
from gateway.model.secret import Secret
from gateway.sso import rows
from gateway.sso.keys import rows as keys
from gateway.sso.keys.rows import KeyState
from gateway.sso.keys.service import ensure
from gateway.sso.oidc.assertion import NewKey, make_key
from gateway.sso.oidc.record import Kind, Provider
from gateway.sso.rows import Registered
from gateway.store import Store, Transaction
from tests.store.people import add_person

NOW = 1_800_000_000
OLD, NEW = Secret(b"o" * 32), Secret(b"n" * 32)
SEALER = Sealer([OLD])
PROVIDER = Provider("idp_1", "acme", "https://id.example", "c", Secret("s"), Kind.GENERIC, ("openid",), is_enabled=True)


def made(identity: str) -> NewKey:
    return make_key(identity, Kind.GENERIC, "Acme", NOW)


async def put(store: Store, *, signs: bool) -> None:
    await add_person(store)
    async with store.transaction() as tx:
        await rows.put_provider(tx, SEALER, Registered(PROVIDER, signs=signs), NOW)


async def states(tx: Transaction) -> dict[str, str]:
    return {key.id: key.state.value for key in await keys.find_all(tx, "idp_1")}


async def test_the_key_in_use_comes_with_the_provider_that_signs(store: Store) -> None:
    await put(store, signs=True)
    one = made("key_1")
    async with store.transaction() as tx:
        await ensure(tx, SEALER, PROVIDER, one, NOW)
        await ensure(tx, SEALER, PROVIDER, made("key_2"), NOW)  # there is one
        found = await rows.find_of_tenant(tx, SEALER, "acme")
        assert found is not None
        assert found.provider.client_key == one.key
        await rows.put_provider(tx, SEALER, Registered(PROVIDER), NOW)
        found = await rows.find_of_tenant(tx, SEALER, "acme")
        assert found is not None
        assert found.provider.client_key is None


async def test_a_key_of_another_kind_takes_the_place_of_one_that_does_not_fit(store: Store) -> None:
    await put(store, signs=True)
    async with store.transaction() as tx:
        await ensure(tx, SEALER, PROVIDER, made("key_1"), NOW)
        entra = Provider("idp_1", "acme", "https://id.example", "c", Secret("s"), Kind.ENTRA, ("openid",), True)
        await ensure(tx, SEALER, entra, make_key("key_2", Kind.ENTRA, "Acme", NOW), NOW)
        assert await states(tx) == {"key_1": "former", "key_2": "current"}


async def test_keys_move_on_and_each_state_has_one(store: Store) -> None:
    await put(store, signs=False)
    async with store.transaction() as tx:
        for number, state in enumerate(KeyState):
            await keys.add(tx, SEALER, "idp_1", state, made(f"key_{state}"), NOW + number)
        await keys.note_trial(tx, "key_next", NOW)
        await keys.move(tx, "idp_1", KeyState.CURRENT, KeyState.FORMER)
        await keys.move(tx, "idp_1", KeyState.NEXT, KeyState.CURRENT)
        assert await states(tx) == {"key_current": "former", "key_next": "current"}
        await rows.sign(tx, "idp_1", NOW)
        found = await rows.find_provider(tx, SEALER, "idp_1")
        assert found is not None
        assert (found.signs, found.tried_at) == (True, NOW)
        assert found.provider.client_key is not None
        assert found.provider.client_key.id == "key_next"
        assert await keys.remove(tx, "idp_1", KeyState.FORMER)
        assert not await keys.remove(tx, "idp_1", KeyState.FORMER)
        assert await keys.open_key(tx, SEALER, "idp_2", "key_next") is None


async def test_keys_are_sealed_anew_with_a_new_secret_and_go_with_their_provider(store: Store) -> None:
    await put(store, signs=True)
    (sealed,) = [stored.sealed for stored in keys.STORED if stored.sealed]
    async with store.transaction() as tx:
        await ensure(tx, SEALER, PROVIDER, made("key_1"), NOW)
        assert await reseal(tx, Sealer([NEW, OLD]), sealed) == 1
        assert await keys.open_key(tx, Sealer([NEW]), "idp_1", "key_1") is not None
        await rows.remove_provider(tx, "idp_1", NOW)
        assert await states(tx) == {}
