"""Delivers mails to an SMTP server, and turns each failure into one sentence.

Every network step has a timeout of `seconds`, and the whole delivery one of `longest_seconds`: a lease longer than that
can't end while its mail is being sent. A mail whose last reply was lost counts as not sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.policy
import ssl
from collections.abc import Awaitable, Callable
from email.headerregistry import Address
from email.parser import HeaderParser
from typing import Literal

import aiosmtplib
from aiosmtplib import SMTPException

from gateway.mail.compose import one_line
from gateway.model.secret import Secret

STEPS = 6  # connect, TLS, name, mail, recipient, content
MAX_REASON = 300  # characters


class MailUnsent(Exception):
    """A mail was not accepted: the server, and the reason. Never contains credentials.

    `is_permanent`: the server refused this mail for good (5xx to its recipient or its content). A server that refuses
    *us*, for example because of a wrong password, is not permanent: every waiting mail would otherwise be lost until it
    is fixed.
    """

    def __init__(self, message: str, *, is_permanent: bool = False) -> None:
        super().__init__(message)
        self.is_permanent = is_permanent


class Mailer:
    """Sends each mail over a connection of its own. `ca_file` replaces the system's certificate authorities."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        security: Literal["none", "starttls", "tls"],
        username: str,
        password: Secret[str] | None,
        seconds: float = 10,
        ca_file: str = "",
    ) -> None:
        self._host = host
        self._port = port
        self._security = security
        self._username = username
        self._password = password
        self._seconds = seconds
        self._ca_file = ca_file
        self._context: ssl.SSLContext | None = None
        self.longest_seconds = STEPS * seconds

    async def send(self, content: bytes) -> str:
        """Send a mail (see compose.content_of) and return the server's final reply. Raises MailUnsent."""
        sender, recipient = envelope_of(content)
        options = () if recipient.addr_spec.isascii() else ("SMTPUTF8", "BODY=8BITMIME")  # RFC 6531 §3.4

        async def hand_over(client: aiosmtplib.SMTP) -> str:
            sent = await client.sendmail(sender.addr_spec, recipient.addr_spec, content, mail_options=options)
            return sent[1]

        # Without a host name from us the library would ask the DNS for one, and block for as long as that takes.
        return await self._converse(sender.domain, hand_over)

    async def try_out(self) -> None:
        """Connect, set up TLS and authenticate as for a mail, but send none. Raises MailUnsent."""

        async def say_hello(client: aiosmtplib.SMTP) -> str:
            return (await client.noop()).message

        await self._converse("localhost", say_hello)

    async def _converse(self, name: str, talk: Callable[[aiosmtplib.SMTP], Awaitable[str]]) -> str:
        try:
            return await self._connect_and(name, talk)
        except aiosmtplib.SMTPAuthenticationError as error:
            # Neither the server's words nor the exception are passed on: some servers repeat the credentials they
            # received.
            raise self._unsent(f"it refused the user name or password ({error.code})") from None
        except (SMTPException, OSError, ValueError) as error:
            raise self._unsent(reason_of(error), is_permanent=is_permanent(error)) from error

    async def _connect_and(self, name: str, talk: Callable[[aiosmtplib.SMTP], Awaitable[str]]) -> str:
        client: aiosmtplib.SMTP | None = None
        try:
            async with asyncio.timeout(self.longest_seconds):
                client = await self._client(name)
                await client.connect()
                answer = await talk(client)
            with contextlib.suppress(SMTPException, OSError):  # the mail is accepted, even if QUIT fails
                await client.quit()
            return answer
        finally:
            if client is not None:
                client.close()

    async def _client(self, name: str) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            timeout=self._seconds,
            use_tls=self._security == "tls",
            start_tls=self._security == "starttls",
            tls_context=await self._tls(),
            username=self._username or None,
            password=self._password.reveal() if self._password and self._username else None,
            local_hostname=name,
        )

    async def _tls(self) -> ssl.SSLContext | None:
        if self._security != "none" and self._context is None:
            try:
                self._context = await asyncio.to_thread(ssl.create_default_context, cafile=self._ca_file or None)
            except OSError as error:
                raise self._unsent(f"mail.ca_file {self._ca_file} can't be used: {error}") from error
        return self._context

    def _unsent(self, reason: str, *, is_permanent: bool = False) -> MailUnsent:
        return MailUnsent(f"{self._host}:{self._port}: {reason}"[:MAX_REASON], is_permanent=is_permanent)


def envelope_of(content: bytes) -> tuple[Address, Address]:
    """Return the sender and the recipient of a mail, from its header.

    That is parsed as text: from bytes, the library splits an address outside ASCII. The rest is sent as it is.
    """
    header = HeaderParser(policy=email.policy.default).parsestr(content.partition(b"\n\n")[0].decode())
    return header["From"].addresses[0], header["To"].addresses[0]


def is_permanent(error: Exception) -> bool:
    """Whether a reply code is final (5yz, RFC 5321 §4.2.1)."""
    match error:
        case aiosmtplib.SMTPRecipientsRefused():
            return all(500 <= refused.code < 600 for refused in error.recipients)
        case aiosmtplib.SMTPDataError():
            return 500 <= error.code < 600
    return False


def reason_of(error: Exception) -> str:
    """Return the reason as one line."""
    match error:
        case aiosmtplib.SMTPRecipientsRefused():
            reason = "; ".join(f"{refused.code} {refused.message}" for refused in error.recipients)
        case aiosmtplib.SMTPConnectError() if isinstance(error.__cause__, OSError):
            return reason_of(error.__cause__)
        case aiosmtplib.SMTPResponseException():
            reason = f"{error.code} {error.message}"
        case SMTPException():
            reason = error.message
        case ssl.SSLCertVerificationError():
            reason = f"its certificate is not trusted: {error.verify_message}"
        case TimeoutError():
            reason = "it took too long"
        case _:
            reason = str(error)
    return one_line(reason) or type(error).__name__
