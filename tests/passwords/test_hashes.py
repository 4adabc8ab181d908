"""Hashes that Werkzeug made are matched here, and hashes made here by Werkzeug, whatever the method."""

from __future__ import annotations

import hashlib
import threading

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.security import check_password_hash, generate_password_hash

from gateway.crypto import hashes

PASSWORD, WRONG = "correct horse bättery", "correct horse battery"
PBKDF2 = [f"pbkdf2:{digest}:3" for digest in sorted(hashlib.algorithms_guaranteed) if not digest.startswith("shake")]
METHODS = [*PBKDF2, "pbkdf2:SHA256:3", "scrypt:1024:8:1", "scrypt:512:4:2"]


@pytest.mark.parametrize("method", [*METHODS, "scrypt", "pbkdf2", "pbkdf2:sha1"])
def test_a_hash_of_werkzeug_matches_its_password_alone(method: str) -> None:
    stored = generate_password_hash(PASSWORD, method)
    assert hashes.is_match(stored, PASSWORD)
    assert not hashes.is_match(stored, WRONG)


@pytest.mark.parametrize("method", PBKDF2)
def test_werkzeug_matches_a_hash_that_was_made_here(method: str) -> None:
    stored = hashes.make(method, PASSWORD)
    assert check_password_hash(stored, PASSWORD)
    assert not check_password_hash(stored, WRONG)
    assert len(stored) == len(generate_password_hash(PASSWORD, method))


@given(password=st.text(max_size=200), rounds=st.integers(1, 5), digest=st.sampled_from(sorted(hashes.DIGESTS)))
def test_both_compute_the_same(password: str, rounds: int, digest: str) -> None:
    password = password.encode("utf-8", "replace").decode()
    stored = hashes.make(f"pbkdf2:{digest}:{rounds}", password)
    assert check_password_hash(stored, password)
    assert hashes.is_match(generate_password_hash(password, f"pbkdf2:{digest}:{rounds}"), password)


@pytest.mark.parametrize("method", ["pbkdf2", "pbkdf2:sha256", "pbkdf2:sha512"])
def test_parameters_that_a_method_leaves_out_are_those_of_werkzeug(method: str) -> None:
    digest, rounds = hashes.pbkdf2_parameters(method)
    assert generate_password_hash("", method).split("$")[0] == f"pbkdf2:{digest}:{rounds}"


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "plain",
        "$",
        "$$",
        "pbkdf2:sha256:0$salt$00",
        "pbkdf2:sha256:-1$salt$00",
        "pbkdf2:sha256:99999999999999999999999$salt$00",
        "pbkdf2:sha256:many$salt$00",
        "pbkdf2:sha256:1:1$salt$00",
        "pbkdf2:sha257:1$salt$00",
        "pbkdf2:sha256:1$salt",
        "pbkdf2:sha256:1$salt$ä",
        "scrypt:1:1:1$salt$00",
        "scrypt:a:b:c$salt$00",
        "$argon2id$",
        "$argon2id$v=19$m=65536,t=3,p=4$salt$hash",
        "md5$salt$00",
    ],
)
def test_a_malformed_hash_matches_nothing(stored: str) -> None:
    assert not hashes.is_match(stored, PASSWORD)


@pytest.mark.parametrize(
    "stored",
    [
        generate_password_hash(PASSWORD, "pbkdf2:sha256:300000"),
        generate_password_hash(PASSWORD, "scrypt"),
        PasswordHasher().hash(PASSWORD),
    ],
    ids=["pbkdf2", "scrypt", "argon2id"],
)
def test_other_threads_go_on_while_a_hash_is_computed(stored: str) -> None:
    """The thread counts between its own two looks; it could not, if the hash kept the interpreter to itself."""
    counted, is_over = 0, threading.Event()

    def count() -> None:
        nonlocal counted
        while not is_over.is_set():
            counted += 1

    thread = threading.Thread(target=count)
    thread.start()
    before = counted
    assert hashes.is_match(stored, PASSWORD)
    after = counted
    is_over.set()
    thread.join()
    assert after - before > 100
