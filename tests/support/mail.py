"""A real SMTP server that keeps what it is sent."""

from __future__ import annotations

import email
import email.policy
import re
import time
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

LINK = re.compile(r"https?://[^\s<>\"]+")


class Mailbox:
    """Listens on `port` between `start` and `stop`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.mails: list[EmailMessage] = []
        self._controller: Controller | None = None

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(envelope.content, _class=EmailMessage, policy=email.policy.default)
        message["X-Envelope-To"] = ", ".join(envelope.rcpt_tos)
        self.mails.append(message)
        return "250 Kept"

    def start(self) -> Mailbox:
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, ready_timeout=120)
        self._controller.start()
        return self

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def to(self, recipient: str, words: str = "", said: str = "") -> list[EmailMessage]:
        """Return the mails to `recipient` with `words` in their subject and `said` in their text."""
        return [
            mail
            for mail in list(self.mails)
            if mail["X-Envelope-To"] == recipient and words in str(mail["Subject"]) and said in text_of(mail)
        ]

    def wait_for(self, recipient: str, words: str = "", count: int = 1, said: str = "") -> EmailMessage:
        """Return the latest of these mails, when there are `count` of them. Those of another test may still arrive."""
        until = time.monotonic() + 120
        while len(self.to(recipient, words, said)) < count:
            assert time.monotonic() < until, [str(mail["Subject"]) for mail in self.mails]
            time.sleep(0.05)
        return self.to(recipient, words, said)[-1]


def text_of(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def links_in(mail: EmailMessage) -> list[str]:
    return LINK.findall(text_of(mail))
