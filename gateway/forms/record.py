"""Which forms are kept, and what of them is shown. Pure.

A form is kept only for who sent it from a page of this site while signed in: a session that has expired, or one that
has to prove more. It is never sent by itself, and never for another account.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass
from urllib.parse import parse_qsl

from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from gateway.edge.inbound import Inbound

KEEP_SECONDS = 600
MAX_BYTES = 1_000_000
URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
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
    """Return the fields as a person would recognise them; what looks like a secret is not shown."""
    media_type, options = parse_options_header(form.content_type)
    if media_type == MULTIPART:
        try:
            _, texts, files = FormDataParser().parse(io.BytesIO(form.body), media_type, len(form.body), options)
        except ValueError:
            return []
        pairs = [(name, value) for name, value in texts.items(multi=True)]
        pairs += [
            (name, f"{file.filename} ({len(file.read()):,} bytes)" if file.filename else NO_FILE)
            for name, file in files.items(multi=True)
        ]
    else:
        pairs = parse_qsl(form.body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=10_000)
    return [Field(name, mask(name, value)) for name, value in pairs[:MAX_SHOWN]]


def mask(name: str, value: str) -> str:
    if any(word in name.lower() for word in SECRETS):
        return HIDDEN
    return value if len(value) <= MAX_VALUE else f"{value[:MAX_VALUE]}…"
