"""What a noun declares of erasing a person is carried out with the log's, and locks nobody out."""

from __future__ import annotations

import pytest
from sqlalchemy import Column, MetaData, String, Table, delete, insert, select
from sqlalchemy.exc import NoResultFound

from gateway.accounts import claims
from gateway.accounts.claims import Claim, domain_claims
from gateway.app import erasure
from gateway.audit import rows as audit_rows
from gateway.model.account import Account
from gateway.page_views.rows import add as add_views
from gateway.page_views.rows import has_any
from gateway.store import Store
from gateway.store.stored import AS_IT_WAS, EXPIRING, Stored
from tests.audit.log import erase, keeper, meddle, write_many
from tests.page_views.test_rows import run
from tests.store.people import NOW, add_person, add_session, look, person, worker

notes = Table(
    "notes", MetaData(), Column("account", String(40)), Column("email", String(254)), Column("text", String(9))
)
NOTES = Stored(
    notes,
    EXPIRING,
    AS_IT_WAS,
    erased=lambda identifier, account: delete(notes).where(
        (notes.c.account == account) | (notes.c.email == identifier)
    ),
)


async def test_a_new_noun_is_erased_by_its_declaration_alone(store: Store) -> None:
    ann = await add_person(store)
    written = [(ann.id, "", "of Ann"), ("", ann.identifier, "to Ann"), ("acc_bob", "bob@example.com", "of Bob")]
    async with store.transaction() as tx:
        await tx.run_sync(notes.metadata.create_all)
        await tx.execute(insert(notes), [dict(zip(notes.columns.keys(), row, strict=True)) for row in written])
    done = await erasure.erase(store, keeper(store), ann.identifier, ann.id, "root", NOW, [NOTES])
    assert done.rows == {"notes": 2}
    async with store.reading() as tx:
        assert (await tx.execute(select(notes.c.text))).scalars().all() == ["of Bob"]


async def test_the_log_and_all_tables_are_erased_together_or_not_at_all(store: Store) -> None:
    ann = await with_views(store)
    await write_many(store, 2, identifier=ann.identifier, account=ann.id)
    await meddle(store, "DELETE FROM audit_head")
    with pytest.raises(NoResultFound):
        await erase(store, ann.identifier, ann.id)
    async with store.reading() as tx:
        assert await has_any(tx, ann.id)
        assert {row.identifier for row in await audit_rows.after(tx, 0, 9)} == {ann.identifier}


async def test_without_an_account_only_what_has_the_email_is_erased(store: Store) -> None:
    ann = await with_views(store)
    assert (await erase(store, "former@example.com")).rows == {}
    async with store.reading() as tx:
        assert await has_any(tx, ann.id)


async def test_a_claim_stays_and_forgets_who_made_it(store: Store) -> None:
    ann = await add_person(store)
    async with store.transaction() as tx:
        await claims.add(tx, Claim("example.com", ann.tenant), ann.identifier, NOW)
        await claims.add(tx, Claim("example.org", ann.tenant), "olga@example.com", NOW)
    assert (await erase(store, ann.identifier, ann.id)).rows == {"domain_claims": 1}
    async with store.reading() as tx:
        claimed = select(domain_claims.c.domain, domain_claims.c.claimed_by).order_by(domain_claims.c.domain)
        assert (await tx.execute(claimed)).all() == [("example.com", ""), ("example.org", "olga@example.com")]


async def test_whoever_is_erased_stays_signed_in(store: Store, store_url: str) -> None:
    ann = await add_person(store)
    _, key = await add_session(store, ann)
    await erase(store, ann.identifier, ann.id)
    async with worker(store_url) as lookup:
        assert await look(lookup, key) is not None


async def with_views(store: Store) -> Account:
    ann = await add_person(store, person())
    async with store.transaction() as tx:
        await add_views(tx, [run(ann.id)])
    return ann
