"""Every comparison of a password costs the same, whatever is stored, and whether anything is.

The time of an answer must not tell whether an email has an account. Stored hashes differ in what they cost: they have
other rounds than new ones, or are scrypt and argon2id from the application that came before. So each comparison is
filled up to one cost with rounds of PBKDF2 on a dummy. The unit is a round of PBKDF2-HMAC-SHA256, as in new hashes:

- Nothing stored: all rounds are spent on the dummy.
- A hash of this kind with fewer rounds: the dummy gets those that are missing. This is exact.
- A hash of another kind: the thread's own clock says how long a few rounds take here and now, and how long this hash
  took. The dummy gets the rounds that would have taken the rest. Measured within one call, because how fast a
  core is changes with its neighbours.

The common cost is that of new hashes, or of the dearest stored one where that is more: less would show such an
account. How much more is bounded (see hashes.check_cost), and it ends when that person has signed in, which renews the
hash. `expect` says what is stored; what it did not foresee is learned at the first comparison.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from statistics import median

from gateway.crypto import hashes
from gateway.observe.logs import get_logger

log = get_logger("hashing")

DIGEST = "sha256"
OURS = f"{hashes.PBKDF2}{DIGEST}:"
PROBE_SHARE = 8  # one of so many parts of the work is measured to learn how fast the core is
MARGIN = 1.25  # what is measured once may take longer the next time
TRIALS = 5
LEAST_PROBE = 4_000  # rounds: a millisecond
PROBE_ROUNDS = 40_000  # some ten milliseconds


class ConstantWork:
    """`rounds` is what new hashes have. Used by several threads; each reads the common cost once a comparison."""

    def __init__(self, rounds: int) -> None:
        self._configured = self._rounds = rounds
        self._measured: dict[str, int] = {}  # what a comparison with methods of other kinds needs, in rounds

    @property
    def rounds(self) -> int:
        """What a comparison costs now."""
        return self._rounds

    def compare(self, stored: str | None, password: str) -> bool:
        """Whether the password matches. Takes the same time if not, or if nothing is stored."""
        rounds = self._rounds
        if stored is None:
            spend(rounds, password)
            return False
        own = rounds_of(stored)
        if own is None:
            return self._compare_other(stored, password, rounds)
        self._rounds = max(self._rounds, own)
        is_right = hashes.is_match(stored, password)
        spend(rounds - own, password)
        return is_right

    def expect(self, methods: Iterable[str]) -> None:
        """Take the common cost from the methods of all stored hashes (hashes.method_of). Computes some of them."""
        costs = {method: self._cost_of(method) for method in methods}
        self._rounds = max(self._configured, *costs.values(), 0)
        dear = sorted(method for method, cost in costs.items() if cost > self._configured)
        if dear:
            log.warning(
                "stored_hashes_are_dearer",
                methods=dear,
                factor=round(self._rounds / self._configured, 2),
                reason="every sign-in costs this much more until these people have signed in or set a new password",
            )

    def _compare_other(self, stored: str, password: str, rounds: int) -> bool:
        probe = max(rounds // PROBE_SHARE, min(rounds, LEAST_PROBE))
        began = time.thread_time()
        spend(probe, password)
        probed = time.thread_time()
        is_right = hashes.is_match(stored, password)
        cost = int((time.thread_time() - probed) / max(probed - began, 1e-9) * probe)
        spend(rounds - probe - cost, password)
        if hashes.is_usable(stored):
            self._learn(hashes.method_of(stored), allowed(cost))
        return is_right

    def _learn(self, method: str, cost: int) -> None:
        """The least that was measured counts: a neighbour on the core makes everything look dearer."""
        known = self._measured.get(method)
        if known is None:
            self._rounds = max(self._rounds, cost)
        self._measured[method] = cost if known is None else min(known, cost)

    def _cost_of(self, method: str) -> int:
        """Return what a hash of this method costs, in rounds."""
        own = rounds_of(f"{method}$$")
        if own is not None:
            return own
        if method not in self._measured:
            self._measured[method] = allowed(median(measure(method) for _ in range(TRIALS)))
        return self._measured[method]


def allowed(cost: float) -> int:
    """Return the rounds that a comparison with a hash of another kind needs in all, its probe included."""
    return int(MARGIN * cost) + LEAST_PROBE if cost else 0


def measure(method: str) -> int:
    """Return what a hash of a method costs, in rounds; nothing if no password matches it anyway."""
    stored = f"{method}$c2FsdHNhbHQ$c2FsdHNhbHQ"
    if not hashes.is_usable(stored):
        return 0
    began = time.thread_time()
    spend(PROBE_ROUNDS, "")
    spent = time.thread_time()
    hashes.is_match(stored, "")
    return int((time.thread_time() - spent) / (spent - began) * PROBE_ROUNDS)


def spend(rounds: int, password: str) -> None:
    if rounds > 0:
        hashes.pbkdf2(DIGEST, password, "nobody", rounds)


def rounds_of(stored: str) -> int | None:
    """Return the rounds of a hash of the kind that new ones are of; None for any other, and for one that is no good."""
    if not stored.startswith(OURS) or not hashes.is_usable(stored):
        return None
    return hashes.pbkdf2_parameters(stored.partition("$")[0])[1]
