"""A gateway with two companies, each with a domain, an administrator and a provider that provisions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scim.provider import Provider, make_token
from tests.support.gateway import Gateway, free_port
from tests.support.mail import Mailbox
from tests.support.upstream import RecordingUpstream

CLAIM = "INSERT INTO domain_claims (domain, tenant, claimed_at, claimed_by) VALUES (:d, :t, 1, 'owner')"


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    running = Mailbox(free_port()).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def own(
    recorder: RecordingUpstream, mailbox: Mailbox, store_of_module: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("scim")
    running = Gateway(
        folder, f"127.0.0.1:{recorder.port}", store_url=store_of_module, changes={"SSO__ON": "true"}, mail_port=mailbox.port
    ).seed().start()  # fmt: skip
    for tenant in ("acme", "beta"):
        running.write(CLAIM, d=f"{tenant}.example", t=tenant)
    running.write("UPDATE accounts SET role = 'admin' WHERE identifier = 'olga@beta.example'")
    yield running
    assert running.stop() == 0, running.logged()[-3000:]
    assert "Traceback" not in running.logged()


@pytest.fixture(scope="module")
def acme(own: Gateway) -> Provider:
    return Provider(own, make_token(own))


@pytest.fixture(scope="module")
def beta(own: Gateway) -> Provider:
    return Provider(own, make_token(own, "olga@beta.example", source="127.0.0.10"))
