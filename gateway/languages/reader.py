"""Who reads what is being written: their language and time zone.

A context variable has the reader, because every sentence, date and number of a page needs it, also inside a template's
macros. It is set for each request to a page, for each failure page, and for each mail.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from gateway.languages.catalogue import ENGLISH, OFFERED, Language
from gateway.languages.pseudo import PSEUDO
from gateway.languages.zones import UTC, find_zone
from gateway.model.inbound import Inbound
from gateway.model.sentence import Sentence
from gateway.model.session import Session

MAX_ACCEPT = 200  # bytes of an Accept-Language that is read; browsers send fewer


@dataclass(frozen=True, slots=True)
class Reader:
    language: Language
    zone: ZoneInfo


ENGLISH_IN_UTC = Reader(Language.of(ENGLISH), UTC)
_READER = ContextVar[Reader]("reader")


def current_reader() -> Reader:
    return _READER.get(ENGLISH_IN_UTC)


@contextmanager
def written_for(reader: Reader) -> Iterator[None]:
    """Write for `reader` inside."""
    token = _READER.set(reader)
    try:
        yield
    finally:
        _READER.reset(token)


def gettext(message: str) -> str:
    """Translate a message. One that is the singular of another is found there, as a catalogue has no other entry."""
    messages = current_reader().language.messages
    found = messages.gettext(message)
    return messages.ngettext(message, message, 1) if found is message else found


def ngettext(singular: str, plural: str, count: int) -> str:
    return current_reader().language.messages.ngettext(singular, plural, count)


def pgettext(context: str, message: str) -> str:
    """Translate a message that means something else in another context."""
    return current_reader().language.messages.pgettext(context, message)


def npgettext(context: str, singular: str, plural: str, count: int) -> str:
    return current_reader().language.messages.npgettext(context, singular, plural, count)


def translate(sentence: Sentence) -> str:
    """Return a sentence in the reader's language, with its fields filled in."""
    if not sentence:  # the catalogue has its own header under ""
        return ""
    text = gettext(sentence.text)
    return text.format(**sentence.fields) if sentence.fields else text


class Readers:
    """Finds the reader. `language` and `zone` are those of the settings, for when nothing else says."""

    def __init__(self, language: str = ENGLISH, zone: str = "UTC") -> None:
        self.default = Reader(Language.of(language), find_zone(zone) or UTC)

    def of(self, inbound: Inbound | None, session: Session | None = None) -> Reader:
        """Return the reader of a response.

        The language is the person's choice, or what their browser accepts, or the tenant's. The zone is the person's
        choice, or the browser's.
        """
        accepted = accepted_language(inbound)
        if session is None:
            return self.choose((accepted,), (inbound.zone if inbound else "",))
        languages = session.preferences.language, accepted, session.preferences.tenant_language
        return self.choose(languages, (session.preferences.zone, inbound.zone if inbound else ""))

    def choose(self, languages: tuple[str, ...], zones: tuple[str, ...]) -> Reader:
        """Return the reader with the first of each that there is. "" and unknown names are passed over."""
        language = next((code for code in languages if code in OFFERED or code in PSEUDO), None)
        zone = next(filter(None, map(find_zone, zones)), None)
        return Reader(Language.of(language) if language else self.default.language, zone or self.default.zone)


def accepted_language(inbound: Inbound | None) -> str:
    """Return the offered language that the browser prefers, or ""."""
    value = (inbound.value(b"accept-language") if inbound else None) or b""
    return best_of(value) if len(value) <= MAX_ACCEPT else ""


@lru_cache(maxsize=512)
def best_of(accepted: bytes) -> str:
    """Return the best match of what is on offer. A pseudo-language must be asked for alone, by its exact code."""
    if accepted.decode("latin-1") in PSEUDO:
        return accepted.decode("latin-1")
    found = parse_accept_header(accepted.decode("ascii", "replace"), LanguageAccept)
    return found.best_match(OFFERED) or ""
