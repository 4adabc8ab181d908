"""Every language has every text, with the same placeholders and tags, and every plural form.

`make messages` brings new texts into the catalogues; each is to be translated (docs/translating.md).
"""

from __future__ import annotations

import gettext
import io
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from gateway.app.nouns import MAILS
from gateway.languages.catalogue import DOMAIN, ENGLISH, LOCALES, OFFERED, Language
from gateway.languages.reader import Reader
from gateway.languages.zones import UTC
from tests.mail.conftest import make_composer

TRANSLATED = [code for code in OFFERED if code != ENGLISH]
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\w*\}|%%")
TAG = re.compile(r"</?[a-z0-9]+(?: [^<>]*)?>")
COUNTS = (0, 1, 2, 3, 5, 11, 12, 21, 22, 25, 101, 1_000_000)


@cache
def catalogue(code: str) -> Catalog:
    with Path(LOCALES, code, "LC_MESSAGES", f"{DOMAIN}.po").open("rb") as file:
        return read_po(file)


@cache
def template() -> Catalog:
    with Path(LOCALES, f"{DOMAIN}.pot").open("rb") as file:
        return read_po(file)


def keys_of(found: Catalog) -> set[tuple[str | None, object]]:
    return {(message.context, message.id) for message in found if message.id}


def texts_of(code: str) -> list[tuple[Message, tuple[str, ...], tuple[str, ...]]]:
    """Return each message with its English texts and its translations: one of each, or the plural forms."""
    return [
        (message, one_or_more(message.id), one_or_more(message.string)) for message in catalogue(code) if message.id
    ]


def one_or_more(texts: object) -> tuple[str, ...]:
    return tuple(texts) if isinstance(texts, tuple | list) else (str(texts),)


@pytest.mark.parametrize("code", TRANSLATED)
def test_a_catalogue_has_exactly_the_texts_there_are(code: str) -> None:
    assert sorted(map(str, keys_of(template()) ^ keys_of(catalogue(code)))) == []


@pytest.mark.parametrize("code", TRANSLATED)
def test_every_text_is_translated_and_none_is_a_guess(code: str) -> None:
    assert [message.id for message, _, translations in texts_of(code) if not all(translations) or message.fuzzy] == []


@pytest.mark.parametrize("code", TRANSLATED)
def test_placeholders_and_tags_are_those_of_the_english_text(code: str) -> None:
    def is_wrong(english: tuple[str, ...], translation: str, *, is_plural: bool) -> bool:
        wanted, found = set(PLACEHOLDER.findall(english[-1])), set(PLACEHOLDER.findall(translation))
        if is_plural:  # "one device" may leave the number out
            return not found <= wanted or len(wanted - found) > 1 or tags(english[-1]) != tags(translation)
        return found != wanted or tags(english[0]) != tags(translation)

    def tags(text: str) -> Counter[str]:
        return Counter(TAG.findall(text))

    wrong = [
        (translation, english)
        for _, english, translations in texts_of(code)
        for translation in translations
        if is_wrong(english, translation, is_plural=len(english) > 1)
    ]
    assert wrong == []


@pytest.mark.parametrize("code", TRANSLATED)
def test_a_text_begins_and_ends_as_the_english_one_does(code: str) -> None:
    """Spaces stay; a sentence ends as one."""
    wrong = [
        (english[0], translation)
        for _, english, translations in texts_of(code)
        for translation in translations
        if edges(english[0]) != edges(translation)
    ]
    assert wrong == []


def edges(text: str) -> tuple[bool, bool]:
    return text[:1].isspace(), text[-1:].isspace()


@pytest.mark.parametrize("code", TRANSLATED)
def test_a_catalogue_compiles_and_has_a_form_for_every_number(code: str) -> None:
    compiled = io.BytesIO()
    write_mo(compiled, catalogue(code))
    messages = gettext.GNUTranslations(io.BytesIO(compiled.getvalue()))
    plurals = [english for _, english, _ in texts_of(code) if len(english) > 1]
    assert len(plurals) > 30
    for english in plurals:
        forms = {messages.ngettext(english[0], english[1], count) for count in COUNTS}
        assert all(forms), english
        assert len(forms) <= catalogue(code).num_plurals


@pytest.mark.parametrize("code", OFFERED)
@pytest.mark.parametrize("name", MAILS)
def test_every_mail_is_whole_in_every_language(code: str, name: str) -> None:
    reader = Reader(Language.of(code), UTC)
    mail = make_composer().compose(
        name, "erin@acme.example", reader, message_id="<a@b>", now=1_800_000_000, **MAILS[name]
    )
    parts = [str(part.get_content()) for part in mail.walk() if not part.is_multipart()]
    assert len(parts) == 2
    for text in (str(mail["Subject"]), *parts):
        assert text.strip()
        assert not re.search(r"%\(\w+\)|\{\w+\}|\{%|None\b", text)
    assert f'<html lang="{code}"' in parts[1]
    assert mail["Content-Language"] == code
