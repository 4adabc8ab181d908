"""What is left of tokens in the audit log when a person is erased, on both engines: nothing that tells of them."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_network

from gateway.actions.action import Action, requester
from gateway.audit import rows as audit_rows
from gateway.audit.verify import Whole
from gateway.model.account import Account, Role
from gateway.model.api_token import read_authorization
from gateway.model.network_rule import rule_of
from gateway.store import Store
from gateway.tokens import rows
from gateway.tokens.service import Created, Wanted, end, issue
from gateway.tokens.service_accounts import add
from gateway.tokens.uses import TokenUses
from tests.audit.log import erase, verify
from tests.edge.test_request import a_reader
from tests.store.people import NOW, add_person, look, person, worker
from tests.support.actions import action_in, actions_of, notices

PERSONAL = ("diary", "rclone", "198.51.100.9", "203.0.113.5")


async def use(store: Store, store_url: str, secret: str) -> None:
    """Use a token once, and be refused by each of its limits and by a network rule."""
    key = read_authorization(b"Bearer " + secret.encode())
    assert key
    async with worker(store_url) as lookup:
        session = await look(lookup, key)
    assert session is not None
    assert session.grant is not None
    inbound = a_reader().read(b"GET / HTTP/1.1\r\nHost: app.example.com\r\nUser-Agent: Ann's rclone", "198.51.100.9")
    uses = TokenUses(actions_of(store))
    uses.note(session, inbound, NOW)  # type: ignore[arg-type]
    for grant in (
        replace(session.grant, methods=frozenset(("POST",))),
        replace(session.grant, paths=("/diary",)),
        replace(session.grant, networks=(ip_network("192.0.2.0/24"),)),
    ):
        uses.note(replace(session, grant=grant), inbound, NOW)  # type: ignore[arg-type]
    rule = rule_of("", "192.0.2.0/24 diary", Role.EMPLOYEE, is_owner=False)
    uses.note(replace(session, networks=rule), inbound, NOW)  # type: ignore[arg-type]
    await uses.flush()


async def log_of(store: Store) -> str:
    async with store.reading() as tx:
        return json.dumps([row._asdict() for row in await audit_rows.after(tx, 0, 99)], default=bytes.hex)


async def make(store: Store, account: Account, by: Account | None = None) -> str:
    actor = requester(a_reader().read(b"GET / HTTP/1.1\r\nHost: app.example.com", "203.0.113.5"))  # type: ignore[arg-type]
    if by is not None:
        actor = replace(actor, by=by.identifier, name=by.name)
    async with store.transaction() as tx:
        created = await issue(Action(tx, actor, NOW, notices()), account, Wanted("Ann's diary", 9, Role.EMPLOYEE))
    assert isinstance(created, Created)
    return created.secret.reveal()


async def test_an_erased_person_leaves_nothing_of_their_tokens_in_the_log(store: Store, store_url: str) -> None:
    ann = await add_person(store)
    await use(store, store_url, await make(store, ann))
    async with store.transaction() as tx:
        (row,) = await rows.list_of(tx, ann.id, NOW)
        await end(action_in(tx), ann, row)
    before = await log_of(store)
    assert all(told in before for told in PERSONAL)
    await erase(store, ann.identifier, ann.id)
    kept = await log_of(store)
    assert not [told for told in (*PERSONAL, ann.identifier) if told in kept]
    assert all(event in kept for event in ("token_created", "token_refused", "token_used_elsewhere", "token_revoked"))
    assert isinstance(await verify(store), Whole)


async def test_a_service_account_forgets_who_made_it_and_keeps_working(store: Store, store_url: str) -> None:
    ann = await add_person(store, person(role=Role.ADMIN))
    async with store.transaction() as tx:
        service = await add(action_in(tx, ann.identifier), "acme", "Payroll export", Role.EMPLOYEE)
    assert service is not None
    secret = await make(store, service, by=ann)
    await erase(store, ann.identifier, ann.id)
    kept = await log_of(store)
    assert ann.identifier not in kept
    assert service.identifier in kept
    await use(store, store_url, secret)
    assert isinstance(await verify(store), Whole)
