"""Transactional outbox: a mail is stored with the change it reports, so none is lost, and none is sent after a
rollback.

Theory. A mail is composed, sealed and stored whole in the transaction of the change it reports: both happen or neither.
Workers claim mails that are due; a claim is a lease until `due_at`. The worker marks the mail sent or failed. If the
worker dies first, the lease ends and the mail is due again. So delivery is at least once: after a crash between the
server's reply and the mark, the same mail is sent again with the same Message-ID, which lets mailboxes recognise the
duplicate. A lease must be longer than sending can take, with the time in which the mark waits for an absent store.

`tries` counts the claims and fences off late workers: a failure is recorded only if `tries` is unchanged, so a worker
that woke up after its lease can't overwrite the state of the worker that has the mail now.

A failed mail waits 30 seconds, then twice as long each time, up to an hour. After a day, or at once if the server
refuses it permanently, it is abandoned: it stays for an operator to inspect and to send again. A mail whose link is
valid for less than a day (PATIENCE) is tried more often, and abandoned once the link has expired.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from sqlalchemy import ColumnElement, Executable, and_, delete, func, insert, or_, select, update

from gateway.crypto.sealing import Place, Sealer
from gateway.languages.reader import Reader, Readers
from gateway.mail.compose import Composer, content_of
from gateway.mail.readers import find_reader, find_readers
from gateway.model.clock import DAY
from gateway.model.token import new_id
from gateway.store import Transaction
from gateway.store.schema import outbox
from gateway.store.stored import EXPIRING, Longest, Sealed, Stored
from gateway.throttle.slices import Slices

FIRST_WAIT_SECONDS = 30
LONGEST_WAIT_SECONDS = 3_600
GIVE_UP_SECONDS = DAY
KEEP_SECONDS = 30 * DAY  # of a mail that was sent or abandoned


@dataclass(frozen=True, slots=True)
class Patience:
    """A mail is abandoned `give_up` seconds after it was posted, and waits for `longest_wait` seconds at most."""

    give_up: int
    longest_wait: int


USUAL = Patience(GIVE_UP_SECONDS, LONGEST_WAIT_SECONDS)
PATIENCE = {  # as long as their links are valid; people wait for the first
    "sign_in_link": Patience(600, 60),
    "password_reset": Patience(3_600, 300),
}
NOBODY = "nobody@example.invalid"  # no mail server has it (RFC 6761 §6.4)
NOTHING = b""  # replaces the content of a mail that was sent: its links might still be valid

waiting = and_(outbox.c.sent_at.is_(None), outbox.c.abandoned_at.is_(None))


@dataclass(frozen=True, slots=True)
class Letter:
    """What one of several mails of a template says, and to whom."""

    recipient: str
    account: str
    context: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Claimed:
    """A mail leased to one worker. `content` is sealed; `tries` includes this one."""

    id: str
    template: str
    recipient: str
    content: bytes
    created_at: int
    tries: int

    def is_too_old(self, now: int) -> bool:
        """Whether the mail's link has expired."""
        return self.template in PATIENCE and now >= self.created_at + PATIENCE[self.template].give_up


class MailState(Enum):
    """The state of a mail: the server accepted it, it will be tried again, or it was abandoned."""

    SENT = "sent"
    WAITING = "waiting"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Status:
    """The number of mails in each state. `oldest_seconds` is the age of the oldest one waiting, or None."""

    waiting: int
    sent: int
    abandoned: int
    oldest_seconds: int | None


