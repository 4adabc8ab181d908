"""/me/settings and /admin/settings of a running gateway, and what a choice changes."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pytest

from tests.support.gateway import Gateway, free_port
from tests.support.mail import Mailbox, text_of
from tests.support.person import Person
from tests.support.raw import Response
from tests.support.upstream import RecordingUpstream
from tests.threats.test_networks import ADAM, ERIN, signed_in

OWN, TENANT = "/me/settings", "/admin/settings"
NORA = "crowd0@acme.example"  # who signs in in one test only: mails of another one may come late


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox(free_port()).start()
    yield box
    box.stop()


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder, upstream = tmp_path_factory.mktemp("preferences"), f"127.0.0.1:{recorder.port}"
    running = Gateway(folder, upstream, mail_port=mailbox.port).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]
    assert "Traceback" not in running.logged()


@pytest.fixture(autouse=True)
def nothing_chosen(own: Gateway) -> Iterator[None]:
    yield
    own.write("UPDATE tenants SET language = ''")
    own.write("UPDATE accounts SET language = '', zone = ''")


def lang_of(page: Response) -> str:
    found = re.search(rb'<html lang="([^"]+)"', page.body)
    assert found is not None
    return found[1].decode()


def times_of(page: Response) -> list[str]:
    return re.findall(r"<time[^>]*>([^<]+)</time>", html.unescape(page.body.decode()))


def test_a_page_is_in_the_browsers_language_and_time_zone(own: Gateway) -> None:
    erin = signed_in(own)
    assert lang_of(erin.open(OWN)) == "en"
    erin.headers = ("Accept-Language: de-AT,de;q=0.9",)
    erin.cookies["__Host-otium_zone"] = "Asia/Tokyo"
    page = erin.open("/me/security")
    assert lang_of(page) == "de"
    assert "Asia/Tokyo" in page.body.decode()
    in_tokyo = times_of(page)
    erin.cookies["__Host-otium_zone"] = "UTC"
    in_utc = times_of(erin.open("/me/security"))
    assert len(in_tokyo) == len(in_utc) > 0
    assert all(there != here for there, here in zip(in_tokyo, in_utc, strict=True))


def test_a_choice_comes_first_and_applies_to_failures_as_well(own: Gateway) -> None:
    erin = signed_in(own)
    erin.headers = ("Accept-Language: de",)
    assert lang_of(erin.open("/admin/audit")) == "de"
    erin.open(OWN)
    saved = erin.submit(OWN, language="pl", zone="America/Lima")
    assert (saved.status, lang_of(saved)) == (200, "pl")
    assert '<option value="pl" lang="pl" selected>' in saved.body.decode()
    assert '<option value="America/Lima" selected>' in saved.body.decode()
    refused = erin.open("/admin/audit")
    assert (refused.status, lang_of(refused)) == (403, "pl")
    erin.open(OWN)
    assert lang_of(erin.submit(OWN, language="", zone="")) == "de"
    assert own.write(f"SELECT language, zone FROM accounts WHERE identifier = '{ERIN}'") == [("", "")]


@pytest.mark.parametrize("zone", ["Mars/Base", "../../etc/passwd", "x" * 5_000, "%00", '"><script>'])
def test_a_zone_that_is_none_changes_nothing(own: Gateway, zone: str) -> None:
    erin = signed_in(own)
    erin.cookies["__Host-otium_zone"] = zone
    page = erin.open("/me/security")
    assert page.status == 200
    assert "Times are in the time zone UTC" in html.unescape(page.body.decode())


def test_the_application_never_sees_the_zone(own: Gateway, recorder: RecordingUpstream) -> None:
    erin = signed_in(own)
    erin.cookies |= {"__Host-otium_zone": "Asia/Tokyo", "theme": "dark"}
    recorder.reset()
    assert erin.open("/probe").status == 200
    (request,) = recorder.requests
    assert b"theme=dark" in request.head
    assert b"Tokyo" not in request.head


def test_mails_are_in_the_language_of_a_known_browser_and_not_of_a_thiefs(own: Gateway, mailbox: Mailbox) -> None:
    nora = Person(own, NORA, browser="User-Agent: Mozilla/5.0 (X11; Linux x86_64) Firefox/99.0")
    nora.headers = ("Accept-Language: it",)
    nora.cookies["__Host-otium_zone"] = "Asia/Tokyo"
    nora.give_password()
    mail = mailbox.wait_for(NORA)
    assert mail["Content-Language"] == "it"
    assert "JST" in text_of(mail)
    thief = Person(own, NORA, browser="User-Agent: Mozilla/5.0 (X11; Linux x86_64) Chrome/99.0")
    thief.headers = ("Accept-Language: pl",)
    thief.give_password()
    assert mailbox.wait_for(NORA, count=2)["Content-Language"] == "it"


def test_an_administrator_sets_the_tenants_language(own: Gateway) -> None:
    erin, adam = signed_in(own), signed_in(own, ADAM)
    assert erin.open(TENANT).status == 403
    adam.open(TENANT)
    assert '<option value="nl" lang="nl" selected>' in adam.submit(TENANT, language="nl").body.decode()
    assert lang_of(erin.open(OWN)) == "nl"
    erin.headers = ("Accept-Language: sv, pl;q=0.5",)
    assert lang_of(erin.open(OWN)) == "pl"
    assert own.write("SELECT slug, language FROM tenants WHERE language <> ''") == [("acme", "nl")]
