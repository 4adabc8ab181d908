"""What ends when an account is secured, and what is told about it, on both engines."""

from __future__ import annotations

from sqlalchemy import select

from gateway.accounts import email_changes, links
from gateway.accounts import rows as account_rows
from gateway.accounts.links import Purpose
from gateway.audit import rows as audit_rows
from gateway.compromised import story
from gateway.compromised.ends import Ended, Replacement, secure
from gateway.factors.contract import Factors
from gateway.factors.password.factor import PasswordFactor
from gateway.mail.outbox import outbox
from gateway.model.account import Account, Role
from gateway.model.api_token import Grant, Kind
from gateway.model.entry import Entry, Outcome
from gateway.model.event import Event
from gateway.model.factor_policy import FactorPolicy
from gateway.model.secret import Secret
from gateway.model.token import new_id
from gateway.sessions import attempt
from gateway.sessions import rows as session_rows
from gateway.store import Store
from gateway.store.schema import audit
from gateway.tokens import rows as token_rows
from gateway.tokens.rows import TokenRow
from tests.store.people import NOW, add_person, add_session, person
from tests.support.actions import SEALER, action_in

DAY = 86_400
REPLACEMENT = Replacement(
    Factors((PasswordFactor(),)), FactorPolicy(), SEALER, "https://app.example.com/reset-password/"
)


async def give_everything(store: Store, account: Account) -> str:
    """Give an account one of all that can act for it. Returns the id of its session."""
    session, _ = await add_session(store, account)
    async with store.transaction() as tx:
        grant = Grant(new_id("tok"), NOW + DAY, frozenset(), (), ())
        token = TokenRow(
            grant.token, account.id, Kind.PERSONAL, "x", Role.EMPLOYEE, grant, NOW, None, None, "", ""
        )  # fmt: skip
        await token_rows.add(tx, token, new_id("dig").encode().ljust(32, b"0")[:32])
        for purpose in (Purpose.RESET, Purpose.EMAIL_UNDO):
            await links.issue(tx, SEALER, purpose, account=account.id, identifier=account.identifier, now=NOW)
        await email_changes.add(tx, account.id, account.identifier, f"new-{account.identifier}", "", NOW)
    return session


async def events(store: Store, event: Event) -> list[Entry]:
    async with store.reading() as tx:
        return [entry for entry in await audit_rows.recent(tx, 1_000) if entry.event is event]


async def mails(store: Store) -> list[str]:
    async with store.reading() as tx:
        return list((await tx.execute(select(outbox.c.template))).scalars())


async def test_everything_of_one_person_ends_but_the_session_that_asks(store: Store) -> None:
    ann, bob = await add_person(store), await add_person(store, person("bob@example.com"))
    kept = await give_everything(store, ann)
    await add_session(store, ann, NOW + 1)
    of_bob = await give_everything(store, bob)
    async with store.transaction() as tx:
        assert await secure(action_in(tx), ann, but=kept) == Ended(1, 1, 1, 1)
    async with store.reading() as tx:
        assert {row.id for row in await session_rows.list_open(tx)} == {kept, of_bob}
        assert await token_rows.count_live(tx, ann.id, NOW) == 0
        assert await token_rows.count_live(tx, bob.id, NOW) == 1
        assert await token_rows.count_live_in_tenant(tx, "acme", NOW) == 1
        assert await token_rows.count_live_in_tenant(tx, "beta", NOW) == 0
        kinds = select(links.mailed_links.c.purpose).where(links.mailed_links.c.account == ann.id, links.is_open)
        assert list((await tx.execute(kinds)).scalars()) == [Purpose.EMAIL_UNDO]
    (entry,) = await events(store, Event.ACCOUNT_SECURED)
    assert entry.account == ann.id
    assert entry.details["tokens_ended"] == 1
    assert await mails(store) == ["account_secured"]


async def test_where_nothing_was_open_a_quiet_one_says_nothing(store: Store) -> None:
    ann = await add_person(store)
    async with store.transaction() as tx:
        assert not await secure(action_in(tx), ann, is_quiet=True)
    assert await events(store, Event.ACCOUNT_SECURED) == []
    assert await mails(store) == []


async def test_all_of_it_happens_or_nothing(store: Store) -> None:
    ann = await add_person(store)
    session = await give_everything(store, ann)
    try:
        async with store.transaction() as tx:
            await secure(action_in(tx), ann)
            raise RuntimeError("the worker dies")
    except RuntimeError:
        pass
    async with store.reading() as tx:
        assert await session_rows.is_open(tx, session)
        assert await token_rows.count_live(tx, ann.id, NOW) == 1
    assert await mails(store) == []


