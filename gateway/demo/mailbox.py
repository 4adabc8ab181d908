"""A mail catcher: a real SMTP server that delivers nowhere, with an inbox to look at in the browser."""

from __future__ import annotations

import argparse
import asyncio
import email
import email.policy
import html
import time
from collections import deque
from dataclasses import dataclass
from email.message import EmailMessage
from itertools import count

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

KEPT = 500
STYLE = (
    "body{font:1rem/1.6 system-ui;max-width:48rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.4rem .8rem .4rem 0;vertical-align:top}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere}"
    "iframe{width:100%;height:30rem;border:1px solid gray;background:white}"
)
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail as it was received; `at` is UTC seconds."""

    number: int
    at: float
    sender: str
    recipients: list[str]
    message: EmailMessage

    @property
    def subject(self) -> str:
        return str(self.message.get("Subject", "(no subject)"))

    def part(self, kind: str) -> str:
        """Return the text of the part called `kind` ("plain" or "html"), "" where there is none."""
        found = self.message.get_body((kind,))
        return str(found.get_content()) if isinstance(found, EmailMessage) else ""


class Mailbox:
    """The latest mails, in memory."""

    def __init__(self) -> None:
        self._mails: deque[Mail] = deque(maxlen=KEPT)
        self._numbers = count(1)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Called by the SMTP server for each mail."""
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        message = email.message_from_bytes(content, policy=email.policy.default)
        if isinstance(message, EmailMessage):
            sender, recipients = envelope.mail_from or "", list(envelope.rcpt_tos)
            self._mails.appendleft(Mail(next(self._numbers), time.time(), sender, recipients, message))
        return "250 Caught"

    async def show_inbox(self, _: web.Request) -> web.Response:
        rows = "".join(
            f'<tr><td><a href="/mail/{mail.number}">{html.escape(mail.subject)}</a></td>'
            f"<td>{html.escape(', '.join(mail.recipients))}</td>"
            f"<td>{time.strftime('%H:%M:%S', time.gmtime(mail.at))} UTC</td></tr>"
            for mail in self._mails
        )
        text = f"<table>{rows}</table>" if rows else "<p>No mail yet. Whatever the gateway sends arrives here.</p>"
        return page("Caught mail", f"<h1>Caught mail</h1>{text}")

    async def show_mail(self, request: web.Request) -> web.Response:
        mail = self._find(request)
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>"
            for name, value in mail.message.items()
        )
        frame = (
            f'<iframe sandbox src="/mail/{mail.number}/html" title="HTML part"></iframe>' if mail.part("html") else ""
        )
        text = f"<pre>{html.escape(mail.part('plain'))}</pre>"
        return page(mail.subject, f'<p><a href="/">All mail</a></p><table>{rows}</table>{text}{frame}')

    async def show_html(self, request: web.Request) -> web.Response:
        headers = {
            **HEADERS,
            "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
        }
        return web.Response(text=self._find(request).part("html"), content_type="text/html", headers=headers)

    async def list_mails(self, _: web.Request) -> web.Response:
        return web.json_response(
            [
                {
                    "number": mail.number,
                    "from": mail.sender,
                    "to": mail.recipients,
                    "subject": mail.subject,
                    "text": mail.part("plain"),
                    "html": mail.part("html"),
                    "message_id": str(mail.message.get("Message-ID", "")),
                }
                for mail in self._mails
            ]
        )

    def _find(self, request: web.Request) -> Mail:
        number = int(request.match_info["number"])
        for mail in self._mails:
            if mail.number == number:
                return mail
        raise web.HTTPNotFound

    def application(self) -> web.Application:
        """Return the web inbox."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/", self.show_inbox),
                web.get(r"/mail/{number:\d+}", self.show_mail),
                web.get(r"/mail/{number:\d+}/html", self.show_html),
                web.get("/api/messages", self.list_mails),
            ]
        )
        return application


def page(title: str, body: str) -> web.Response:
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style>'
    text = f'<!doctype html><html lang="en">{head}{body}'
    return web.Response(text=text, content_type="text/html", headers=HEADERS)


async def serve(smtp_port: int, web_port: int) -> None:
    """Serve both on loopback until cancelled."""
    mailbox = Mailbox()
    loop = asyncio.get_running_loop()
    smtp = await loop.create_server(lambda: SMTP(mailbox, hostname="localhost"), "127.0.0.1", smtp_port)
    runner = web.AppRunner(mailbox.application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", web_port).start()
    try:
        await smtp.serve_forever()
    finally:
        await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smtp-port", type=int, default=1025)
    parser.add_argument("--web-port", type=int, default=8025)
    options = parser.parse_args()
    asyncio.run(serve(options.smtp_port, options.web_port))


if __name__ == "__main__":
    main()
