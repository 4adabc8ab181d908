"""Passwords that are forgotten, reset and changed, and accounts that people make themselves: over real mails."""

from __future__ import annotations

import base64
import html
import json
import re
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest

from gateway.accounts import links
from gateway.crypto.sealing import Sealer
from gateway.model.secret import Secret
from tests.support.gateway import ORIGIN, PASSWORD, PEOPLE, SECRET, Gateway
from tests.support.mail import Mailbox, links_in, text_of
from tests.support.person import NAVIGATION, Person, hidden_fields, unsealed
from tests.support.raw import Response, get
from tests.support.upstream import RecordingUpstream

NEW = "seven green kettles on a raft"
SIGNUP = {"SIGNUP__MODE": "domains", "SIGNUP__DOMAINS": '{"acme.example" = "acme"}'}


@pytest.fixture
def own(recorder: RecordingUpstream, mailbox: Mailbox, tmp_path: Path) -> Iterator[Gateway]:
    mailbox.mails.clear()
    address = f"127.0.0.1:{recorder.port}"
    running = Gateway(tmp_path, address, mail_port=mailbox.port, changes=SIGNUP).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]


def database(gateway: Gateway) -> sqlite3.Connection:
    return sqlite3.connect(gateway.store_url.removeprefix("sqlite:///"))


def make_older(gateway: Gateway, seconds: int) -> None:
    with database(gateway) as connection:
        connection.execute("UPDATE mailed_links SET created_at = created_at - ?", (seconds,))


def path_in(mailbox: Mailbox, who: str, words: str, count: int = 1) -> str:
    """Return the path of the link in the latest mail of that subject."""
    return re.sub(r"^https?://[^/]+", "", links_in(mailbox.wait_for(who, words, count))[0])


def ask_for_reset(person: Person) -> None:
    person.open("/forgot-password")
    person.submit("/forgot-password", email=person.email)


def events(gateway: Gateway, event: str) -> list[dict[str, object]]:
    with database(gateway) as connection:
        query = "SELECT details FROM audit WHERE event = ? ORDER BY id"
        return [json.loads(row[0]) for row in connection.execute(query, (event,))]


# Forgotten and reset.


def test_a_forgotten_password_is_reset_by_mail_and_everything_else_ends(own: Gateway, mailbox: Mailbox) -> None:
    person, elsewhere = Person(own), Person(own, source="127.0.0.3")
    elsewhere.sign_in()
    ask_for_reset(person)
    link = path_in(mailbox, person.email, "password")
    assert "Set a new password" in person.open(link).body.decode()
    done = person.send(link, {"password": NEW})
    assert str(done.get("location")).startswith("/login?password-set=1&for=")
    assert has_no_email(done, person.email)
    assert 'name="email" type="email" value="erin@acme.example"' in person.open(str(done.get("location"))).body.decode()
    assert not elsewhere.is_signed_in
    mailbox.wait_for(person.email, "changed")
    assert person.give_password(password=PASSWORD).status == 422
    assert person.give_password(password=NEW).status == 200
    assert person.is_signed_in
    assert events(own, "password_changed") == [{"how": "reset", "sessions_ended": 1}]


def test_looking_at_a_reset_link_changes_nothing_and_using_it_twice_neither(own: Gateway, mailbox: Mailbox) -> None:
    person, thief = Person(own), Person(own, source="127.0.0.9")
    ask_for_reset(person)
    link = path_in(mailbox, person.email, "password")
    for _ in range(2):
        assert thief.open(link).status == 200
        assert own.exchange(get(link, *NAVIGATION).replace(b"GET", b"HEAD", 1)).status == 200
    assert person.send(link, {"password": NEW}).status == 303
    assert thief.send(link, {"password": "another good passphrase"}).status == 410
    assert "already been used" in thief.open(link).body.decode()
    assert person.give_password(password=NEW).status == 200


def test_a_reset_link_is_good_for_an_hour(own: Gateway, mailbox: Mailbox) -> None:
    person = Person(own)
    ask_for_reset(person)
    link = path_in(mailbox, person.email, "password")
    make_older(own, 3_601)
    assert "This link has expired" in person.open(link).body.decode()
    assert person.send(link, {"password": NEW}).status == 410
    assert person.give_password(password=PASSWORD).status == 200


