"""Handing mails to real SMTP servers, and what is said when they don't take them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from gateway.languages.reader import ENGLISH_IN_UTC
from gateway.mail.compose import Composer, content_of
from gateway.mail.smtp import Mailer, MailUnsent
from gateway.model.secret import Secret
from tests.mail.conftest import mailer_to, make_composer
from tests.support.certificates import Authority
from tests.support.gateway import free_port
from tests.support.smtp import SMTPServer

PASSWORD = "pässword of the mail server"


@contextlib.contextmanager
def running(server: SMTPServer) -> Iterator[SMTPServer]:
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.asynccontextmanager
async def scripted(greeting: bytes, replies: dict[bytes, bytes]) -> AsyncIterator[int]:
    """A server that answers each command by its first word; b"%" stands for the whole command."""
    ended: list[asyncio.Future[None]] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(end := asyncio.get_running_loop().create_future())
        writers.append(writer)
        writer.write(greeting)
        with contextlib.suppress(ConnectionError):
            await answer(reader, writer, replies)
        writer.close()
        end.set_result(None)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for writer in writers:
        writer.transport.abort()
    await asyncio.gather(*ended)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, replies: dict[bytes, bytes]) -> None:
    is_content = False
    while line := await reader.readline():
        if is_content and line != b".\r\n":
            continue
        word = line.split()[0].upper()
        is_content = word == b"DATA"
        writer.write(replies.get(word, b"250 OK\r\n").replace(b"%", line.strip()))


async def send(mailer: Mailer, recipient: str = "erin@acme.example", composer: Composer | None = None) -> str:
    composer = composer or make_composer()
    message = composer.compose(
        "test", recipient, ENGLISH_IN_UTC, message_id="<mail_1@app.example.com>", now=1_800_000_000
    )
    return await mailer.send(content_of(message, recipient))


async def refusal(mailer: Mailer, recipient: str = "erin@acme.example") -> MailUnsent:
    with pytest.raises(MailUnsent) as caught:
        await send(mailer, recipient)
    return caught.value


async def test_a_mail_arrives_whole_and_the_answer_is_told(server: SMTPServer) -> None:
    assert await send(mailer_to(server.port)) == "Taken"
    (received,) = server.received
    assert received.sender == "no-reply@otium.example"
    assert received.recipients == ["erin@acme.example"]
    assert received.message["Message-ID"] == "<mail_1@app.example.com>"
    assert "If you can read this" in str(received.message.get_body(("plain",)))
    assert received.raw.isascii()
    assert not received.is_encrypted


@pytest.mark.parametrize("recipient", ["erin@acme.example", "zoë@acme.example"])
async def test_a_mail_is_sent_as_it_was_stored(server: SMTPServer, recipient: str) -> None:
    message_id = f"<mail_1@{'long-label.' * 9}example.com>"
    message = make_composer(product="Ötium").compose(
        "test", recipient, ENGLISH_IN_UTC, message_id=message_id, now=1_800_000_000
    )
    content = content_of(message, recipient) + b".\nFrom: somebody\n"
    await mailer_to(server.port).send(content)
    (received,) = server.received
    assert received.raw.splitlines() == content.splitlines()
    assert received.recipients == [recipient]


async def test_an_address_outside_ascii_arrives(server: SMTPServer) -> None:
    await send(mailer_to(server.port), "zoë@acme.example")
    assert server.received[0].recipients == ["zoë@acme.example"]


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_tls_and_a_password_are_used(authority: Authority, security: str) -> None:
    context = authority.server_context()
    login = ("gateway", PASSWORD)
    with running(
        SMTPServer(starttls=context, login=login) if security == "starttls" else SMTPServer(tls=context)
    ) as server:
        mailer = Mailer(
            host="127.0.0.1",
            port=server.port,
            security=security,  # type: ignore[arg-type]
            username="gateway" if security == "starttls" else "",
            password=Secret(PASSWORD),
            ca_file=str(authority.ca_file),
        )
        await send(mailer)
        assert server.received[0].is_encrypted
        assert server.received[0].user == ("gateway" if security == "starttls" else "")


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_certificate_that_nobody_known_vouches_for_is_refused(authority: Authority, security: str) -> None:
    context = authority.server_context()
    with running(SMTPServer(starttls=context) if security == "starttls" else SMTPServer(tls=context)) as server:
        mailer = Mailer(
            host="127.0.0.1",
            port=server.port,
            security=security,  # type: ignore[arg-type]
            username="",
            password=None,
        )
        error = await refusal(mailer)
        assert "its certificate is not trusted" in str(error)
        assert not error.is_permanent
        assert server.received == []


async def test_a_certificate_for_another_name_is_refused(authority: Authority) -> None:
    with running(SMTPServer(starttls=authority.server_context())) as server:
        mailer = Mailer(
            host="ip6-localhost.localhost", port=server.port, security="starttls", username="", password=None,
            ca_file=str(authority.ca_file),
        )  # fmt: skip
        assert not (await refusal(mailer)).is_permanent
        assert server.received == []


async def test_a_server_without_starttls_gets_no_mail_in_the_clear(server: SMTPServer) -> None:
    mailer = Mailer(host="127.0.0.1", port=server.port, security="starttls", username="", password=None)
    assert "STARTTLS" in str(await refusal(mailer))
    assert server.received == []


async def test_a_file_of_authorities_that_is_none_is_named(server: SMTPServer) -> None:
    mailer = Mailer(
        host="127.0.0.1", port=server.port, security="starttls", username="", password=None, ca_file="/none/ca.pem"
    )
    assert "mail.ca_file /none/ca.pem" in str(await refusal(mailer))


async def test_a_wrong_password_is_told_without_it_and_is_no_fault_of_the_mail(authority: Authority) -> None:
    with running(SMTPServer(starttls=authority.server_context(), login=("gateway", "right"))) as server:
        mailer = Mailer(
            host="127.0.0.1", port=server.port, security="starttls", username="gateway", password=Secret(PASSWORD),
            ca_file=str(authority.ca_file),
        )  # fmt: skip
        error = await refusal(mailer)
        assert str(error) == f"127.0.0.1:{server.port}: it refused the user name or password (535)"
        assert not error.is_permanent


async def test_a_server_that_repeats_the_password_does_not_get_it_into_the_message() -> None:
    replies = {b"EHLO": b"250-localhost\r\n250 AUTH PLAIN LOGIN\r\n", b"AUTH": b"535 you said %\r\n"}
    async with scripted(b"220 ready\r\n", replies) as port:
        mailer = Mailer(host="127.0.0.1", port=port, security="none", username="gw", password=Secret("open sesame"))
        error = await refusal(mailer)
    assert str(error) == f"127.0.0.1:{port}: it refused the user name or password (535)"
    assert error.__cause__ is None
    assert error.__suppress_context__


REFUSALS = [
    ("550 No such person", True),
    ("553 No", True),
    ("450 Try later", False),
    ("421 Closing", False),
]


@pytest.mark.parametrize(("reply", "is_permanent"), REFUSALS)
async def test_a_refused_recipient_is_told_with_the_servers_words(
    server: SMTPServer, reply: str, is_permanent: bool
) -> None:
    server.refusals["erin@acme.example"] = reply
    error = await refusal(mailer_to(server.port))
    assert str(error) == f"127.0.0.1:{server.port}: {reply}"
    assert error.is_permanent is is_permanent


@pytest.mark.parametrize(("reply", "is_permanent"), [("554 Spam", True), ("452 Full", False)])
async def test_a_refused_content_is_told_with_the_servers_words(
    server: SMTPServer, reply: str, is_permanent: bool
) -> None:
    server.content_reply = reply
    error = await refusal(mailer_to(server.port))
    assert str(error) == f"127.0.0.1:{server.port}: {reply}"
    assert error.is_permanent is is_permanent


async def test_a_refused_sender_is_no_fault_of_the_mail() -> None:
    async with scripted(b"220 ready\r\n", {b"MAIL": b"550 not you\r\n"}) as port:
        error = await refusal(mailer_to(port))
    assert "550 not you" in str(error)
    assert not error.is_permanent


async def test_what_a_server_says_commands_no_terminal() -> None:
    async with scripted(b"554 go \x1b[2Jaway\r\n", {}) as port:
        error = await refusal(mailer_to(port))
    assert str(error).isprintable()
    assert "554 go" in str(error)
    assert not error.is_permanent


async def test_no_server_is_told_in_one_line() -> None:
    error = await refusal(mailer_to(port := free_port()))
    assert str(error).startswith(f"127.0.0.1:{port}: ")
    assert "Connect call failed" in str(error)
    assert not error.is_permanent


async def test_a_silent_server_is_not_waited_for() -> None:
    async with scripted(b"", {}) as port:
        mailer = Mailer(host="127.0.0.1", port=port, security="none", username="", password=None, seconds=0.05)
        assert not (await refusal(mailer)).is_permanent


async def test_a_server_that_hangs_up_is_told() -> None:
    async with scripted(b"220 ready\r\n", {b"EHLO": b""}) as port:
        mailer = Mailer(host="127.0.0.1", port=port, security="none", username="", password=None, seconds=0.05)
        assert not (await refusal(mailer)).is_permanent


async def test_a_mail_that_was_taken_is_sent_however_the_goodbye_goes() -> None:
    replies = {b"DATA": b"354 go\r\n", b".": b"250 queued as 7\r\n", b"QUIT": b"500 no\r\n"}
    async with scripted(b"220 ready\r\n", replies) as port:
        assert await send(mailer_to(port)) == "queued as 7"
