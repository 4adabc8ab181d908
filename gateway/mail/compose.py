"""Composes mails: one layout, plain text and HTML, every text translatable.

A mail `name` has two templates, `mail/<name>.txt` with the block `subject`, and `mail/<name>.html`, in `templates/` or
in a factor's folder. Both have the same words. Opening a mail loads nothing from anywhere: no image, no font, no
tracking pixel.

Some of the values in a mail are chosen by strangers, like the name that a browser gives itself. So every value is put
on one line before a template sees it: it can't begin a header, nor a paragraph of its own in the plain text.
"""

from __future__ import annotations

import binascii
import email.policy
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.headerregistry import Address, BaseHeader
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import urlsplit

from gateway.languages.reader import Reader, translate, written_for
from gateway.languages.times import day_text, zoned_text
from gateway.model.moment import Day, Moment
from gateway.model.sentence import Sentence
from gateway.web.templates import mail_environment

MAX_SUBJECT = 150  # characters
ADDRESS = re.compile(r"[^\s\x00-\x1f\x7f\"(),:;<>@\[\\\]]+@[A-Za-z0-9.-]+")
JOINERS = "\u200c\u200d"  # unprintable to Python, but used in Persian names and in emoji
BLANK_LINES = re.compile(r"\n\s*\n")


def field(name: str, value: str) -> BaseHeader:
    """Parse a header field. The library takes a parsed one as it is, and otherwise parses it again for every mail."""
    parsed: BaseHeader = email.policy.default.header_store_parse(name, value)[1]
    return parsed


AUTO_GENERATED = field("Auto-Submitted", "auto-generated")  # RFC 3834 §5: suppresses out-of-office replies
MIME_VERSION = field("MIME-Version", "1.0")
TWO_PARTS = field("Content-Type", 'multipart/alternative; boundary="=_"')  # never in quoted-printable text
PLAIN = field("Content-Type", 'text/plain; charset="utf-8"')
HTML = field("Content-Type", 'text/html; charset="utf-8"')
# It passes through every server unchanged, so that a DKIM signature stays valid.
QUOTED_PRINTABLE = field("Content-Transfer-Encoding", "quoted-printable")


class Composer:
    """Composes every mail of a gateway. `support` may be "", an email or a web address; `accent` is #rrggbb."""

    def __init__(self, *, product: str, accent: str, support: str, public_url: str, sender: str) -> None:
        self._from = field("From", sender)
        self._host = urlsplit(public_url).hostname or "localhost"
        self._environment = mail_environment()
        self._environment.globals.update(
            product=one_line(product), accent=accent, support=support, public_url=public_url
        )

    def compose(
        self, template: str, recipient: str, reader: Reader, *, message_id: str, now: int, **context: str | int
    ) -> EmailMessage:
        """Return the mail `template` to one address, in the language and time zone of `reader`.

        `message_id` is the whole header, `<id@host>`. Raises ValueError if `recipient` is not one plain address.
        """
        with written_for(reader):
            return self._compose(template, recipient, reader, message_id, now, context)

    def _compose(
        self,
        template: str,
        recipient: str,
        reader: Reader,
        message_id: str,
        now: int,
        context: Mapping[str, str | int],
    ) -> EmailMessage:
        shown = {name: write(value) for name, value in context.items()}
        shown["recipient"] = recipient
        in_text = self._environment.get_template(f"mail/{template}.txt")
        subject = one_line("".join(in_text.blocks["subject"](in_text.new_context(shown))))[:MAX_SUBJECT]
        in_html = self._environment.get_template(f"mail/{template}.html")
        message = EmailMessage()
        message["From"] = self._from
        message["To"] = address_of(recipient)
        message["Subject"] = subject
        message["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
        message["Message-ID"] = message_id
        message["Auto-Submitted"] = AUTO_GENERATED
        message["MIME-Version"] = MIME_VERSION
        message["Content-Type"] = TWO_PARTS
        message["Content-Language"] = reader.language.code
        html = in_html.render(shown, subject=subject).strip()
        message.attach(part(PLAIN, paragraphs(in_text.render(shown))))
        message.attach(part(HTML, f"{html}\n"))
        return message

    def message_id(self, mail_id: str) -> str:
        """Return the Message-ID of a mail; the same `mail_id` always gives the same one."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"<{mail_id}@{host}>"


def content_of(message: EmailMessage, recipient: str) -> bytes:
    """Return a mail as it is stored and sent.

    Headers contain raw UTF-8 only where they must, for an address outside ASCII (RFC 6532).
    """
    return message.as_bytes(policy=email.policy.EmailPolicy(utf8=not recipient.isascii()))


def part(kind: BaseHeader, text: str) -> EmailMessage:
    """Return one part of a mail."""
    made = EmailMessage()
    made["Content-Type"] = kind
    made["Content-Transfer-Encoding"] = QUOTED_PRINTABLE
    made.set_payload(binascii.b2a_qp(text.encode()).decode("ascii"))
    return made


def write(value: str | int) -> str | int:
    """Return a value as the current reader writes it."""
    match value:
        case Moment():
            return zoned_text(value)
        case Day():
            return day_text(value)
        case Sentence():
            return one_line(translate(value))
        case str():
            return one_line(value)
    return value


def address_of(text: str) -> Address:
    """Parse one plain address. Raises ValueError for anything that could be read as two addresses, or as a header."""
    if not ADDRESS.fullmatch(text):
        raise ValueError("a mail goes to one plain address")
    local, _, domain = text.rpartition("@")
    return Address(username=local, domain=domain)


def one_line(text: str) -> str:
    """Return `text` without line breaks and control characters, including those that change the writing direction."""
    return " ".join("".join(c if c.isprintable() or c in JOINERS else " " for c in text).split())


def paragraphs(text: str) -> str:
    """Return `text` with each run of empty lines reduced to one."""
    lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
    return BLANK_LINES.sub("\n\n", lines) + "\n"
