"""The sign-in page tells nobody who has an account or a passkey. bench/known_or_not.py compares the times by rank.

For an unknown email, for one whose account has no passkey and for one whose account has one, everything is alike to the
byte. An answer instead of a password (POST /login/passkey/first) goes by the credential's id, and by no email. If no
account has that id, the page says so, and the browser may have the password manager drop it
(signalUnknownCredential); if one has it and the signature is bad, the page says something else, a query and a
signature check later. That tells whether the id is registered, and may: ids have at least 100 random bits (WebAuthn L3
§4), and one is given only to its authenticator, and to a browser in which the account's password was typed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.support.authenticator import ES256, private_key
from tests.support.gateway import Gateway
from tests.support.mail import Mailbox
from tests.support.raw import Response, get
from tests.support.upstream import RecordingUpstream
from tests.threats.test_passkeys import Holder, add_account, shown

UNKNOWN = "holder902@acme.example"
RANDOM = re.compile(rb'(?<="challenge": ")[^"]+|(?<=__Host-otium_attempt=)[^;]+')


@dataclass(frozen=True, slots=True)
class Kind:
    email: str
    source: str


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("enumeration")
    running = Gateway(folder, f"127.0.0.1:{recorder.port}", mail_port=mailbox.port).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]


@pytest.fixture(scope="module")
def kinds(own: Gateway) -> list[Kind]:
    """An unknown email, one of an account without a passkey, and one of an account with one, each at an address."""
    with_passkey = Holder(own, add_account(own, 901)).add()
    assert own.write("SELECT count(*) FROM passkeys") == [(1,)]
    emails = (UNKNOWN, add_account(own, 900), with_passkey.email)
    return [Kind(email, f"127.0.8.{number}") for number, email in enumerate(emails, 1)]


def visible(answer: Response, email: str) -> tuple[int, list[tuple[str, bytes]], bytes]:
    """Return what people and programs see of an answer. Of random values and the email, only the length counts."""

    def mask(text: bytes) -> bytes:
        hidden = RANDOM.sub(lambda found: b"*" * len(found[0]), text)
        return hidden.replace(email.encode(), b"E" * len(email)).replace(email.encode().replace(b"@", b"%40"), b"E")

    fields = [(name, mask(value.encode())) for name, value in answer.fields if name not in ("Date", "X-Request-Id")]
    return answer.status, fields, mask(answer.body)


Asks = Callable[[Gateway, Kind], Response]


def opens(path: str, **fields: str) -> Asks:
    """Return what opens a page; the email is put in place of EMAIL."""

    def ask(own: Gateway, kind: Kind) -> Response:
        query = urlencode({name: value.replace("EMAIL", kind.email) for name, value in fields.items()})
        return own.exchange(get(f"{path}?{query}", "Accept: text/html"), source=kind.source)

    return ask


def sends(path: str, **fields: str) -> Asks:
    def ask(own: Gateway, kind: Kind) -> Response:
        given = {name: value.replace("EMAIL", kind.email) for name, value in fields.items()}
        return own.post(path, given, source=kind.source)

    return ask


SAME: dict[str, tuple[Asks, int]] = {
    "the page": (opens("/login", next="/probe"), 200),
    "the page, with the email": (opens("/login", next="/probe", email="EMAIL"), 200),
    "options": (sends("/login/passkey/first-options", next="/probe"), 200),
    "options, with the email": (sends("/login/passkey/first-options", next="/probe", email="EMAIL"), 200),
    "options of the second step": (sends("/login/passkey/options", email="EMAIL"), 409),
    "the page of the second step": (opens("/login/passkey", email="EMAIL"), 303),
    "an answer without a challenge": (sends("/login/passkey/first", challenge="00", answer="{}", email="EMAIL"), 422),
    "a wrong password": (sends("/login", email="EMAIL", password="not the right one", next="/probe"), 422),
}


@pytest.mark.parametrize(("ask", "status"), SAME.values(), ids=SAME)
def test_a_passkey_makes_no_difference_to_strangers(own: Gateway, kinds: list[Kind], ask: Asks, status: int) -> None:
    answers = [visible(ask(own, kind), kind.email) for kind in kinds]
    assert answers[0][0] == status
    assert answers[1] == answers[0]
    assert answers[2] == answers[0]


def test_neither_does_it_to_whoever_is_locked_out(own: Gateway, kinds: list[Kind]) -> None:
    ask, _ = SAME["a wrong password"]
    elsewhere = [replace(kind, source=kind.source.replace("127.0.8.", "127.0.9.")) for kind in kinds]
    tries = [[visible(ask(own, kind), kind.email) for _ in range(6)] for kind in elsewhere]
    assert [status for status, *_ in tries[0]] == [422] * 5 + [429]
    assert [answers[:5] for answers in tries[1:]] == [tries[0][:5]] * 2
    locked = [answers[5] for answers in tries]
    assert {(status, body) for status, _, body in locked} == {(429, locked[0][2])}  # Retry-After may be a second less


def test_a_credential_that_is_known_says_no_more_than_that(own: Gateway) -> None:
    """The difference is meant (see above): to whoever has such an id, and never for an email."""
    person, disabled = Holder(own).add(), Holder(own).add()
    own.write("UPDATE accounts SET status = 'disabled' WHERE identifier = :who", who=disabled.email)
    stranger = person.elsewhere()
    stranger.authenticator.key = private_key(ES256, "another")
    answers = {"bad signature": stranger.enter(), "disabled": disabled.elsewhere().enter()}
    stranger.authenticator.id = b"unknown" * 4
    answers["unknown"] = stranger.enter()
    assert {answer.status for answer in answers.values()} == {422}
    assert {answer.get("set-cookie") for answer in answers.values()} == {None}
    for answer in answers.values():
        assert person.email.encode() not in answer.body
        assert disabled.email.encode() not in answer.body
    assert answers["bad signature"].body == answers["disabled"].body
    assert "couldn’t be verified" in shown(answers["disabled"])
    assert "isn’t known here" in shown(answers["unknown"])
