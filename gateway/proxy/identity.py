"""Identity headers: the fields that tell the upstream who is signed in.

The fields are cached per session until it changes or its signed assertion is about to expire, because a signature costs
more than all other work on a request.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import quote

from gateway.model.clock import DAY
from gateway.model.memo import CACHED_SESSIONS, Memo
from gateway.model.secret import Secret
from gateway.model.session import Session
from gateway.proxy.assertion import Assertions
from gateway.settings.header_template import HeaderTemplate

RENEW_SECONDS = 30  # every assertion that is sent stays valid for at least this long
LONG_SECONDS = DAY  # without an assertion, the fields depend on the session alone
READABLE = "".join(chr(c) for c in range(0x20, 0x7F) if c != ord("%"))


class Told(NamedTuple):
    """The field lines of a session until `renewed_at`, in UTC seconds; `empty` are those without a value."""

    session: Session
    renewed_at: int
    lines: bytes
    empty: bytes


class Identities:
    """Builds the identity fields. `names` maps each value to its header; "" leaves it out.

    `names` are the names of all identity headers, and `fixed_lines` the fields of every request, each ending in CRLF.
    `templates` are further fields by name, and `credentials` the secrets that they use. `blank` are names that
    forward-auth always answers without a value.
    """

    def __init__(
        self,
        names: Mapping[str, str],
        user_is_email: bool,
        assertions: Assertions,
        templates: Mapping[str, HeaderTemplate] = MappingProxyType({}),
        credentials: Mapping[str, Secret[str]] = MappingProxyType({}),
        cached_sessions: int = CACHED_SESSIONS,
        blank: Iterable[str] = (),
    ) -> None:
        self._names = {told: name for told, name in names.items() if name}
        self._user_is_email = user_is_email
        self._assertions = assertions
        self._credentials = {f"credential:{name}": secret.reveal() for name, secret in credentials.items()}
        self._templates = {name: template for name, template in templates.items() if template.names_person}
        fixed = {
            name: template.fill(self._credentials)
            for name, template in templates.items()
            if name not in self._templates
        }
        self.names: Collection[str] = (*self._names.values(), *templates)
        self.fixed_lines = write(fixed.items())
        taken = {name.lower() for name in self.names}
        spare = [name for name in blank if name.lower() not in taken]
        self._answered = (*self._names.values(), *self._templates, *spare)
        self._nobody = self._write_empty(()) + self.fixed_lines
        self._cache = Memo[str, Told](cached_sessions)

    def lines(self, session: Session, now: int) -> bytes:
        """Return the field lines for `session`, each ending in CRLF. `now` is UTC seconds."""
        told = self._cache.young.get(session.id)
        if told is not None and told.session is session and now < told.renewed_at:
            return told.lines
        return self._told(session, now).lines

    def answer_lines(self, session: Session | None, now: int) -> bytes:
        """Return the fields for a proxy that copies them: all names, with empty values if there is no session.

        If a field is missing, Caddy 2.6 inserts the text of its placeholder, and anonymous people would have an
        identity.
        """
        if session is None:
            return self._nobody
        told = self._told(session, now)
        return told.lines + told.empty + self.fixed_lines

    def fields(self, session: Session, now: int) -> list[tuple[str, str]]:
        """Return the (header name, value) pairs of the session."""
        local, _, domain = session.identifier.rpartition("@")
        told = {
            "id": session.account,
            "email": session.identifier,
            "local": local,
            "domain": domain,
            "name": session.name,
            "groups": ",".join(session.groups),
            "tenant": session.tenant,
            "role": session.role.value,
            "session": session.id,
            "factors": ",".join(sorted(session.factors)),
            "amr": ",".join(session.amr),
        }
        encoded = {key: encode(text) for key, text in told.items()} | self._credentials
        named = encoded | {
            "user": encoded["email" if self._user_is_email else "id"],
            "assertion": self._assertions.sign(session, now) if "assertion" in self._names else "",
        }
        found = [(name, named[key]) for key, name in self._names.items()]
        found += [(name, template.fill(encoded)) for name, template in self._templates.items()]
        return [(name, value) for name, value in found if value]

    def _told(self, session: Session, now: int) -> Told:
        told = self._cache.young.get(session.id) or self._cache.recall(session.id)
        if told is not None and told.session is session and now < told.renewed_at:
            return told
        fields = self.fields(session, now)
        empty = self._write_empty([name for name, _ in fields])
        renewed_at = now + (RENEW_SECONDS if "assertion" in self._names else LONG_SECONDS)
        told = Told(session, renewed_at, write(fields), empty)
        self._cache.put(session.id, told)
        return told

    def _write_empty(self, told: Collection[str]) -> bytes:
        """Return the fields without a value, where `told` are the names of those that have one."""
        return write((name, "") for name in self._answered if name not in told)


def write(fields: Iterable[tuple[str, str]]) -> bytes:
    """Return the field lines, each ending in CRLF."""
    return "".join(f"{name}: {value}\r\n" for name, value in fields).encode("ascii")


def encode(value: str) -> str:
    """Encode an identity value: printable ASCII unchanged; `%` and everything else as percent-encoded UTF-8.

    `Zoë` is sent as `Zo%C3%AB`. Servers differ in how they decode other bytes in header fields.
    """
    return quote(value, safe=READABLE)
