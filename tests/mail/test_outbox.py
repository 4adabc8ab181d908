"""Mails that wait: none is lost, none is sent of what was rolled back, and nobody has the same one twice."""

from __future__ import annotations

import asyncio
import contextlib
import itertools

import pytest
from sqlalchemy import select

from gateway.app.nouns import MAILS
from gateway.crypto.sealing import Sealer
from gateway.mail import outbox as rows
from gateway.mail.outbox import Claimed, Outbox, Status, place_of, wait_seconds
from gateway.store import Store
from gateway.store.schema import outbox as table
from tests.store.people import NOW, add_person

LEASE = 100
DAY = 86_400


async def post(store: Store, outbox: Outbox, name: str = "test", now: int = NOW) -> str:
    async with store.transaction() as tx:
        return await outbox.post(tx, name, "erin@acme.example", account=None, now=now, **MAILS[name])


async def claim(store: Store, now: int = NOW, limit: int = 10) -> list[Claimed]:
    async with store.transaction() as tx:
        return await rows.claim(tx, now, LEASE, limit)


async def fail(store: Store, mail: Claimed, now: int, *, is_permanent: bool = False) -> bool:
    async with store.transaction() as tx:
        return await rows.mark_failed(tx, mail, "450 later", is_permanent=is_permanent, now=now)


async def sent(store: Store, mail: Claimed, now: int = NOW) -> None:
    async with store.transaction() as tx:
        await rows.mark_sent(tx, mail, now)


async def status(store: Store, now: int = NOW) -> Status:
    async with store.reading() as tx:
        return await rows.status(tx, now)


async def test_a_posted_mail_is_due_at_once_and_whole(store: Store, outbox: Outbox, sealer: Sealer) -> None:
    mail_id = await post(store, outbox, "sign_in_link")
    (mail,) = await claim(store)
    assert (mail.id, mail.template, mail.recipient, mail.tries) == (mail_id, "sign_in_link", "erin@acme.example", 1)
    content = sealer.open(mail.content, place_of(mail_id))
    assert f"Message-ID: <{mail_id}@app.example.com>\n".encode() in content
    assert b"Your sign-in link for OtiumWork" in content


async def test_the_sender_is_woken_once_a_mail_is_committed(store: Store, outbox: Outbox) -> None:
    async with store.transaction() as tx:
        await outbox.post(tx, "test", "erin@acme.example", account=None, now=NOW, **MAILS["test"])
        assert not outbox.posted.is_set()
    assert outbox.posted.is_set()


async def test_the_sender_is_woken_neither_by_a_rollback_nor_by_a_mail_that_somebody_else_sends(
    store: Store, outbox: Outbox
) -> None:
    with contextlib.suppress(LookupError):
        async with store.transaction() as tx:
            await outbox.post(tx, "test", "erin@acme.example", account=None, now=NOW, **MAILS["test"])
            raise LookupError
    account = (await add_person(store)).id
    sample = MAILS["test"]
    async with store.transaction() as tx:
        await outbox.post_claimed(tx, "mail_1", "test", "a@b.example", account=account, now=NOW, lease=LEASE, **sample)
    assert not outbox.posted.is_set()


async def test_the_store_holds_no_mail_that_can_be_read(store: Store, outbox: Outbox) -> None:
    await post(store, outbox, "sign_in_link")
    async with store.reading() as tx:
        (row,) = (await tx.execute(select(table))).all()
    assert b"login" not in row.content
    assert "login/link" not in str(row)


async def test_a_mail_about_something_that_was_rolled_back_is_never_sent(store: Store, outbox: Outbox) -> None:
    with contextlib.suppress(RuntimeError):
        async with store.transaction() as tx:
            await outbox.post(tx, "test", "erin@acme.example", account=None, now=NOW)
            raise RuntimeError
    assert await claim(store) == []


async def test_a_claimed_mail_is_nobody_elses_until_the_lease_ends(store: Store, outbox: Outbox) -> None:
    await post(store, outbox)
    assert len(await claim(store)) == 1
    assert await claim(store, NOW + LEASE - 1) == []
    assert len(await claim(store, NOW + LEASE)) == 1


async def test_those_that_waited_longest_are_first(store: Store, outbox: Outbox) -> None:
    posted = [await post(store, outbox, now=NOW + at) for at in (3, 1, 2)]
    found = await claim(store, NOW + 10, limit=2)
    assert [mail.id for mail in found] == [posted[1], posted[2]]


async def test_four_workers_that_claim_at_once_never_have_the_same_mail(store_url: str, outbox: Outbox) -> None:
    workers = [Store.open(store_url) for _ in range(4)]
    posted = [await post(workers[0], outbox) for _ in range(40)]

    async def drain(store: Store) -> list[str]:
        mine: list[str] = []
        while found := await claim(store, limit=3):
            assert len(found) <= 3
            mine += [mail.id for mail in found]
        return mine

    taken = await asyncio.gather(*(drain(worker) for worker in workers))
    # A worker passes over what another one is claiming just then, and may see nothing left a moment too early.
    rest = await drain(workers[0])
    assert sorted([*itertools.chain(*taken), *rest]) == sorted(posted)
    for worker in workers:
        await worker.close()


