"""Which forms are kept, and what of them is shown. Pure.

A form is kept only for who sent it from a page of this site while signed in: a session that has expired, or one that
has to prove more. It is never sent by itself, and never for another account.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from urllib.parse import parse_qsl

from werkzeug.http import parse_options_header

from gateway.edge.inbound import Inbound
from gateway.sent import MULTIPART, URLENCODED, Part, read_multipart

KEEP_SECONDS = 600
MAX_BYTES = 1_000_000
MAX_SHOWN = 50  # fields
MAX_VALUE = 300  # characters
SECRETS = ("pass", "secret", "token", "csrf")
HIDDEN = "••••••"
NO_FILE = "–"


@dataclass(frozen=True, slots=True)
class Form:
    """A form as it came: `target` as in the request line, `referer` the page it stood on, or ""."""

    target: str
    content_type: str
    referer: str
    body: bytes

    @property
    def path(self) -> str:
        """The target without its query, which may hold anything: for the audit log."""
        return self.target.partition("?")[0]

    def encode(self) -> bytes:
        head = {name: value for name, value in asdict(self).items() if name != "body"}
        return json.dumps(head).encode() + b"\n" + self.body

    @classmethod
    def decode(cls, content: bytes) -> Form:
        head, _, body = content.partition(b"\n")
        return cls(**json.loads(head), body=body)


@dataclass(frozen=True, slots=True)
class Field:
    """One line of what is shown."""

    name: str
    value: str


def is_keepable(inbound: Inbound) -> bool:
    """Return whether this is a form that a person sent by pressing a button, and small enough."""
    content_type = (inbound.value(b"content-type") or b"").partition(b";")[0].strip().lower().decode("ascii", "replace")
    return (
        inbound.method == "POST"
        and inbound.is_navigation
        and content_type in (URLENCODED, MULTIPART)
        and inbound.length <= MAX_BYTES
        and inbound.value(b"content-encoding") is None
    )


def read_form(inbound: Inbound, body: bytes) -> Form:
    def text(name: bytes) -> str:
        return (inbound.value(name) or b"").decode("latin-1")

    return Form(inbound.target.decode("ascii"), text(b"content-type"), text(b"referer"), body)


def describe(form: Form) -> list[Field]:
    """Return the fields as a person would recognise them; what looks like a secret is not shown.

    Nothing, of a form that only the application can read. It can be sent all the same.
    """
    media_type, options = parse_options_header(form.content_type)
    if media_type == MULTIPART:
        try:
            pairs = [pair_of(part) for part in read_multipart(form.body, options.get("boundary", ""))]
        except ValueError:
            return []
    else:
        shown = b"&".join(form.body.split(b"&", MAX_SHOWN)[:MAX_SHOWN])
        pairs = parse_qsl(shown.decode("utf-8", "replace"), keep_blank_values=True)
    return [Field(name, mask(name, value)) for name, value in pairs[:MAX_SHOWN]]


def pair_of(part: Part) -> tuple[str, str]:
    if part.filename is not None:
        return part.name, f"{part.filename} ({len(part.content):,} bytes)" if part.filename else NO_FILE
    return part.name, part.content.decode("utf-8", "replace")


def mask(name: str, value: str) -> str:
    if any(word in name.lower() for word in SECRETS):
        return HIDDEN
    return value if len(value) <= MAX_VALUE else f"{value[:MAX_VALUE]}…"