def test_only_the_newest_reset_link_is_good(own: Gateway, mailbox: Mailbox) -> None:
    person = Person(own)
    ask_for_reset(person)
    first = path_in(mailbox, person.email, "password")
    ask_for_reset(person)
    second = path_in(mailbox, person.email, "password", 2)
    assert "replaced by a newer one" in person.open(first).body.decode()
    assert person.send(first, {"password": NEW}).status == 410
    assert person.send(second, {"password": NEW}).status == 303


def test_a_reset_does_not_bypass_the_second_factor(own: Gateway, mailbox: Mailbox) -> None:
    person = Person(own)
    person.sign_in()
    person.enrol()
    again = Person(own, source="127.0.0.5")
    ask_for_reset(again)
    again.send(path_in(mailbox, again.email, "Reset your"), {"password": NEW})
    page = again.give_password(password=NEW)
    assert "Enter your code" in page.body.decode()
    assert not again.is_signed_in


def test_a_reset_says_the_same_to_everybody_and_mails_only_who_is_there(own: Gateway, mailbox: Mailbox) -> None:
    answers = set()
    for who in ("employee", "nobody@acme.example", "disabled", "not an email"):
        person = Person(own, who)
        person.open("/forgot-password")
        answer = person.submit("/forgot-password", follow=False, email=person.email)
        answers.add((answer.status, unsealed(answer, person.email), answer.body))
    assert len(answers) == 1
    mailbox.wait_for(PEOPLE["employee"][0], "password")
    assert {str(mail["X-Envelope-To"]) for mail in mailbox.mails} == {PEOPLE["employee"][0]}


def test_links_are_built_from_the_public_url_alone(own: Gateway, mailbox: Mailbox) -> None:
    email = PEOPLE["employee"][0]
    own.post("/forgot-password", {"email": email}, "X-Forwarded-Host: evil.example", source="127.0.0.2")
    links = links_in(mailbox.wait_for(email, "password"))
    assert links
    assert all(link.startswith("https://app.example.com") for link in links), links


def test_asking_again_and_again_sends_five_mails_an_hour(own: Gateway, mailbox: Mailbox) -> None:
    person = Person(own)
    for _ in range(7):
        ask_for_reset(person)
    mailbox.wait_for(person.email, "password", 5)
    with database(own) as connection:
        query = "SELECT count(*) FROM outbox WHERE template = 'password_reset'"
        assert connection.execute(query).fetchone()[0] == 5


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("short", "Too short"),
        ("erin@acme.example", "can’t contain your email address"),
        ("passwordpassword", "easy to guess|common password"),
        ("ErinZoeErinZoe", "easy to guess|your name"),
    ],
)
def test_a_weak_password_is_refused_with_the_reason(own: Gateway, mailbox: Mailbox, password: str, words: str) -> None:
    person = Person(own)
    ask_for_reset(person)
    link = path_in(mailbox, person.email, "password")
    answer = person.send(link, {"password": password})
    assert answer.status == 422
    assert re.search(words, answer.body.decode()), answer.body.decode()
    assert person.send(link, {"password": NEW}).status == 303


# Changed.


def test_changing_the_password_keeps_this_device_and_ends_the_others(own: Gateway, mailbox: Mailbox) -> None:
    person, elsewhere = Person(own), Person(own, source="127.0.0.3")
    person.sign_in()
    elsewhere.sign_in()
    before = dict(person.cookies)
    person.open("/me/password")
    done = person.submit("/me/password", follow=False, current=PASSWORD, password=NEW)
    assert (done.status, done.get("location")) == (303, "/me/security?done=password")
    assert person.is_signed_in
    assert person.cookies != before
    assert not elsewhere.is_signed_in
    person.cookies = before
    assert not person.is_signed_in
    mailbox.wait_for(person.email, "changed")


def test_the_current_password_is_needed_and_limited(own: Gateway) -> None:
    person = Person(own)
    person.sign_in()
    answers = []
    for _ in range(6):
        person.open("/me/password")
        answers.append(person.submit("/me/password", current="wrong wrong wrong", password=NEW))
    assert [answer.status for answer in answers] == [422] * 5 + [429]
    assert 800 < int(answers[-1].get("retry-after") or 0) <= 900
    assert answers[0].get("retry-after") is None
    assert person.is_signed_in


def test_with_totp_a_fresh_code_is_asked_for_first(own: Gateway) -> None:
    person = Person(own)
    person.sign_in()
    person.enrol()
    [(proofs,)] = own.write("SELECT proofs FROM sessions")
    stale = [[factor, at - 3_600] for factor, at in json.loads(proofs)]
    own.write("UPDATE sessions SET proofs = :stale", stale=json.dumps(stale, separators=(",", ":")))
    page = person.open("/me/password", follow=False)
    assert page.status == 303
    assert str(page.get("location")).startswith("/login/totp?next=/me/password")


