"""Where lines of pages end."""

from __future__ import annotations

import pytest

from gateway.languages.catalogue import OFFERED, Language
from gateway.languages.line_breaks import breakable, keep_together
from gateway.languages.reader import Reader, written_for
from gateway.languages.zones import UTC
from gateway.web.templates import mail_environment, page_environment

HELD = "e-\N{WORD JOINER}mail"
TEMPLATE = "{% trans %}Change email{% endtrans %} {{ _('Change email') }} {{ 'Change email'|upper }}"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Nowy adres e-mail", f"Nowy adres {HELD}"),
        ("E-Mail-Adresse", "E-\N{WORD JOINER}Mail-Adresse"),
        ("e-mailem i e-maile", f"{HELD}em i {HELD}e"),
        ("the-mail, re-mail, e-mil", "the-mail, re-mail, e-mil"),
    ],
)
def test_no_line_ends_within_the_word_e_mail(text: str, kept: str) -> None:
    assert keep_together(text) == kept


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("kim@acme.example", "kim<wbr>@acme<wbr>.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("https://sso.example/a/v2.0", "https://sso<wbr>.example<wbr>/a<wbr>/v2.0"),
        ("<b>@acme.example", "&lt;b&gt;<wbr>@acme<wbr>.example"),
    ],
)
def test_an_address_breaks_at_its_at_sign_dots_and_slashes(text: str, broken: str) -> None:
    assert breakable(text) == broken


def test_the_texts_of_pages_have_such_words_and_those_of_mails_are_plain() -> None:
    assert "pl" in OFFERED
    with written_for(Reader(Language.of("pl"), UTC)):
        page, mail = (made().from_string(TEMPLATE).render() for made in (page_environment, mail_environment))
    assert page == f"Zmień {HELD} Zmień {HELD} CHANGE EMAIL"
    assert mail == "Zmień e-mail Zmień e-mail CHANGE EMAIL"
