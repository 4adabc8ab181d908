"""The rules for a new password, as a pure function: long enough, not breached, not easily guessed, not the email.

No required character classes, no rotation (NIST SP 800-63B §3.1.1.2). Length is counted in code points of the NFC
form, which is also what is hashed. guesses.py estimates how easily a password is guessed.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum

from gateway.model.sentence import Sentence

MIN_CHARACTERS = 12
MAX_BYTES = 4_096
MIN_SCORE = 3  # zxcvbn scores 0 to 4; 3 is more than 10^8 guesses, too many for a slow hash
MANY_CHARACTERS = 4  # shorter own words are ignored
BETWEEN_WORDS = " .-_@"
WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Person:
    """The owner of the password: the words that an attacker would try first."""

    identifier: str
    name: str
    tenant: str
    product: str


class Refusal(Enum):
    """Why a password is rejected: a code for programs, and a sentence with the reason and what to do."""

    def __init__(self, code: str, sentence: Sentence) -> None:
        self.code = code
        self.sentence = sentence

    BUSY = ("busy", Sentence("Sign-in is very busy right now. Please try again in a moment."))
    SHORT = ("short", Sentence("Too short. Use at least 12 characters – a few unusual words work well."))
    LONG = ("long", Sentence("This password is too long. Use a shorter one."))
    UNTYPABLE = (
        "untypable",
        Sentence("This password contains a character that can’t be typed on the sign-in page. Remove it."),
    )
    EMAIL = ("email", Sentence("Your password can’t contain your email address. Leave it out."))
    BREACHED = (
        "breached",
        Sentence(
            "This password has appeared in a data breach. Choose a different one, and change it anywhere else "
            "you use it."
        ),
    )
    OWN_WORDS = (
        "own_words",
        Sentence("This password is based on your name, email or company. Add a few unrelated words."),
    )
    COMMON = ("common", Sentence("This is a common password, or very close to one. Use a few unusual words instead."))
    WORD = (
        "word",
        Sentence("A single word or name is easy to guess, even with substitutions. Add a few unusual words."),
    )
    KEYBOARD = ("keyboard", Sentence("Keyboard patterns are easy to guess. Use a few unusual words."))
    REPEAT = ("repeat", Sentence("Repeated characters or words are easy to guess. Use a few different, unusual words."))
    SEQUENCE = ("sequence", Sentence("Sequences like abcd or 6543 are easy to guess. Use a few unusual words."))
    DATE = ("date", Sentence("Dates and years are easy to guess. Add a few unusual words."))
    GUESSABLE = ("guessable", Sentence("This password is easy to guess. Add a few unusual words."))


REASONS = {
    "own words": Refusal.OWN_WORDS,
    "passwords": Refusal.COMMON,
    "dictionary": Refusal.WORD,
    "spatial": Refusal.KEYBOARD,
    "repeat": Refusal.REPEAT,
    "sequence": Refusal.SEQUENCE,
    "date": Refusal.DATE,
    "regex": Refusal.DATE,  # a recent year
}


def judge(password: str, person: Person) -> Refusal | None:
    """Return why a password is rejected, or None. The operator's breach lists are checked by service.py."""
    from gateway.passwords import guesses  # 15 MB of word lists, only in workers that set a password

    if bytes_of(password) > MAX_BYTES:  # first, because normalising takes quadratic time
        return Refusal.LONG
    password = unicodedata.normalize("NFC", password)
    if len(password) < MIN_CHARACTERS:
        return Refusal.SHORT
    # Checked again, because NFC can lengthen a text, and sign-in refuses longer ones unread.
    if bytes_of(password) > MAX_BYTES:
        return Refusal.LONG
    if not is_typable(password):
        return Refusal.UNTYPABLE
    if is_email(password, person.identifier):
        return Refusal.EMAIL
    if password.lower() in guesses.well_known():
        return Refusal.BREACHED
    words = own_words(person)
    if is_made_of(password, words):
        return Refusal.OWN_WORDS
    pattern = guesses.weakness(password, words, MIN_SCORE)
    return REASONS.get(pattern, Refusal.GUESSABLE) if pattern else None


def bytes_of(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def is_typable(password: str) -> bool:
    """Whether a form can send it: no control characters, surrogates or U+FFFD."""
    return not any(unicodedata.category(c) in ("Cc", "Cs") or c == "\ufffd" for c in password)


def is_email(password: str, identifier: str) -> bool:
    """Whether a password is little more than the email: all of it, or its local part repeated."""
    password, identifier = password.casefold(), unicodedata.normalize("NFC", identifier).strip().casefold()
    local, at, _ = identifier.partition("@")
    if not local or not at:  # an email that is still being typed
        return False
    rest = password.replace(identifier, "").replace(local, "") if len(local) >= MANY_CHARACTERS else password
    return (identifier in password and len(password) - len(identifier) < MIN_CHARACTERS) or len(rest) < MANY_CHARACTERS


def is_made_of(password: str, words: list[str]) -> bool:
    """Whether a password has at most four characters besides own words. zxcvbn overrates three words."""
    password = password.lower()
    return any(left_of(text, words) <= MANY_CHARACTERS for text in (password, password[::-1]))


def left_of(text: str, words: list[str]) -> int:
    """Return the number of characters outside the words, without separators."""
    left = text
    for word in sorted(words, key=len, reverse=True):
        left = left.replace(word, " ")
    return len(text) if left == text else sum(c not in BETWEEN_WORDS for c in left)


def own_words(person: Person) -> list[str]:
    """Return a person's words in lower case: each text whole, its parts, and its parts joined."""
    words: dict[str, None] = {}
    for text in (person.identifier, person.name, person.tenant, person.product):
        parts = WORD.findall(unicodedata.normalize("NFC", text).lower())
        for word in (text.lower(), "".join(parts), *parts):
            if len(word) >= MANY_CHARACTERS:
                words[word] = None
    return list(words)
