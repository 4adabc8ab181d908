"""The access review's pages: an administrator sees and disables their own people, and no page does it at one press."""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Iterator

import pytest

from gateway.model.clock import DAY
from tests.support.clock import stay_within, today
from tests.support.gateway import Gateway
from tests.support.mail import Mailbox
from tests.support.person import Person
from tests.support.raw import Response
from tests.support.upstream import RecordingUpstream
from tests.threats.test_compromised import make_stale
from tests.threats.test_people import admin_of, audited, database, id_of
from tests.threats.test_tokens import ask, bearer, new_token

UNUSED = "/admin/access/unused"
ERIN, MARA, OLGA = "erin@acme.example", "mara@acme.example", "olga@beta.example"
CROWD = [f"crowd{number}@acme.example" for number in (1, 2, 3)]


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("review")
    address, changes = f"127.0.0.1:{recorder.port}", {"TOKENS__ON": "true", "SSO__ON": "true"}
    running = Gateway(folder, address, mail_port=mailbox.port, changes=changes).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]
    assert "Traceback" not in running.logged()


@pytest.fixture
def admin(own: Gateway) -> Person:
    """An administrator of acme, where three people haven't been seen for a hundred days; all others are new."""
    stay_within(DAY)
    now = int(time.time())
    own.write("UPDATE accounts SET created_at = :now, status = 'active'", now=now)
    for email in CROWD:
        own.write(
            "UPDATE accounts SET created_at = :ago WHERE identifier = :email", ago=now - 100 * 86_400, email=email
        )
        forget_sessions(own, email)
    own.write("DELETE FROM api_tokens")
    own.announce()
    return admin_of(own)


def forget_sessions(own: Gateway, email: str) -> None:
    own.write("DELETE FROM sessions WHERE account = :account", account=id_of(own, email))


def disabled(own: Gateway) -> set[str]:
    with database(own) as connection:
        found = connection.execute("SELECT identifier FROM accounts WHERE status = 'disabled'").fetchall()
    return {identifier for (identifier,) in found}


def tick(own: Gateway, *emails: str) -> dict[str, str]:
    return {"do": "ticked", **{f"person-{id_of(own, email)}": "1" for email in emails}}


def text_in(page: Response) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.body.decode().replace("<wbr>", "")).split())


def test_only_administrators_see_it_and_their_own_people_only(own: Gateway, admin: Person) -> None:
    page = text_in(admin.open("/admin/access"))
    assert CROWD[0] in page
    assert "@beta.example" not in page
    assert "@beta.example" not in text_in(admin.open(UNUSED))
    manager = Person(own, "manager", source="127.0.0.6")
    manager.sign_in()
    assert [manager.open(path).status for path in ("/admin/access", UNUSED)] == [403, 403]
    assert manager.send("/admin/access/export", {}).status == 403


def test_everyone_on_the_list_is_disabled_after_a_question_that_says_how_many(own: Gateway, admin: Person) -> None:
    token = new_token(own, CROWD[0])
    own.write("UPDATE api_tokens SET created_at = 1")
    forget_sessions(own, CROWD[0])
    listed = re.search(r'name="people" value="([^"]+)"', admin.open(UNUSED).body.decode())
    asked = admin.send(UNUSED, {"do": "listed", "people": listed[1] if listed else ""})
    assert re.findall(r"<dd>(\d+)</dd>", asked.body.decode()) == ["3", "0", "1"]
    assert disabled(own) == set()
    assert admin.submit(UNUSED, follow=False).status == 303
    assert disabled(own) == set(CROWD)
    assert ask(own, bearer(token)).status == 401


def test_selected_people_are_disabled_one_event_each(own: Gateway, admin: Person) -> None:
    count = len(audited(own, "account_disabled"))
    asked = admin.send(UNUSED, tick(own, *CROWD[:2]))
    assert "Disable 2 accounts?" in text_in(asked)
    assert CROWD[1] in text_in(asked)
    done = admin.submit(UNUSED)
    assert "2 accounts disabled." in text_in(done)
    assert disabled(own) == set(CROWD[:2])
    assert len(audited(own, "account_disabled")) == count + 2
    assert Person(own, CROWD[0]).give_password().status == 422
    account = id_of(own, CROWD[0])
    assert admin.send("/admin/accounts/member", {"account": account, "do": "enabled"}).status == 303
    assert Person(own, CROWD[0]).give_password().status == 200


