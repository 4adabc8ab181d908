"""What the tests of mails share: a composer, a sealer, an SMTP server."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from gateway.crypto.sealing import Sealer
from gateway.languages.reader import Readers
from gateway.mail.compose import Composer
from gateway.mail.outbox import Outbox
from gateway.mail.smtp import Mailer
from gateway.model.secret import Secret
from tests.support.certificates import Authority, make_authority
from tests.support.smtp import SMTPServer

SENDER = "OtiumWork <no-reply@otium.example>"


def make_composer(**changes: str) -> Composer:
    values = {
        "product": "OtiumWork",
        "accent": "#2457c5",
        "support": "help@otium.example",
        "public_url": "https://app.example.com",
        "sender": SENDER,
    }
    return Composer(**{**values, **changes})


def mailer_to(port: int) -> Mailer:
    return Mailer(host="127.0.0.1", port=port, security="none", username="", password=None, seconds=30)


@pytest.fixture(scope="session")
def composer() -> Composer:
    return make_composer()


@pytest.fixture(scope="session")
def sealer() -> Sealer:
    return Sealer((Secret(hashlib.sha384(b"mail").digest()),))


@pytest.fixture
def outbox(composer: Composer, sealer: Sealer) -> Outbox:
    return Outbox(composer, sealer, Readers())


@pytest.fixture
def server() -> Iterator[SMTPServer]:
    running = SMTPServer().start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))
