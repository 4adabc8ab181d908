"""What a tenant's admin does about people, and the owner across tenants; and that nobody reaches further."""

from __future__ import annotations

import base64
import calendar
import json
import re
import sqlite3
import time
from collections.abc import Iterator

import pytest

from gateway.accounts import links
from gateway.app.nouns import ROUTES
from gateway.crypto.sealing import Sealer
from gateway.model.secret import Secret
from gateway.policy.decision import Need
from gateway.settings import Settings
from gateway.web.routes import serve
from tests.support.gateway import HOST, ORIGIN, PASSWORD, PEOPLE, SECRET, Gateway
from tests.support.mail import Mailbox, links_in, text_of
from tests.support.person import Person, code_of, key_on
from tests.support.speed import slowness
from tests.support.upstream import RecordingUpstream

PEOPLE_AT = "/admin/accounts"
NEW = "seven green kettles on a raft"
BOUNDARY = "----form"
LONG = 240  # seconds, until it has surely come to a halt
ACCENTS = ("a" + "\u0316\u0301" * 9_000).encode()  # each pair in the wrong order


@pytest.fixture
def admin(own: Gateway) -> Person:
    return admin_of(own)


@pytest.fixture(scope="module")
def calm(recorder: RecordingUpstream, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway for all tests that leave everybody as they are."""
    folder = tmp_path_factory.mktemp("calm")
    running = Gateway(folder, f"127.0.0.1:{recorder.port}", mail_port=mailbox.port).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]


@pytest.fixture
def calm_admin(calm: Gateway, mailbox: Mailbox) -> Person:
    mailbox.mails.clear()
    return admin_of(calm)


def admin_of(gateway: Gateway) -> Person:
    person = Person(gateway, "admin", source="127.0.0.3")
    person.sign_in()
    return person


@pytest.fixture
def owner(own: Gateway, mailbox: Mailbox) -> Person:
    """The platform's owner, signed in with all three factors."""
    person = Person(own, "owner", source="127.0.0.4")
    person.give_password("/ops")
    page = person.send(path_in(mailbox, person.email, "sign-in link"), {}, follow=True)
    person.submit("/login/totp", code=code_of(own, person.email, key_on(page)))
    assert person.open("/ops").status == 200
    return person


def path_in(mailbox: Mailbox, who: str, words: str, count: int = 1) -> str:
    return re.sub(r"^https?://[^/]+", "", links_in(mailbox.wait_for(who, words, count))[0])


def database(gateway: Gateway) -> sqlite3.Connection:
    return sqlite3.connect(gateway.store_url.removeprefix("sqlite:///"), timeout=60)


def id_of(gateway: Gateway, email: str) -> str:
    with database(gateway) as connection:
        return str(connection.execute("SELECT id FROM accounts WHERE identifier = ?", (email,)).fetchone()[0])


def audited(gateway: Gateway, event: str) -> list[dict[str, object]]:
    with database(gateway) as connection:
        query = "SELECT details, personal, actor FROM audit WHERE event = ? ORDER BY id"
        return [
            {"by": by, **json.loads(facts), **json.loads(personal or "{}")}
            for facts, personal, by in connection.execute(query, (event,))
        ]


def change(person: Person, what: str, account: str, base: str = "/admin/accounts", **fields: str) -> int:
    """Return what becomes of a change, confirmed where that is asked for."""
    return person.send(f"{base}/member", {"account": account, "do": what, "confirmed": "yes", **fields}).status


# Finding people.


def test_the_list_is_searched_filtered_and_paged(calm: Gateway, calm_admin: Person) -> None:
    first = calm_admin.open("/admin/accounts").body.decode()
    assert "adam@acme.example" in first
    assert "olga@beta.example" not in first
    following = re.search(r'href="(/admin/accounts\?after=[^"]+)"', first)
    assert following
    second = calm_admin.open(following[1].replace("&amp;", "&")).body.decode()
    assert "mara@acme.example" in second
    assert "adam@acme.example" not in second
    found = calm_admin.open("/admin/accounts?q=ERIN").body.decode()
    assert found.count("<tr>") == 2
    assert "erin@acme.example" in found
    assert "mara@acme.example" in calm_admin.open("/admin/accounts?role=manager").body.decode()
    assert "dora@acme.example" in calm_admin.open("/admin/accounts?state=disabled").body.decode()
    assert "adam@acme.example" not in calm_admin.open("/admin/accounts?unseen=30").body.decode()
    assert "No people match" in calm_admin.open("/admin/accounts?totp=on").body.decode()
    assert "No people match" in calm_admin.open("/admin/accounts?q=%25_").body.decode()


def test_filters_that_make_no_sense_are_left_out(calm_admin: Person) -> None:
    for query in ("role=king&state=odd&totp=2&unseen=x", "unseen=-1", "q=" + "x" * 4000, "after=%00"):
        assert calm_admin.open(f"/admin/accounts?{query}").status in (200, 400)


# Inviting.


def test_an_invited_person_chooses_a_password_and_signs_in(own: Gateway, admin: Person, mailbox: Mailbox) -> None:
    fields = {"email": "New@acme.example", "name": "Nina", "role": "manager", "module-hr": "1"}
    admin.open("/admin/accounts/invite")
    done = admin.submit("/admin/accounts/invite", follow=False, **fields)
    assert (done.status, done.get("location")) == (303, "/admin/accounts?done=invited")
    assert "new@acme.example" in admin.open("/admin/accounts?state=invited").body.decode()
    link = path_in(mailbox, "new@acme.example", "Adam invited you")
    guest, late = Person(own, "new@acme.example"), Person(own, source="127.0.0.9")
    assert "Welcome" in guest.open(link).body.decode()
    assert str(guest.send(link, {"password": NEW}).get("location")).startswith("/login?password-set=1&for=")
    assert late.send(link, {"password": "another good passphrase"}).status == 410
    assert guest.give_password(password=NEW).status == 200
    assert guest.is_signed_in
    assert [details["by"] for details in audited(own, "account_invited")] == ["adam@acme.example"]
    used = guest.open(link)
    main = used.body.decode().partition("<main")[2]
    assert (used.status, "signed in as Nina" in main, "Sign in<" in main) == (410, True, False)
    assert "Sign in<" in late.open(link).body.decode().partition("<main")[2]


def test_an_invitation_says_who_invites_to_what_in_which_role_and_until_when(
    own: Gateway, admin: Person, mailbox: Mailbox
) -> None:
    began = int(time.time())
    admin.send("/admin/accounts/invite", {"email": "new@acme.example", "name": "Nina", "role": "manager"})
    file = b"email,name,department,role\nother@acme.example,Otto,Sales,employee\n"
    where = upload(admin, "/admin/accounts/import", file)
    admin.open(where)
    admin.submit("/admin/accounts/import/start")
    for email, role in (("new@acme.example", "Manager"), ("other@acme.example", "Employee")):
        mail = text_of(mailbox.wait_for(email, "Adam invited you to OtiumWork"))
        until = re.search(r"Valid until: (.+ UTC)", mail)
        assert "Adam has invited you to join acme on OtiumWork." in mail
        assert f"Company: acme\nYour role: {role}\nInvited by: Adam\n" in mail.replace("\r", "")
        assert until
        at = calendar.timegm(time.strptime(until[1], "%d %B %Y, %H:%M UTC"))
        assert began - 60 < at - 7 * 86_400 <= time.time()  # the mail says it without seconds
        page = Person(own, email).open(path_in(mailbox, email, "invited you")).body.decode()
        assert "Adam has invited you to join acme." in page
        assert f"<dd>{role}</dd>" in page
        assert time.strftime("%Y-%m-%dT%H:%M", time.gmtime(at)) in page


def test_an_invitation_of_a_former_version_has_no_name_and_works(own: Gateway, admin: Person, mailbox: Mailbox) -> None:
    admin.send("/admin/accounts/invite", {"email": "new@acme.example", "name": "Nina", "role": "manager"})
    link, sealer = path_in(mailbox, "new@acme.example", "invited you"), Sealer([Secret(base64.b64decode(SECRET))])
    with database(own) as connection:
        ((link_id,),) = connection.execute("SELECT id FROM mailed_links WHERE purpose = 'invitation'")
        connection.execute("UPDATE mailed_links SET content = ?", (sealer.seal(b"{}", links.place(link_id)),))
    guest = Person(own, "new@acme.example")
    assert "You’ve been invited to join acme." in guest.open(link).body.decode()
    assert guest.send(link, {"password": NEW}).status == 303


def test_a_fresh_invitation_kills_the_one_before(own: Gateway, admin: Person, mailbox: Mailbox) -> None:
    admin.send("/admin/accounts/invite", {"email": "new@acme.example", "name": "Nina", "role": "employee"})
    first = path_in(mailbox, "new@acme.example", "invited you")
    assert change(admin, "resent", id_of(own, "new@acme.example")) == 303
    second = path_in(mailbox, "new@acme.example", "invited you", 2)
    guest = Person(own, "new@acme.example")
    assert "replaced by a newer one" in guest.open(first).body.decode()
    assert guest.send(first, {"password": NEW}).status == 410
    assert guest.send(second, {"password": NEW}).status == 303
    assert change(admin, "resent", id_of(own, "new@acme.example")) == 404


def test_an_invitation_is_good_for_seven_days(own: Gateway, admin: Person, mailbox: Mailbox) -> None:
    admin.send("/admin/accounts/invite", {"email": "new@acme.example", "name": "Nina", "role": "employee"})
    link = path_in(mailbox, "new@acme.example", "invited you")
    with database(own) as connection:
        connection.execute("UPDATE mailed_links SET created_at = created_at - ?", (7 * 86_400 + 1,))
    guest = Person(own, "new@acme.example")
    assert "This link has expired" in guest.open(link).body.decode()
    assert guest.send(link, {"password": NEW}).status == 410


@pytest.mark.parametrize(
    "fields",
    [
        {"email": "erin@acme.example", "name": "Erin", "role": "employee"},
        {"email": "olga@beta.example", "name": "Olga", "role": "employee"},
        {"email": "otto@otium.example", "name": "Otto", "role": "employee"},
        {"email": "new@acme.example", "name": "N\nina", "role": "employee"},
        {"email": "new@acme.example", "name": "Nina", "role": "owner"},
        {"email": "new", "name": "Nina", "role": "employee"},
    ],
)
def test_an_invitation_that_can_not_be_is_refused_with_a_reason(
    calm: Gateway, calm_admin: Person, mailbox: Mailbox, fields: dict[str, str]
) -> None:
    answer = calm_admin.send("/admin/accounts/invite", fields)
    assert answer.status == 422
    assert 'role="alert"' in answer.body.decode()
    assert mailbox.to(fields["email"], "invited you") == []


def test_an_admin_invites_into_the_own_tenant_alone(own: Gateway, admin: Person) -> None:
    fields = {"email": "new@acme.example", "name": "Nina", "role": "employee", "tenant": "beta"}
    assert admin.send("/admin/accounts/invite", fields).status == 303
    with database(own) as connection:
        query = "SELECT tenant FROM accounts WHERE identifier = 'new@acme.example'"
        assert connection.execute(query).fetchone() == ("acme",)


# Changing.


def test_a_role_holds_from_the_next_request_on(own: Gateway, admin: Person, recorder: RecordingUpstream) -> None:
    member = Person(own)
    member.sign_in()
    assert member.open("/team").status == 403
    account = id_of(own, member.email)
    assert change(admin, "saved", account, role="manager", **{"module-finance": "1"}) == 303
    assert member.open("/team").status == 200
    assert recorder.requests[-1].all("remote-groups") == ["manager,finance"]
    assert audited(own, "account_role_changed") == [
        {"by": "adam@acme.example", "from": "employee,hr", "to": "manager,finance"}
    ]


def test_who_is_disabled_is_out_and_can_be_let_in_again(own: Gateway, admin: Person) -> None:
    member = Person(own)
    member.sign_in()
    account = id_of(own, member.email)
    assert change(admin, "disabled", account) == 303
    assert not member.is_signed_in
    assert member.give_password().status == 422
    assert change(admin, "enabled", account) == 303
    assert member.give_password().status == 200


def test_a_name_is_changed_and_a_bad_one_refused(own: Gateway, admin: Person) -> None:
    account = id_of(own, "erin@acme.example")
    assert change(admin, "saved", account, name="Erin Nové") == 303
    assert change(admin, "saved", account, name="x\x00y") == 400
    assert change(admin, "saved", account, name="x\ry") == 422
    assert "Erin Nové" in admin.open(f"/admin/accounts/member?account={account}").body.decode()
    own_account = id_of(own, admin.email)
    assert change(admin, "saved", own_account, name="Adam the First") == 303


@pytest.mark.parametrize("what", ["saved", "disabled", "resent", "removed", "unlocked", "device-out", "tokens-revoked"])
def test_nobody_changes_their_own_standing(calm: Gateway, calm_admin: Person, what: str) -> None:
    fields = {"role": "employee", "email": "adam2@acme.example"}
    assert change(calm_admin, what, id_of(calm, calm_admin.email), **fields) == 404


@pytest.mark.parametrize("email", ["otto@otium.example", "olga@beta.example", "mara@acme.example", "@"])
def test_an_email_of_somebody_else_or_of_an_owner_is_not_taken(calm: Gateway, calm_admin: Person, email: str) -> None:
    assert change(calm_admin, "saved", id_of(calm, "erin@acme.example"), email=email) == 422


def test_making_admins_by_invitation_asks_for_a_fresh_proof(own: Gateway, admin: Person) -> None:
    """What /admin/accounts/member asks for is not to be had by another way."""
    rows = b"email,name,department,role\nx@acme.example,X,,admin\n"
    where = upload(admin, "/admin/accounts/import", rows)
    invite = {"email": "y@acme.example", "name": "Y", "role": "admin"}
    with database(own) as connection:
        [(proofs,)] = connection.execute(
            "SELECT proofs FROM sessions WHERE account = ?", (id_of(own, admin.email),)
        ).fetchall()
        stale = json.dumps([[factor, at - 3_600] for factor, at in json.loads(proofs)], separators=(",", ":"))
        connection.execute("UPDATE sessions SET proofs = ?", (stale,))
    own.announce()
    asked = admin.send("/admin/accounts/invite", invite)
    assert str(asked.get("location")).startswith("/login?next=/admin/accounts/invite")
    asked = admin.send("/admin/accounts/import/start", {"id": where.partition("=")[2]})
    assert str(asked.get("location")).startswith("/login?next=/admin/accounts/import%3Fid")
    assert admin.send("/admin/accounts/invite", {**invite, "role": "employee"}).get("location") == (
        "/admin/accounts?done=invited"
    )
    with database(own) as connection:
        assert connection.execute("SELECT count(*) FROM imports WHERE started_at IS NOT NULL").fetchone() == (0,)
        assert connection.execute("SELECT role FROM accounts WHERE identifier = 'y@acme.example'").fetchone() == (
            "employee",
        )


def test_a_change_of_role_asks_for_a_fresh_proof(own: Gateway, admin: Person) -> None:
    with database(own) as connection:
        [(proofs,)] = connection.execute(
            "SELECT proofs FROM sessions WHERE account = ?", (id_of(own, admin.email),)
        ).fetchall()
        stale = json.dumps([[factor, at - 3_600] for factor, at in json.loads(proofs)], separators=(",", ":"))
        connection.execute("UPDATE sessions SET proofs = ?", (stale,))
    own.announce()
    account = id_of(own, "erin@acme.example")
    answer = admin.send("/admin/accounts/member", {"account": account, "do": "saved", "role": "employee"})
    back = rf"/login\?next=/admin/accounts/member%3Faccount%3D{account}%26form%3D[\w-]+%26done%3Dproved&again=1"
    assert re.fullmatch(back, str(answer.get("location")))


def test_the_last_admin_stays(own: Gateway, owner: Person) -> None:
    account = id_of(own, "adam@acme.example")
    for what in ("saved", "disabled"):
        answer = owner.send(
            "/ops/accounts/member", {"account": account, "do": what, "role": "employee", "confirmed": "yes"}
        )
        assert answer.status == 422
        assert "only admin" in answer.body.decode()
    mara = id_of(own, "mara@acme.example")
    assert change(owner, "saved", mara, "/ops/accounts", role="admin") == 303
    assert change(owner, "disabled", account, "/ops/accounts") == 303


# Nobody reaches further.


def test_no_route_of_an_admin_reaches_another_tenant(own: Gateway, admin: Person, mailbox: Mailbox) -> None:
    targets = [id_of(own, PEOPLE[who][0]) for who in ("other", "owner")]
    with database(own) as connection:
        before = connection.execute("SELECT * FROM accounts ORDER BY id").fetchall()
    served = serve(ROUTES, Settings()).values()
    routes = [route.path for route in served if route.need is Need.ADMIN and "{" not in route.path]
    assert len(routes) >= 7
    hidden = ("olga@beta.example", "Olga", "otto@otium.example")
    for target in targets:
        for path in routes:
            page = admin.open(f"{path}?account={target}&id={target}&tenant=beta&q=olga")
            assert not any(word in page.body.decode().replace('value="olga"', "") for word in hidden), path
            for what in (
                "",
                "saved",
                "disabled",
                "enabled",
                "resent",
                "removed",
                "unlocked",
                "device-out",
                "revoked",
                "tokens-revoked",
            ):
                fields = {"account": target, "id": target, "do": what, "role": "admin", "name": "X", "tenant": "beta"}
                answer = admin.send(path, {**fields, "email": "x@beta.example"})
                if answer.status == 200:  # of one's own tenant, whatever was asked for
                    assert path in (
                        "/admin/audit/export",
                        "/admin/access/export",
                        "/admin/networks",
                        f"{PEOPLE_AT}/resend",
                    ), path
                    assert not any(word in answer.body.decode() for word in hidden)
                else:
                    refused = answer.status in (400, 404, 405, 415, 422)
                    assert refused or path in ("/admin/accounts/invite", "/admin/access/reviewed", "/admin/settings"), (
                        path,
                        what,
                    )
    with database(own) as connection:
        after = connection.execute("SELECT * FROM accounts WHERE identifier != 'x@beta.example' ORDER BY id").fetchall()
        query = "SELECT tenant FROM accounts WHERE identifier = 'x@beta.example'"
        assert connection.execute(query).fetchone() in (None, ("acme",))
    assert after == before


@pytest.mark.parametrize("who", ["employee", "manager", "admin"])
def test_the_owners_pages_are_for_the_owner(calm: Gateway, who: str) -> None:
    person = Person(calm, who)
    person.sign_in()
    for route in serve(ROUTES, Settings()).values():
        if route.need is Need.OWNER or (route.need is Need.ADMIN and who != "admin"):
            assert person.open(route.path).status == 403, route.path
            assert person.send(route.path, {}).status in (403, 405), route.path


# Many at once.


def upload(person: Person, path: str, content: bytes) -> str:
    body = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="people.csv"\r\n'
        f"Content-Type: text/csv\r\n\r\n".encode()
        + content
        + f"\r\n--{BOUNDARY}--\r\n".encode()
    )
    lines = (
        f"POST {path} HTTP/1.1", f"Host: {HOST}", f"Origin: {ORIGIN}", "Accept: text/html", person.cookie_line,
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}", f"Content-Length: {len(body)}", "", "",
    )  # fmt: skip
    answer = person.gateway.exchange("\r\n".join(lines).encode() + body, source=person.source)
    person.page = answer
    return str(answer.get("location")) if answer.status == 303 else f"{answer.status}"