def test_password_managers_find_the_page(own: Gateway) -> None:
    found = own.exchange(get("/.well-known/change-password", *NAVIGATION))
    assert (found.status, found.get("location")) == (302, "/me/password")
    probe = "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200"
    assert own.exchange(get(probe, *NAVIGATION)).status == 404


def test_the_hint_goes_by_the_same_rules_and_keeps_nothing(own: Gateway) -> None:
    def hint(password: str) -> dict[str, object]:
        answer = own.post("/_gateway/password-hint", {"password": password, "email": "erin@acme.example"})
        assert answer.status == 200
        return dict(json.loads(answer.body))

    assert hint(NEW) == {"is_good": True, "hint": ""}
    assert "Too short" in str(hint("short")["hint"])
    assert "email" in str(hint("erin@acme.example")["hint"])
    assert NEW not in own.logged()
    assert own.post("/_gateway/password-hint", {"password": NEW}, origin="https://evil.example").status == 403


# Signing up.


def sign_up(person: Person, **fields: str) -> int:
    person.open("/signup")
    given = {"name": "Nora Field", "email": person.email, "password": NEW, **fields}
    return person.submit("/signup", follow=False, **given).status


def test_a_deep_link_and_the_email_are_carried_through_signing_up(own: Gateway, mailbox: Mailbox) -> None:
    person, elsewhere = Person(own, "deep@acme.example"), Person(own, "deep@acme.example", source="127.0.0.7")
    page = person.open("/timesheets?week=47").body.decode()
    hidden = hidden_fields(page, "/login")
    assert '<button type="submit" form="sign-in" formaction="/signup" formnovalidate name="prefill"' in page
    page = person.send("/signup", {**hidden, "email": person.email, "password": "typed", "prefill": "1"}).body.decode()
    assert f'value="{person.email}"' in page
    fields = {"name": "Deep", "email": person.email, "password": NEW}
    sent = person.submit("/signup", follow=False, **fields)
    assert has_no_email(sent, person.email)
    assert is_on_the_way(person.open(back_on(person.open(str(sent.get("location"))))), person.email)
    link = path_in(mailbox, person.email, "")
    assert "?" not in link
    done = elsewhere.send(link, {"password": NEW})
    assert has_no_email(done, person.email)
    assert is_on_the_way(elsewhere.open(str(done.get("location"))), person.email)


def test_the_email_typed_before_forgetting_the_password_goes_along_and_is_not_used_yet(
    own: Gateway, mailbox: Mailbox
) -> None:
    person = Person(own)
    count = len(mailbox.mails)
    hidden = hidden_fields(person.open("/timesheets?week=47").body.decode(), "/login")
    for email in ("erin@acme.example", "nobody@acme.example", "no email"):
        page = person.send("/forgot-password", {**hidden, "email": email, "password": "typed", "prefill": "1"})
        assert page.status == 200
        assert f'value="{email}"' in page.body.decode()
        assert "typed" not in page.body.decode()
        assert is_on_the_way(person.open(back_on(page)), email)
    assert len(mailbox.mails) == count


def test_a_deep_link_is_kept_through_a_reset_in_another_browser(own: Gateway, mailbox: Mailbox) -> None:
    person, elsewhere = Person(own), Person(own, source="127.0.0.7")
    sent = person.send("/forgot-password", {"email": person.email, "next": "/timesheets?week=47"})
    assert has_no_email(sent, person.email)
    assert is_on_the_way(person.open(back_on(person.open(str(sent.get("location"))))), person.email)
    link = path_in(mailbox, person.email, "Reset your")
    assert "?" not in link
    done = elsewhere.send(link, {"password": NEW})
    assert has_no_email(done, person.email)
    assert is_on_the_way(elsewhere.open(str(done.get("location"))), person.email)


def test_only_a_page_of_this_site_is_kept(own: Gateway, mailbox: Mailbox) -> None:
    person = Person(own)
    targets = ("//evil.example/", "https://evil.example/", "/login", "/\\evil.example", "/a\r\nb")
    for count, target in enumerate(targets, 1):
        sent = person.send("/forgot-password", {"email": person.email, "next": target})
        assert "next=" not in str(sent.get("location"))
        done = person.send(path_in(mailbox, person.email, "Reset your", count), {"password": f"{NEW} {count}"})
        assert done.status == 303
        assert "next=" not in str(done.get("location"))
    assert count == 5


