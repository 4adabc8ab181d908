"""How easy a password is to guess: zxcvbn's estimate (Wheeler, USENIX Security 2016), and what makes it easy.

zxcvbn takes longer than the square of the length, and that again for each way to read signs as letters (4 for a, $ for
s): seconds, for seventy signs. So of a long password it sees the beginning and the end, of one full of signs less
of each, and the harder of the two counts: what is hard to guess stays hard with more around it. Importing this module
loads its word lists.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from zxcvbn import zxcvbn
from zxcvbn.matching import L33T_TABLE, RANKED_DICTIONARIES

SEEN_AT_ONCE = 72
SEEN_AT_LEAST = 18
MOST_WORK = 4 * SEEN_AT_ONCE**2  # tens of milliseconds


def weakness(password: str, words: list[str], min_score: int) -> str | None:
    """Return the pattern that covers most of a password below `min_score` (0 to 4), None for a good one.

    The patterns are zxcvbn's; of its dictionaries, "passwords" stands for itself, and "own words" for what is made of
    `words`, which are in lower case. `password` has no line breaks, over which zxcvbn's dates stumble.
    """
    windows = {window(password), window(password[::-1])[::-1]}
    guesses = [zxcvbn(seen, user_inputs=words, max_length=SEEN_AT_ONCE) for seen in windows]
    hardest = max(guesses, key=lambda guess: guess["guesses"])
    return None if hardest["score"] >= min_score else pattern_of(hardest["sequence"])


def window(password: str) -> str:
    """Return as much of the beginning as an estimate can bear."""
    size = SEEN_AT_ONCE
    while size > SEEN_AT_LEAST and readings(password[:size]) * size**2 > MOST_WORK:
        size //= 2
    return password[:size]


def readings(text: str) -> int:
    """Return in how many ways, at most, signs can be read as letters."""
    return math.prod(max(1, sum(sign in text for sign in signs)) for signs in L33T_TABLE.values())


def pattern_of(matches: list[dict[str, Any]]) -> str:
    longest = max(matches, key=lambda match: len(match["token"]))
    match longest.get("dictionary_name"):
        case "user_inputs":
            return "own words"
        case "passwords":
            return "passwords"
        case _:
            return str(longest["pattern"])


@cache
def well_known() -> frozenset[str]:
    """Return the passwords that zxcvbn carries, in lower case."""
    return frozenset(RANKED_DICTIONARIES["passwords"])