def test_a_person_who_signs_in_while_the_page_asks_is_left_and_named(own: Gateway, admin: Person) -> None:
    asked = admin.send(UNUSED, tick(own, *CROWD))
    assert "Disable 3 accounts?" in text_in(asked)
    Person(own, CROWD[2]).sign_in()
    done = text_in(admin.submit(UNUSED))
    assert "2 accounts disabled. These were left as they are: Crowd 3 : Signed in since." in done
    assert disabled(own) == set(CROWD[:2])


def test_nobody_of_another_tenant_and_nobody_who_was_seen_is_disabled_by_a_forged_list(
    own: Gateway, admin: Person
) -> None:
    before = disabled(own)
    ids = " ".join(id_of(own, email) for email in (OLGA, ERIN, admin.email))
    fields = {"do": "listed", "people": f"{ids} acc_none \u2028", "confirmed": "yes"}
    done = admin.send(UNUSED, fields, follow=True)
    assert "0 accounts disabled" in text_in(done)
    assert "Olga" not in text_in(done)
    assert disabled(own) == before


def test_an_empty_selection_is_said(admin: Person) -> None:
    response = admin.send(UNUSED, {"do": "ticked"})
    assert response.status == 422
    assert "Select at least one person." in text_in(response)


def test_a_stolen_session_alone_disables_nobody_and_records_no_review(own: Gateway, admin: Person) -> None:
    before, count = disabled(own), len(audited(own, "access_reviewed"))
    make_stale(own, admin)
    for path, fields in (
        (UNUSED, {**tick(own, *CROWD), "confirmed": "yes"}),
        ("/admin/access/reviewed", {}),
    ):
        answer = admin.send(path, fields)
        assert "again=1" in str(answer.get("location")), path
    assert (disabled(own), len(audited(own, "access_reviewed"))) == (before, count)


def test_forms_of_other_sites_do_nothing(own: Gateway, admin: Person) -> None:
    for path in (UNUSED, "/admin/access/reviewed", "/admin/access/export"):
        assert own.post(path, {}, admin.cookie_line, origin="https://evil.example").status == 403, path


def test_a_review_is_recorded_and_its_day_shown(own: Gateway, admin: Person) -> None:
    page = text_in(admin.send("/admin/access/reviewed", {}, follow=True))
    assert re.search(rf"{today()} by {admin.email}, 5\d active people", page)
    assert len(audited(own, "access_reviewed")) == 1
    assert "Access of all people reviewed" in admin.open("/admin/audit").body.decode()


def test_the_export_is_recorded_first_and_has_everyone(own: Gateway, admin: Person) -> None:
    own.write("UPDATE accounts SET name = '=HYPERLINK(1)' WHERE identifier = :email", email=MARA)
    count = len(audited(own, "access_exported"))
    response = admin.send("/admin/access/export", {})
    assert (response.get("content-type"), response.get("cache-control")) == ("text/csv; charset=utf-8", "no-store")
    rows = {row["email"]: row for row in csv.DictReader(io.StringIO(response.body.decode()))}
    assert len(rows) == len([email for email in rows if email.endswith("@acme.example")]) > 50
    assert rows[MARA]["name"] == "'=HYPERLINK(1)"
    assert rows[admin.email]["last_seen"] == time.strftime("%Y-%m-%d", time.gmtime())
    assert len(audited(own, "access_exported")) == count + 1


def test_hostile_queries_are_ignored(admin: Person) -> None:
    queries = ("role=x&state=y&unseen=7&sort=z", "sort=seen&after=%00", "after=%00%22%3E%3Cscript%3E")
    for query in queries:
        page = admin.open(f"/admin/access?{query}")
        assert page.status == 200, query
        assert "><script>" not in page.body.decode()
    left = admin.open(f"{UNUSED}?done=disabled&count=-1&left=%00.acc_x.%22%3E&more=1e9&days=1")
    assert left.status == 200
    assert "Inactive for 90 days" in left.body.decode()
