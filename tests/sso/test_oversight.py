"""/ops/sso: what an owner sees and does about the providers and domains of all tenants."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pytest

from gateway.sso import overview
from gateway.store import Store
from tests.support.gateway import Gateway, free_port
from tests.support.mail import Mailbox
from tests.support.owner import enrol_owner
from tests.support.person import Person
from tests.support.raw import Response
from tests.support.upstream import RecordingUpstream

PAGE = "/ops/sso"
PROVIDER = (
    "INSERT INTO identity_providers (id, tenant, kind, issuer, client_id, client_secret, scopes, is_enabled,"
    " creates_accounts, counts_for_two, created_at, tried_at)"
    " VALUES (:id, :tenant, 'entra', :issuer, 'gateway', :secret, 'openid', :is_on, :no, :no, 1, 1800000000)"
)


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    running = Mailbox(free_port()).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("oversight")
    changes = {"SSO__ON": "true"}
    running = Gateway(folder, f"127.0.0.1:{recorder.port}", changes=changes, mail_port=mailbox.port).seed().start()
    for tenant in ("acme", "beta"):
        connect(running, tenant)
    yield running
    assert running.stop() == 0, running.logged()[-3000:]
    assert "Traceback" not in running.logged()


def connect(own: Gateway, tenant: str) -> None:
    """Store a provider whose secret nobody can open."""
    own.write(
        PROVIDER,
        id=f"idp_{tenant}", tenant=tenant, issuer=f"https://id.{tenant}.example", secret=b"sealed", is_on=True, no=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def owner(own: Gateway, mailbox: Mailbox) -> Person:
    return enrol_owner(own, mailbox, source="127.0.4.201")[0]


def text_of(page: Response) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.body.decode().replace("<wbr>", ""))))


def test_the_owner_sees_every_tenants_provider(own: Gateway, owner: Person) -> None:
    own.write(
        "INSERT INTO sso_links (id, provider, subject, account, created_at)"
        " SELECT 'sso_1', 'idp_acme', 's', id, 1 FROM accounts WHERE identifier = 'erin@acme.example'"
    )
    page = text_of(owner.open(PAGE))
    assert re.search(r"acme Microsoft Entra ID https://id\.acme\.example On .* 1 – Turn off", page)
    assert "beta Microsoft Entra ID https://id.beta.example On" in page
    assert f'href="{PAGE}"' in owner.open("/ops").body.decode()


def test_turning_one_off_asks_first_ends_a_demand_and_is_mailed(own: Gateway, owner: Person, mailbox: Mailbox) -> None:
    own.write("UPDATE tenants SET factor_policy = 'first=sso' WHERE slug = 'acme'")
    asked = text_of(owner.send(PAGE, {"do": "off", "tenant": "acme"}))
    assert "Turn off single sign-on of acme?" in asked
    assert "acme requires it of everyone" in asked
    state = "SELECT is_enabled FROM identity_providers ORDER BY tenant"
    assert [bool(on) for (on,) in own.write(state)] == [True, True]
    form = {"do": "off", "tenant": "acme", "confirmed": "yes"}
    assert owner.send(PAGE, form).get("location") == f"{PAGE}?done=off"
    assert [bool(on) for (on,) in own.write(state)] == [False, True]
    assert own.write("SELECT factor_policy FROM tenants WHERE slug = 'acme'") == [("",)]
    mail = mailbox.wait_for("adam@acme.example", "sign-in rules have changed")
    assert "Single sign-on was turned off" in str(mail.get_body(("plain",)))
    query = "SELECT event, identifier FROM audit WHERE event LIKE 'sso_%' AND tenant = 'acme' ORDER BY id"
    assert own.write(query) == [("sso_optional", "otto@otium.example"), ("sso_disabled", "otto@otium.example")]
    assert owner.send(PAGE, form).status == 422
    assert owner.send(PAGE, {"do": "off", "tenant": "acme"}).status == 422
    assert owner.send(PAGE, {"do": "off", "tenant": "nobody"}).status == 422


def test_a_domain_is_granted_and_taken_and_taking_asks_first(own: Gateway, owner: Person) -> None:
    grant = {"do": "granted", "tenant": "beta", "domain": "Team.Beta.Example"}
    assert owner.send(PAGE, grant).get("location") == f"{PAGE}?done=granted"
    assert "team.beta.example – beta, granted" in text_of(owner.open(PAGE))
    again = owner.send(PAGE, {**grant, "tenant": "acme"})
    assert again.status == 422
    assert "Another tenant has this domain" in text_of(again)
    assert owner.send(PAGE, {**grant, "domain": "example"}).status == 422
    assert owner.send(PAGE, {**grant, "tenant": "nobody"}).status == 422
    take = {"do": "taken", "tenant": "beta", "domain": "team.beta.example"}
    assert "Take team.beta.example away from beta?" in text_of(owner.send(PAGE, take))
    assert owner.send(PAGE, {**take, "tenant": "acme"}).status == 422
    query = "SELECT tenant FROM domain_claims WHERE domain = 'team.beta.example'"
    assert own.write(query) == [("beta",)]
    assert owner.send(PAGE, {**take, "confirmed": "yes"}).get("location") == f"{PAGE}?done=taken"
    assert own.write(query) == []
    events = own.write("SELECT event, tenant, identifier FROM audit WHERE event LIKE 'domain_%' ORDER BY id")
    assert events == [(name, "beta", "otto@otium.example") for name in ("domain_claimed", "domain_released")]


def test_the_page_is_the_owners(own: Gateway) -> None:
    admin = Person(own, "admin", source="127.0.4.202")
    admin.sign_in()
    assert admin.open(PAGE).status == 403
    for form in ({"do": "off", "tenant": "beta"}, {"do": "taken", "tenant": "beta", "domain": "beta.example"}):
        assert admin.send(PAGE, {**form, "confirmed": "yes"}).status == 403
    assert own.write("SELECT is_enabled FROM identity_providers WHERE tenant = 'beta'")[0][0]


def test_a_change_that_nobody_offers_is_refused(owner: Person) -> None:
    assert owner.send(PAGE, {"do": "removed", "tenant": "beta", "confirmed": "yes"}).status == 400


async def test_providers_are_listed_and_switched_on_both_engines(store: Store) -> None:
    from sqlalchemy import text

    async with store.transaction() as tx:
        await tx.execute(text("INSERT INTO tenants (slug, name, status) VALUES ('zeta', 'Z', 'active')"))
        values = {
            "id": "idp_1", "tenant": "zeta", "issuer": "https://id.example", "secret": b"", "is_on": False, "no": False,
        }  # fmt: skip
        await tx.execute(text(PROVIDER), values)
        for is_on in (True, False):
            assert await overview.switch(tx, "zeta", is_on=is_on)
            assert not await overview.switch(tx, "zeta", is_on=is_on)
            assert not await overview.switch(tx, "nobody", is_on=is_on)
            (found,) = await overview.list_connected(tx)
            assert (found.tenant, found.is_enabled, found.people, found.domains) == ("zeta", is_on, 0, ())
        assert await overview.find_connected(tx, "acme") is None
