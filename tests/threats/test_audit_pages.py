"""The log's pages: only ever of the own tenant, nothing in them is markup or a formula, and attacks are stopped at /ops."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from html import unescape
from pathlib import Path
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest

from gateway.audit import rows
from gateway.audit.pages import ROWS_A_PAGE
from gateway.model.clock import HOUR
from gateway.model.entry import Entry, Outcome
from gateway.model.event import Event
from gateway.store import Store
from tests.support.clock import stay_within
from tests.support.gateway import PASSWORD, PEOPLE, Gateway
from tests.support.mail import Mailbox
from tests.support.person import Person
from tests.support.upstream import RecordingUpstream
from tests.threats.test_factors import enrol_owner

HOSTILE = "<svg onload=alert(1)>"
FORMULA = "=cmd|'/C calc'!A0"
ACME = Entry(
    Event.LOGIN, Outcome.SUCCESS, 0, "erin@acme.example", tenant="acme", account="acc_e",
    address="198.51.100.7", user_agent="Firefox/140.0", request_id="acme-request", details={"method": "1fa"},
)  # fmt: skip
BETA = ("olga@beta.example", "198.51.100.99", "beta-secret")


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("audit")
    running = Gateway(folder, f"127.0.0.1:{recorder.port}", mail_port=mailbox.port).seed()
    now = int(time.time())
    acme = replace(ACME, at=now - 60)
    beta = Entry(
        Event.LOGIN_FAILED, Outcome.FAILURE, now - 60, BETA[0], tenant="beta", account="acc_o",
        address=BETA[1], user_agent=BETA[2], request_id=BETA[2], details={"reason": "wrong"},
    )  # fmt: skip
    hostile = Entry(
        Event.LOGIN_FAILED, Outcome.FAILURE, now - 50, FORMULA, tenant="acme", address="198.51.100.8",
        user_agent=HOSTILE, request_id="hostile", details={"device": HOSTILE, "by": "@SUM(A1:A9)"},
    )  # fmt: skip

    asyncio.run(record(running, *[acme] * 60, *[beta] * 60, hostile))
    running.start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]
    assert "page_failed" not in running.logged()


async def record(gateway: Gateway, *entries: Entry) -> None:
    store = Store.open(gateway.store_url)
    async with store.transaction() as tx:
        for entry in entries:
            await rows.record(tx, entry)
    await store.close()


@pytest.fixture(scope="module")
def admin(own: Gateway) -> Person:
    person = Person(own, "admin")
    person.sign_in()
    return person


@pytest.fixture(scope="module")
def owner(own: Gateway, mailbox: Mailbox) -> Person:
    return enrol_owner(own, mailbox)[0]


def look(person: Person, path: str, /, **fields: str) -> str:
    response = person.open(f"{path}?{urlencode(fields)}")
    assert response.status == 200, response.status
    return response.body.decode()


def take(person: Person, path: str, /, **fields: str) -> str:
    response = person.send(path, fields)
    assert response.status == 200, response.status
    assert response.is_complete
    return response.body.decode()


FILTERS: list[dict[str, str]] = [
    {},
    {"tenant": "beta"},
    {"person": BETA[0]},
    {"address": BETA[1]},
    {"words": BETA[2]},
    {"event": "login_failed"},
    {"event": "failed-sign-ins", "day": "any", "tenant": "beta"},
    {"since": "2020-01-01T00:00", "person": BETA[0], "tenant": "beta"},
    {"before": "99999999999-99999999"},
]


@pytest.mark.parametrize("fields", FILTERS, ids=str)
def test_an_admin_sees_nothing_of_another_tenant_by_any_filter_or_export(admin: Person, fields: dict[str, str]) -> None:
    texts = [look(admin, "/admin/audit", **fields)]
    texts += [take(admin, "/admin/audit/export", **fields, format=form) for form in ("csv", "jsonl")]
    for text in texts:
        shown = re.sub(r"<input[^>]*>|href=\"[^\"]*\"", "", text)  # the form and links repeat what was asked
        for secret in (*BETA, "acc_o"):
            assert secret not in shown, secret


def test_who_may_look_is_decided_before_anything_is_shown(own: Gateway, admin: Person) -> None:
    employee = Person(own)
    employee.sign_in()
    for person, path in ((employee, "/admin/audit"), (employee, "/ops/audit"), (admin, "/ops/audit"), (admin, "/ops")):
        assert person.open(path).status == 403
        assert person.send(f"{path}/export" if "audit" in path else f"{path}/block", {}).status == 403
    assert Person(own).open("/admin/audit", follow=False).get("location") == "/login?next=/admin/audit"


def test_the_owner_sees_every_tenant_and_narrows_by_any_filter(owner: Person) -> None:
    assert "acme-request" in look(owner, "/ops/audit", person="erin@acme.example")
    text = look(owner, "/ops/audit", tenant="beta")
    assert "beta-secret" in text
    assert "acme-request" not in text
    assert "No entries match these filters." in look(owner, "/ops/audit", event="login", address=BETA[1])
    assert look(owner, "/ops/audit", address=BETA[1]).count('class="failed"') == ROWS_A_PAGE


def test_a_row_says_in_words_what_happened_beside_the_name_of_the_event(admin: Person) -> None:
    page = look(admin, "/admin/audit", address="198.51.100.8")
    assert "<p>Sign-in as =cmd" in page
    assert ">login_failed</code>" in page
    assert '<option value="login_failed">Sign-in failed</option>' in page
    (line,) = take(admin, "/admin/audit/export", address="198.51.100.8", format="jsonl").splitlines()
    assert json.loads(line)["event"] == "login_failed"


def test_pages_follow_each_other_and_keep_the_filter(owner: Person) -> None:
    seen: list[str] = []
    path = "/ops/audit?" + urlencode({"tenant": "beta"})
    while path:
        text = owner.open(path).body.decode()
        seen += re.findall(r"Details of entry (\d+)", text)
        older = re.search(r'rel="next" href="([^"]+)"', text)
        path = unescape(older[1]) if older else ""
        assert not path or "tenant=beta" in path
    assert len(seen) == len(set(seen)) == 60
    assert seen == sorted(seen, key=int, reverse=True)


def test_what_can_not_be_read_is_said_and_shows_nothing(admin: Person) -> None:
    for fields in ({"since": "yesterday"}, {"event": "x"}, {"words": "a\x00"}):
        response = admin.open(f"/admin/audit?{urlencode(fields)}")
        assert response.status == 422
        assert b'role="alert"' in response.body
        assert b"acme-request" not in response.body


def test_hostile_texts_are_texts_in_page_and_table(admin: Person) -> None:
    page = look(admin, "/admin/audit", address="198.51.100.8")
    assert "<svg onload" not in page
    assert "&lt;svg onload" in page
    (row,) = csv.DictReader(io.StringIO(take(admin, "/admin/audit/export", address="198.51.100.8", format="csv")))
    assert row["email"] == f"'{FORMULA}"
    assert not any(text.startswith(("=", "+", "-", "@")) for text in row.values())
    (line,) = take(admin, "/admin/audit/export", address="198.51.100.8", format="jsonl").splitlines()
    assert json.loads(line)["email"] == FORMULA


def test_a_query_is_escaped_where_it_is_shown_again(admin: Person) -> None:
    for name in ("person", "address", "words", "tenant"):
        page = look(admin, "/admin/audit", **{name: '"><script>alert(1)</script>'})
        assert "<script>alert" not in page


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles"])
def test_today_and_yesterday_are_those_of_the_reader(own: Gateway, zone: str) -> None:
    stay_within(HOUR)  # at the end of one there is midnight
    midnight = datetime.now(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    days = {"yesterday": int(midnight.timestamp()) - 1, "today": int(midnight.timestamp())}
    asyncio.run(record(own, *(replace(ACME, at=at, request_id=f"{day} in {zone}") for day, at in days.items())))
    reader = Person(own, "admin")
    reader.sign_in()
    reader.cookies["__Host-otium_zone"] = zone
    for day, other in (("today", "yesterday"), ("yesterday", "today")):
        page = look(reader, "/admin/audit", day=day, words=f"in {zone}")
        assert f"{day} in {zone}" in page
        assert f"{other} in {zone}" not in page
        bounds = dict(re.findall(r'<input type="hidden" name="(since|until)" value="([^"]+)"', page))
        (line,) = take(reader, "/admin/audit/export", **bounds, words=f"in {zone}", format="jsonl").splitlines()
        assert json.loads(line)["request_id"] == f"{day} in {zone}"


def test_each_export_is_in_the_log_before_its_first_row(admin: Person) -> None:
    text = take(admin, "/admin/audit/export", event="audit_exported", format="jsonl")
    first = json.loads(text.splitlines()[0])
    assert (first["event"], first["email"]) == ("audit_exported", admin.email)
    assert first["details"] == {"format": "jsonl", "filters": "event since until tenant"}
    response = admin.send("/admin/audit/export", {"format": "csv"})
    assert (response.get("content-type"), response.get("cache-control")) == ("text/csv; charset=utf-8", "no-store")
    assert re.fullmatch(r'attachment; filename="audit-\d{8}-\d{6}\.csv"', response.get("content-disposition") or "")


def test_an_export_is_not_for_other_sites(own: Gateway, admin: Person) -> None:
    foreign = own.post("/admin/audit/export", {"format": "csv"}, admin.cookie_line, origin="https://evil.example")
    assert foreign.status == 403
    assert admin.open("/admin/audit/export").status == 405


def test_the_picture_stands_in_a_table_as_well_and_needs_no_script(admin: Person) -> None:
    page = look(admin, "/admin/audit")
    assert page.count('class="chart"') == 1
    assert "Show as table" in page
    assert page.count("<script") == 1
    assert "Times are in the time zone UTC." in page


# Attacks.


def test_a_blocked_address_can_not_sign_in_and_who_is_signed_in_goes_on(own: Gateway, owner: Person) -> None:
    inside = Person(own, "manager", source="127.0.7.1")
    inside.sign_in()
    assert (
        owner.send("/ops/block", {"network": "127.0.7.0/24", "hours": "1", "confirmed": "yes"}).get("location")
        == "/ops?done=blocked"
    )
    for n in range(6):  # whichever worker answers
        other = Person(own, "other", source=f"127.0.7.{n + 2}")
        refused = other.open("/login")
        assert refused.status == 403
        assert b"Sign-in from your network is temporarily blocked" in refused.body
        assert 0 < int(refused.get("retry-after") or "") <= 3_600
        assert other.send("/login", {"email": other.email, "password": PASSWORD}).status == 403
        assert inside.is_signed_in
        assert inside.open("/me/sessions").status == 200
    assert Person(own, "other", source="127.0.8.1").open("/login").status == 200
    assert "127.0.7.0/24" in look(owner, "/ops")
    owner.send("/ops/unblock", {"network": "127.0.7.0/24"})
    assert Person(own, "other", source="127.0.7.2").open("/login").status == 200
    log = look(owner, "/ops/audit", words="127.0.7.0/24")
    assert "address_blocked" in log
    assert "address_unblocked" in log


@pytest.mark.parametrize(
    ("network", "said"), [("127.0.0.0/24", "own"), ("10.0.0.0/8", "network"), (HOSTILE, "network"), ("", "network")]
)
def test_the_own_network_and_half_the_world_are_not_blocked(owner: Person, network: str, said: str) -> None:
    assert owner.send("/ops/block", {"network": network, "hours": "1"}).get("location") == f"/ops?done={said}"
    assert 'role="alert"' in look(owner, "/ops", done=said)


def test_a_locked_pair_is_shown_and_unlocked(own: Gateway, owner: Person) -> None:
    victim = Person(own, "crowd7@acme.example", source="127.0.9.1")
    for _ in range(5):
        victim.send("/login", {"email": victim.email, "password": "wrong"})
    assert victim.send("/login", {"email": victim.email, "password": PASSWORD}).status == 429
    page = look(owner, "/ops")
    key = re.search(r'name="key" value="(password:crowd7[^"]+)"', page)
    assert key
    assert owner.send("/ops/unlock", {"key": "signup:|1"}).get("location") == "/ops"
    assert owner.send("/ops/unlock", {"key": unescape(key[1])}).get("location") == "/ops?done=unlocked"
    assert victim.send("/login", {"email": victim.email, "password": PASSWORD}).status == 303
    assert "account_unlocked" in look(owner, "/ops/audit", person=victim.email)


def test_a_spray_is_seen_at_ops_without_a_password_being_kept(own: Gateway, owner: Person) -> None:
    """Accounts fall into groups, other ones each hour, and fewer groups are counted: so many accounts are always enough,
    also if an hour ends among them.
    """
    password = "Winter2026!-never-kept"
    for n in range(40):
        own.post("/login", {"email": f"crowd{n}@acme.example", "password": password}, source=f"127.0.10.{n + 1}")
    assert "The same wrong password was tried on at least" in look(owner, "/ops")
    for file in Path(own.store_url.removeprefix("sqlite:///")).parent.iterdir():
        assert password.encode() not in file.read_bytes()


def test_the_owners_get_a_mail_about_a_spray(own: Gateway, owner: Person, mailbox: Mailbox) -> None:
    for n in range(12):
        own.post("/login", {"email": f"crowd{n + 30}@acme.example", "password": f"guess {n}"}, source="127.0.11.1")
    assert "127.0.11.1" in look(owner, "/ops")
    until = time.monotonic() + 120
    while not any("127.0.11.1" in str(mail) for mail in mailbox.to(PEOPLE["owner"][0], "many accounts")):
        assert time.monotonic() < until
        time.sleep(0.2)


def test_the_chain_is_whole_after_all_of_this(own: Gateway, admin: Person) -> None:
    result = own.cli("audit", "verify")
    assert (result.returncode, result.stderr) == (0, "")
