"""Every table is declared to what goes through all of them, or says why it is passed over."""

from __future__ import annotations

import pytest
from sqlalchemy import LargeBinary

from gateway.app.nouns import SEALED, STORED
from gateway.store.schema import metadata
from gateway.store.stored import EXPIRING, IMPERSONAL, OF_ACCOUNT, Kept, Stored, account_of

# Columns that name an account and outlive it, and why.
OUTLIVE_THE_ACCOUNT = {
    "audit.account": "the log says what was, also of who is gone",
    "outbox.account": "a mail that waits is sent",
    "changes.account": "it is told to the workers, and deleted after an hour",
}
# Columns of which a person can be known.
PERSONAL = {
    "account",
    "identifier",
    "email",
    "recipient",
    "address",
    "user_agent",
    "created_by",
    "claimed_by",
    "asked_by",
}
# Binary columns that are not sealed, and why anybody may read them.
NOT_SEALED = {
    "api_tokens.digest": "a SHA-256",
    **dict.fromkeys(
        (
            "sessions.token_key",
            "attempts.token_key",
            "magic_links.token_key",
            "mailed_links.token_key",
            "kept_forms.token_key",
            "kept_forms.browser_key",
            "browsers.key",
            "browser_cookies.browser",
            "sso_waits.key",
            "sso_waits.browser",
            "scim_tokens.key",
        ),
        "the SHA-256 of 256 random bits",
    ),
    "answered_challenges.key": "the SHA-256 of 256 random bits that are no secret",
    "sso_logouts.key": "the SHA-256 of a name that is no secret",
    "passkeys.credential": "what a browser tells every site that asks",
    "passkeys.public_key": "a public key",
    "sso_keys.certificate": "a certificate, which is public",
    "imported.hash_digest": "the SHA-256 of a password hash",
    **dict.fromkeys(
        (
            "audit.hash",
            "audit.who_salt",
            "audit.who_commitment",
            "audit.actor_salt",
            "audit.actor_commitment",
            "audit_head.hash",
            "audit_marks.hash",
            "audit_marks.signature",
        ),
        "what the chain is verified by",
    ),
}


def test_every_table_is_declared_once() -> None:
    assert sorted(stored.table.name for stored in STORED) == sorted(metadata.tables)


@pytest.mark.parametrize("stored", STORED, ids=lambda stored: stored.table.name)
def test_whoever_keeps_rows_says_why(stored: Stored) -> None:
    assert all(said.why for said in (stored.stale, stored.restored, stored.erased) if isinstance(said, Kept))


@pytest.mark.parametrize("stored", STORED, ids=lambda stored: stored.table.name)
def test_what_is_said_of_erasing_a_person_is_true(stored: Stored) -> None:
    if stored.erased is EXPIRING:
        assert not isinstance(stored.stale, Kept)
    elif stored.erased is OF_ACCOUNT:
        assert account_of(stored.table) is not None
    elif stored.erased is IMPERSONAL:
        assert PERSONAL.isdisjoint(stored.table.columns.keys())
    elif not isinstance(stored.erased, Kept):
        assert stored.erased("ann@example.com", "acc_1").entity_description["table"] is stored.table


def test_every_binary_column_is_sealed_or_may_be_read() -> None:
    binary = {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    sealed = {f"{sealed.column.table.name}.{sealed.column.name}" for sealed in SEALED.values()}
    assert sealed.isdisjoint(NOT_SEALED)
    assert sealed | set(NOT_SEALED) == binary


def test_rows_of_an_account_go_with_it_or_outlive_it_on_purpose() -> None:
    naming = {table.name for table in metadata.tables.values() if "account" in table.columns}
    going = {table.name for table in metadata.tables.values() if account_of(table) is not None}
    assert {f"{name}.account" for name in naming - going} == set(OUTLIVE_THE_ACCOUNT)
    assert len(going) > 10
