"""Header values made of text and placeholders, like "{local}" or "Bearer {credential:app-token}".

A template without a placeholder for the person is sent with every forwarded request, so that the application can check
that the request came through the gateway. One with such a placeholder is sent only with a session.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass

PERSON = ("id", "email", "local", "domain", "name", "groups", "tenant", "role", "session", "factors", "amr")
CREDENTIAL = "credential"
CREDENTIAL_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
PLAIN_TEXT = re.compile(r"[\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class HeaderTemplate:
    """`pieces` are pairs of literal text and the key of the placeholder that follows it ("" for none)."""

    pieces: tuple[tuple[str, str], ...]

    @property
    def names_person(self) -> bool:
        return any(key in PERSON for _, key in self.pieces)

    @property
    def credentials(self) -> tuple[str, ...]:
        """The names of the secrets that the template uses."""
        kinds = (key.partition(":") for _, key in self.pieces)
        return tuple(name for kind, _, name in kinds if kind == CREDENTIAL)

    def fill(self, told: Mapping[str, str]) -> str:
        """Return the header value. `told` has a text per placeholder; the keys of secrets are `credential:NAME`."""
        return "".join(text + (told[key] if key else "") for text, key in self.pieces)


def read_template(text: str) -> HeaderTemplate:
    """Parse a template; `{{` and `}}` are literal braces. Raises ValueError with advice for the operator."""
    if not PLAIN_TEXT.fullmatch(text) or text != text.strip():
        raise ValueError("write printable ASCII, without spaces at either end")
    try:
        parsed = list(string.Formatter().parse(text))
    except ValueError:
        raise ValueError("a brace has no partner; write {{ or }} for one that is meant") from None
    return HeaderTemplate(
        tuple((literal, key_of(name, spec, conversion)) for literal, name, spec, conversion in parsed)
    )


def key_of(name: str | None, spec: str | None, conversion: str | None) -> str:
    """Return the key of a placeholder, "" if the literal text is the last piece. Raises ValueError."""
    if name is None:
        return ""
    if name in PERSON and not spec and conversion is None:
        return name
    if name == CREDENTIAL and spec and CREDENTIAL_NAME.fullmatch(spec) and conversion is None:
        return f"{CREDENTIAL}:{spec}"
    known = ", ".join(f"{{{key}}}" for key in PERSON)
    raise ValueError(f"there is no {{{name}}}; there are {known} and {{credential:name-in-small-letters}}")
