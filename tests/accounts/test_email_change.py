"""Whose email it is: who has to agree before an account gets another one, and who can take it back; on both engines."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from sqlalchemy import select
from werkzeug.security import generate_password_hash

from gateway.accounts import claims, email_changes, links, rows
from gateway.accounts.claims import UNDO_SECONDS, Claim
from gateway.accounts.email_change import Addresses, EmailChanges
from gateway.accounts.email_changes import WAIT_SECONDS
from gateway.accounts.email_outcome import Agreed, Done, Gone, Open, Proof, Refused, Undone, Waiting
from gateway.accounts.invitations import TooManyMails
from gateway.accounts.links import LinkState, Purpose
from gateway.accounts.removal import remove_unused
from gateway.app.backup import settle
from gateway.crypto.hashing import Hasher
from gateway.crypto.sealing import Sealer
from gateway.factors.contract import Factors
from gateway.factors.totp.codes import code_at
from gateway.factors.totp.factor import TOTPFactor
from gateway.factors.totp.rows import demand
from gateway.languages.reader import Readers
from gateway.mail.outbox import Outbox, place_of
from gateway.model.account import Account, Status
from gateway.model.secret import Secret
from gateway.model.session import Session
from gateway.sessions import rows as session_rows
from gateway.store import Store
from gateway.store.schema import audit, outbox
from gateway.throttle.limits import Limit
from tests.login.people import inbound_of
from tests.mail.conftest import make_composer
from tests.store.people import NOW, add_person, add_session, look, person, worker
from tests.support.actions import action_in, actions_of

OWNER = "olga@example.com"
OLD, NEW = "ann@acme.example", "ann.new@acme.example"
WORD, WRONG = Secret("correct horse battery staple"), Secret("wrong")
HASH = Secret(generate_password_hash(WORD.reveal(), "pbkdf2:sha256:1"))
DAY = 86_400
SEALER = Sealer((Secret(bytes(range(48))),))
HERE = inbound_of()


@dataclass(frozen=True, slots=True)
class Desk:
    """The service over a store, one account, and what was mailed."""

    store: Store
    changes: EmailChanges
    account: Account

    async def ask(self, new: str = NEW, now: int = NOW, by: str = "Adam") -> None:
        """Ask as an administrator does."""
        async with self.store.transaction() as tx:
            account = await rows.find(tx, self.account.id, lock=True)
            assert account is not None
            action = action_in(tx, now=now)
            action.actor = replace(action.actor, name=by)
            await self.changes.ask(action, account, new)

    async def confirm(
        self, to: str = NEW, password: Secret[str] = WORD, session: Session | None = None, now: int = NOW
    ) -> object:
        return await self.changes.confirm(await self.token("email_confirm", to), password, session, HERE, now)

    async def agree(self, now: int = NOW, old: str = OLD) -> object:
        return await self.changes.agree(await self.token("email_requested", old), HERE, now)

    async def stop(self, now: int = NOW) -> object:
        return await self.changes.stop(await self.token("email_requested", OLD), HERE, now)

    async def undo(self, former: str = OLD, now: int = NOW) -> object:
        return await self.changes.undo(await self.token("email_changed", former), HERE, now)

    async def change(self, old: str, new: str, now: int = NOW) -> None:
        """Change the email with everybody's consent."""
        await self.ask(new, now)
        assert await self.agree(now, old) == Agreed()
        assert await self.confirm(new, now=now) == Done()

    async def mails(self, template: str, recipient: str) -> list[str]:
        async with self.store.reading() as tx:
            query = select(outbox).where(outbox.c.template == template, outbox.c.recipient == recipient)
            found = (await tx.execute(query.order_by(outbox.c.created_at))).all()
        return [read_text(SEALER.open(row.content, place_of(row.id))) for row in found]

    async def token(self, template: str, recipient: str) -> str:
        """Return the token of the latest mail of that kind."""
        *_, last = await self.mails(template, recipient)
        found = re.search(r"https://app\.example\.com/(?:new|old|undo)/(\S+)", last)
        assert found, last
        return found[1]

    async def now(self) -> Account:
        async with self.store.reading() as tx:
            found = await rows.find(tx, self.account.id)
        assert found is not None
        return found

    async def email(self) -> str:
        return (await self.now()).identifier

    async def events(self) -> list[str]:
        async with self.store.reading() as tx:
            return list((await tx.execute(select(audit.c.event).order_by(audit.c.id))).scalars())

    async def open_sessions(self) -> int:
        async with self.store.reading() as tx:
            return len(await session_rows.list_open(tx, self.account.id))

    async def claim(self, domain: str, tenant: str) -> None:
        async with self.store.transaction() as tx:
            await rows.add_tenant(tx, tenant, tenant)
            await claims.add(tx, Claim(domain, tenant), "olga", NOW)


