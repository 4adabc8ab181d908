"""What is secret stands in no log, no audit row, no list of the shell and not in the clear in the database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest

from tests.support.gateway import COOKIE, PASSWORD, SECRET, Gateway, free_port
from tests.support.mail import Mailbox, links_in
from tests.support.owner import mailed_link, owner_before_link
from tests.support.person import Person, code_of
from tests.support.upstream import RecordingUpstream
from tests.threats.test_factors import ATTEMPT, change
from tests.threats.test_kept_forms import FIELDS, press


@pytest.fixture
def own(recorder: RecordingUpstream, tmp_path: Path) -> Iterator[tuple[Gateway, Mailbox]]:
    """A gateway with its mailbox."""
    mailbox = Mailbox(free_port()).start()
    gateway = Gateway(tmp_path, f"127.0.0.1:{recorder.port}", mail_port=mailbox.port).seed().start()
    yield gateway, mailbox
    assert gateway.stop() == 0, gateway.logged()[-3000:]
    mailbox.stop()


def live_through_everything(own: Gateway, mailbox: Mailbox) -> dict[str, str]:
    """Use every secret there is, rightly and wrongly; return what was secret in it."""
    owner, first_link, owner_key = owner_before_link(own, mailbox)
    owner.open("/login/link?next=/platform")
    owner.submit("/login/link", resend="1")
    link = mailed_link(mailbox, owner.email, 3)
    attempt = owner.cookies[ATTEMPT]
    shown = re.search(r'id="code">([A-Z2-9-]+)<', Person(own, source="127.0.0.9").open(link).body.decode())
    assert shown
    owner.open(first_link)
    owner.send(first_link, {})
    owner.send("/login/link", {"code": "WRNG-CDE7", "next": "/"})
    owner.send("/login/link", {"code": shown[1], "next": "/platform"})
    assert owner.is_signed_in

    person = Person(own)
    person.give_password(password="nearly the right one")
    person.sign_in()
    before = person.cookies[COOKIE]
    key, codes = person.enrol()
    other = Person(own, source="127.0.0.5")
    other.give_password()
    used = code_of(own, person.email, key)
    other.send("/login/totp", {"code": "918273", "next": "/"})
    other.send("/login/totp", {"code": used, "next": "/"})
    assert other.is_signed_in
    third = Person(own, source="127.0.0.6")
    third.give_password()
    third.send("/login/backup", {"code": "WRNGG-CDDE7", "next": "/"})
    third.send("/login/backup", {"code": codes[0], "next": "/"})
    assert third.is_signed_in
    told = links_in(mailbox.wait_for(person.email, "New sign-in"))
    device = next(link for link in told if "/devices/revoke/" in link)

    change(own, "UPDATE sessions SET seen_at = seen_at - 7 * 86400 - 60")  # idle, since a minute
    form = press(person).get("location") or ""
    assert form.startswith("/login/form/")
    return {
        "password": PASSWORD, "a wrong password": "nearly the right one", "the owner's TOTP key": owner_key,
        "a TOTP key": key, "a TOTP code": used, "a wrong TOTP code": "918273", "a link": link.rpartition("/")[2],
        "an older link": first_link.rpartition("/")[2], "a mailed code": shown[1], "a wrong mailed code": "WRNG-CDE7",
        "a wrong backup code": "WRNGG-CDDE7", "an attempt's cookie": attempt, "an owner's cookie": owner.cookies[COOKIE],
        "a cookie": person.cookies[COOKIE], "an older cookie": before, "a device's link": device.rpartition("/")[2],
        "a kept form's link": form.rpartition("/")[2], "a kept form": FIELDS["project"], "a field of it": FIELDS["password"],
        "the gateway's secret": SECRET, **{f"backup code {n}": code for n, code in enumerate(codes)},
    }  # fmt: skip


def spellings(secret: str) -> set[bytes]:
    """Return the ways in which a secret could stand somewhere: as typed, without dashes, as bytes."""
    found = {secret.encode(), secret.replace("-", "").encode(), secret.replace(" ", "+").encode()}
    if re.fullmatch(r"[A-Z2-7]{32}", secret):
        found.add(pyotp.TOTP(secret).byte_secret())
    return found


def test_no_secret_is_in_the_logs_the_audit_log_or_the_database(own: tuple[Gateway, Mailbox]) -> None:
    gateway, mailbox = own
    secrets = live_through_everything(gateway, mailbox)
    database = Path(gateway.store_url.removeprefix("sqlite:///"))
    places = {
        "the log": gateway.logged().encode(),
        "the audit log": gateway.cli("audit", "list", "--limit", "1000", "--json").stdout.encode(),
        "the list of sessions": gateway.cli("session", "list", "--json").stdout.encode(),
        "the list of accounts": gateway.cli("account", "list", "--json").stdout.encode(),
        **{file.name: file.read_bytes() for file in database.parent.iterdir() if file.name.startswith(database.name)},
    }
    assert len(places) > 5
    assert len(places["the log"]) > 5_000
    assert len(places["the audit log"]) > 5_000
    found = {
        (name, place)
        for name, secret in secrets.items()
        for place, content in places.items()
        if any(spelling in content for spelling in spellings(secret))
    }
    # A code of six digits may stand somewhere by chance, as a part of a longer number or as the microseconds of a time.
    assert {(name, place) for name, place in found if "TOTP code" not in name} == set()
    for name in ("a TOTP code", "a wrong TOTP code"):
        pattern = re.compile(rb"(?<![0-9a-f.])" + secrets[name].encode() + rb"(?![0-9a-f])")
        for place in ("the log", "the audit log"):
            assert not pattern.search(places[place]), (name, place)