async def test_on_postgresql_a_claim_passes_over_what_another_one_is_claiming(
    postgres_url: str, outbox: Outbox
) -> None:
    store = Store.open(postgres_url)
    for _ in range(4):
        await post(store, outbox)
    async with store.transaction() as one, store.transaction() as two:
        first = await rows.claim(one, NOW, LEASE, 3)
        second = await rows.claim(two, NOW, LEASE, 3)
    assert (len(first), len(second)) == (3, 1)
    assert not {mail.id for mail in first} & {mail.id for mail in second}
    await store.close()


def test_waits_grow_to_an_hour() -> None:
    waits = [wait_seconds(tries) for tries in range(1, 11)]
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert wait_seconds(10_000) == 3600


async def test_a_failed_mail_waits_longer_each_time(store: Store, outbox: Outbox) -> None:
    await post(store, outbox)
    now = NOW
    for wait in (30, 60, 120):
        (mail,) = await claim(store, now)
        assert not await fail(store, mail, now)
        assert await claim(store, now + wait - 1) == []
        now += wait
    assert len(await claim(store, now)) == 1


async def test_after_a_day_a_mail_is_abandoned(store: Store, outbox: Outbox) -> None:
    await post(store, outbox)
    (mail,) = await claim(store, NOW + DAY - 1)
    assert not await fail(store, mail, NOW + DAY - 1)
    (mail,) = await claim(store, NOW + DAY + 3600)
    assert await fail(store, mail, NOW + DAY + 3600)
    assert await claim(store, NOW + 10 * DAY) == []
    assert await status(store) == Status(waiting=0, sent=0, abandoned=1, oldest_seconds=None)


async def test_what_is_refused_for_good_is_abandoned_at_once_and_can_be_sent_again(
    store: Store, outbox: Outbox
) -> None:
    mail_id = await post(store, outbox)
    (mail,) = await claim(store)
    assert await fail(store, mail, NOW, is_permanent=True)
    async with store.transaction() as tx:
        assert await rows.retry(tx, NOW + 5) == 1
        assert await rows.retry(tx, NOW + 5) == 0
    assert [mail.id for mail in await claim(store, NOW + 5)] == [mail_id]


async def test_a_worker_that_wakes_up_after_its_lease_does_not_disturb_the_next_one(
    store: Store, outbox: Outbox
) -> None:
    await post(store, outbox)
    (slow,) = await claim(store)
    (quick,) = await claim(store, NOW + LEASE)
    assert not await fail(store, slow, NOW + LEASE + 1, is_permanent=True)
    assert await claim(store, NOW + LEASE + 50) == []
    await sent(store, quick)
    assert (await status(store)).sent == 1


async def test_a_sent_mail_is_not_sent_again_and_its_content_is_gone(store: Store, outbox: Outbox) -> None:
    await post(store, outbox)
    (mail,) = await claim(store)
    await sent(store, mail)
    assert not await fail(store, mail, NOW, is_permanent=True)
    assert await claim(store, NOW + DAY) == []
    async with store.reading() as tx:
        assert (await tx.execute(select(table.c.content))).scalar_one() == b""


async def test_the_status_counts_each_state(store: Store, outbox: Outbox) -> None:
    assert await status(store) == Status(0, 0, 0, None)
    for at in range(4):
        await post(store, outbox, now=NOW + at)
    one, two, *_ = await claim(store, NOW + 10)
    await sent(store, one)
    await fail(store, two, NOW, is_permanent=True)
    assert await status(store, NOW + 60) == Status(waiting=2, sent=1, abandoned=1, oldest_seconds=58)


async def test_a_mail_to_something_that_is_no_address_is_not_stored(store: Store, outbox: Outbox) -> None:
    with pytest.raises(ValueError, match="one plain address"):
        async with store.transaction() as tx:
            await outbox.post(tx, "test", "a@b.example, c@d.example", account=None, now=NOW)
    assert (await status(store)).waiting == 0


@pytest.mark.parametrize(("template", "life"), [("sign_in_link", 600), ("password_reset", 3_600)])
async def test_a_mail_with_a_link_is_tried_often_and_only_as_long_as_the_link_is_good(
    store: Store, outbox: Outbox, template: str, life: int
) -> None:
    await post(store, outbox, template)
    now, tries, is_abandoned = NOW, 0, False
    while not is_abandoned:
        (mail,) = await claim(store, now)
        is_abandoned = await fail(store, mail, now)
        assert mail.is_too_old(now) is is_abandoned
        tries += 1
        now += wait_seconds(mail.tries, rows.PATIENCE[template].longest_wait)
    assert tries >= 8
    assert NOW + life < now < NOW + life + 700
