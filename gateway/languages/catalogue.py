"""The languages of pages and mails, with their message catalogues.

A catalogue is `locale/CODE/LC_MESSAGES/otium_gateway.mo`, compiled from the `.po` file beside it when the package is
built. All are loaded before `serve` forks its workers. English needs none: its texts are the keys.
"""

from __future__ import annotations

import gettext
from functools import cache, cached_property
from pathlib import Path

from babel import Locale, core, localedata

from gateway.languages.pseudo import PSEUDO, Pseudo

LOCALES = Path(__file__).parent.parent / "locale"
DOMAIN = "otium_gateway"
ENGLISH = "en"
# The code of each language, as browsers send it, with the locale of its dates and numbers.
LOCALE_OF = {
    ENGLISH: "en_GB",
    "de": "de",
    "es": "es",
    "fr": "fr",
    "it": "it",
    "nl": "nl",
    "pl": "pl",
    "pt": "pt_PT",
}
OFFERED = tuple(LOCALE_OF)


# Of Babel's locales, what no page or mail shows: the names of currencies, countries, scripts and zones. It is most of
# their memory, in which every worker would have a share. Of the units, only those of time are shown.
UNUSED = {
    "currency_formats", "currency_names", "currency_names_plural", "currency_symbols", "currency_unit_patterns",
    "compact_currency_formats", "compact_decimal_formats", "compound_unit_patterns", "interval_formats", "languages",
    "measurement_systems", "meta_zones", "scripts", "territories", "time_zones", "unit_display_names",
    "variants", "zone_formats",
}  # fmt: skip


def load_all() -> None:
    """Load the catalogue of each language, and how it writes dates.

    To load one takes some milliseconds. A worker that did so for its first mail in a language would answer later, if a
    stranger asks for a new password and the email has an account, than if it has none.
    """
    for language in map(Language.of, OFFERED):
        language.messages.info()
        language.locale.datetime_formats.values()
        assert language.name  # kept, because what it is made of goes below
    for data in localedata._cache.values():
        for unused in UNUSED & set(data):
            del data[unused]
        units = data.get("unit_patterns", {})
        for unused in [unit for unit in units if not unit.startswith("duration-")]:
            del units[unused]
    core._global_data = None  # of all the world's locales: two megabytes, which Babel reads again if it needs them


class Language:
    """One language. `of` makes each once; `code` is one of OFFERED or PSEUDO."""

    def __init__(self, code: str) -> None:
        self.code = code

    @staticmethod
    @cache
    def of(code: str) -> Language:
        if code not in LOCALE_OF and code not in PSEUDO:
            raise ValueError(f"no such language: {code}")
        return Language(code)

    @property
    def is_right_to_left(self) -> bool:
        return self.code in PSEUDO and PSEUDO[self.code].is_right_to_left

    @cached_property
    def locale(self) -> Locale:
        return Locale.parse(LOCALE_OF.get(self.code, LOCALE_OF[ENGLISH]))

    @cached_property
    def name(self) -> str:
        """The language's own name for itself: "Deutsch"."""
        own = Locale.parse(self.code.partition("-")[0]).get_display_name()
        return (own or self.code).capitalize()

    @cached_property
    def messages(self) -> gettext.NullTranslations:
        """The catalogue; English, if it was not compiled: pages must open all the same."""
        if self.code in PSEUDO:
            return Pseudo(PSEUDO[self.code])
        if self.code == ENGLISH:
            return gettext.NullTranslations()
        return gettext.translation(DOMAIN, LOCALES, [self.code], fallback=True)
