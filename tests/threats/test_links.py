"""The mailed link and the page that waits for it, whatever has become of either."""

from __future__ import annotations

import re
import sqlite3

import pytest

from tests.support.gateway import PEOPLE, Gateway
from tests.support.mail import Mailbox
from tests.support.owner import LINK_MAIL, enrol_owner, mailed_link, owner_before_link
from tests.support.person import Person, code_of, hidden_fields, key_on, wrong_code


def age(own: Gateway, table: str, column: str, seconds: int) -> None:
    with sqlite3.connect(own.store_url.removeprefix("sqlite:///")) as connection:
        connection.execute(f"UPDATE {table} SET {column} = {column} - ?", (seconds,))


def make_owner(own: Gateway, person: Person) -> None:
    """Put somebody who is signed in on the list of owners."""
    own.reload("owners = [", f'owners = ["{person.email}", ')


def heading(page: str) -> str:
    found = re.search(r"<h1>\s*(.*?)\s*</h1>", page, re.DOTALL)
    assert found
    return found[1]


def next_steps(page: str) -> int:
    main = page.partition("<main")[2].partition("</main>")[0]
    return len(re.findall(r'<button type="submit"|<a class="button', main))


def test_each_state_of_a_link_has_a_page_of_its_own_with_one_next_step(own: Gateway, mailbox: Mailbox) -> None:
    owner, link, _ = owner_before_link(own, mailbox)
    pages = {"good": owner.open(link)}
    stranger = Person(own, "owner", source="127.0.0.9")
    elsewhere = stranger.open(link).body.decode()
    age(own, "magic_links", "created_at", 601)
    pages["expired"] = owner.open(link)
    owner.open("/login/link?next=/platform")
    owner.submit("/login/link", resend="1")
    newer = mailed_link(mailbox, owner.email, 3)
    pages["superseded"] = owner.open(link)
    owner.send(newer, {})
    assert owner.is_signed_in
    pages["used"] = owner.open(newer)
    pages["unknown"] = owner.open(f"/login/link/{'a' * 43}")
    assert {name: page.status for name, page in pages.items()} == {
        "good": 200, "expired": 410, "superseded": 410, "used": 410, "unknown": 404,
    }  # fmt: skip
    headings = [heading(page.body.decode()) for page in pages.values()] + [heading(elsewhere)]
    assert len(set(headings)) == len(headings)
    assert [next_steps(page.body.decode()) for page in pages.values()] == [1] * len(pages)
    assert next_steps(elsewhere) == 0  # its next step is in the other browser


@pytest.mark.parametrize("way", ["too late", "given up"])
def test_a_link_whose_sign_in_is_over_shows_no_code_that_nobody_waits_for(
    own: Gateway, mailbox: Mailbox, way: str
) -> None:
    owner, link, _ = owner_before_link(own, mailbox)
    if way == "too late":
        age(own, "attempts", "started_at", 901)
    else:
        owner.open("/login/link?next=/platform")
        owner.submit("/login", **{"start-over": "1"})
    for who in (owner, Person(own, "owner", source="127.0.0.9")):
        page = who.open(link)
        assert page.status == 410
        assert 'id="code"' not in page.body.decode()
        assert "This sign-in has expired" in heading(page.body.decode())
    assert owner.send(link, {}).status == 410
    assert not owner.is_signed_in


def test_a_session_that_needs_the_link_is_asked_before_anything_is_mailed(own: Gateway, mailbox: Mailbox) -> None:
    person = Person(own, "manager")
    person.sign_in()
    make_owner(own, person)
    page = person.open("/probe").body.decode()
    assert "Send link" in page
    assert "Open it in this browser" not in page
    assert mailbox.to(person.email, LINK_MAIL) == []
    sent = person.submit("/login/link", resend="1").body.decode()
    assert "Open it in this browser" in sent
    mailed_link(mailbox, person.email)


def test_the_page_that_waits_in_a_session_goes_on_once_the_link_was_used(own: Gateway, mailbox: Mailbox) -> None:
    person = Person(own, "manager")
    person.sign_in()
    make_owner(own, person)
    person.open("/probe")
    waiting = person.submit("/login/link", resend="1").body.decode()
    asking = "/login/link?" + "&".join(
        f"{name}={value}" for name, value in hidden_fields(waiting, "/login/link").items()
    )
    assert person.open(asking, follow=False).status == 200
    person.send(mailed_link(mailbox, person.email), {})
    done = person.open(asking, follow=False)
    assert (done.status, done.get("location")) == (303, "/probe")


