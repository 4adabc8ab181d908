"""A real SMTP server for the tests, in a thread of its own: it keeps what it takes and refuses what it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.support.gateway import free_port


@dataclass(frozen=True, slots=True)
class Received:
    """A mail as it came; `user` is who signed in, "" if nobody did."""

    sender: str
    recipients: list[str]
    raw: bytes
    is_encrypted: bool
    user: str

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.raw, _class=EmailMessage, policy=policy.default)


class SMTPServer:
    """`refusals`: the server's reply by recipient. `login`: who may send, if not everybody."""

    def __init__(
        self,
        *,
        starttls: ssl.SSLContext | None = None,
        tls: ssl.SSLContext | None = None,
        login: tuple[str, str] | None = None,
    ) -> None:
        self.received: list[Received] = []
        self.refusals: dict[str, str] = {}
        self.content_reply = "250 Taken"
        self.port = free_port()  # a stopped server keeps it: of the kernel's own, somebody else might get it
        self._starttls = starttls
        self._tls = tls
        self._login = login
        self._changed = threading.Condition()

    def start(self) -> SMTPServer:
        """Listen; after a `stop`, on the same port."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(120)
        return self

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(120)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @contextlib.contextmanager
    def arrival(self, seconds: float = 120) -> Iterator[None]:
        """Wait, at the end, until one more mail than before has arrived."""
        wanted = len(self.received) + 1
        yield
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.received) >= wanted, seconds)

    async def _listen(self) -> None:
        self._server = await self._loop.create_server(self._connection, "127.0.0.1", self.port, ssl=self._tls)

    async def _end(self) -> None:
        self._server.close()
        await self._server.wait_closed()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _connection(self) -> SMTP:
        return SMTP(
            self,
            hostname="localhost",
            loop=self._loop,
            enable_SMTPUTF8=True,
            tls_context=self._starttls,
            require_starttls=self._starttls is not None,
            auth_required=self._login is not None,
            authenticator=self._check,
        )

    def _check(self, _: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any) -> AuthResult:
        if isinstance(given, LoginPassword) and (given.login.decode(), given.password.decode()) == self._login:
            return AuthResult(success=True, auth_data=given.login.decode())
        return AuthResult(success=False, handled=False)

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, _: list[str]) -> str:
        refusal = self.refusals.get(address)
        if refusal is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.content_reply.startswith("250"):
            mail = Received(
                envelope.mail_from or "",
                list(envelope.rcpt_tos),
                bytes(envelope.content or b""),
                session.ssl is not None or self._tls is not None,
                str(session.auth_data or ""),
            )
            with self._changed:
                self.received.append(mail)
                self._changed.notify_all()
        return self.content_reply
