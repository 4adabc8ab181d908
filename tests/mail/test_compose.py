"""What mails say and look like, and what nobody can make them say."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from jinja2 import UndefinedError

from gateway.app.factors import FACTORS as FACTOR_FOLDERS
from gateway.app.nouns import MAILS
from gateway.factors.contract import Folder
from gateway.languages.reader import ENGLISH_IN_UTC
from gateway.mail.compose import Composer, one_line
from gateway.settings.places import FACTORS, TEMPLATES
from tests.mail.conftest import make_composer

NOW = 1_800_000_000
SVG = "<svg onload=alert(1)>"
LOADING = {"src", "srcset", "background", "poster", "data", "action"}
LINKS = {"link", "security_link", "revoke_link", "sessions_link", "undo_link"}
FRAMES = {"layout", "notice", "parts"}


def compose(
    composer: Composer, name: str, recipient: str = "erin@acme.example", /, **changes: str | int
) -> EmailMessage:
    """Return the mail as it is read by whoever gets it."""
    context = {**MAILS[name], **changes}
    message = composer.compose(
        name, recipient, ENGLISH_IN_UTC, message_id="<mail_1@app.example.com>", now=NOW, **context
    )
    return message_from_bytes(message.as_bytes(), _class=EmailMessage, policy=policy.default)


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert isinstance(found, EmailMessage)
    return str(found.get_content())


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


every_mail = pytest.mark.parametrize("name", MAILS)


def test_there_is_a_sample_of_every_mail_in_text_and_html() -> None:
    folders = [TEMPLATES / "mail", *FACTORS.glob("*/mail")]
    for ending in ("txt", "html"):
        found = [path.stem for folder in folders for path in folder.glob(f"*.{ending}")]
        assert sorted(name for name in found if name not in FRAMES) == sorted(MAILS)


@pytest.mark.parametrize("factor", FACTOR_FOLDERS, ids=lambda factor: factor.kind.name)
def test_the_mails_of_a_factor_are_in_its_folder_and_are_its_samples(factor: Folder[Any]) -> None:
    folder = FACTORS / factor.kind.name / "mail"
    assert {path.stem for path in folder.glob("*.txt")} == set(factor.mails)


@every_mail
def test_a_mail_has_the_headers_of_a_machine_and_two_equal_parts(composer: Composer, name: str) -> None:
    message = compose(composer, name)
    assert message["From"] == "OtiumWork <no-reply@otium.example>"
    assert message["To"] == "erin@acme.example"
    assert message["Date"] == "Fri, 15 Jan 2027 08:00:00 +0000"
    assert message["Message-ID"] == "<mail_1@app.example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["MIME-Version"] == "1.0"
    assert message.get_content_type() == "multipart/alternative"
    kinds = [(each.get_content_type(), each.get_content_charset()) for each in message.iter_parts()]
    assert kinds == [("text/plain", "utf-8"), ("text/html", "utf-8")]


@every_mail
def test_a_mail_says_the_same_in_text_and_in_html(composer: Composer, name: str) -> None:
    message = compose(composer, name)
    text, html = part(message, "plain"), part(message, "html")
    shown = " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL).split())
    for line in text.splitlines():
        if line and line != "--" and not line.startswith("OtiumWork: "):
            assert " ".join(line.split()) in unescape(shown), line
    assert text.strip().splitlines()[0] in ("Hello Erin Zoë,", "Hello,")
    assert "\n\n\n" not in text


@every_mail
def test_a_mail_names_product_support_and_why_it_comes(composer: Composer, name: str) -> None:
    message = compose(composer, name)
    for kind in ("plain", "html"):
        content = part(message, kind)
        assert "You received this email because" in content
        assert "help@otium.example" in content
        assert "OtiumWork" in content


@every_mail
def test_every_link_stands_in_the_text_and_readably_in_the_html(composer: Composer, name: str) -> None:
    message = compose(composer, name)
    for key in LINKS & set(MAILS[name]):
        link = str(MAILS[name][key])
        if key == "security_link" or name in ("sign_in_link", "new_device", "new_network"):
            assert link in part(message, "plain")
            assert f">{link}</a>" in part(message, "html")


@every_mail
def test_nothing_is_loaded_when_a_mail_is_opened(composer: Composer, name: str) -> None:
    html = part(compose(composer, name), "html")
    tags = Tags(html).found
    assert not {tag for tag, _ in tags} & {"img", "link", "script", "iframe", "object", "embed", "form", "base", "svg"}
    assert not [key for _, attributes in tags for key in attributes if key in LOADING or key.startswith("on")]
    assert not re.search(r"url\(|@import|@font-face", html)


@every_mail
def test_a_mail_is_made_for_light_and_dark(composer: Composer, name: str) -> None:
    html = part(compose(composer, name), "html")
    assert ("meta", {"name": "color-scheme", "content": "light dark"}) in Tags(html).found
    assert "@media (prefers-color-scheme: dark)" in html


@every_mail
def test_no_context_becomes_markup(composer: Composer, name: str) -> None:
    texts = {key: SVG for key, value in MAILS[name].items() if isinstance(value, str)}
    html = part(compose(composer, name, **texts), "html")
    assert "<svg" not in html
    if "device" in texts and name not in ("totp_reset",):
        assert "&lt;svg onload=alert(1)&gt;" in html


@every_mail
def test_no_context_becomes_a_header_or_a_line_of_its_own(composer: Composer, name: str) -> None:
    forged = "x\r\nBcc: evil@evil.example\r\n\r\nForged\u2028line\x00\x1b[2J\u202eend"
    texts = {key: forged for key, value in MAILS[name].items() if isinstance(value, str)}
    message = compose(composer, name, **texts)
    assert set(message) == set(compose(composer, name))
    assert "Bcc" not in message
    text = part(message, "plain")
    assert not [line for line in text.splitlines() if line.startswith(("Bcc", "Forged", "line"))]
    assert not set(text) & set("\x00\x1b\u202e\u2028")


@pytest.mark.parametrize(
    "recipient",
    [
        "a@acme.example\r\nBcc: b@evil.example",
        "a@acme.example\nX: y",
        "a@acme.example, b@evil.example",
        "a@acme.example,b",
        "Ann <a@acme.example>",
        "a@b@acme.example",
        "a b@acme.example",
        "a@",
        "@acme.example",
        "",
        "a@acme.example\x00",
    ],
)
def test_a_recipient_is_one_plain_address_and_nothing_else(composer: Composer, recipient: str) -> None:
    with pytest.raises(ValueError, match="one plain address"):
        compose(composer, "test", recipient)


def test_a_message_id_with_a_line_break_is_refused(composer: Composer) -> None:
    with pytest.raises(ValueError, match="linefeed"):
        composer.compose("test", "a@acme.example", ENGLISH_IN_UTC, message_id="<a@b>\r\nBcc: x@evil.example", now=NOW)


def test_the_device_stands_in_the_subject(composer: Composer) -> None:
    assert compose(composer, "new_device")["Subject"] == "New sign-in to your account from Chrome on Windows"
    assert compose(composer, "new_device", device=SVG)["Subject"] == f"New sign-in to your account from {SVG}"
    assert len(compose(composer, "new_device", device="x" * 9999)["Subject"]) == 150
    assert (
        compose(composer, "new_device", device="Zoë’s 電話")["Subject"] == "New sign-in to your account from Zoë’s 電話"
    )


@pytest.mark.parametrize(("count", "said"), [(1, "1 device was"), (2, "2 devices were")])
def test_numbers_are_said_in_words_that_fit(composer: Composer, count: int, said: str) -> None:
    assert said in part(compose(composer, "sessions_revoked", count=count), "plain")


def test_the_last_backup_codes_come_with_advice(composer: Composer) -> None:
    assert "Create new ones" in part(compose(composer, "backup_code_used", left=2), "plain")
    assert "Create new ones" not in part(compose(composer, "backup_code_used", left=3), "plain")


def test_a_reset_names_who_did_it_and_not_from_where(composer: Composer) -> None:
    text = part(compose(composer, "totp_reset"), "plain")
    assert "Adam Admin" in text
    assert "203.0.113.7" not in text


def test_a_mail_that_lacks_something_is_a_mistake(composer: Composer) -> None:
    with pytest.raises(UndefinedError):
        composer.compose("new_device", "a@acme.example", ENGLISH_IN_UTC, message_id="<a@b>", now=NOW, device="x")


def test_without_a_support_address_none_is_named() -> None:
    message = compose(make_composer(support=""), "test")
    assert "Need help" not in part(message, "plain")
    assert "mailto:" not in part(message, "html")


def test_support_may_be_a_page() -> None:
    html = part(compose(make_composer(support="https://help.example"), "test"), "html")
    assert 'href="https://help.example"' in html


@pytest.mark.parametrize(
    ("public_url", "message_id"),
    [
        ("https://app.example.com", "<mail_1@app.example.com>"),
        ("http://localhost:8000", "<mail_1@localhost>"),
        ("https://[2001:db8::1]:8443", "<mail_1@[2001:db8::1]>"),
    ],
)
def test_a_message_id_ends_with_the_host_of_the_site(public_url: str, message_id: str) -> None:
    assert make_composer(public_url=public_url).message_id("mail_1") == message_id


def test_names_keep_what_their_script_needs() -> None:
    assert one_line(" علی\u200cرضا \n👩\u200d💻 ") == "علی\u200cرضا 👩\u200d💻"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("totp_reset", "Your authenticator app, passkeys and backup codes no longer work"),
        ("backup_code_used", "A backup code was used to sign in to your account, instead of your usual second step"),
        ("totp_disabled", "The authenticator app was turned off"),
    ],
)
def test_mails_about_the_second_step_fit_an_authenticator_app_and_a_passkey(name: str, words: str) -> None:
    """Who has a passkey beside it, or instead, must not read that all of it is off, or about a phone."""
    message = compose(make_composer(), name)
    for kind in ("plain", "html"):
        assert words in " ".join(part(message, kind).split())
        assert "phone" not in part(message, kind).replace("iPhone", "")