def test_a_target_is_checked_again_when_the_link_is_used(own: Gateway, mailbox: Mailbox) -> None:
    """It may have become an address of ours since: an operator can move pages."""
    person, sealer = Person(own), Sealer([Secret(base64.b64decode(SECRET))])
    ask_for_reset(person)
    link = path_in(mailbox, person.email, "Reset your")
    with database(own) as connection:
        ((link_id,),) = connection.execute("SELECT id FROM mailed_links WHERE purpose = 'reset'")
        content = sealer.seal(b'{"next": "//evil.example/"}', links.place(link_id))
        connection.execute("UPDATE mailed_links SET content = ?", (content,))
    done = person.send(link, {"password": NEW})
    assert has_no_email(done, person.email)
    assert "next=" not in str(done.get("location"))


def test_an_email_that_is_carried_is_sealed_and_works_for_an_hour(own: Gateway) -> None:
    person = Person(own)
    answers = {
        email: str(person.send("/forgot-password", {"email": email}).get("location"))
        for email in ("erin@acme.example", "evan@acme.example")
    }
    assert len({len(location) for location in answers.values()}) == 1  # it tells nothing about who has an account
    location = answers["erin@acme.example"]
    assert "erin@acme.example" in person.open(back_on(person.open(location))).body.decode()
    for changed in (location[:-2], location.replace("for=", "for=A"), "/forgot-password?sent=1&for=" + "A" * 5_000):
        page = person.open(changed)
        assert page.status == 200
        assert back_on(page) == "/login"


def back_on(page: Response) -> str:
    """Return the address of "Back to sign-in"."""
    found = re.search(r'href="(/login[^"]*)">Back to sign-in', page.body.decode())
    assert found, page.body.decode()
    return html.unescape(found[1])


def has_no_email(response: Response, email: str) -> bool:
    location = str(response.get("location"))
    return response.status == 303 and "for=" in location and "@" not in location and quote(email) not in location


def is_on_the_way(page: Response, email: str) -> bool:
    """Whether a sign-in page has the email filled in, and leads to the deep link."""
    text = page.body.decode()
    return f'type="email" value="{email}"' in text and 'name="next" value="/timesheets?week=47"' in text


def test_who_signs_up_confirms_the_email_before_anything_can_be_used(own: Gateway, mailbox: Mailbox) -> None:
    person, scanner = Person(own, "nora@acme.example"), Person(own, source="127.0.0.7")
    assert sign_up(person) == 303
    assert person.give_password(password=NEW).status == 422
    link = path_in(mailbox, person.email, "")
    assert scanner.open(link).status == 200
    assert person.give_password(password=NEW).status == 422
    assert str(person.send(link, {"password": NEW}).get("location")).startswith("/login?confirmed=1&for=")
    assert person.give_password(password=NEW).status == 200
    assert person.is_signed_in
    assert scanner.send(link, {"password": NEW}).status == 410
    with database(own) as connection:
        query = "SELECT tenant, role FROM accounts WHERE identifier = 'nora@acme.example'"
        assert connection.execute(query).fetchone() == ("acme", "employee")


def test_nobody_is_let_in_by_somebody_else_who_presses_a_button(own: Gateway, mailbox: Mailbox) -> None:
    """A stranger signs up with the email of an employee, right after her; the newest mail is the stranger's."""
    theirs = "nine purple anchors in the fog"
    person = Person(own, "nora@acme.example")
    assert sign_up(person) == 303
    mailbox.wait_for(person.email)
    assert sign_up(Person(own, person.email, source="127.0.0.9"), password=theirs) == 303
    link = path_in(mailbox, person.email, "", count=2)
    assert person.send(link, {}).status == 422
    assert person.send(link, {"password": NEW}).status == 422
    assert Person(own, person.email, source="127.0.0.9").give_password(password=theirs).status == 422
    for _ in range(3):
        assert person.send(link, {"password": NEW}).status == 422
    locked = person.send(link, {"password": theirs})
    assert locked.status == 429
    assert 800 < int(locked.get("retry-after") or 0) <= 900
    with database(own) as connection:
        assert connection.execute("SELECT count(*) FROM accounts WHERE identifier LIKE 'nora@%'").fetchone() == (0,)


def test_fifty_confirmations_at_once_make_one_account(own: Gateway, mailbox: Mailbox) -> None:
    person = Person(own, "nora@acme.example")
    assert sign_up(person) == 303
    link = path_in(mailbox, person.email, "")
    with ThreadPoolExecutor(50) as threads:
        done = list(threads.map(lambda _: own.post(link, {"password": NEW}).status, range(50)))
    assert done.count(303) == 1
    assert set(done) <= {303, 410, 429}