def people_file(good: int, broken: int) -> bytes:
    lines = ["email,name,department,role"]
    lines += [f"p{n}@acme.example,Person {n},hr,employee" for n in range(good)]
    lines += [f"broken{n},Nobody,,employee" for n in range(broken - 3)]
    lines += ["b@acme.example,,hr,employee", "c@acme.example,C,hr,king", "erin@acme.example,Erin,hr,employee"]
    return "\n".join(lines).encode()


def wait_for_import(admin: Person, where: str) -> None:
    until = time.monotonic() + LONG
    while "Import complete" not in admin.open(where).body.decode():
        assert time.monotonic() < until, admin.gateway.logged()[-2000:]
        time.sleep(0.5)  # the import needs the core that looking takes


def test_five_hundred_are_invited_and_broken_rows_stop_nobody(own: Gateway, admin: Person, mailbox: Mailbox) -> None:
    where = upload(admin, "/admin/accounts/import", people_file(480, 20))
    assert where.startswith("/admin/accounts/import?id=imp_"), where
    preview = admin.open(where).body.decode()
    assert "Invite 480 people" in preview
    assert "broken3" in preview
    assert "This person already has an account." in preview
    assert mailbox.to("p1@acme.example") == []
    assert admin.submit("/admin/accounts/import/start").status == 200
    wait_for_import(admin, where)
    with database(own) as connection:
        query = "SELECT count(*) FROM accounts WHERE identifier LIKE 'p%@acme.example' AND password_hash IS NULL"
        assert connection.execute(query).fetchone() == (480,)
        query = "SELECT count(*), count(DISTINCT recipient) FROM outbox WHERE template = 'invitation'"
        assert connection.execute(query).fetchone() == (480, 480)
    assert len(audited(own, "account_invited")) == 480
    assert admin.submit("/admin/accounts/import/start").status in (200, 404)
    again = upload(admin, "/admin/accounts/import", people_file(480, 20))
    assert "no one to invite" in admin.open(again).body.decode()


