"""Nothing that a provider sends holds a worker's event loop: the longest requests and the largest groups."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from gateway.accounts import rows as account_rows
from gateway.scim import group_rows, user_rows
from gateway.scim.groups import MAX_MEMBERS
from gateway.store import Store
from gateway.store.schema import accounts
from tests.scim.conftest import CLAIM
from tests.scim.provider import PATCH, Provider, make_token
from tests.support.gateway import Gateway
from tests.support.upstream import RecordingUpstream
from tests.threats.test_loop_lag import find_guilty

CONTENT = {"emails": [{"value": f"{n}@x.example", "type": str(n)} for n in range(20)], "displayName": "産" * 200}


@pytest.fixture(scope="module")
def loaded(recorder: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One worker, and as many users in one group as are shown at once."""
    folder: Path = tmp_path_factory.mktemp("loaded")
    changes = {"SSO__ON": "true", "LISTEN__WORKERS": "1", "LISTEN__ACCESS_LOG": "false"}
    running = Gateway(folder, f"127.0.0.1:{recorder.port}", changes=changes).seed()
    asyncio.run(fill_store(running.store_url))
    running.start()
    running.write(CLAIM, d="acme.example", t="acme")
    yield running
    assert running.stop() == 0


async def fill_store(url: str) -> None:
    store = Store.open(url)
    now = int(time.time())
    ids = [account_rows.new_account_id() for _ in range(MAX_MEMBERS)]
    async with store.transaction() as tx:
        group = await group_rows.add(tx, "acme", "All", "", now)
        assert group is not None
        rows = [
            {"id": account, "identifier": f"u{n}@acme.example", "name": "産" * 200, "tenant": "acme", "role": "employee",
             "modules": "", "status": "active", "created_at": now}
            for n, account in enumerate(ids)
        ]  # fmt: skip
        await tx.execute(insert(accounts), rows)
        managed = [
            {"account": account, "tenant": "acme", "created_at": now, **user_rows.columns_of({**CONTENT, "userName": f"U{n}@ACME.example"}, now)}
            for n, account in enumerate(ids)
        ]  # fmt: skip
        await tx.execute(insert(user_rows.scim_users), managed)
        await group_rows.add_members(tx, group.id, ids)
    await store.close()


@pytest.fixture(scope="module")
def acme(loaded: Gateway) -> Provider:
    provider = Provider(loaded, make_token(loaded))
    provider.ask("GET", "/Schemas")  # loads the library
    return provider


@pytest.fixture(scope="module")
def everybody(acme: Provider) -> str:
    return str(acme.find("/Groups", 'displayName eq "All"').body["Resources"][0]["id"])


def operations(*given: Any) -> dict[str, Any]:
    return {"schemas": [PATCH], "Operations": list(given)}


Ask = Callable[[Provider, str], int]
MEMBERS = [{"value": f"acc_{n:020}", "display": "x" * 50} for n in range(MAX_MEMBERS)]
ASKED: dict[str, Ask] = {
    "a page of users": lambda p, _: p.ask("GET", "/Users?count=200").status,
    "the last page of users": lambda p, _: p.ask("GET", "/Users?count=200&startIndex=9801").status,
    "a group of thousands": lambda p, group: p.ask("GET", f"/Groups/{group}").status,
    "a group of thousands in a list": lambda p, _: p.ask("GET", "/Groups").status,
    "replacing thousands of members": lambda p, group: p.ask("PUT", f"/Groups/{group}", {"displayName": "All", "members": everyone(p, group)}).status,
    "naming thousands of strangers": lambda p, group: p.patch(f"/Groups/{group}", {"op": "add", "path": "members", "value": MEMBERS}).status,
    "naming thousands in other words": lambda p, group: p.patch(f"/Groups/{group}", {"op": "remove", "path": "members", "value": MEMBERS}).status,
    "a hundred operations": lambda p, group: p.ask(
        "PATCH", f"/Users/{someone(p)}", operations(*[{"op": "add", "path": "emails", "value": CONTENT["emails"]}] * 50)).status,
    "a hundred paths with filters": lambda p, _: p.ask(
        "PATCH", f"/Users/{someone(p)}", operations(*[{"op": "replace", "path": 'emails[type eq "' + "x" * 200 + '"].value', "value": "y"}] * 100)).status,
    "keys without end": lambda p, _: p.ask("POST", "/Users", {f"{n}": n for n in range(4_400)}).status,
    "parts without end": lambda p, _: p.ask("POST", "/Users", {"userName": "a@acme.example", "name": {str(n): n for n in range(4_000)}}).status,
    "emails without end": lambda p, _: p.ask("POST", "/Users", {"userName": "a@acme.example", "emails": [{}] * 15_000}).status,
    "a deep body": lambda p, _: p.ask("POST", "/Users", b'{"name":' * 900 + b"1" + b"}" * 900).status,
    "a megabyte that is no JSON": lambda p, _: p.ask("POST", "/Groups", b"[" + b"1," * 500_000).status,
    "a long filter": lambda p, _: p.find("/Users", 'userName eq "' + "\\\\" * 480 + '"').status,
    "a userName that takes long to read": lambda p, _: p.add_user("a@" + "ⅷ." * 100).status,
    "many attributes asked for": lambda p, _: p.ask("GET", "/Users?count=200&attributes=" + "name.givenName," * 400).status,
}  # fmt: skip


def everyone(provider: Provider, group: str) -> Any:
    return [{"value": member["value"]} for member in provider.ask("GET", f"/Groups/{group}").body["members"]]


def someone(provider: Provider) -> str:
    return str(provider.ask("GET", "/Users?count=1").body["Resources"][0]["id"])


@pytest.mark.alone
@pytest.mark.timeout(400)  # on a machine so busy that everything is late
def test_no_request_of_a_provider_holds_the_loop(loaded: Gateway, acme: Provider, everybody: str) -> None:
    actions = {name: partial(ask, acme, everybody) for name, ask in ASKED.items()}
    assert len(actions) > 15
    assert find_guilty(loaded, actions) == []


@pytest.mark.parametrize("name", ASKED)
def test_it_is_answered(acme: Provider, everybody: str, name: str) -> None:
    assert ASKED[name](acme, everybody) in (200, 204, 400)
