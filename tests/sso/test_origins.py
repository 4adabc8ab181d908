"""Where sessions came from, and the sign-outs of providers, on both engines."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from gateway.crypto.sealing import Sealer
from gateway.model.secret import Secret
from gateway.model.token import key_of, new_token
from gateway.sessions import rows as session_rows
from gateway.sso import origins, rows
from gateway.sso.oidc.logout_token import Logout
from gateway.sso.oidc.record import Claims, Kind, Provider
from gateway.sso.origins import Origin
from gateway.sso.rows import Registered
from gateway.store import Store, Transaction
from tests.store.people import add_person

NOW = 1_800_000_000
SEALER = Sealer([Secret(b"s" * 32)])


def claims(subject: str = "erin", sid: str = "s1", hint: str = "") -> Claims:
    return Claims("https://id.example", subject, session_id=sid, login_hint=hint)


async def note(tx: Transaction, holder: str, account: str, provider: str = "idp_1", at: int = NOW, **said: str) -> None:
    await origins.note(tx, holder, account, provider, claims(**said), at)


async def test_sessions_are_found_by_sign_in_or_by_person_of_one_provider(store: Store) -> None:
    account = (await add_person(store)).id
    async with store.transaction() as tx:
        await note(tx, "ses_1", account)
        await note(tx, "ses_2", account, sid="s2")
        await note(tx, "att_3", account, sid="")
        await note(tx, "ses_4", account, subject="mara")
        await note(tx, "ses_5", account, "idp_2")
    async with store.reading() as tx:
        found = [
            await origins.list_holders(tx, "idp_1", **named)
            for named in ({"session_id": "s1"}, {"session_id": "s1", "subject": "erin"}, {"subject": "erin"},
                          {"session_id": "s2", "subject": "mara"}, {"session_id": "s"}, {"session_id": "%"}, {})
        ]  # fmt: skip
    assert found == [["ses_1", "ses_4"], ["ses_1"], ["att_3", "ses_1", "ses_2"], [], [], [], []]


async def test_a_session_keeps_the_origin_of_its_attempt_and_the_latest_is_told(store: Store) -> None:
    account = (await add_person(store)).id
    async with store.transaction() as tx:
        await note(tx, "att_1", account, hint="old")
        await origins.move(tx, "att_1", "ses_1")
        await note(tx, "ses_1", account, sid="s2", at=NOW + 1)
        assert await origins.find(tx, "ses_1") == Origin("idp_1", "s2")
        await note(tx, "ses_1", account, hint="new", at=NOW + 2)  # a step-up within the same sign-in
        assert await origins.find(tx, "ses_1") == Origin("idp_1", "new")
        assert await origins.find(tx, "att_1") is None
        assert await origins.list_holders(tx, "idp_1", subject="erin") == ["ses_1"]


async def test_a_logout_token_is_remembered_once(store: Store) -> None:
    async def take(provider: str = "idp_1", token: str = "1") -> bool:
        async with store.transaction() as tx:
            return await origins.remember(tx, provider, Logout(token, "erin", ""), NOW)

    assert sorted(await asyncio.gather(*(take() for _ in range(5)))) == [False] * 4 + [True]
    assert [await take(token="2"), await take("idp_2"), await take()] == [True, True, False]


async def test_who_has_left_meanwhile_is_known(store: Store) -> None:
    async with store.transaction() as tx:
        await origins.remember(tx, "idp_1", Logout("1", "erin", "s1"), NOW - 900)
        await origins.remember(tx, "idp_1", Logout("2", "mara", ""), NOW)
        left = [
            await origins.has_left(tx, provider, claims(subject, sid), since)
            for provider, subject, sid, since in (
                ("idp_1", "erin", "s1", NOW), ("idp_1", "mara", "s9", NOW), ("idp_1", "mara", "", NOW),
                ("idp_1", "erin", "s2", NOW), ("idp_1", "erin", "", NOW), ("idp_1", "mara", "s9", NOW + 1),
                ("idp_2", "erin", "s1", NOW),
            )
        ]  # fmt: skip
        await origins.forget(tx, "idp_1", NOW)
        assert not await origins.has_left(tx, "idp_1", claims(), NOW)
    assert left == [True, True, True, False, False, False, False]


async def test_a_sign_out_that_comes_while_a_session_is_opened_ends_it(store: Store) -> None:
    """The one waits for the other: either the sign-out finds the session, or the session the sign-out."""
    provider = Provider("idp_1", "acme", "https://id.example", "c", Secret("s"), Kind.GENERIC, ("openid",), True)
    account = (await add_person(store)).id
    async with store.transaction() as tx:
        await rows.put_provider(tx, SEALER, Registered(provider), NOW)
    outcomes = []

    async def open_session(number: int) -> None:
        async with store.transaction() as tx:
            assert await origins.hold(tx, "idp_1")
            if await origins.has_left(tx, "idp_1", claims(sid=f"s{number}"), NOW):
                outcomes.append("refused")
                return
            session = await session_rows.add(
                tx, token_key=key_of(new_token()), account_id=account, proofs=(), address="", user_agent="", now=NOW
            )
            await asyncio.sleep(0)
            await note(tx, session, account, sid=f"s{number}")

    async def sign_out(number: int) -> None:
        async with store.transaction() as tx:
            assert await origins.hold(tx, "idp_1", alone=True)
            await origins.remember(tx, "idp_1", Logout(str(number), "erin", f"s{number}"), NOW)
            for holder in await origins.list_holders(tx, "idp_1", session_id=f"s{number}"):
                outcomes.append("ended")
                await session_rows.end(tx, holder, NOW)

    for number in range(20):
        pair = (open_session(number), sign_out(number))
        await asyncio.gather(*(pair if number % 2 else reversed(pair)))
    async with store.reading() as tx:
        assert await session_rows.list_open(tx, account) == []
    assert len(outcomes) == 20


async def test_a_provider_that_was_removed_opens_nothing(store: Store) -> None:
    async with store.transaction() as tx:
        assert [await origins.hold(tx, "idp_9"), await origins.hold(tx, "idp_9", alone=True)] == [False, False]


async def test_a_session_that_is_replaced_and_a_provider_that_is_exchanged_wait_for_each_other_in_one_order(
    store: Store,
) -> None:
    """Else each would hold what the other one waits for."""
    provider = Provider("idp_1", "acme", "https://id.example", "c", Secret("s"), Kind.GENERIC, ("openid",), True)
    account = (await add_person(store)).id

    async def replace_session(session: str) -> None:
        async with store.transaction() as tx:
            assert await origins.hold(tx, "idp_1")
            for _ in range(20):  # meanwhile the other one begins
                await origins.find(tx, session)
            await session_rows.end(tx, session, NOW)

    async def exchange(number: int) -> None:
        async with store.transaction() as tx:
            other = replace(provider, issuer=f"https://id{number}.example")
            await rows.put_provider(tx, SEALER, Registered(other), NOW)

    for number in range(5):
        async with store.transaction() as tx:
            await rows.put_provider(tx, SEALER, Registered(provider), NOW)
            session = await session_rows.add(
                tx, token_key=key_of(new_token()), account_id=account, proofs=(), address="", user_agent="", now=NOW
            )
            await note(tx, session, account)
        await asyncio.gather(replace_session(session), exchange(number))
        async with store.reading() as tx:
            assert await session_rows.list_open(tx, account) == []