def test_an_import_goes_on_after_its_worker_was_killed(own: Gateway, admin: Person) -> None:
    where = upload(admin, "/admin/accounts/import", people_file(480, 20))
    admin.open(where)
    admin.submit("/admin/accounts/import/start")
    import_id = where.partition("id=")[2]

    def done() -> int:
        with database(own) as connection:
            return int(
                connection.execute(
                    "SELECT invited + skipped + refused FROM imports WHERE id = ?", (import_id,)
                ).fetchone()[0]
            )

    until = time.monotonic() + LONG
    while not 30 <= done() < 500:
        assert time.monotonic() < until
    for pid in own.workers():
        own.kill_worker(pid)
    with database(own) as connection:  # the lease need not be waited for
        connection.execute("UPDATE imports SET due_at = 0")
    until = time.monotonic() + LONG
    while done() < 500:
        assert time.monotonic() < until, own.logged()[-2000:]
        time.sleep(0.2)
        with database(own) as connection:
            connection.execute("UPDATE imports SET due_at = 0 WHERE due_at > 0 AND invited + skipped = 0")
    with database(own) as connection:
        query = "SELECT count(*), count(DISTINCT recipient) FROM outbox WHERE template = 'invitation'"
        assert connection.execute(query).fetchone() == (480, 480)
    assert len(audited(own, "account_invited")) == 480


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "choose a file"), (b"a,b\n1,2", "email is missing"), (b"\xff\xfe\x00", "UTF-8"),
     (b"email,name,department,role\n", "no rows"),
     (b"email,name,department,role\n" + b"x" * 140_000, "a valid CSV row"),
     (b"email,name,department,role\n" + b"a@b.example,A,,employee\n" * 5_001, "at most 5000")],
)  # fmt: skip
def test_a_file_that_is_no_list_is_refused_with_a_reason(calm_admin: Person, content: bytes, words: str) -> None:
    assert upload(calm_admin, "/admin/accounts/import", content) == "422"
    assert calm_admin.page is not None
    assert words in calm_admin.page.body.decode()


