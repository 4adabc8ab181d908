"""Setting network rules: nobody leaves out their own address by one press, or changes those of another tenant."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator

import pytest

from gateway.networks.pages import DONE
from tests.support.gateway import Gateway
from tests.support.mail import Mailbox
from tests.support.owner import enrol_owner
from tests.support.person import Person
from tests.support.raw import Response
from tests.support.upstream import RecordingUpstream
from tests.threats.test_networks import ADAM, ELSEWHERE, ERIN, OFFICE, OLGA, rule_for_tenant, signed_in
from tests.threats.test_people import id_of

OWN, TENANT, MEMBER = "/me/networks", "/admin/networks", "/admin/networks/member"
INSIDE, OUTSIDE = "127.0.10.0/24 Office", "198.51.100.0/24 Far away"


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder, upstream = tmp_path_factory.mktemp("network-pages"), f"127.0.0.1:{recorder.port}"
    running = Gateway(folder, upstream, mail_port=mailbox.port).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]
    assert "Traceback" not in running.logged()


@pytest.fixture(autouse=True)
def open_to_all(own: Gateway) -> Iterator[None]:
    yield
    own.write("UPDATE tenants SET networks = ''")
    own.write("UPDATE accounts SET networks = ''")
    own.write("UPDATE sessions SET ended_at = 1 WHERE ended_at IS NULL AND address <> '127.0.0.4'")


def lists(own: Gateway) -> tuple[dict[str, str], dict[str, str]]:
    """Return the rules of tenants and of accounts."""
    tenants = own.write("SELECT slug, networks FROM tenants WHERE networks <> ''")
    accounts = own.write("SELECT identifier, networks FROM accounts WHERE networks <> ''")
    return {row[0]: row[1] for row in tenants}, {row[0]: row[1] for row in accounts}


def told(page: Response) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page.body.decode())).split())


def test_a_person_limits_their_own_account_and_gets_a_mail(own: Gateway, mailbox: Mailbox) -> None:
    mailbox.mails.clear()
    erin = signed_in(own)
    assert "Your list" in told(erin.open(OWN))
    done = erin.send(OWN, {"networks": f"  {INSIDE}\r\n"})
    assert (done.status, done.get("location")) == (303, f"{OWN}?done={DONE[0]}")
    assert lists(own) == ({}, {ERIN: INSIDE})
    mailbox.wait_for(ERIN, "allowed networks were changed", said="networks")
    erin.source = ELSEWHERE
    assert not erin.is_signed_in
    erin.source = OFFICE
    assert erin.send(OWN, {"networks": ""}).status == 303
    assert lists(own) == ({}, {})


def test_leaving_out_ones_own_address_takes_two_pages_that_say_so(own: Gateway) -> None:
    """THREATS 66."""
    erin = signed_in(own)
    erin.open(OWN)
    first = erin.send(OWN, {"networks": OUTSIDE})
    assert "Your own address isn’t on the list" in told(first)
    assert OFFICE in told(first)
    assert lists(own) == ({}, {})
    second = erin.submit(OWN)
    assert "Lock yourself out from here?" in told(second)
    assert lists(own) == ({}, {})
    assert erin.is_signed_in
    erin.submit(OWN, follow=False)
    assert lists(own) == ({}, {ERIN: OUTSIDE})
    assert not erin.is_signed_in


@pytest.mark.parametrize("fields", [{"despite": "yes"}, {"confirmed": "yes"}, {"confirmed": "no", "despite": "yes"}])
def test_one_answer_is_not_two(own: Gateway, fields: dict[str, str]) -> None:
    erin, adam = signed_in(own), signed_in(own, ADAM)
    erin.send(OWN, {"networks": OUTSIDE, **fields})
    adam.send(OWN, {"networks": OUTSIDE, **fields})
    adam.send(TENANT, {"everyone": OUTSIDE, **fields})
    adam.send(TENANT, {"everyone": INSIDE, "admin": OUTSIDE, **fields})
    adam.send(MEMBER, {"account": id_of(own, ADAM), "networks": OUTSIDE, **fields})
    assert lists(own) == ({}, {})


def test_ones_address_is_added_by_one_press(own: Gateway) -> None:
    erin = signed_in(own)
    erin.send(OWN, {"networks": OUTSIDE})
    done = erin.submit(OWN, add="save", follow=False)
    assert done.status == 303
    assert lists(own) == ({}, {ERIN: f"{OUTSIDE}\n{OFFICE}"})
    shown = erin.send(OWN, {"networks": "", "add": "show"})
    assert f">{OFFICE}</textarea>" in shown.body.decode()
    assert lists(own) == ({}, {ERIN: f"{OUTSIDE}\n{OFFICE}"})


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("office", "office"),
        (f"{INSIDE}\n300.1.1.1", "300.1.1.1"),
        (f"{INSIDE}\n10.0.0.1 until 2020-01-01", "10.0.0.1 until 2020-01-01"),
        (f"{INSIDE} until 2999-01-01", "no “until”"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
    ],
)
def test_what_is_no_list_is_shown_again_with_its_line(own: Gateway, text: str, line: str) -> None:
    for who, path, field in ((ERIN, OWN, "networks"), (ADAM, TENANT, "manager")):
        person = signed_in(own, who)
        answer = person.send(path, {field: text})
        assert answer.status == 422
        assert line in html.unescape(answer.body.decode())
        assert b"<script>alert" not in answer.body
    assert lists(own) == ({}, {})


def test_a_tenants_list_asks_first_and_says_how_many_it_refuses(own: Gateway) -> None:
    adam = signed_in(own, ADAM)
    for source in (ELSEWHERE, "127.0.20.2", OFFICE):
        signed_in(own, source=source)
    signed_in(own, "mara@acme.example", source=ELSEWHERE)
    signed_in(own, OLGA, source=ELSEWHERE)
    asked = adam.send(TENANT, {"everyone": INSIDE})
    assert re.findall(r"<dd>(\d+)</dd>", asked.body.decode()) == ["2", "3"]
    assert lists(own) == ({}, {})
    assert adam.submit(TENANT, follow=False).status == 303
    assert lists(own) == ({"acme": INSIDE}, {})
    ((details,),) = own.write("SELECT details FROM audit WHERE event = 'networks_changed' AND details LIKE '%tenant%'")
    assert json.loads(details)["kind"] == "tenant"
    assert adam.is_signed_in


def test_an_administrator_has_to_say_twice_that_they_leave_themselves_out(own: Gateway) -> None:
    adam = signed_in(own, ADAM)
    first = adam.send(TENANT, {"everyone": INSIDE, "admin": OUTSIDE})
    assert "Your own address isn’t on the list" in told(first)
    assert "Lock yourself out from here?" in told(adam.submit(TENANT))
    assert lists(own) == ({}, {})
    adam.submit(TENANT, follow=False)
    assert lists(own) == ({"acme": f"{INSIDE}\n[admin]\n{OUTSIDE}"}, {})
    assert not adam.is_signed_in


def test_an_administrators_address_is_added_where_their_role_needs_it(own: Gateway) -> None:
    adam = signed_in(own, ADAM)
    adam.send(TENANT, {"everyone": INSIDE, "admin": OUTSIDE})
    adam.submit(TENANT, add="save", follow=False)
    assert lists(own) == ({"acme": f"{INSIDE}\n[admin]\n{OUTSIDE}\n{OFFICE}"}, {})
    assert adam.is_signed_in


def test_an_administrator_limits_a_person_and_lifts_their_list(own: Gateway, mailbox: Mailbox) -> None:
    mailbox.mails.clear()
    erin, adam, account = signed_in(own), signed_in(own, ADAM), id_of(own, ERIN)
    assert erin.send(OWN, {"networks": INSIDE}).status == 303
    assert "Set by this person" in told(adam.open(f"{MEMBER}?account={account}"))
    asked = adam.send(MEMBER, {"account": account, "networks": OUTSIDE, "lifts": "yes"})
    assert re.findall(r"<dd>(\d+)</dd>", asked.body.decode()) == ["1"]
    adam.submit(MEMBER, follow=False)
    assert lists(own) == ({}, {ERIN: f"[administrator]\n{OUTSIDE}"})
    assert not erin.is_signed_in
    mailbox.wait_for(ERIN, "allowed networks were changed")
    ((by,),) = own.write("SELECT actor FROM audit WHERE event = 'networks_changed' AND actor <> ''")
    assert by == ADAM


def test_a_person_does_not_lift_what_an_administrator_set(own: Gateway) -> None:
    erin, adam, account = signed_in(own), signed_in(own, ADAM), id_of(own, ERIN)
    adam.send(MEMBER, {"account": account, "networks": INSIDE})
    adam.submit(MEMBER, follow=False)
    assert erin.send(OWN, {"networks": ""}).status == 303
    assert lists(own) == ({}, {ERIN: f"[administrator]\n{INSIDE}"})
    assert "Office" in told(erin.open(OWN))


def test_other_tenants_people_and_owners_are_out_of_reach(own: Gateway, mailbox: Mailbox) -> None:
    owner, _, _ = enrol_owner(own, mailbox, source="127.0.0.4")
    adam = signed_in(own, ADAM)
    erin = signed_in(own)
    own.write("UPDATE accounts SET tenant = 'acme' WHERE identifier = :email", email=owner.email)
    for account in (id_of(own, OLGA), id_of(own, owner.email), "acc_none", ""):
        assert adam.open(f"{MEMBER}?account={account}").status == 404
        fields = {"account": account, "networks": OUTSIDE, "confirmed": "yes", "despite": "yes"}
        assert adam.send(MEMBER, fields).status == 404
    for person in (erin, signed_in(own, OLGA)):
        assert person.send(TENANT, {"everyone": OUTSIDE, "confirmed": "yes", "despite": "yes"}).status == 403
        assert person.send(MEMBER, {"account": id_of(own, ADAM), "networks": OUTSIDE, "confirmed": "yes"}).status == 403
    assert lists(own) == ({}, {})
    rule_for_tenant(own, OUTSIDE)
    own.write("UPDATE accounts SET networks = '[administrator]\n198.51.100.1' WHERE identifier = :e", e=owner.email)
    assert owner.is_signed_in
    own.write("UPDATE accounts SET tenant = 'otium' WHERE identifier = :email", email=owner.email)


def test_a_fresh_proof_is_asked_for(own: Gateway) -> None:
    adam = signed_in(own, ADAM)
    own.write("UPDATE sessions SET proofs = '[[\"password\",1000]]'")
    for path in (OWN, TENANT, MEMBER):
        asked: Response = adam.send(path, {"account": id_of(own, ERIN), "networks": INSIDE, "everyone": INSIDE})
        assert (asked.get("location") or "").startswith("/login?"), path
    assert lists(own) == ({}, {})


def test_a_person_who_signs_in_again_meets_the_list(own: Gateway) -> None:
    erin = signed_in(own)
    erin.send(OWN, {"networks": INSIDE})
    other = Person(own, ERIN, source=ELSEWHERE)
    assert "can’t be used from your network" in told(other.give_password())