def read_text(content: bytes) -> str:
    message = message_from_bytes(content, _class=EmailMessage, policy=policy.default)
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


@pytest.fixture(scope="module")
def hasher() -> Iterator[Hasher]:
    running = Hasher(method="pbkdf2:sha256:1", threads=1, queue=64)
    yield running
    running.close()


@pytest.fixture
async def desk(store: Store, hasher: Hasher) -> Desk:
    letters = Outbox(make_composer(), SEALER, Readers())
    changes = EmailChanges(
        store=store,
        hasher=hasher,
        sealer=SEALER,
        outbox=letters,
        actions=actions_of(store),
        owners=frozenset({OWNER}),
        limit=Limit(5, 900, 900),
        addresses=Addresses(*(f"https://app.example.com/{name}/" for name in ("new", "old", "undo"))),
        factors=Factors(()),
    )
    return Desk(store, changes, await add_person(store, person(OLD, password_hash=HASH)))


async def session_of(store_url: str, desk: Desk, account: Account | None = None) -> Session:
    _, key = await add_session(desk.store, account or desk.account)
    async with worker(store_url, OWNER) as lookup:
        found = await look(lookup, key)
    assert found is not None
    return found


# Confirmed by the account alone (S6).


async def test_a_stranger_who_presses_the_link_gives_their_mailbox_to_nobody(desk: Desk, store_url: str) -> None:
    """Somebody signs an account up to their own company and asks for the victim's address."""
    victim = await add_person(desk.store, person("victim@acme.example", password_hash=HASH))
    session = await session_of(store_url, desk)
    assert await desk.changes.ask_own(session, NEW, HERE, NOW)
    for theirs in (None, await session_of(store_url, desk, victim)):
        assert isinstance(await desk.confirm(password=Secret(""), session=theirs), Refused)
        assert isinstance(await desk.confirm(password=WRONG, session=theirs), Refused)
    assert await desk.email() == OLD
    assert (await desk.events()).count("login_failed") == 4


async def test_a_session_that_has_ended_meanwhile_asks_for_no_other_email(desk: Desk, store_url: str) -> None:
    session = await session_of(store_url, desk)
    async with desk.store.transaction() as tx:
        await session_rows.end(tx, session.id, NOW)
    assert await desk.changes.ask_own(session, NEW, HERE, NOW)
    assert await desk.mails("email_confirm", NEW) == []


async def test_the_page_is_told_whose_account_it_is(desk: Desk) -> None:
    await desk.ask()
    opened = await desk.changes.look(await desk.token("email_confirm", NEW), None, NOW)
    assert isinstance(opened, Open)
    assert (opened.account.name, opened.company, opened.proof) == ("Ann Example", "acme", Proof.PASSWORD)
    assert "ann@acme.example" in (await desk.mails("email_confirm", NEW))[0]


