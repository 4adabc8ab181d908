"""What one person's page reads and changes, on both engines."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import insert, text

from gateway.accounts import rows
from gateway.accounts.edit import Edit, Part, Saved, fingerprint
from gateway.accounts.links import Purpose, issue
from gateway.accounts.people import Administrator, PeopleService, Result
from gateway.app.services import Services
from gateway.audit import rows as audit
from gateway.factors.tries import limit_key
from gateway.model.account import Account, Role
from gateway.model.entry import Entry, Outcome
from gateway.model.event import Event
from gateway.model.secret import Secret
from gateway.person.service import PersonService
from gateway.person.standing import Answer, Kind
from gateway.settings import Settings
from gateway.settings.record import Access
from gateway.store import Store
from gateway.store.schema import limits, outbox, streaks
from gateway.throttle.limits import for_known
from tests.login.people import inbound_of
from tests.store.people import NOW, add_person, add_session, look, person, worker

OWNER = "otto@otium.example"


@pytest.fixture
def services(store: Store) -> Services:
    return Services(Settings(secrets=(Secret(b"s" * 48),), access=Access(owners=frozenset({OWNER}))), store)


@pytest.fixture
def people(services: Services) -> PeopleService:
    return services.people


@pytest.fixture
def persons(services: Services) -> PersonService:
    return services.persons


@pytest.fixture
async def admin(store: Store, store_url: str) -> Administrator:
    return await enter(store, store_url, "adam@acme.example", "acme")


@pytest.fixture
async def ann(store: Store) -> Account:
    return await add_person(store, person("ann@acme.example"))


async def enter(store: Store, store_url: str, email: str, tenant: str) -> Administrator:
    account = await add_person(store, person(email, role=Role.ADMIN, tenant=tenant))
    _, key = await add_session(store, account)
    async with worker(store_url, OWNER) as lookup:
        session = await look(lookup, key)
    assert session is not None
    return Administrator(session, tenant, inbound_of(), NOW)


async def kinds(persons: PersonService, admin: Administrator, account: Account) -> list[Kind]:
    found = await persons.look(admin, account.id)
    assert found is not None
    assert found.standing is not None
    return [reason.kind for reason in found.standing.reasons]


def mail(account: Account, mail_id: str, **values: object) -> dict[str, object]:
    defaults = {"sent_at": None, "abandoned_at": None, "trouble": "", "created_at": NOW - 600}
    return {
        "id": mail_id, "template": "invitation", "recipient": account.identifier, "account": account.id,
        "content": b"", "due_at": NOW, "tries": 3, **defaults, **values,
    }  # fmt: skip


async def test_a_person_whom_nothing_stops_can_get_in(
    persons: PersonService, admin: Administrator, ann: Account, store: Store
) -> None:
    await add_session(store, ann)
    found = await persons.look(admin, ann.id)
    assert found is not None
    assert found.standing is not None
    assert (found.standing.answer, found.standing.reasons) == (Answer.YES, ())
    assert [device.address for device in found.devices] == ["192.0.2.7"]


async def test_lockouts_name_the_address_and_unlocking_ends_them(
    persons: PersonService, admin: Administrator, ann: Account, store: Store
) -> None:
    other = await add_person(store, person("an@acme.example"))
    key, of_other = limit_key(ann.identifier, "192.0.2.9"), limit_key(other.identifier, "192.0.2.9")
    async with store.transaction() as tx:
        for each in (key, for_known(key), of_other, f"code:{ann.id}|198.51.100.1"):
            await tx.execute(insert(limits).values(key=each, failures="", locked_until=NOW + 60, changed_at=NOW))
        await tx.execute(
            insert(limits).values(
                key=limit_key(ann.identifier, "192.0.2.1"), failures="", locked_until=NOW, changed_at=1
            )
        )
        await tx.execute(insert(streaks).values(account=ann.id, factor="totp", origin="", failures=100, wait_until=0))
    found = await persons.look(admin, ann.id)
    assert found is not None
    assert found.standing is not None
    told = {(reason.kind, reason.address, reason.by_known) for reason in found.standing.reasons}
    assert told == {
        (Kind.CODES_BLOCKED, "", False),
        (Kind.LOCKED, "192.0.2.9", False),
        (Kind.LOCKED, "192.0.2.9", True),
        (Kind.CODES_LOCKED, "198.51.100.1", False),
    }
    assert await persons.unlock(admin, ann.id) is Result.DONE
    assert await kinds(persons, admin, ann) == []
    assert await kinds(persons, admin, other) == [Kind.LOCKED]


async def test_an_invitation_is_open_then_expired(
    services: Services, persons: PersonService, admin: Administrator, store: Store
) -> None:
    new = await add_person(store, person("new@acme.example", password_hash=None))
    assert await kinds(persons, admin, new) == [Kind.NOT_INVITED]
    async with store.transaction() as tx:
        link = {"account": new.id, "identifier": new.identifier, "now": NOW}
        await issue(tx, services.sealer, Purpose.INVITATION, **link)  # type: ignore[arg-type]
    assert await kinds(persons, admin, new) == [Kind.INVITED]
    late = replace(admin, now=NOW + 8 * 86_400)
    assert await kinds(persons, late, new) == [Kind.NOT_INVITED]
    async with store.transaction() as tx:
        await tx.execute(insert(outbox).values(**mail(new, "mail_0", created_at=NOW, sent_at=NOW)))
    assert await kinds(persons, late, new) == [Kind.EXPIRED]
    assert await kinds(persons, admin, new) == [Kind.INVITED]


async def test_only_the_newest_mail_counts(
    persons: PersonService, admin: Administrator, ann: Account, store: Store
) -> None:
    steps = (
        (mail(ann, "mail_1", abandoned_at=NOW, trouble="550 no such user"), [Kind.MAIL_REFUSED]),
        (mail(ann, "mail_2", created_at=NOW - 500), [Kind.MAIL_WAITS]),
        (mail(ann, "mail_3", created_at=NOW - 400, sent_at=NOW), []),
        (mail(ann, "mail_4", created_at=NOW - 30), []),
    )
    for values, expected in steps:
        async with store.transaction() as tx:
            await tx.execute(insert(outbox).values(**values))
        assert await kinds(persons, admin, ann) == expected
    assert len(steps) == 4


async def test_a_refusal_by_the_networks_is_told_while_they_still_refuse_the_address(
    persons: PersonService, admin: Administrator, ann: Account, store: Store
) -> None:
    refused = Entry(
        Event.NETWORK_REFUSED, Outcome.FAILURE, NOW - 60, ann.identifier, "acme", ann.id, address="203.0.113.9"
    )
    async with store.transaction() as tx:
        await tx.execute(text("UPDATE accounts SET networks = '192.0.2.0/24' WHERE id = :id"), {"id": ann.id})
        await audit.record(tx, refused)
    found = await persons.look(admin, ann.id)
    assert found is not None
    assert found.standing is not None
    assert [(reason.kind, reason.address) for reason in found.standing.reasons] == [
        (Kind.NETWORK_REFUSED, "203.0.113.9")
    ]
    async with store.transaction() as tx:
        networks = {"id": ann.id, "to": "192.0.2.0/24\n203.0.113.0/24"}
        await tx.execute(text("UPDATE accounts SET networks = :to WHERE id = :id"), networks)
    assert await kinds(persons, admin, ann) == [Kind.NETWORKS]


async def test_an_administrator_of_another_company_sees_and_ends_nothing(
    persons: PersonService, people: PeopleService, ann: Account, store: Store, store_url: str
) -> None:
    session, _ = await add_session(store, ann)
    boris = await enter(store, store_url, "boris@beta.example", "beta")
    assert await persons.look(boris, ann.id) is None
    for end in (persons.unlock(boris, ann.id), persons.revoke_tokens(boris, ann.id)):
        assert await end is Result.NOT_THERE
    own = await add_person(store, person("bea@beta.example", tenant="beta"))
    for account in (ann.id, own.id):
        assert await persons.end_device(boris, account, session) is Result.NOT_THERE
    assert await people.save(boris, ann.id, Edit(name="Mallory")) is Result.NOT_THERE


# Saving.


async def saved(store: Store, account: Account) -> Account:
    async with store.reading() as tx:
        found = await rows.find(tx, account.id)
    assert found is not None
    return found


async def events(store: Store) -> list[str]:
    async with store.reading() as tx:
        return [entry.event.value for entry in reversed(await audit.recent(tx, 10))]


async def test_the_changes_of_one_form_are_saved_together_each_with_its_row(
    people: PeopleService, admin: Administrator, ann: Account, store: Store
) -> None:
    edit = Edit("Ann Other", (Role.EMPLOYEE, frozenset()), "ann2@acme.example", fingerprint(ann))
    assert await people.save(admin, ann.id, edit) == Saved((Part.NAME, Part.RIGHTS, Part.EMAIL))
    assert (await saved(store, ann)).name == "Ann Other"
    assert await events(store) == ["account_renamed", "account_role_changed", "email_change_requested"]


async def test_the_events_of_a_person_name_the_administrator(
    people: PeopleService, persons: PersonService, admin: Administrator, ann: Account
) -> None:
    edit = Edit("Ann Other", (ann.role, ann.modules), ann.identifier, fingerprint(ann))
    assert await people.save(admin, ann.id, edit) == Saved((Part.NAME,))
    found = await persons.look(admin, ann.id)
    assert found is not None
    actor = found.named.actor_of(found.events[0])
    assert actor is not None
    assert actor.account == admin.session.account


async def test_what_is_saved_already_changes_nothing(
    people: PeopleService, admin: Administrator, ann: Account, store: Store
) -> None:
    edit = Edit(ann.name, (ann.role, ann.modules), ann.identifier, fingerprint(ann))
    assert await people.save(admin, ann.id, edit) == Saved(())
    assert await events(store) == []


@pytest.mark.parametrize(("identifier", "result"), [("adam@acme.example", Result.TAKEN), (OWNER, Result.TAKEN)])
async def test_nothing_is_saved_if_one_part_can_not_be(
    people: PeopleService, admin: Administrator, ann: Account, store: Store, identifier: str, result: Result
) -> None:
    edit = Edit("Ann Other", (Role.ADMIN, frozenset()), identifier, fingerprint(ann))
    assert await people.save(admin, ann.id, edit) is result
    assert await saved(store, ann) == ann
    assert await events(store) == []


async def test_nothing_is_saved_if_the_new_address_was_mailed_too_often(
    people: PeopleService, admin: Administrator, ann: Account, store: Store
) -> None:
    new = "ann2@acme.example"
    async with store.transaction() as tx:
        await tx.execute(
            insert(limits).values(key=f"mail-to:{new}|acme", failures="", locked_until=NOW + 60, changed_at=NOW)
        )
    assert await people.save(admin, ann.id, Edit("Ann Other", None, new)) is Result.TOO_MANY
    assert await saved(store, ann) == ann


async def test_the_second_of_two_administrators_overwrites_nothing(
    people: PeopleService, admin: Administrator, ann: Account, store: Store
) -> None:
    shown = fingerprint(ann)
    assert await people.save(admin, ann.id, Edit(rights=(Role.EMPLOYEE, frozenset()), seen=shown)) == Saved(
        (Part.RIGHTS,)
    )
    assert await people.save(admin, ann.id, Edit("Ann Other", (ann.role, ann.modules), None, shown)) is Result.CHANGED
    assert ((await saved(store, ann)).name, (await saved(store, ann)).role) == (ann.name, Role.EMPLOYEE)


async def test_administrators_change_their_own_name_alone(
    people: PeopleService, admin: Administrator, store: Store
) -> None:
    own = admin.session.account
    assert await people.save(admin, own, Edit(rights=(Role.EMPLOYEE, frozenset()))) is Result.NOT_THERE
    assert await people.save(admin, own, Edit("Adam the First")) == Saved((Part.NAME,))
