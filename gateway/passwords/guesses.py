"""Estimates how easily a password is guessed, by zxcvbn (Wheeler, USENIX Security 2016), and names the weak pattern.

The running time of zxcvbn grows faster than the square of the length, and again with each way to read signs as letters
(4 for a, $ for s): seconds for seventy signs. It therefore sees only the beginning and the end of a long password, less
of each if there are many signs. The harder part counts, since more text around it makes no password easier. Importing
this module loads the word lists.
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
    """Return the longest pattern of a password that scores below `min_score` (0 to 4), None for a strong one.

    Patterns are named as in zxcvbn, except "passwords" (its list of passwords) and "own words" (made of `words`, in
    lower case). `password` must have no line breaks: zxcvbn's date matcher fails on them.
    """
    windows = {window(password), window(password[::-1])[::-1]}
    guesses = [zxcvbn(seen, user_inputs=words, max_length=SEEN_AT_ONCE) for seen in windows]
    hardest = max(guesses, key=lambda guess: guess["guesses"])
    return None if hardest["score"] >= min_score else pattern_of(hardest["sequence"])


def window(password: str) -> str:
    """Return the beginning of a password, halved until its estimated work is within MOST_WORK."""
    size = SEEN_AT_ONCE
    while size > SEEN_AT_LEAST and readings(password[:size]) * size**2 > MOST_WORK:
        size //= 2
    return password[:size]


def readings(text: str) -> int:
    """Return the maximum number of ways to read signs as letters."""
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
    """Return zxcvbn's list of common passwords, in lower case."""
    return frozenset(RANKED_DICTIONARIES["passwords"])