@pytest.mark.parametrize(
    "content",
    [
        b"email,name,department,role," + b",".join(b"%x" % n for n in range(3_000)) + b"\n" + b"x\n" * 4_000,
        b"email,name,department,role\n" + b"x\n" * 900_000,
        b"email,name,department,role\n" + b"," * 1_900_000,
        b"email,name,department,role\n" + b'"",' * 600_000,
        b"email,name,department,role" + b";" * 1_900_000,
        b"email,name,department,role\n" + b"\n" * 1_900_000,
        b"email,name,department,role\n" + b"".join(b"a@b.example,%b,,employee\n" % ACCENTS for _ in range(50)),
    ],
)  # fmt: skip
def test_a_file_of_an_odd_shape_keeps_nobody_waiting(calm_admin: Person, content: bytes) -> None:
    """What is not ours in it costs nothing: 3,000 columns of nothing once kept a worker busy for ten seconds."""
    began = calm_admin.gateway.processor_seconds()
    upload(calm_admin, "/admin/accounts/import", content)
    assert calm_admin.gateway.processor_seconds() - began < 4 * slowness()


def test_a_file_that_is_too_large_is_refused(calm_admin: Person) -> None:
    assert upload(calm_admin, "/admin/accounts/import", b"x" * 2_100_000) == "413"


