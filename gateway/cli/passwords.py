"""Reads and checks passwords that operators set, by the same policy as on the pages."""

from __future__ import annotations

import getpass
import secrets
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.cli.common import fail
from gateway.model.secret import Secret

if TYPE_CHECKING:
    from gateway.passwords.policy import Person
    from gateway.settings import Settings

PASSWORD_BYTES = 18


@dataclass(frozen=True, slots=True)
class Accepted:
    """The hash of an accepted password. `remarks` are details for the audit row."""

    password: Secret[str]
    hashed: Secret[str]
    remarks: dict[str, str] = field(default_factory=dict)


def read_password(from_stdin: bool) -> Secret[str]:
    """Read a password from the terminal, twice, or from standard input. The command line is visible to others."""
    if from_stdin:
        # Invalid UTF-8 is left to the policy, which rejects it with a sentence.
        return Secret(sys.stdin.buffer.readline().decode("utf-8", "surrogateescape").rstrip("\r\n"))
    if not sys.stdin.isatty():
        fail("can't ask for a password without a terminal; use --password-stdin")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        fail("the passwords don't match")
    return Secret(password)


def new_password() -> Secret[str]:
    return Secret(secrets.token_urlsafe(PASSWORD_BYTES))


async def accept(settings: Settings, password: Secret[str], person: Person) -> Accepted:
    """Hash a password if the policy accepts it. Raises Failed with the reason otherwise."""
    from gateway.crypto.hashing import Hasher
    from gateway.observe import logs
    from gateway.passwords.service import checker_of

    logs.configure("console")  # problems with a breach list go to standard error
    checker = checker_of(settings.passwords)
    hasher = Hasher(method=f"{settings.limits.hashing_method}:{settings.limits.hashing_iterations}", threads=1, queue=1)
    try:
        verdict = await checker.check(password, person)
        if verdict.refusal is not None:
            fail(verdict.refusal.sentence)
        remarks = {"breach_api": "did not answer"} if verdict.is_api_silent else {}
        return Accepted(password, Secret(hasher.hash_now(password)), remarks)
    finally:
        checker.close()
        hasher.close()
