"""From the outbox to a real SMTP server: through outages, crashes and refusals."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
import structlog
from sqlalchemy import text

from gateway.app.nouns import MAILS
from gateway.crypto.sealing import Sealer
from gateway.languages.reader import Readers
from gateway.mail import outbox as rows
from gateway.mail.outbox import Outbox
from gateway.mail.sender import AT_ONCE, Sender
from gateway.mail.smtp import Mailer
from gateway.model.secret import Secret
from gateway.store import Store, StoreUnavailable
from tests.mail.conftest import mailer_to, make_composer
from tests.store.people import NOW
from tests.support.smtp import SMTPServer

LEASE = 240  # six steps of half a minute, and a minute


async def post(
    store: Store, outbox: Outbox, recipient: str = "erin@acme.example", *, name: str = "new_device", now: int = NOW
) -> str:
    async with store.transaction() as tx:
        return await outbox.post(tx, name, recipient, account=None, now=now, **MAILS[name])


async def trouble_of(store: Store) -> str:
    async with store.reading() as tx:
        return str((await tx.execute(rows.select(rows.outbox.c.trouble))).scalar_one())


async def status(store: Store) -> rows.Status:
    async with store.reading() as tx:
        return await rows.status(tx, NOW)


async def test_what_was_posted_arrives_once(store: Store, outbox: Outbox, sealer: Sealer, server: SMTPServer) -> None:
    posted = [await post(store, outbox, f"a{n}@acme.example") for n in range(AT_ONCE + 2)]
    sender = Sender(store, mailer_to(server.port), sealer)
    assert [await sender.run_once(NOW) for _ in range(3)] == [AT_ONCE, 2, 0]
    assert {received.message["Message-ID"] for received in server.received} == {
        f"<{mail_id}@app.example.com>" for mail_id in posted
    }
    assert len(server.received) == len(posted)
    assert server.received[0].message["Subject"] == "New sign-in to your account from Chrome on Windows"
    assert (await status(store)).sent == len(posted)


async def test_many_that_are_due_go_one_after_another_at_once(
    store: Store, outbox: Outbox, sealer: Sealer, server: SMTPServer
) -> None:
    """After an import: all go out now, and not a few every other second."""
    for n in range(3 * AT_ONCE + 1):
        await post(store, outbox, f"a{n}@acme.example")
    await Sender(store, mailer_to(server.port), sealer).run_due(lambda: NOW)
    assert len(server.received) == 3 * AT_ONCE + 1
    server.stop()
    await post(store, outbox)
    await Sender(store, mailer_to(server.port), sealer).run_due(lambda: NOW)  # ends
    server.start()


async def test_a_stored_mail_arrives_as_it_was_composed(store: Store, sealer: Sealer, server: SMTPServer) -> None:
    """Also with an address outside ASCII, and with a host that is longer than a line of a header."""
    composer = make_composer(public_url=f"https://{'long-label.' * 9}example.com", product="Ötium")
    mail_id = await post(store, Outbox(composer, sealer, Readers()), "zoë@acme.example", name="test")
    await post(store, Outbox(composer, sealer, Readers()), "erin@acme.example", name="test", now=NOW + 1)
    sender = Sender(store, mailer_to(server.port), sealer)
    assert await sender.run_once(NOW) == 1
    assert await sender.run_once(NOW + 1) == 1
    unicode, plain = server.received
    assert unicode.recipients == ["zoë@acme.example"]
    assert plain.raw.isascii()
    assert f"{composer.message_id(mail_id)}".encode() in unicode.raw
    for received in (unicode, plain):
        assert received.message["Subject"] == "Test email from Ötium"
        assert "Ötium" in received.message.get_body(("html",)).get_content()  # type: ignore[union-attr]


async def test_mails_wait_while_the_server_is_down_and_go_when_it_is_back(
    store: Store, outbox: Outbox, sealer: Sealer, server: SMTPServer
) -> None:
    await post(store, outbox)
    sender = Sender(store, mailer_to(server.port), sealer)
    server.stop()
    assert await sender.run_once(NOW) == 0
    assert "Connect call failed" in await trouble_of(store)
    server.start()
    assert await sender.run_once(NOW + 29) == 0
    assert await sender.run_once(NOW + 30) == 1
    assert len(server.received) == 1
    assert await trouble_of(store) == ""


async def test_a_worker_that_dies_between_sending_and_marking_has_the_mail_sent_again_as_the_same_one(
    store: Store, outbox: Outbox, sealer: Sealer, server: SMTPServer
) -> None:
    await post(store, outbox)
    mailer = mailer_to(server.port)
    dying = Sender(store, mailer, sealer)
    async with store.transaction() as tx:
        (mail,) = await rows.claim(tx, NOW, LEASE, AT_ONCE)
    await mailer.send(dying._open(mail))  # and then it is gone

    other = Sender(store, mailer, sealer)
    assert await other.run_once(NOW + LEASE - 1) == 0
    assert await other.run_once(NOW + LEASE) == 1
    first, second = server.received
    assert first.message["Message-ID"] == second.message["Message-ID"]
    assert first.raw == second.raw


class Shut(Mailer):
    """Has the store away from the moment at which a mail was taken or refused."""

    store: Store

    async def send(self, content: bytes) -> str:
        try:
            return await super().send(content)
        finally:
            async with self.store.transaction() as tx:
                await tx.execute(text("ALTER TABLE outbox RENAME TO away"))


@pytest.mark.parametrize(
    ("reply", "state"), [("250 Taken", (0, 1, 0)), ("550 No", (0, 0, 1))], ids=["taken", "refused"]
)
async def test_a_result_waits_for_a_store_that_is_away_and_nothing_is_sent_twice(
    store: Store, outbox: Outbox, sealer: Sealer, server: SMTPServer, reply: str, state: tuple[int, int, int]
) -> None:
    await post(store, outbox)
    server.content_reply = reply
    mailer = Shut(host="127.0.0.1", port=server.port, security="none", username="", password=None, seconds=30)
    mailer.store = store
    with structlog.testing.capture_logs() as logged:
        running = asyncio.ensure_future(Sender(store, mailer, sealer).run_once(NOW))
        while not any(entry["event"] == "mail_result_waits" for entry in logged):
            assert not running.done()
            await asyncio.sleep(0.05)
        async with store.transaction() as tx:
            await tx.execute(text("ALTER TABLE away RENAME TO outbox"))
        assert await running == state[1]
    found = await status(store)
    assert (found.waiting, found.sent, found.abandoned) == state
    assert await Sender(store, mailer_to(server.port), sealer).run_once(NOW + LEASE) == 0
    assert len(server.received) == state[1]


async def test_one_bad_recipient_stops_nobody_else(
    store: Store, outbox: Outbox, sealer: Sealer, server: SMTPServer
) -> None:
    for recipient in ("gone@acme.example", "full@acme.example", "erin@acme.example"):
        await post(store, outbox, recipient)
    server.refusals = {"gone@acme.example": "550 No such person", "full@acme.example": "452 Full"}
    with structlog.testing.capture_logs() as logged:
        assert await Sender(store, mailer_to(server.port), sealer).run_once(NOW) == 1
    assert [received.recipients for received in server.received] == [["erin@acme.example"]]
    assert await status(store) == rows.Status(waiting=1, sent=1, abandoned=1, oldest_seconds=0)
    levels = {entry["event"]: entry["log_level"] for entry in logged}
    assert levels == {"mail_sent": "info", "mail_not_sent": "warning", "mail_abandoned": "error"}


async def test_a_mail_sealed_with_a_lost_secret_is_abandoned_and_goes_when_the_secret_is_back(
    store: Store, outbox: Outbox, sealer: Sealer, server: SMTPServer
) -> None:
    await post(store, outbox)
    mailer = mailer_to(server.port)
    other = Sealer((Secret(hashlib.sha384(b"another").digest()),))
    assert await Sender(store, mailer, other).run_once(NOW) == 0
    assert (await status(store)).abandoned == 1
    async with store.transaction() as tx:
        await rows.retry(tx, NOW)
    assert await Sender(store, mailer, sealer).run_once(NOW) == 1


async def test_without_its_store_nothing_is_sent(empty_url: str, sealer: Sealer, server: SMTPServer) -> None:
    store = Store.open(empty_url)
    with pytest.raises(StoreUnavailable):
        await Sender(store, mailer_to(server.port), sealer).run_once(NOW)
    await store.close()


async def test_a_mail_to_nobody_is_like_any_other_until_it_would_be_sent_and_then_it_is_gone(
    store: Store, outbox: Outbox, sealer: Sealer, server: SMTPServer
) -> None:
    async with store.transaction() as tx:
        for _ in range(3 * AT_ONCE):
            await outbox.pretend(tx, "password_reset", now=NOW, **MAILS["password_reset"])
    assert (await status(store)).waiting == 3 * AT_ONCE
    await post(store, outbox)
    assert await Sender(store, mailer_to(server.port), sealer).run_once(NOW) == 1
    found = await status(store)
    assert (found.waiting, found.sent, found.abandoned) == (0, 1, 0)
    assert [received.recipients for received in server.received] == [["erin@acme.example"]]
