"""Which forms are saved, and what is shown of them. Pure.

A form of this site is saved for its account and browser, if the session idled out recently or needs another proof. A
form of another site is saved for the browser alone, and only where the access file allows it. Neither is sent without
the person pressing a button. They must see what it sends, so only forms that can be shown completely are saved: every
field, the query, and the address.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from urllib.parse import parse_qsl

from werkzeug.http import parse_options_header

from gateway.model.inbound import Inbound
from gateway.web.form_data import MULTIPART, URLENCODED, Part, read_multipart
from gateway.wire.target import BROKEN_ESCAPE

KEEP_SECONDS = 600
IDLE_SECONDS = 3_600  # how long ago a session may have idled out
MAX_BYTES = 65_536
MAX_SHOWN = 100  # fields, in query and form each
SECRETS = ("pass", "secret", "token", "csrf")
NO_FILE = "–"
# As browsers encode forms (URL Standard §5.2), and slightly more. Some servers also split at `;`.
WRITTEN = re.compile(rb"[\x21-\x3a\x3c-\x7e]*")
# Control characters except line breaks and tabs, the replacement character, and bidirectional overrides.
UNSHOWABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffd]")


@dataclass(frozen=True, slots=True)
class Form:
    """A form as received. `target` is from the request line, `referer` the page that it was on, or "".

    `origin` and `site` are Origin and Sec-Fetch-Site of another site's form, "" for this site's.
    """

    target: str
    content_type: str
    referer: str
    body: bytes
    origin: str = ""
    site: str = ""

    @property
    def path(self) -> str:
        """The target without its query, for the audit log; queries may contain personal data."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def encode(self) -> bytes:
        head = {name: value for name, value in asdict(self).items() if name != "body"}
        return json.dumps(head).encode() + b"\n" + self.body

    @classmethod
    def decode(cls, content: bytes) -> Form:
        head, _, body = content.partition(b"\n")
        return cls(**json.loads(head), body=body)


@dataclass(frozen=True, slots=True)
class Field:
    """One field as shown. Secrets are masked until the person asks to see them."""

    name: str
    value: str

    @property
    def is_secret(self) -> bool:
        return bool(self.value) and any(word in self.name.lower() for word in SECRETS)


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything that sending the form transmits."""

    query: list[Field]
    fields: list[Field]

    @property
    def has_secrets(self) -> bool:
        return any(field.is_secret for field in (*self.query, *self.fields))


def is_keepable(inbound: Inbound) -> bool:
    """Return whether this is a form that a person submitted in a browser, and small enough."""
    content_type = (inbound.value(b"content-type") or b"").partition(b";")[0].strip().lower().decode("ascii", "replace")
    return (
        inbound.method == "POST"
        and inbound.is_page
        and content_type in (URLENCODED, MULTIPART)
        and inbound.length <= MAX_BYTES
        and inbound.value(b"content-encoding") is None
    )


def read_form(inbound: Inbound, body: bytes, *, is_foreign: bool = False) -> Form:
    def text(name: bytes) -> str:
        return (inbound.value(name) or b"").decode("latin-1")

    form = (inbound.target.decode("ascii"), text(b"content-type"), text(b"referer"), body)
    return Form(*form, text(b"origin") or "null", text(b"sec-fetch-site")) if is_foreign else Form(*form)


def describe(form: Form) -> Shown | None:
    """Return the fields for display, or None if they can't be shown completely."""
    media_type, options = parse_options_header(form.content_type)
    try:
        query = read_urlencoded(form.query.encode("ascii"))
        if media_type == MULTIPART and set(options) == {"boundary"}:
            fields = read_parts(form.body, options["boundary"])
        elif media_type == URLENCODED and (not options or options.get("charset", "").lower() == "utf-8"):
            fields = read_urlencoded(form.body)
        else:
            return None
    except ValueError:
        return None
    is_shown = max(len(query), len(fields)) <= MAX_SHOWN and not any(
        UNSHOWABLE.search(field.name + field.value) for field in (*query, *fields)
    )
    return Shown(query, fields) if is_shown else None


def read_urlencoded(content: bytes) -> list[Field]:
    """Raises ValueError if servers could parse the content differently, or for too many fields."""
    if WRITTEN.fullmatch(content) is None or BROKEN_ESCAPE.search(content):
        raise ValueError("no browser writes a form like this")
    pairs = parse_qsl(content.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_SHOWN, errors="strict")
    return [Field(name, value) for name, value in pairs]


def read_parts(body: bytes, boundary: str) -> list[Field]:
    """Raises ValueError for a selected file, and for parts with further headers."""
    return [Field(part.name, text_of(part)) for part in read_multipart(body, boundary)]


def text_of(part: Part) -> str:
    if part.filename == "" and not part.content:
        return NO_FILE
    if part.filename is not None or part.says_more:
        raise ValueError("a file, or content in some encoding")
    return part.content.decode("utf-8")
