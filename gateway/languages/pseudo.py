"""Two languages that don't exist, for finding what can't be translated and what overflows.

They have the codes that Chromium and Android give them. A text that stays plain English on a page is not in the
catalogue. Brackets show where a message begins and ends: two pairs in one sentence mean that it is glued from parts.
"""

from __future__ import annotations

import gettext
import re
from dataclasses import dataclass
from operator import index

# Placeholders, markup and character references stay as they are.
KEPT = re.compile(r"(%\(\w+\)[sd]|%%|\{[^{}]*\}|<[^<>]*>|&\w+;)")
ACCENTED = str.maketrans(
    "aceginorsuyzACEGINORSUYZ",
    "åçéğîñöřšûýžÅÇÉĞÎÑÖŘŠÛÝŽ",
)
LONGER = 0.4  # German is seldom longer than that
RIGHT_TO_LEFT, END = "\u202e", "\u202c"  # the override, and its end


@dataclass(frozen=True, slots=True)
class Manner:
    is_right_to_left: bool


PSEUDO = {"en-XA": Manner(is_right_to_left=False), "ar-XB": Manner(is_right_to_left=True)}


class Pseudo(gettext.NullTranslations):
    """Translates every message into accented and longer, or mirrored, English."""

    def __init__(self, manner: Manner) -> None:
        super().__init__()
        self._write = mirror if manner.is_right_to_left else lengthen

    def gettext(self, message: str) -> str:
        return self._write(message)

    def pgettext(self, context: str, message: str) -> str:
        return self._write(message)

    def npgettext(self, context: str, msgid1: str, msgid2: str, n: int) -> str:
        return self.ngettext(msgid1, msgid2, n)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self._write(msgid1 if index(n) == 1 else msgid2)  # as catalogues do, no number is an error


def lengthen(message: str) -> str:
    if not message.strip():
        return message
    accented = "".join(part if KEPT.fullmatch(part) else part.translate(ACCENTED) for part in KEPT.split(message))
    letters = len(KEPT.sub("", message))
    words = " ".join(["one", "two", "three", "four", "five", "six"] * (1 + letters // 60))
    filler = words[: max(1, round(letters * LONGER))].rstrip()
    return f"[{accented} {filler}]"


def mirror(message: str) -> str:
    """Return the message with its words overridden to run from right to left."""
    parts = (part if KEPT.fullmatch(part) or not part.strip() else overridden(part) for part in KEPT.split(message))
    return "".join(parts)


def overridden(text: str) -> str:
    return f"{RIGHT_TO_LEFT}{text}{END}"
