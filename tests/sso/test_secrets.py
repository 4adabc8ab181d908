"""What a sign-in knows stays out of logs, the audit log and the store: secrets, codes, states, and tokens."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sso.journey import GATEWAY, Employee, asked, connect, linked, save, try_out, way_on
from tests.support.gateway import Gateway
from tests.support.identity_provider import IdentityProvider, Json, Realm, User, forgery
from tests.support.mail import Mailbox

PEOPLE = [User("erin", "erin@acme.example", "Erin")]
OURS = "what only a client and its provider know"


@pytest.fixture(scope="module")
def realm(own: Gateway, identity_provider: IdentityProvider) -> Realm:
    client = type(GATEWAY)(GATEWAY.client_id, GATEWAY.redirect_uris, secret=OURS)
    realm = identity_provider.realm(users=PEOPLE, clients=[client])
    connect(own, realm, client_secret=OURS)
    return realm


@pytest.fixture
def secrets(own: Gateway, realm: Realm, mailbox: Mailbox, identity_provider: IdentityProvider) -> Iterator[set[str]]:
    """Sign in, be refused in several ways, and sign in again; return all that was secret."""
    found = {OURS}
    erin = linked(Employee(own, identity_provider, "erin@acme.example"), mailbox)
    adam = Employee(own, identity_provider, "adam@acme.example")
    adam.give_password("/admin/sso")
    for switches in (
        {},
        {"id_token": forgery({"nonce": "N" * 43})},
        {"id_token": forgery({"aud": "another"})},
        {"callback": {"code": None, "error": "server_error", "error_description": "oh"}},
        {"callback": {"iss": "https://evil.example"}},
    ):
        for trial in (False, True):
            realm.set(id_token=None, callback=None)
            way = way_on(adam.send("/admin/sso", {"do": "trial"})) if trial else erin.leave()
            question = asked(realm, way)
            realm.set(**switches)
            who = adam if trial else erin
            answer = who.elsewhere.sign_in(way, "erin").query
            who.bring(answer)
            found |= {question["state"], question["nonce"], answer.get("code", OURS)}
    realm.set(id_token=None, callback=None)
    for request in realm.requests("token"):
        found |= {request["form"]["code_verifier"], request["form"]["code"]}
        found.add(request["authorization"].removeprefix("Basic "))
    save(adam, realm, client_secret="not the right secret")
    assert "client secret is wrong" in try_out(adam, "erin")
    found.add("not the right secret")
    save(adam, realm, client_secret=OURS)
    yield found
    own.announce()


def everything_in(store: Path) -> str:
    """Return all that the store holds, as text."""
    with contextlib.closing(sqlite3.connect(store)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows: list[Json] = []
        for table in tables:
            cursor = connection.execute(f'SELECT * FROM "{table}"')
            rows += [dict(zip((c[0] for c in cursor.description), row, strict=True)) for row in cursor]
    return "\n".join(
        value.decode("latin-1") if isinstance(value, bytes) else str(value) for row in rows for value in row.values()
    )


def test_no_secret_of_a_sign_in_is_written_down(own: Gateway, secrets: set[str]) -> None:
    assert len(secrets) > 30
    logged, stored = own.logged(), everything_in(Path(own.store_url.removeprefix("sqlite:///")))
    assert "provider_refused" in logged
    assert "erin@acme.example" in stored
    for secret in secrets:
        assert secret not in logged
        assert secret not in stored
    for text in (logged, stored):
        assert "access_token" not in text
        assert "id_token" not in text
        assert [part for part in re.findall(r"eyJ[\w-]{13,}", text, re.ASCII) if is_json(part)] == []


def is_json(part: str) -> bool:
    """Whether the part of a token is one: among random letters there may be an "eyJ" as well."""
    return re.fullmatch(rb'\{"[ -~]{10}', urlsafe_b64decode(part[:16])) is not None


def test_parts_of_tokens_are_known(realm: Realm) -> None:
    parts = realm.sign({"sub": "erin"}).split(".")[:2]
    assert [is_json(part) for part in (*parts, "eyJ" + "x" * 20)] == [True, True, False]