def test_an_expired_link_is_not_waited_for_any_more(own: Gateway, mailbox: Mailbox) -> None:
    owner, _, _ = owner_before_link(own, mailbox)
    age(own, "magic_links", "created_at", 601)
    assert "Send link" in owner.open("/login/link?next=/platform").body.decode()


def test_asking_for_a_new_link_is_said_and_limited_and_resets_no_count(own: Gateway, mailbox: Mailbox) -> None:
    owner, _, _ = owner_before_link(own, mailbox)
    for _ in range(3):
        assert owner.send("/login/link", {"code": "AAAA-AAAA", "next": "/"}).status == 422
    owner.open("/login/link?next=/platform")
    assert "sent a new link" in owner.submit("/login/link", resend="1").body.decode()
    for _ in range(2):
        assert owner.send("/login/link", {"code": "AAAA-AAAA", "next": "/"}).status == 422
    locked = owner.send("/login/link", {"code": "AAAA-AAAA", "next": "/"})
    assert locked.status == 429
    assert int(locked.get("retry-after") or 0) > 0
    answers = [owner.send("/login/link", {"resend": "1", "next": "/"}).get("location") for _ in range(6)]
    assert answers[-1] == "/login/link?next=/&mail=many"
    sent = len(mailbox.to(owner.email, LINK_MAIL))
    assert sent <= 6
    owner.send("/login/link", {"resend": "1", "next": "/"})
    assert len(mailbox.to(owner.email, LINK_MAIL)) == sent


def test_the_shell_makes_the_link_for_who_has_come_furthest(own: Gateway, mailbox: Mailbox) -> None:
    """Somebody who knows the password only can begin ever new attempts, and must not get in the owner's way."""
    owner, _, _ = owner_before_link(own, mailbox)
    age(own, "attempts", "started_at", 5)
    guesser = Person(own, "owner", source="127.0.0.8")
    guesser.give_password("/platform")
    made = own.cli("account", "unlock", "--email", PEOPLE["owner"][0], "--one-time-link", "--confirm")
    link = re.findall(r"https://[^/]+(/\S+)", made.stdout)[0]
    assert "Enter this code" in guesser.open(link).body.decode()
    owner.send(link, {})
    assert owner.is_signed_in


def test_every_refused_link_and_set_up_is_written_down_like_a_refused_code(own: Gateway, mailbox: Mailbox) -> None:
    owner, link, _ = owner_before_link(own, mailbox)
    age(own, "magic_links", "created_at", 601)
    owner.send(link, {})
    person = Person(own)
    person.sign_in()
    key = key_on(person.open("/me/security/totp"))
    assert person.submit("/me/security/totp", code=wrong_code(key)).status == 422
    with sqlite3.connect(own.store_url.removeprefix("sqlite:///")) as connection:
        rows = connection.execute("SELECT details FROM audit WHERE event = 'login_2fa_failed' ORDER BY id").fetchall()
    assert rows == [
        ('{"factor": "magic_link", "reason": "expired"}',),
        ('{"factor": "totp", "reason": "wrong"}',),
    ]


def test_an_owner_goes_on_with_a_code_of_paper_and_the_link(own: Gateway, mailbox: Mailbox) -> None:
    _, _, codes = enrol_owner(own, mailbox)
    owner = Person(own, "owner", source="127.0.0.3")
    owner.give_password("/platform")
    owner.open("/login/backup?next=/platform")
    owner.submit("/login/backup", code=codes[0])
    assert not owner.is_signed_in
    owner.send(mailed_link(mailbox, owner.email, 2), {})
    assert owner.is_signed_in


def test_a_code_of_this_very_step_is_taken_once_and_the_link_waits_for_it(own: Gateway, mailbox: Mailbox) -> None:
    _, key, _ = enrol_owner(own, mailbox)
    owner = Person(own, "owner", source="127.0.0.3")
    owner.give_password("/platform")
    code = code_of(own, owner.email, key)
    owner.submit("/login/totp", code=code)
    assert owner.send("/login/totp", {"code": code, "next": "/platform"}).status == 422
    assert not owner.is_signed_in