async def test_a_replaced_password_is_gone_and_one_new_link_is_open(store: Store) -> None:
    ann = await add_person(store)
    await give_everything(store, ann)
    async with store.transaction() as tx:
        await account_rows.add_tenant(tx, "acme", "Acme")
        ended, has_link = await REPLACEMENT.secure(action_in(tx), ann, Secret("pbkdf2:sha256:1$b$c"))
    assert (ended, has_link) == (Ended(1, 1, 1, 1), True)
    async with store.reading() as tx:
        found = await account_rows.find(tx, ann.id)
        assert found is not None
        assert found.password_hash == Secret("pbkdf2:sha256:1$b$c")
        kinds = select(links.mailed_links.c.purpose).where(links.is_open).order_by(links.mailed_links.c.purpose)
        assert list((await tx.execute(kinds)).scalars()) == [Purpose.EMAIL_UNDO, Purpose.RESET]
    assert await mails(store) == ["account_secured"]


async def test_a_sign_in_under_way_ends(store: Store) -> None:
    ann = await add_person(store)
    async with store.transaction() as tx:
        await attempt.begin(tx, ann.id, (), NOW)
    async with store.transaction() as tx:
        await secure(action_in(tx), ann)
    async with store.reading() as tx:
        assert await attempt.furthest(tx, ann.id, NOW) is None


# What is told.


def entry(account: Account, at: int, event: Event = Event.LOGIN, identifier: str = "") -> Entry:
    email = identifier or account.identifier
    return Entry(event, Outcome.SUCCESS, at, email, tenant=account.tenant, account=account.id)


async def write(store: Store, *entries: Entry) -> None:
    async with store.transaction() as tx:
        for each in entries:
            await audit_rows.record(tx, each)


async def tell(store: Store, account: Account, before: story.Place | None = None) -> story.Story:
    async with store.reading() as tx:
        return await story.read(tx, account.id, account.identifier, account.tenant, NOW, before)


async def test_a_hundred_are_told_newest_first_and_the_rest_on_the_next_page(store: Store) -> None:
    ann = await add_person(store)
    await write(store, *(entry(ann, NOW - 500 + number // 2) for number in range(130)))
    first = await tell(store, ann)
    assert first.older is not None
    second = await tell(store, ann, first.older)
    assert second.older is None
    numbers = [row.id for row in (*first.rows, *second.rows)]
    assert len(first.rows) == story.SHOWN
    assert numbers == sorted(numbers, reverse=True)
    assert len(set(numbers)) == 130


async def test_exactly_a_hundred_have_no_next_page(store: Store) -> None:
    ann = await add_person(store)
    await write(store, *(entry(ann, NOW - 5) for _ in range(story.SHOWN)))
    assert (await tell(store, ann)).older is None


async def test_only_the_account_itself_its_last_days_and_what_people_understand(store: Store) -> None:
    ann, bob = await add_person(store), await add_person(store, person("bob@example.com"))
    await write(
        store,
        entry(ann, NOW - 31 * DAY),
        entry(ann, NOW - 29 * DAY),
        entry(bob, NOW - 5),
        entry(bob, NOW - 5, identifier=ann.identifier),  # an email that was another account's
        entry(ann, NOW - 5, Event.FORM_KEPT),
    )
    assert [row.at for row in (await tell(store, ann)).rows] == [NOW - 29 * DAY]


async def test_what_happened_under_a_former_email_is_told_too(store: Store) -> None:
    ann = await add_person(store)
    await write(
        store,
        entry(ann, NOW - 9, identifier="former@example.com"),
        entry(ann, NOW - 8, Event.EMAIL_CHANGED, identifier="former@example.com"),
        entry(ann, NOW - 7),
    )
    assert [row.at for row in (await tell(store, ann)).rows] == [NOW - 7, NOW - 8, NOW - 9]


async def test_erased_rows_are_not_told(store: Store) -> None:
    ann = await add_person(store)
    await write(store, entry(ann, NOW - 9))
    async with store.transaction() as tx:
        await audit_rows.erase_who(tx, ann.identifier, ann.id)
        assert (await tx.execute(select(audit.c.id))).scalars().all()
    assert (await tell(store, ann)).rows == []
