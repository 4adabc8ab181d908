"""Who reads a page: by their choice, their browser, their tenant, or the settings."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.languages.catalogue import OFFERED, Language
from gateway.languages.reader import Readers, accepted_language, current_reader, gettext, translate, written_for
from gateway.model.account import Role
from gateway.model.inbound import Inbound
from gateway.model.sentence import Sentence
from gateway.model.session import Preferences, Session
from tests.login.people import inbound_of

READERS = Readers("fr", "Europe/Paris")
PERSON = Session("s", "a", "erin@acme.example", "Erin", "acme", Role.EMPLOYEE, frozenset(), False, (), 0, 0)
CHOSEN = replace(PERSON, preferences=Preferences("pl", "Asia/Tokyo", "nl"))
TENANT = replace(PERSON, preferences=Preferences("", "", "nl"))


def asking(accepted: bytes | None = None, zone: str = "") -> Inbound:
    lines = [] if accepted is None else [b"Accept-Language: " + accepted]
    return inbound_of()._replace(lines=lines, zone=zone)


@pytest.mark.parametrize(
    ("accepted", "code"),
    [
        (None, ""),
        (b"", ""),
        (b"de", "de"),
        (b"de-AT", "de"),
        (b"DE-ch", "de"),
        (b"pt-BR,pt;q=0.9,en;q=0.8", "pt"),
        (b"sv,fi;q=0.9", ""),
        (b"sv,fi;q=0.9,it;q=0.1", "it"),
        (b"en-US,en;q=0.9,de;q=0.8", "en"),
        (b"de;q=0.5,pl;q=0.7", "pl"),
        (b"de;q=0,pl;q=0", ""),
        (b"de;q=x", ""),
        (b"en-XA", "en-XA"),
        (b"ar-XB", "ar-XB"),
        (b"en-XA,en;q=0.9", "en"),
        (b";;;,,,q=1", ""),
        (b"\xff\xfe", ""),
        (b"de," * 100, ""),
    ],
)
def test_a_browsers_languages_are_read_in_its_order_and_nonsense_is_passed_over(
    accepted: bytes | None, code: str
) -> None:
    assert accepted_language(asking(accepted)) == code


@pytest.mark.parametrize(
    ("session", "accepted", "zone", "language", "place"),
    [
        (CHOSEN, b"de", "Europe/Berlin", "pl", "Asia/Tokyo"),
        (PERSON, b"de", "Europe/Berlin", "de", "Europe/Berlin"),
        (TENANT, b"de", "Europe/Berlin", "de", "Europe/Berlin"),
        (TENANT, b"sv", "", "nl", "Europe/Paris"),
        (PERSON, b"sv", "Europe/Atlantis", "fr", "Europe/Paris"),
        (None, b"es", "America/Lima", "es", "America/Lima"),
        (None, None, "../../etc/passwd", "fr", "Europe/Paris"),
        (replace(PERSON, preferences=Preferences("xx", "Mars/Base", "yy")), None, "", "fr", "Europe/Paris"),
    ],
)
def test_a_choice_comes_before_the_browser_and_that_before_the_tenant_and_the_settings(
    session: Session | None, accepted: bytes | None, zone: str, language: str, place: str
) -> None:
    reader = READERS.of(asking(accepted, zone), session)
    assert (reader.language.code, reader.zone.key) == (language, place)


def test_a_request_that_could_not_be_read_is_answered_as_set() -> None:
    assert READERS.of(None) == READERS.default


def test_every_language_has_its_own_name_and_unknown_ones_are_refused() -> None:
    names = {code: Language.of(code).name for code in OFFERED}
    assert (names["en"], names["pl"]) == ("English", "Polski")
    assert len(set(names.values())) == len(OFFERED)
    with pytest.raises(ValueError, match="xx"):
        Language.of("xx")


def test_a_sentence_is_written_for_its_reader_and_its_fields_stay() -> None:
    sentence = Sentence("line {line} is {state}", line=7, state="long")
    assert translate(sentence) == "line 7 is long"
    with written_for(Readers("en-XA").default):
        assert translate(sentence) != "line 7 is long"
        assert "7" in translate(sentence)
        assert "long" in translate(sentence)
        assert translate(Sentence()) == ""
    assert gettext("Page not found.") == "Page not found."


async def test_two_requests_at_once_are_each_written_for_their_own_reader() -> None:
    async def write(code: str) -> list[str]:
        seen = []
        with written_for(Readers(code).default):
            for _ in range(3):
                await asyncio.sleep(0)
                seen.append(current_reader().language.code)
        return seen

    assert await asyncio.gather(write("de"), write("pl")) == [["de"] * 3, ["pl"] * 3]
    assert current_reader().language.code == "en"