def test_signing_up_all_the_time_keeps_nobody_from_signing_in(own: Gateway) -> None:
    """Of one address no more are hashed than would be accepted; a bad password is not counted as one."""
    for n in range(25):
        bad = {"name": "N", "email": f"n{n}@acme.example", "password": "short"}
        assert own.post("/signup", bad, source="127.0.0.11").status == 422
    fields = [{"name": "N", "email": f"n{n}@acme.example", "password": NEW} for n in range(25)]
    done = [own.post("/signup", each, source="127.0.0.11") for each in fields]
    assert [answer.status for answer in done] == [303] * 20 + [429] * 5
    assert all(3_500 < int(answer.get("retry-after") or 0) <= 3_600 for answer in done[20:])


def test_the_mail_about_a_signup_is_in_the_language_of_the_page(own: Gateway, mailbox: Mailbox) -> None:
    person = Person(own, "nadia@acme.example")
    person.headers = ("Accept-Language: fr",)
    sign_up(person)
    assert mailbox.wait_for(person.email)["Content-Language"] == "fr"


def test_a_signup_link_dies_after_a_day(own: Gateway, mailbox: Mailbox) -> None:
    person = Person(own, "nora@acme.example")
    sign_up(person)
    link = path_in(mailbox, person.email, "")
    make_older(own, 86_401)
    assert person.send(link, {}).status == 410
    assert person.give_password(password=NEW).status == 422


def test_an_email_that_has_an_account_is_answered_by_mail_only(own: Gateway, mailbox: Mailbox) -> None:
    known, unknown = Person(own), Person(own, "nora@acme.example")
    answers = []
    for person in (known, unknown):
        person.open("/signup?next=/timesheets%3Fweek%3D47")
        answer = person.submit("/signup", follow=False, name="Nora", email=person.email, password=NEW)
        answers.append((answer.status, unsealed(answer, person.email), answer.body))
    assert answers[0] == answers[1]
    assert "account" in str(mailbox.wait_for(known.email, "already")["Subject"])
    assert "/signup/" not in text_of(mailbox.wait_for(known.email, "already"))
    assert f"{ORIGIN}/login?next=/timesheets%3Fweek%3D47" in text_of(mailbox.wait_for(known.email, "already"))
    assert known.give_password(password=PASSWORD).status == 200


def test_an_email_of_an_owner_is_answered_as_every_other(own: Gateway, mailbox: Mailbox) -> None:
    """Of two owners one has an account. Neither gets one here, and who has none gets no mail."""
    own.reload('owners = ["otto@otium.example"]', 'owners = ["olive@acme.example", "erin@acme.example"]')
    answers = []
    for email in ("olive@acme.example", "erin@acme.example", "nora@acme.example"):
        person = Person(own, email)
        person.open("/signup")
        answer = person.submit("/signup", follow=False, name="Nora", email=email, password=NEW)
        answers.append((answer.status, unsealed(answer, email), sorted(name for name, _ in answer.fields), answer.body))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == 303
    mailbox.wait_for("nora@acme.example")
    assert mailbox.to("olive@acme.example") == []
    with database(own) as connection:
        query = "SELECT recipient FROM outbox WHERE sent_at IS NULL"
        assert ("olive@acme.example",) not in connection.execute(query).fetchall()


@pytest.mark.parametrize("email", ["nora@elsewhere.example", "otto@otium.example", "a@b@acme.example"])
def test_who_may_not_sign_up_is_told_so(own: Gateway, email: str) -> None:
    assert sign_up(Person(own), email=email) == 422


def test_a_name_is_checked_and_shown_as_text(own: Gateway) -> None:
    person = Person(own, "nora@acme.example")
    assert sign_up(person, name="Nora\r\nBcc: x@evil.example") == 422
    assert sign_up(person, name="") == 422
    person.open("/signup")
    page = person.submit("/signup", name="<svg onload=x>", email=person.email, password="short")
    assert "<svg onload" not in page.body.decode()


def test_where_signing_up_is_off_its_address_belongs_to_the_application(gateway: Gateway) -> None:
    assert gateway.exchange(get("/signup", *NAVIGATION)).get("location") == "/login?next=/signup"
    assert "/signup" not in gateway.exchange(get("/login", *NAVIGATION)).body.decode()
