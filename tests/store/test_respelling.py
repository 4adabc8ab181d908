"""Identifiers of earlier versions are respelled when the schema is brought up to date; nobody is merged or locked out."""

from __future__ import annotations

import asyncio

from alembic import command
from sqlalchemy import Connection, text

from gateway.accounts import rows, spelling
from gateway.store import Store
from gateway.store.migrate import migrate, settings
from tests.support import any_schema

BEFORE = "0010"
KEPT = ("ann@acme.example", "karl@strasse.example")
DOTTED, DOUBLE = "dora@acme.example.", "ann@acme.example."
GREEK = "\u03b9\u0308\u0301@acme.example"  # ΐ, as casefold leaves it


def fill(connection: Connection) -> None:
    """Make the store as the version before left it."""
    config = settings()
    config.attributes["connection"] = connection
    command.upgrade(config, BEFORE)
    connection.execute(text("INSERT INTO tenants (slug, name, status) VALUES ('acme', 'Acme', 'active')"))
    for number, identifier in enumerate((*KEPT, DOTTED, DOUBLE, GREEK)):
        connection.execute(
            text(
                "INSERT INTO accounts (id, identifier, name, tenant, role, modules, status, created_at)"
                " VALUES (:id, :identifier, 'A', 'acme', 'employee', '', 'active', 1)"
            ),
            {"id": f"acc_{number}", "identifier": identifier},
        )
    connection.execute(
        text(
            "INSERT INTO imported (account, source, identifier, was_created, imported_at)"
            " VALUES ('acc_2', 'app', :identifier, :is_true, 1)"
        ),
        {"identifier": DOTTED, "is_true": True},
    )


def test_identifiers_are_respelled_and_what_can_not_be_is_reported(empty_url: str) -> None:
    async def prepare() -> None:
        async with any_schema.writing(empty_url) as connection:
            await connection.run_sync(fill)

    async def look() -> None:
        store = Store.open(empty_url)
        async with store.reading() as tx:
            found = {account.id: account.identifier for account in await rows.list_all(tx)}
            assert found == {
                "acc_0": "ann@acme.example",
                "acc_1": "karl@strasse.example",
                "acc_2": "dora@acme.example",
                "acc_3": DOUBLE,
                "acc_4": "\u0390@acme.example",
            }
            followed = (await tx.execute(text("SELECT identifier FROM imported"))).scalar_one()
            assert followed == "dora@acme.example"
            (told,) = await spelling.advise(tx)
            assert told.startswith("nobody can sign in as ann@acme.example. (acc_3): ")
        await store.close()

    asyncio.run(prepare())
    assert migrate(empty_url)
    asyncio.run(look())