class Outbox:
    """Stores mails to be sent. With `is_on` False there is no mail server, so nothing is stored.

    `posted` is set when a mail that is due has been committed, so that this process sends it without delay.
    """

    def __init__(self, composer: Composer, sealer: Sealer, readers: Readers, *, is_on: bool = True) -> None:
        self._composer = composer
        self._readers = readers
        self._sealer = sealer
        self.is_on = is_on
        self.posted = asyncio.Event()

    async def post(
        self,
        tx: Transaction,
        template: str,
        recipient: str,
        *,
        account: str | None,
        now: int,
        **context: str | int,
    ) -> str:
        """Compose a mail and store it, due at once. Returns its id. Raises ValueError for an invalid address."""
        mail_id = new_id("mail")
        return (await self._store(tx, mail_id, template, recipient, account, now, context, lease=0)).id

    async def post_all(self, tx: Transaction, template: str, letters: Sequence[Letter], now: int) -> None:
        """Do the same for mails to several accounts, with pauses in which other tasks run."""
        readers = await find_readers(tx, self._readers, [letter.account for letter in letters])
        slices = Slices()
        mails = []
        for letter in letters:
            reader = readers.get(letter.account, self._readers.default)
            mail = self._compose(new_id("mail"), template, letter.recipient, reader, now, letter.context, lease=0)
            mails.append((mail, letter.account))
            await slices.pause()
        await self._add(tx, mails, now, lease=0)

    async def post_to_asker(
        self, tx: Transaction, template: str, recipient: str, *, asker: Reader, now: int, **context: str | int
    ) -> None:
        """Do the same for an address without an account, which the reader of the page gives as their own."""
        mail_id = new_id("mail")
        await self._store(tx, mail_id, template, recipient, None, now, context, lease=0, asker=asker)

    async def post_claimed(
        self,
        tx: Transaction,
        mail_id: str,
        template: str,
        recipient: str,
        *,
        account: str,
        now: int,
        lease: int,
        **context: str | int,
    ) -> Claimed:
        """Do the same for a mail that the caller sends itself: it is leased to the caller for `lease` seconds."""
        return await self._store(tx, mail_id, template, recipient, account, now, context, lease=lease)

    async def pretend(self, tx: Transaction, template: str, *, now: int, **context: str | int) -> None:
        """Do all the work of `post` for an address that does not exist; the sender deletes the mail instead of sending
        it.

        So a request takes as long for an email without an account as for one with an account.
        """
        await self.post(tx, template, NOBODY, account=None, now=now, **context)

    async def _store(
        self,
        tx: Transaction,
        mail_id: str,
        template: str,
        recipient: str,
        account: str | None,
        now: int,
        context: Mapping[str, str | int],
        *,
        lease: int,
        asker: Reader | None = None,
    ) -> Claimed:
        reader = await find_reader(tx, self._readers, account, recipient) or asker or self._readers.default
        mail = self._compose(mail_id, template, recipient, reader, now, context, lease=lease)
        await self._add(tx, [(mail, account)], now, lease=lease)
        return mail

    def _compose(
        self,
        mail_id: str,
        template: str,
        recipient: str,
        reader: Reader,
        now: int,
        context: Mapping[str, str | int],
        *,
        lease: int,
    ) -> Claimed:
        message_id = self._composer.message_id(mail_id)
        message = self._composer.compose(template, recipient, reader, message_id=message_id, now=now, **context)
        sealed = self._sealer.seal(content_of(message, recipient), place_of(mail_id))
        return Claimed(mail_id, template, recipient, sealed, now, tries=1 if lease else 0)

    async def _add(self, tx: Transaction, mails: Sequence[tuple[Claimed, str | None]], now: int, *, lease: int) -> None:
        """Store mails with their accounts."""
        if not self.is_on or not mails:
            return
        values = [
            {
                "id": mail.id,
                "template": mail.template,
                "recipient": mail.recipient,
                "account": account,
                "content": mail.content,
                "created_at": now,
                "due_at": now + lease,
                "tries": mail.tries,
                "trouble": "",
            }
            for mail, account in mails
        ]
        await tx.execute(insert(outbox), values)
        if not lease:
            tx.do_afterwards(self.posted.set)


def place_of(mail_id: str) -> Place:
    return Place("outbox", "content", mail_id)


def wait_seconds(tries: int, longest: int = LONGEST_WAIT_SECONDS) -> int:
    """Return the wait before the next try, in seconds, after `tries` failures."""
    doublings = min(max(tries - 1, 0), 7)
    return min(FIRST_WAIT_SECONDS << doublings, longest)


async def is_any_due(tx: Transaction, now: int) -> bool:
    return (await tx.execute(select(outbox.c.id).where(waiting, outbox.c.due_at <= now).limit(1))).first() is not None


async def remove_pretended(tx: Transaction, now: int) -> None:
    """Delete the mails of `Outbox.pretend` once they are due."""
    due = select(outbox.c.id).where(waiting, outbox.c.due_at <= now, outbox.c.recipient == NOBODY)
    await tx.execute(delete(outbox).where(outbox.c.id.in_(due.with_for_update(skip_locked=True))))


