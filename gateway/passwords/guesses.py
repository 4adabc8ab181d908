"""How easy a password is to guess: zxcvbn's estimate (Wheeler, USENIX Security 2016), and what makes it easy.

zxcvbn takes longer than the square of the length; of a long password it sees the beginning and the end, and the harder
of the two counts. Importing this module loads its word lists.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from zxcvbn import zxcvbn
from zxcvbn.matching import RANKED_DICTIONARIES

SEEN_AT_ONCE = 72


def weakness(password: str, words: list[str], min_score: int) -> str | None:
    """Return the pattern that covers most of a password below `min_score` (0 to 4), None for a good one.

    The patterns are zxcvbn's, and "own words" for what is made of `words`, which are in lower case.
    """
    windows = {password[:SEEN_AT_ONCE], password[-SEEN_AT_ONCE:]}
    guesses = [zxcvbn(window, user_inputs=words, max_length=SEEN_AT_ONCE) for window in windows]
    hardest = max(guesses, key=lambda guess: guess["guesses"])
    return None if hardest["score"] >= min_score else pattern_of(hardest["sequence"])


def pattern_of(matches: list[dict[str, Any]]) -> str:
    longest = max(matches, key=lambda match: len(match["token"]))
    is_own = longest.get("dictionary_name") == "user_inputs"
    return "own words" if is_own else str(longest["pattern"])


@cache
def well_known() -> frozenset[str]:
    """Return the passwords that zxcvbn carries, in lower case."""
    return frozenset(RANKED_DICTIONARIES["passwords"])