@pytest.mark.parametrize("by_session", [True, False], ids=["session", "password"])
async def test_who_can_sign_in_confirms_and_every_other_session_ends(
    desk: Desk, store_url: str, by_session: bool
) -> None:
    session = await session_of(store_url, desk)
    await session_of(store_url, desk)
    assert await desk.changes.ask_own(session, NEW, HERE, NOW)
    done = await desk.confirm(password=Secret("") if by_session else WORD, session=session if by_session else None)
    assert done == Done(is_signed_in=by_session)
    assert await desk.email() == NEW
    assert await desk.open_sessions() == (1 if by_session else 0)
    assert NEW in (await desk.mails("email_changed", OLD))[0]
    assert OLD in (await desk.mails("email_in_use", NEW))[0]
    assert await desk.events() == ["email_change_requested", "email_changed"]


async def test_guesses_at_the_password_are_limited_like_those_of_signing_in(desk: Desk) -> None:
    await desk.ask()
    outcomes = [await desk.confirm(password=WRONG) for _ in range(6)]
    assert [outcome.until is None for outcome in outcomes if isinstance(outcome, Refused)] == [True] * 5 + [False]
    assert isinstance(await desk.confirm(), Refused)


@pytest.mark.parametrize("kind", ["enrolled", "demanded"])
async def test_a_password_alone_is_not_enough_where_it_does_not_sign_in(desk: Desk, store_url: str, kind: str) -> None:
    async with desk.store.transaction() as tx:
        if kind == "demanded":
            await demand(tx, desk.account.id, NOW)
        else:
            secret = Secret(b"12345678901234567890")
            given = Secret(code_at(secret, NOW // 30))
            assert await TOTPFactor(SEALER).confirm(tx, desk.account.id, secret, given, NOW)
    await desk.ask()
    await desk.agree()
    refused = await desk.confirm()
    assert isinstance(refused, Refused)
    assert refused.opened.proof is Proof.SIGN_IN
    assert await desk.email() == OLD


async def test_of_many_who_confirm_at_once_one_does(desk: Desk) -> None:
    await desk.ask()
    await desk.agree()
    outcomes = await asyncio.gather(*(desk.confirm() for _ in range(4)))
    assert outcomes.count(Done()) == 1
    assert all(isinstance(outcome, Gone) for outcome in outcomes if outcome != Done())
    assert (await desk.events()).count("email_changed") == 1


# An administrator asks (S7).


async def test_an_administrators_change_waits_for_the_old_address(desk: Desk) -> None:
    await desk.ask()
    assert await desk.confirm() == Waiting(NOW + WAIT_SECONDS)
    assert await desk.changes.run_due(NOW + WAIT_SECONDS - 1) == 0
    assert await desk.email() == OLD
    assert await desk.changes.run_due(NOW + WAIT_SECONDS) == 1
    assert await desk.email() == NEW
    assert await desk.changes.run_due(NOW + WAIT_SECONDS) == 0


@pytest.mark.parametrize("first", ["new", "old"])
async def test_both_addresses_agree_in_either_order(desk: Desk, first: str) -> None:
    await desk.ask()
    if first == "new":
        assert isinstance(await desk.confirm(), Waiting)
        assert await desk.agree(NOW + 5) == Done()
    else:
        assert await desk.agree() == Agreed()
        assert await desk.confirm(now=NOW + 5) == Done()
    assert await desk.email() == NEW


@pytest.mark.parametrize("is_confirmed", [True, False])
@pytest.mark.parametrize("is_disabled", [True, False])
async def test_the_old_address_stops_it_even_of_a_disabled_account(
    desk: Desk, is_confirmed: bool, is_disabled: bool
) -> None:
    await desk.ask()
    if is_confirmed:
        await desk.confirm()
    if is_disabled:
        async with desk.store.transaction() as tx:
            await rows.set_status(tx, desk.account.id, Status.DISABLED)
    assert isinstance(await desk.stop(NOW + DAY), Open)
    assert await desk.changes.run_due(NOW + WAIT_SECONDS) == 0
    assert isinstance(await desk.confirm(now=NOW + DAY), Gone)
    assert await desk.agree(NOW + DAY) == Gone(LinkState.USED)
    assert await desk.email() == OLD
    assert (await desk.events())[-1] == "email_change_stopped"


async def test_another_address_has_to_be_agreed_to_anew_and_waits_anew(desk: Desk) -> None:
    await desk.ask()
    await desk.agree()
    other = "mallory@acme.example"
    await desk.ask(other, NOW + WAIT_SECONDS - 1)
    assert isinstance(await desk.confirm(now=NOW + WAIT_SECONDS), Gone)
    assert await desk.confirm(other, now=NOW + WAIT_SECONDS) == Waiting(NOW + 2 * WAIT_SECONDS - 1)
    assert await desk.email() == OLD


async def test_a_new_password_ends_what_is_under_way(desk: Desk) -> None:
    from gateway.accounts import change

    await desk.ask()
    await desk.confirm()
    async with desk.store.transaction() as tx:
        await change.set_password(action_in(tx, now=NOW + 1), Factors(()), await desk.now(), HASH)
    assert await desk.changes.run_due(NOW + WAIT_SECONDS) == 0
    assert isinstance(await desk.agree(NOW + 2), Gone)
    assert await desk.email() == OLD


async def test_what_can_not_be_any_more_when_its_time_comes_ends(desk: Desk) -> None:
    await desk.ask()
    await desk.confirm()
    await add_person(desk.store, person(NEW))
    await desk.changes.run_due(NOW + WAIT_SECONDS)
    assert await desk.email() == OLD
    assert await desk.changes.find_open(desk.account.id) is None


async def test_a_disabled_account_gets_no_new_email(desk: Desk) -> None:
    await desk.ask()
    async with desk.store.transaction() as tx:
        await rows.set_status(tx, desk.account.id, Status.DISABLED)
    assert isinstance(await desk.confirm(), Gone)
    assert isinstance(await desk.agree(), Agreed)
    assert await desk.email() == OLD


# Taken back.


async def test_the_old_address_takes_it_back_within_seven_days(desk: Desk, store_url: str) -> None:
    await desk.change(OLD, NEW)
    await session_of(store_url, desk)
    undone = await desk.undo(now=NOW + UNDO_SECONDS - 1)
    assert isinstance(undone, Undone)
    account = await desk.now()
    assert (account.identifier, account.password_hash) == (OLD, None)
    assert await desk.open_sessions() == 0
    for told in (OLD, NEW):
        assert len(await desk.mails("email_undone", told)) == 1
    async with desk.store.reading() as tx:
        link = await links.find(tx, SEALER, Purpose.RESET, undone.token.reveal())
    assert link is not None
    assert (link.account, link.identifier) == (desk.account.id, OLD)
    assert isinstance(await desk.undo(now=NOW + 2), Gone)
    assert (await desk.events())[-1] == "email_change_undone"


async def test_after_seven_days_it_stays(desk: Desk) -> None:
    await desk.change(OLD, NEW)
    assert isinstance(await desk.undo(now=NOW + UNDO_SECONDS), Gone)
    assert await desk.email() == NEW


async def test_a_password_that_was_set_meanwhile_does_not_keep_it_from_being_taken_back(desk: Desk) -> None:
    from gateway.accounts import change

    await desk.change(OLD, NEW)
    async with desk.store.transaction() as tx:
        await change.set_password(action_in(tx, "thief", NOW + 1), Factors(()), await desk.now(), HASH)
    assert isinstance(await desk.undo(now=NOW + 2), Undone)
    assert (await desk.now()).password_hash is None


@pytest.mark.parametrize("seconds", [0, 10])
async def test_a_second_change_takes_nothing_away_from_the_first_address(desk: Desk, seconds: int) -> None:
    """A thief changes twice; nobody behind the later addresses brings one of them back."""
    third = "third@acme.example"
    await desk.change(OLD, NEW)
    await desk.change(NEW, third, NOW + seconds)
    undo_of_second = await desk.token("email_changed", NEW)
    assert isinstance(await desk.undo(OLD, NOW + 20), Undone)
    assert await desk.email() == OLD
    assert isinstance(await desk.changes.undo(undo_of_second, HERE, NOW + 21), Gone)
    assert await desk.email() == OLD


@pytest.mark.parametrize("seconds", [0, 10])
async def test_the_second_address_takes_the_second_change_back_and_the_first_still_its_own(
    desk: Desk, seconds: int
) -> None:
    await desk.change(OLD, NEW)
    await desk.change(NEW, "third@acme.example", NOW + seconds)
    first = await desk.token("email_changed", OLD)
    assert isinstance(await desk.undo(NEW, NOW + 20), Undone)
    assert await desk.email() == NEW
    assert isinstance(await desk.changes.undo(first, HERE, NOW + 21), Undone)
    assert await desk.email() == OLD


async def test_what_is_asked_for_after_a_change_ends_when_it_is_taken_back(desk: Desk) -> None:
    await desk.change(OLD, NEW)
    await desk.ask("third@acme.example", NOW + 1)
    await desk.confirm("third@acme.example", now=NOW + 1)
    assert isinstance(await desk.undo(now=NOW + 2), Undone)
    assert await desk.changes.run_due(NOW + 2 * WAIT_SECONDS) == 0
    assert await desk.email() == OLD


async def test_the_former_email_is_kept_for_seven_days(desk: Desk) -> None:
    await desk.change(OLD, NEW)
    async with desk.store.transaction() as tx:
        assert not await rows.add(tx, person(OLD, created_at=NOW + UNDO_SECONDS - 1))
        assert not await claims.may_have(tx, "acme", OLD, frozenset(), NOW + 1)
        assert await claims.may_have(tx, "acme", OLD, frozenset(), NOW + 1, account=desk.account.id)
        assert await rows.add(tx, person(OLD, created_at=NOW + UNDO_SECONDS))


async def test_whose_change_was_taken_back_is_not_an_unused_account(desk: Desk) -> None:
    await desk.change(OLD, NEW)
    await desk.undo(now=NOW + 1)
    async with desk.store.transaction() as tx:
        assert not await remove_unused(action_in(tx), await desk.now())


async def test_what_waits_in_a_backup_ends_and_what_was_done_before_can_still_be_taken_back(desk: Desk) -> None:
    await desk.change(OLD, NEW)
    await desk.ask("third@acme.example", NOW + 1)
    await desk.confirm("third@acme.example", now=NOW + 1)
    async with desk.store.transaction() as tx:
        await settle(action_in(tx, now=NOW + 2))
    assert await desk.changes.run_due(NOW + 2 * WAIT_SECONDS) == 0
    assert await desk.email() == NEW
    assert isinstance(await desk.undo(now=NOW + 3), Undone)


# Owners, other companies, and what is said to whom.


async def test_nobody_becomes_an_owner_by_a_new_email_and_no_owner_loses_theirs(desk: Desk, store_url: str) -> None:
    owner = await add_person(desk.store, person(OWNER, password_hash=HASH))
    assert await desk.changes.ask_own(await session_of(store_url, desk, owner), NEW, HERE, NOW)
    assert await desk.mails("email_confirm", NEW) == []
    async with desk.store.transaction() as tx:
        assert not await claims.may_have(tx, "acme", OWNER, frozenset({OWNER}), NOW)


async def test_the_asker_sees_the_same_for_an_email_that_somebody_has(desk: Desk, store_url: str) -> None:
    await desk.claim("claimed.example", "beta")
    taken = await add_person(desk.store, person("taken@beta.example", tenant="beta"))
    session = await session_of(store_url, desk)
    for email in (taken.identifier, OWNER, "anybody@claimed.example"):
        assert await desk.changes.ask_own(session, email, HERE, NOW)
        pending = await desk.changes.find_open(desk.account.id)
        assert pending is not None
        assert pending.new == email
        assert await desk.mails("email_confirm", email) == []
        (told,) = await desk.mails("email_unavailable", email)
        assert "Ann" not in told
    assert await desk.email() == OLD


async def test_a_mailbox_is_not_flooded_whoever_asks(desk: Desk) -> None:
    for number in range(5):
        await desk.ask(now=NOW + number)
    with pytest.raises(TooManyMails):
        await desk.ask(now=NOW + 5)
    await desk.ask("other@acme.example", NOW + 6)
    await desk.ask(now=NOW + DAY + 60)


async def test_an_operator_changes_an_email_at_once_and_both_addresses_are_told(desk: Desk) -> None:
    async with desk.store.transaction() as tx:
        assert await desk.changes.set_now(action_in(tx), desk.account, NEW)
    assert await desk.email() == NEW
    assert isinstance(await desk.undo(now=NOW + 1), Undone)


async def test_an_owners_email_is_changed_by_an_operator_and_no_mailbox_takes_it_back(desk: Desk) -> None:
    owner = await add_person(desk.store, person(OWNER, password_hash=HASH))
    async with desk.store.transaction() as tx:
        assert await desk.changes.set_now(action_in(tx), owner, "olga.new@example.com")
    (told,) = await desk.mails("email_changed", OWNER)
    assert "/undo/" not in told


# Domains that a tenant claims (S12).


async def test_nobody_else_gets_accounts_at_a_domain_that_a_tenant_claims(desk: Desk) -> None:
    await desk.claim("claimed.example", "beta")
    async with desk.store.transaction() as tx:
        for email in ("x@claimed.example", "x@sub.claimed.example"):
            assert not await rows.add(tx, person(email))
            assert not await claims.is_open_to(tx, "acme", email)
            assert await claims.is_open_to(tx, "beta", email)
        assert await claims.is_open_to(tx, "acme", "x@notclaimed.example")
        assert await rows.add(tx, person("x@claimed.example", tenant="beta"))


async def test_the_nearest_claim_holds_and_the_first_stays(desk: Desk) -> None:
    await desk.claim("group.example", "beta")
    await desk.claim("eu.group.example", "acme")
    await desk.claim("group.example", "acme")
    async with desk.store.transaction() as tx:
        assert await claims.find(tx, "eu.group.example") == Claim("eu.group.example", "acme")
        assert await claims.find(tx, "x.eu.group.example") == Claim("eu.group.example", "acme")
        assert await claims.find(tx, "us.group.example") == Claim("group.example", "beta")
        assert await claims.find(tx, "example") is None
        assert not await claims.release(tx, Claim("group.example", "acme"))
        assert await claims.release(tx, Claim("group.example", "beta"))
        assert await claims.find(tx, "group.example") is None


async def test_a_change_to_a_domain_that_is_claimed_meanwhile_ends(desk: Desk) -> None:
    await desk.ask("ann@later.example")
    await desk.claim("later.example", "beta")
    await desk.agree()
    assert await desk.confirm("ann@later.example") == Gone()
    assert await desk.email() == OLD


async def test_an_invited_account_that_nobody_used_is_removed_and_its_email_free_again(desk: Desk) -> None:
    invited = await add_person(desk.store, person("free@acme.example", password_hash=None))
    async with desk.store.transaction() as tx:
        await links.issue(tx, SEALER, Purpose.INVITATION, account=invited.id, identifier=invited.identifier, now=NOW)
        await email_changes.add(tx, invited.id, invited.identifier, NEW, "Adam", NOW)
        assert await remove_unused(action_in(tx), invited)
        assert await rows.find(tx, invited.id) is None
        assert await rows.add(tx, person("free@acme.example", tenant="beta"))
        assert not await remove_unused(action_in(tx), desk.account)
    used = await add_person(desk.store, person("used@acme.example", password_hash=None))
    await add_session(desk.store, used)
    async with desk.store.transaction() as tx:
        assert not await remove_unused(action_in(tx), used)