async def claim(tx: Transaction, now: int, lease_seconds: int, limit: int) -> list[Claimed]:
    """Claim up to `limit` mails that are due, in the order of their due time, for `lease_seconds`."""
    # SQLite has one writer at a time. On PostgreSQL the rows are locked first, and rows that another worker is claiming
    # are skipped; a single UPDATE with this as a subquery may run the subquery twice, and claim too many.
    due = select(outbox.c.id).where(waiting, outbox.c.due_at <= now).order_by(outbox.c.due_at, outbox.c.id)
    found = (await tx.execute(due.limit(limit).with_for_update(skip_locked=True))).scalars().all()
    if not found:
        return []
    statement = (
        update(outbox)
        .where(outbox.c.id.in_(found))
        .values(due_at=now + lease_seconds, tries=outbox.c.tries + 1)
        .returning(
            outbox.c.id,
            outbox.c.template,
            outbox.c.recipient,
            outbox.c.content,
            outbox.c.created_at,
            outbox.c.tries,
        )
    )
    return sorted((Claimed(*row) for row in await tx.execute(statement)), key=lambda mail: found.index(mail.id))


async def mark_sent(tx: Transaction, mail: Claimed, now: int) -> None:
    """Record that the server accepted the mail. This is true even if the lease has passed to another worker."""
    statement = update(outbox).where(outbox.c.id == mail.id, outbox.c.sent_at.is_(None))
    await tx.execute(statement.values(sent_at=now, abandoned_at=None, trouble="", content=NOTHING))


async def mark_failed(tx: Transaction, mail: Claimed, trouble: str, *, is_permanent: bool, now: int) -> bool:
    """Schedule the next try, or abandon the mail. Returns whether it was abandoned.

    `trouble` is shown to operators. Nothing changes if the lease has ended and another worker has claimed the mail.
    """
    patience = PATIENCE.get(mail.template, USUAL)
    is_over = is_permanent or now >= mail.created_at + patience.give_up
    statement = (
        update(outbox)
        .where(outbox.c.id == mail.id, outbox.c.tries == mail.tries, waiting)
        .values(
            due_at=now + wait_seconds(mail.tries, patience.longest_wait),
            abandoned_at=now if is_over else None,
            trouble=trouble,
        )
    )
    return (await tx.execute(statement)).rowcount == 1 and is_over


async def state_of(tx: Transaction, mail_id: str) -> MailState | None:
    """Return the state of a mail; None if it does not exist or was deleted after its retention."""
    query = select(outbox.c.sent_at, outbox.c.abandoned_at).where(outbox.c.id == mail_id)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        return None
    if row.sent_at is not None:
        return MailState.SENT
    return MailState.WAITING if row.abandoned_at is None else MailState.ABANDONED


async def withdraw(tx: Transaction, mails: Sequence[str]) -> None:
    """Delete those of these mails that were not sent, because what they say is no longer true."""
    await tx.execute(delete(outbox).where(outbox.c.id.in_(mails), outbox.c.sent_at.is_(None)))


async def retry(tx: Transaction, now: int) -> int:
    """Make the abandoned mails due again. One older than a day gets a single try. Returns how many there are."""
    statement = update(outbox).where(outbox.c.abandoned_at.is_not(None))
    return (await tx.execute(statement.values(abandoned_at=None, due_at=now))).rowcount


async def status(tx: Transaction, now: int) -> Status:
    query = select(
        func.count().filter(waiting),
        func.count().filter(outbox.c.sent_at.is_not(None)),
        func.count().filter(outbox.c.abandoned_at.is_not(None)),
        func.min(outbox.c.created_at).filter(waiting),
    )
    in_wait, sent, abandoned, oldest = (await tx.execute(query)).one()
    return Status(in_wait, sent, abandoned, None if oldest is None else now - oldest)


def is_stale(longest: Longest, now: int) -> ColumnElement[bool]:
    return or_(outbox.c.sent_at < now - KEEP_SECONDS, outbox.c.abandoned_at < now - KEEP_SECONDS)


def hold_back(now: int) -> Executable:
    """Abandon waiting mails after a restore: they may have been sent since the backup. An operator can retry them."""
    return update(outbox).where(waiting).values(abandoned_at=now, trouble="it waited in a backup")


SEALED = Sealed(outbox.c.content, outbox.c.sent_at.is_(None), "mails", "queued emails", is_vital=True)
STORED = (Stored(outbox, is_stale, hold_back, EXPIRING, SEALED),)
