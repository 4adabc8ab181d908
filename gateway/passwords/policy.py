"""The rules for a new password, pure: long enough, not known from breaches, not easy to guess, not the email.

There are no classes of characters and there is no rotation (NIST SP 800-63B §3.1.1.2). Length is counted in code
points of the NFC form, which is also what is hashed. How easy a password is to guess is estimated in guesses.py.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum

MIN_CHARACTERS = 12
MAX_BYTES = 4_096
MIN_SCORE = 3  # of zxcvbn's 4: more than 10^8 guesses, so that a slow hash holds out
MANY_CHARACTERS = 4  # an own word that is shorter says nothing
WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Person:
    """Whose password it is to be: what somebody who knows them would try first."""

    identifier: str
    name: str
    tenant: str
    product: str


class Refusal(Enum):
    """Why a password is refused, with the reason and what would do."""

    def __init__(self, code: str, sentence: str) -> None:
        self.code = code
        self.sentence = sentence

    SHORT = ("short", "This password is too short. Use at least 12 characters; a few unusual words are good.")
    LONG = ("long", "This password is longer than 4,096 bytes. Use a shorter one.")
    EMAIL = ("email", "This password repeats your email. Use something that has nothing to do with it.")
    BREACHED = (
        "breached",
        "This password is known from stolen data, so it is among the first to be tried. Use one of your own.",
    )
    OWN_WORDS = (
        "own_words",
        "This password is made of your name, email or company. Add a few words that nobody links with you.",
    )
    COMMON = (
        "common",
        "This password is a well-known one with small changes. Use a few unusual words in their place.",
    )
    KEYBOARD = ("keyboard", "Keys that lie next to each other are easy to guess. Use a few unusual words.")
    REPEAT = ("repeat", "Repeated characters or words add little. Use a few different, unusual words.")
    SEQUENCE = ("sequence", "Sequences like abcd or 6543 are easy to guess. Use a few unusual words.")
    DATE = ("date", "Dates and years are easy to guess. Add a few unusual words.")
    GUESSABLE = ("guessable", "This password is easy to guess. Add a few unusual words.")


REASONS = {
    "own words": Refusal.OWN_WORDS,
    "dictionary": Refusal.COMMON,
    "spatial": Refusal.KEYBOARD,
    "repeat": Refusal.REPEAT,
    "sequence": Refusal.SEQUENCE,
    "date": Refusal.DATE,
    "regex": Refusal.DATE,  # a recent year
}


def judge(password: str, person: Person) -> Refusal | None:
    """Return why a password is refused, or None; the operator's breach lists are asked elsewhere (breaches.py)."""
    from gateway.passwords import guesses  # 15 MB of word lists, only for workers in which a password is set

    password = unicodedata.normalize("NFC", password)
    if len(password) < MIN_CHARACTERS:
        return Refusal.SHORT
    if len(password.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        return Refusal.LONG
    if is_email(password, person.identifier):
        return Refusal.EMAIL
    if password.lower() in guesses.well_known():
        return Refusal.BREACHED
    pattern = guesses.weakness(password, own_words(person), MIN_SCORE)
    return REASONS.get(pattern, Refusal.GUESSABLE) if pattern else None


def is_email(password: str, identifier: str) -> bool:
    """Whether a password is little more than the email: all of it, or the part before the @ over and over."""
    password, identifier = password.casefold(), identifier.casefold()
    local = identifier.partition("@")[0]
    if not local:
        return False
    rest = password.replace(identifier, "").replace(local, "") if len(local) >= MANY_CHARACTERS else password
    return (identifier in password and len(password) - len(identifier) < MIN_CHARACTERS) or len(rest) < MANY_CHARACTERS


def own_words(person: Person) -> list[str]:
    """Return the words of a person, in lower case: each whole, its parts, and all of its parts together."""
    words: dict[str, None] = {}
    for text in (person.identifier, person.name, person.tenant, person.product):
        parts = WORD.findall(unicodedata.normalize("NFC", text).lower())
        for word in (text.lower(), "".join(parts), *parts):
            if len(word) >= MANY_CHARACTERS:
                words[word] = None
    return list(words)
