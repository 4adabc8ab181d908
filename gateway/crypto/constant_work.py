"""Constant-time password verification: every comparison costs the same, for any stored hash and for none.

The response time must not reveal whether an email has an account. Stored hashes differ in cost: they have other numbers
of rounds than new ones, or are scrypt and argon2id from the application's own past. So each comparison is padded to one
common cost with rounds of PBKDF2 on a dummy. The unit is a round of PBKDF2-HMAC-SHA256, as in new hashes:

- No stored hash: all rounds are spent on the dummy.
- A hash of this kind with fewer rounds: the dummy gets the missing ones. This is exact.
- A hash of another kind: the thread's CPU clock measures how long a few rounds take now, and how long this hash took.
  The dummy gets the rounds for the rest of the time. Both are measured within one call, because the speed of a core
  changes with the load of its neighbours.

The common cost is that of new hashes, or of the most expensive stored hash if that is more: padding to less would
expose such an account. How much more is bounded (see hashes.check_cost), and it ends when that person signs in, which
renews the hash. `expect` is given the stored methods; a method that it did not include is learned at its first
comparison.
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
PROBE_SHARE = 8  # one part in this many is measured, to learn how fast the core is
MARGIN = 1.25  # a single measurement may be lower than the next one
TRIALS = 5
LEAST_PROBE = 4_000  # rounds: about a millisecond
PROBE_ROUNDS = 40_000  # some ten milliseconds


class ConstantWork:
    """Pads comparisons to a common cost. `rounds` is that of new hashes. Used by several threads; each reads the common
    cost once per comparison.
    """

    def __init__(self, rounds: int) -> None:
        self._configured = self._rounds = rounds
        self._measured: dict[str, int] = {}  # the rounds that a comparison with each other method needs

    @property
    def rounds(self) -> int:
        """The current cost of a comparison."""
        return self._rounds

    def compare(self, stored: str | None, password: str) -> bool:
        """Whether the password matches. Takes the same time if it does not, or if `stored` is None."""
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
        """Set the common cost from the methods of all stored hashes (hashes.method_of). Computes some hashes to measure
        them.
        """
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
        first = probe // 2
        spend(first, password)  # not measured: a core that was idle is slow at first
        began = time.thread_time()
        spend(probe - first, password)
        probed = time.thread_time()
        is_right = hashes.is_match(stored, password)
        cost = int((time.thread_time() - probed) / max(probed - began, 1e-9) * (probe - first))
        spend(rounds - probe - cost, password)
        if hashes.is_usable(stored):
            self._learn(hashes.method_of(stored), allowed(cost))
        return is_right

    def _learn(self, method: str, cost: int) -> None:
        """Record a measured cost. The lowest one counts, because load on the core makes a hash look more expensive."""
        known = self._measured.get(method)
        if known is None:
            self._rounds = max(self._rounds, cost)
        self._measured[method] = cost if known is None else min(known, cost)

    def _cost_of(self, method: str) -> int:
        """Return the cost of a hash of this method, in rounds."""
        own = rounds_of(f"{method}$$")
        if own is not None:
            return own
        if method not in self._measured:
            self._measured[method] = allowed(median(measure(method) for _ in range(TRIALS)))
        return self._measured[method]


def allowed(cost: float) -> int:
    """Return the rounds to allow for a comparison with a hash of another kind, its probe included."""
    return int(MARGIN * cost) + LEAST_PROBE if cost else 0


def measure(method: str) -> int:
    """Measure the cost of a hash of this method, in rounds; 0 if no password can match it."""
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
    """Return the rounds of a hash of the current kind; None for a hash of another kind, and for an unusable one."""
    if not stored.startswith(OURS) or not hashes.is_usable(stored):
        return None
    return hashes.pbkdf2_parameters(stored.partition("$")[0])[1]
