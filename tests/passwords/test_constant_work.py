"""A comparison costs one thing, whatever is stored and whatever is typed: measured on the thread's own clock."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median

import pytest
from argon2 import PasswordHasher
from werkzeug.security import generate_password_hash

from gateway.crypto import hashes
from gateway.crypto.constant_work import ConstantWork
from gateway.crypto.hashing import MAX_PASSWORD_BYTES, Hasher
from gateway.model.secret import Secret

ROUNDS = 40_000
PASSWORD, WRONG = "correct horse battery staple", "nearly the right one"
STORED = {
    "the same rounds": generate_password_hash(PASSWORD, f"pbkdf2:sha256:{ROUNDS}"),
    "fewer rounds": generate_password_hash(PASSWORD, "pbkdf2:sha256:10000"),
    "more rounds": generate_password_hash(PASSWORD, "pbkdf2:sha256:60000"),
    "sha1": generate_password_hash(PASSWORD, "pbkdf2:sha1:6000"),
    "sha512": generate_password_hash(PASSWORD, "pbkdf2:sha512:6000"),
    "scrypt": generate_password_hash(PASSWORD, "scrypt:1024:8:1"),
    "argon2id": PasswordHasher(time_cost=1, memory_cost=1_024, parallelism=4).hash(PASSWORD),
    "malformed": "pbkdf2:sha256:many$salt$00",
    "a dollar too many": "pbkdf2:sha256:6000$salt$00$00",
    "unknown kind": "sha1$salt$00",
    "an hour": "pbkdf2:sha256:999999999999$salt$00",
    "all memory": "scrypt:1073741824:8:1$salt$00",
}
MOST_TURNS = 300
FOREIGN = ["sha1", "sha512", "scrypt", "argon2id"]


def assert_alike(actions: dict[str, Callable[[], object]]) -> None:
    """Compare the median processor time of each, taken in turns until they are alike.

    On a busy machine more turns bring medians closer, unless the work is not the same.
    """
    times: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(MOST_TURNS):
        for name, action in actions.items():
            began = time.thread_time()
            action()
            times[name].append(time.thread_time() - began)
        medians = {name: median(measured) for name, measured in times.items()}
        if turn >= 4 and max(medians.values()) < 1.15 * min(medians.values()):
            return
    raise AssertionError(medians)


def test_every_stored_hash_costs_what_none_costs() -> None:
    work = ConstantWork(ROUNDS)
    work.expect({hashes.method_of(stored) for stored in STORED.values()})
    assert work.rounds == 60_000
    assert_alike({name: partial(work.compare, stored, WRONG) for name, stored in (STORED | {"none": None}).items()})


@pytest.mark.parametrize("kind", ["scrypt", "argon2id", "sha512"])
def test_where_new_hashes_are_the_cheapest_all_cost_what_the_dearest_does(kind: str) -> None:
    work = ConstantWork(1_000)
    work.expect([hashes.method_of(STORED[kind])])
    cheap = generate_password_hash(PASSWORD, "pbkdf2:sha256:1000")
    compared = {"none": None, "dear": STORED[kind], "cheap": cheap}
    assert_alike({name: partial(work.compare, stored, WRONG) for name, stored in compared.items()})


def test_a_dearer_hash_that_was_not_foreseen_is_learned_from() -> None:
    work = ConstantWork(1_000)
    assert work.compare(STORED["more rounds"], PASSWORD)
    assert work.rounds == 60_000
    work.expect([])
    assert work.rounds == 1_000
    assert work.compare(STORED["scrypt"], PASSWORD)
    assert work.rounds > 3_000


def test_a_hash_that_would_take_an_hour_makes_nobody_wait() -> None:
    work = ConstantWork(1_000)
    work.expect([hashes.method_of(STORED[name]) for name in ("an hour", "all memory", "malformed", "unknown kind")])
    assert not work.compare(STORED["an hour"], PASSWORD)
    assert not work.compare(STORED["all memory"], PASSWORD)
    assert work.rounds == 1_000


@pytest.mark.parametrize(
    "stored", ["pbkdf2:sha256:1000$salt$00$00", "pbkdf2:sha256:1000$$$$", "pbkdf2:sha256$salt$00$00"]
)
def test_a_hash_with_a_dollar_too_many_is_wrong_and_keeps_no_other_cost_from_being_known(stored: str) -> None:
    work = ConstantWork(1_000)
    assert not work.compare(stored, PASSWORD)
    work.expect([hashes.method_of(stored), hashes.method_of(STORED["more rounds"])])
    assert work.rounds >= 60_000


@pytest.mark.parametrize("name", ["the same rounds", "fewer rounds", "more rounds", *FOREIGN])
def test_the_right_password_still_matches_and_no_other(name: str) -> None:
    work = ConstantWork(1_000)
    assert work.compare(STORED[name], PASSWORD)
    assert not work.compare(STORED[name], WRONG)


@pytest.fixture
def hasher() -> Iterator[Hasher]:
    made = Hasher(method="pbkdf2:sha256:20000", threads=1, queue=1)
    yield made
    made.close()


def test_both_spellings_of_a_password_are_compared_with_nothing_too(hasher: Hasher) -> None:
    stored = Secret(generate_password_hash(PASSWORD, "pbkdf2:sha256:20000"))
    right = Secret(generate_password_hash("cafe\u0301", "pbkdf2:sha256:20000"))
    typed = {"decomposed": "wrong-cafe\u0301", "composed": "wrong-caf\u00e9", "long": "x" * (MAX_PASSWORD_BYTES + 1)}
    for text in map(Secret, typed.values()):
        assert_alike({"known": partial(hasher._verify, text, stored), "unknown": partial(hasher._verify, text, None)})
    assert len(typed) == 3
    assert hasher._verify(Secret("cafe\u0301"), right)
    assert not hasher._verify(Secret(unicodedata.normalize("NFC", "cafe\u0301")), right)


def test_a_password_with_half_a_character_is_wrong_for_everybody(hasher: Hasher) -> None:
    for stored in (*map(Secret, STORED.values()), None):
        assert not hasher._verify(Secret("half \ud800"), stored)
