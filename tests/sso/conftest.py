"""A gateway with single sign-on for each module, and a mail server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.gateway import Gateway, free_port
from tests.support.mail import Mailbox
from tests.support.upstream import RecordingUpstream


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    running = Mailbox(free_port()).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def own(
    recorder: RecordingUpstream, mailbox: Mailbox, store_of_module: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    changes = {"SSO__ON": "true", "SSO__PRIVATE_NETWORKS": "true"}
    folder = tmp_path_factory.mktemp("sso")
    running = Gateway(
        folder, f"127.0.0.1:{recorder.port}", store_url=store_of_module, changes=changes, mail_port=mailbox.port
    ).seed().start()  # fmt: skip
    for tenant in ("acme", "beta"):
        running.write(
            "INSERT INTO domain_claims (domain, tenant, claimed_at, claimed_by) VALUES (:d, :t, 1, 'owner')",
            d=f"{tenant}.example", t=tenant,
        )  # fmt: skip
    yield running
    assert running.stop() == 0, running.logged()[-3000:]
    assert "Traceback" not in running.logged()