def test_rows_of_another_tenant_and_hashes_are_not_taken_from_an_admin(own: Gateway, admin: Person) -> None:
    lines = b"email,name,department,role,tenant,password_hash\n"
    rows = b"x@beta.example,X,hr,admin,beta,\ny@acme.example,Y,hr,employee,acme,pbkdf2:sha256:1$a$b\n"
    where = upload(admin, "/admin/accounts/import", lines + rows)
    preview = admin.open(where).body.decode()
    assert "a different company" in preview
    admin.submit("/admin/accounts/import/start")
    wait_for_import(admin, where)
    with database(own) as connection:
        query = (
            "SELECT identifier, password_hash FROM accounts WHERE identifier IN ('x@beta.example', 'y@acme.example')"
        )
        assert connection.execute(query).fetchall() == [("y@acme.example", None)]


def test_an_import_is_seen_and_started_by_its_own_tenant_alone(own: Gateway, admin: Person) -> None:
    where = upload(admin, "/admin/accounts/import", people_file(1, 3))
    own.cli("account", "set-role", "olga@beta.example", "admin")
    other = Person(own, "other")
    other.sign_in()
    assert other.open(where).status == 404
    assert other.send("/admin/accounts/import/start", {"id": where.partition("id=")[2]}).status == 404


# Tenants.


