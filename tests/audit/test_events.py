"""What has to be in the log is there, with who did it from where, on both engines."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from gateway.audit import rows
from gateway.crypto.sealing import Sealer
from gateway.login.outcome import LockedOut, Refused
from gateway.mail import outbox
from gateway.mail.sender import Sender
from gateway.model.entry import FACTS, Entry, Outcome
from gateway.model.event import Event
from gateway.model.factor import Factor
from gateway.model.secret import Secret
from tests.login.people import Browser
from tests.login.world import World, code, running
from tests.mail.conftest import mailer_to
from tests.store.people import NOW
from tests.support.gateway import free_port


@pytest.fixture
async def world(store_url: str) -> AsyncIterator[World]:
    async with running(store_url) as world:
        yield world


async def entries(world: World, event: Event) -> list[Entry]:
    async with world.store.reading() as tx:
        return [entry for entry in await rows.recent(tx, 1_000) if entry.event is event]


async def test_a_code_that_was_not_even_looked_at_is_written_down(world: World) -> None:
    account = await world.member(totp=True)
    browser = Browser()
    await world.begin(browser, account)
    for _ in range(5):
        assert isinstance(await world.prove(browser, "000000"), Refused)
    assert isinstance(await world.prove(browser, code()), LockedOut)
    latest = (await entries(world, Event.LOGIN_2FA_FAILED))[0]
    assert latest.details == {"factor": "totp", "reason": "locked"}
    assert (latest.identifier, latest.address, latest.request_id) == (account.identifier, browser.address, "req-1")
    assert len(await entries(world, Event.LOGIN_LOCKOUT)) == 1


async def test_whose_session_a_sign_in_ends_is_written_down(world: World) -> None:
    ann, bob = await world.member(), await world.member("bob@example.com")
    browser = Browser()
    await world.begin(browser, ann)
    browser.session = None  # Bob's request carries Ann's cookie still
    await world.begin(browser, bob)
    (left,) = await entries(world, Event.LOGOUT)
    assert (left.identifier, left.details) == (ann.identifier, {"how": "signed in anew"})


async def test_a_step_up_and_what_is_refused_in_it_name_the_session(world: World) -> None:
    account = await world.member(totp=True)
    browser = Browser()
    await world.begin(browser, account)
    await world.prove(browser, code())
    assert browser.session is not None
    assert isinstance(await world.prove(browser, "000000", again=True), Refused)
    (refused,) = await entries(world, Event.LOGIN_2FA_FAILED)
    assert refused.session == browser.session.id
    await world.prove(browser, code(1), again=True, now=NOW + 60)
    (stepped,) = await entries(world, Event.STEP_UP)
    assert (stepped.session, stepped.details) == (browser.session.id, {"proved": Factor.TOTP})


async def test_a_mail_that_is_given_up_is_written_down(world: World) -> None:
    account = await world.member()
    await world.begin(Browser(), account)  # a new device: there is a mail about it
    sender = Sender(world.store, mailer_to(free_port()), Sealer([Secret(b"s" * 48)]))
    await sender.run_once(NOW + outbox.GIVE_UP_SECONDS)
    (given_up,) = await entries(world, Event.MAIL_ABANDONED)
    assert (given_up.identifier, given_up.details) == (account.identifier, {"template": "new_device"})
    assert given_up.outcome is Outcome.FAILURE


async def test_a_row_is_written_in_the_transaction_of_its_action_or_neither_happens(world: World) -> None:
    """The chain can't be extended: so nobody is signed in either."""
    account = await world.member()
    async with world.store.transaction() as tx:
        await tx.exec_driver_sql("ALTER TABLE audit_head RENAME TO gone")
    with pytest.raises(Exception, match="audit_head"):
        await world.begin(Browser(), account)
    assert await world.open_sessions(account) == 0


@pytest.mark.parametrize(
    "details", [{"note": "x"}, {"device": "Ann's phone"}, {"path": "/people/ann"}, {"to": "a@b.example"}]
)
def test_a_detail_that_nobody_called_a_fact_is_personal(details: dict[str, str]) -> None:
    entry = Entry(Event.LOGIN, Outcome.SUCCESS, NOW, "ann@acme.example", details={**details, "by": "x", "left": 3})
    assert (dict(entry.personal), dict(entry.facts), entry.actor) == (details, {"left": 3}, "x")


def test_facts_are_words_of_ours() -> None:
    assert json.dumps(sorted(FACTS)).isascii()
    assert not FACTS & {"by", "device", "email", "name", "path", "network", "pair"}
