"""A mail catcher: a real SMTP server that delivers nowhere, with an inbox to look at in the browser.

A mail is read once, when it comes, into plain text. Nothing that somebody wrote into one, however malformed,
can then keep the inbox from being shown.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import email
import email.policy
import html
import re
import time
from collections import deque
from dataclasses import dataclass
from email.message import EmailMessage
from html.parser import HTMLParser
from itertools import count

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

KEPT = 200  # mails
MAX_MAIL_BYTES = 1_000_000
LINK = re.compile(r"https?://[^\s<>\"']+")
AFTER_A_LINK = ".,;:!?)]"
STYLE = (
    "body{font:1rem/1.6 system-ui;max-width:48rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.4rem .8rem .4rem 0;vertical-align:top}"
    "pre{white-space:pre-wrap}pre,td,li{overflow-wrap:anywhere}"
    "iframe{width:100%;height:30rem;border:1px solid gray;background:white}"
)
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # linked sites needn't learn where a link was opened
    "X-Content-Type-Options": "nosniff",
}
SANDBOX = "allow-popups allow-popups-to-escape-sandbox"  # its links open in tabs of their own; nothing else works
HTML_PART_HEADERS = {
    **HEADERS,
    "Content-Security-Policy": f"sandbox {SANDBOX}; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
}


@dataclass(frozen=True, slots=True)
class Mail:
    """A received mail; `at` is UTC seconds, `sender` and `recipients` are the envelope's."""

    number: int
    at: float
    sender: str
    recipients: tuple[str, ...]
    headers: tuple[tuple[str, str], ...]
    text: str
    html: str

    @property
    def subject(self) -> str:
        return self.header("Subject") or "(no subject)"

    @property
    def links(self) -> tuple[str, ...]:
        """The distinct http(s) URLs of the text and HTML parts, in order."""
        in_text = (found.rstrip(AFTER_A_LINK) for found in LINK.findall(self.text))
        in_html = (found for found in find_targets(self.html) if LINK.fullmatch(found))
        return tuple(dict.fromkeys((*in_text, *in_html)))

    def header(self, name: str) -> str:
        """Return the value of the first header `name`, "" if there is none."""
        return next((value for found, value in self.headers if found.lower() == name.lower()), "")


def read_mail(number: int, at: float, envelope: Envelope) -> Mail:
    """Parse a received mail. Never raises: undecodable parts are shown raw."""
    content = envelope.content if isinstance(envelope.content, bytes) else b""
    message = email.message_from_bytes(content, _class=EmailMessage, policy=email.policy.default)
    return Mail(
        number,
        at,
        printable(envelope.mail_from or ""),
        tuple(printable(recipient) for recipient in envelope.rcpt_tos),
        tuple((printable(name), read_header(message, name, raw)) for name, raw in message.raw_items()),
        read_part(message, "plain"),
        read_part(message, "html"),
    )


def read_header(message: EmailMessage, name: str, raw: str) -> str:
    try:
        return printable(str(message.policy.header_fetch_parse(name, raw)))
    except Exception:  # The library raises nearly any exception for malformed ones: IndexError for "Message-ID: <>".
        return printable(raw)


def read_part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    if not isinstance(part, EmailMessage):
        return ""
    try:
        return printable(str(part.get_content()))
    except LookupError:  # The mail names an unknown charset.
        payload = part.get_payload(decode=True)
        return payload.decode("latin-1") if isinstance(payload, bytes) else ""


def printable(text: str) -> str:
    """Replace surrogates (undecodable bytes), which can't be sent in a page."""
    return text.encode("utf-8", "replace").decode("utf-8")


def find_targets(document: str) -> list[str]:
    """Return the `<a href>` targets of an HTML document."""

    class Collector(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            targets.extend(value.strip() for name, value in attrs if (tag, name) == ("a", "href") and value)

    targets: list[str] = []
    collector = Collector()
    with contextlib.suppress(AssertionError):  # Raised for a malformed declaration like "<![x".
        collector.feed(document)
        collector.close()
    return targets


class Mailbox:
    """The latest mails, in memory."""

    def __init__(self) -> None:
        self._mails: deque[Mail] = deque(maxlen=KEPT)
        self._numbers = count(1)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Store a mail; called by the SMTP server."""
        self._mails.appendleft(read_mail(next(self._numbers), time.time(), envelope))
        return "250 Caught"

    async def show_inbox(self, _: web.Request) -> web.Response:
        rows = "".join(
            f'<tr><td><a href="/mail/{mail.number}">{html.escape(mail.subject)}</a></td>'
            f"<td>{html.escape(', '.join(mail.recipients))}</td>"
            f"<td>{time.strftime('%H:%M:%S', time.gmtime(mail.at))} UTC</td></tr>"
            for mail in self._mails
        )
        text = f"<table>{rows}</table>" if rows else "<p>No mail yet. Whatever the gateway sends arrives here.</p>"
        return page("Demo inbox", f"<h1>Demo inbox</h1>{text}")

    async def show_mail(self, request: web.Request) -> web.Response:
        mail = self._find(request)
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in mail.headers
        )
        links = "".join(f'<li><a href="{html.escape(link)}">{html.escape(link)}</a></li>' for link in mail.links)
        shown = f'<iframe sandbox="{SANDBOX}" src="/mail/{mail.number}/html" title="HTML part"></iframe>'
        frame = shown if mail.html else ""
        return page(
            mail.subject,
            f'<p><a href="/">All mail</a></p><h1>{html.escape(mail.subject)}</h1><table>{rows}</table>'
            + (f"<h2>Links</h2><ul>{links}</ul>" if links else "")
            + f"<h2>Text</h2><pre>{html.escape(mail.text)}</pre>"
            + (f"<h2>HTML</h2>{frame}" if frame else ""),
        )

    async def show_html(self, request: web.Request) -> web.Response:
        content = self._find(request).html.replace("<head>", '<head><base target="_blank">', 1)
        return web.Response(text=content, content_type="text/html", headers=HTML_PART_HEADERS)

    async def list_mails(self, _: web.Request) -> web.Response:
        return web.json_response([as_json(mail) for mail in self._mails], headers=HEADERS)

    def _find(self, request: web.Request) -> Mail:
        number = request.match_info["number"]
        for mail in self._mails:
            if str(mail.number) == number:
                return mail
        raise web.HTTPNotFound

    def application(self) -> web.Application:
        """Return the web inbox."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/", self.show_inbox),
                web.get("/mail/{number}", self.show_mail),
                web.get("/mail/{number}/html", self.show_html),
                web.get("/api/messages", self.list_mails),
            ]
        )
        return application


def as_json(mail: Mail) -> dict[str, object]:
    return {
        "number": mail.number,
        "from": mail.sender,
        "to": mail.recipients,
        "subject": mail.subject,
        "headers": mail.headers,
        "text": mail.text,
        "html": mail.html,
        "links": mail.links,
        "message_id": mail.header("Message-ID"),
    }


def page(title: str, body: str) -> web.Response:
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style>'
    text = f'<!doctype html><html lang="en">{head}{body}'
    return web.Response(text=text, content_type="text/html", headers=HEADERS)


async def serve(smtp_port: int, web_port: int) -> None:
    """Serve both on loopback until cancelled."""
    mailbox = Mailbox()

    def answer() -> SMTP:
        return SMTP(mailbox, hostname="localhost", data_size_limit=MAX_MAIL_BYTES)

    smtp = await asyncio.get_running_loop().create_server(answer, "127.0.0.1", smtp_port)
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