def test_a_suspended_tenant_is_out_with_the_next_request(own: Gateway, owner: Person) -> None:
    member, other = Person(own), Person(own, "other")
    member.sign_in()
    other.sign_in()
    assert owner.send("/ops/tenants", {"do": "suspended", "tenant": "acme", "confirmed": "yes"}).status == 303
    assert not member.is_signed_in
    assert other.is_signed_in
    assert member.give_password().status == 422
    assert owner.send("/ops/tenants", {"do": "resumed", "tenant": "acme"}).status == 303
    assert not member.is_signed_in
    assert member.give_password(password=PASSWORD).status == 200
    assert [details["tenant"] for details in audited(own, "tenant_suspended")] == ["acme"]


def test_who_had_to_prove_it_first_is_told_that_nothing_is_done_yet(own: Gateway, owner: Person) -> None:
    for page in (
        "/ops/tenants?done=proved",
        f"/ops/accounts/member?account={id_of(own, 'erin@acme.example')}&done=proved",
    ):
        assert "Thanks for confirming" in owner.open(page).body.decode(), page
    assert "Thanks for confirming" not in owner.open("/ops/tenants").body.decode()


def test_tenants_are_made_and_renamed_and_the_own_one_stays(own: Gateway, owner: Person) -> None:
    assert owner.send("/ops/tenants", {"do": "added", "tenant": "gamma", "name": "Gamma GmbH"}).status == 303
    assert owner.send("/ops/tenants", {"do": "added", "tenant": "gamma", "name": "Again"}).status == 422
    assert owner.send("/ops/tenants", {"do": "added", "tenant": "No Good", "name": "x"}).status == 422
    assert owner.send("/ops/tenants", {"do": "renamed", "tenant": "gamma", "name": "Gamma AG"}).status == 303
    assert owner.send("/ops/tenants", {"do": "suspended", "tenant": "otium"}).status == 422
    assert "Gamma AG" in owner.open("/ops/tenants").body.decode()


def test_the_owner_reaches_every_tenant_and_no_owner(own: Gateway, owner: Person) -> None:
    page = owner.open("/ops/accounts?tenant=beta").body.decode()
    assert "olga@beta.example" in page
    assert change(owner, "saved", id_of(own, "olga@beta.example"), "/ops/accounts", name="Olga B.") == 303
    fields = {"email": "new@beta.example", "name": "Nina", "role": "admin", "tenant": "beta"}
    assert owner.send("/ops/accounts/invite", fields).status == 303
    assert owner.open(f"/ops/accounts/reset-2fa?account={id_of(own, owner.email)}").status == 404
