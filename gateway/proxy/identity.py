"""Who the person is, in the header fields that the upstream believes.

The fields are built once for a session and used for all its requests until the session changes or the signed
assertion among them comes near its end: a signature costs more than everything else on the way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import quote

from joserfc import jws, jwt
from joserfc.jwk import ECKey

from gateway.model.secret import Secret
from gateway.model.session import Session
from gateway.settings.header_template import HeaderTemplate

ASSERTION_SECONDS = 60
RENEW_SECONDS = 30  # an assertion that leaves here is valid for at least this long
MAX_CACHED = 20_000
READABLE = "".join(chr(c) for c in range(0x20, 0x7F) if c != ord("%"))


@dataclass(frozen=True, slots=True)
class Assertions:
    """What `X-Otium-Assertion` is signed with (ES256, RFC 7518 §3.4), by whom and for whom."""

    key: ECKey
    issuer: str
    audience: str

    def sign(self, session: Session, now: int) -> str:
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": session.account,
            "sid": session.id,
            "email": session.identifier,
            "name": session.name,
            "tenant": session.tenant,
            "role": session.role.value,
            "groups": groups_of(session),
            "amr": sorted(session.factors),
            "auth_time": session.started_at,
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
        }
        header = {"alg": "ES256", "typ": "JWT", "kid": self.key.kid}
        return jwt.encode(header, claims, self.key, registry=jws.JWSRegistry(algorithms=["ES256"]))


class Identities:
    """The identity fields of sessions. `names` maps what is told to its header name; "" leaves it out.

    `templates` are further fields by their names, and `credentials` the secrets that stand in them.
    """

    def __init__(
        self,
        names: Mapping[str, str],
        user_is_email: bool,
        assertions: Assertions,
        templates: Mapping[str, HeaderTemplate] = MappingProxyType({}),
        credentials: Mapping[str, Secret[str]] = MappingProxyType({}),
    ) -> None:
        self._names = {told: name for told, name in names.items() if name}
        self._user_is_email = user_is_email
        self._assertions = assertions
        self._credentials = {f"credential:{name}": secret.reveal() for name, secret in credentials.items()}
        self._templates = {name: template for name, template in templates.items() if template.names_person}
        self._fixed = [
            (name, template.fill(self._credentials))
            for name, template in templates.items()
            if not template.names_person
        ]
        self._cache: dict[str, tuple[Session, int, bytes]] = {}

    @property
    def names(self) -> Collection[str]:
        """The names of the headers that are told."""
        return (*self._names.values(), *self._templates, *(name for name, _ in self._fixed))

    def lines(self, session: Session, now: int) -> bytes:
        """Return the field lines for `session`, each ending in CRLF. `now` is UTC seconds."""
        cached = self._cache.get(session.id)
        if cached is not None and cached[0] is session and now < cached[1]:
            return cached[2]
        if len(self._cache) >= MAX_CACHED:
            self._cache.clear()
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.fields(session, now)).encode("ascii")
        self._cache[session.id] = (session, now + RENEW_SECONDS, lines)
        return lines

    def answer_lines(self, session: Session | None, now: int) -> list[bytes]:
        """Return the fields for a proxy that copies them: every name, empty where there is nothing to tell.

        Caddy 2.6 puts the text of its own placeholder where a field is missing, and nobody would be somebody.
        """
        told = dict(self.fields(session, now)) if session else {}
        names = (*self._names.values(), *self._templates)
        return [
            *(f"{name}: {told.get(name, '')}".encode("ascii") for name in names),
            *(f"{name}: {value}".encode("ascii") for name, value in self._fixed),
        ]

    @property
    def fixed_lines(self) -> bytes:
        """The fields that go with every request, each ending in CRLF."""
        return "".join(f"{name}: {value}\r\n" for name, value in self._fixed).encode("ascii")

    def fields(self, session: Session, now: int) -> list[tuple[str, str]]:
        """Return (header name, value) for everything told about `session`."""
        local, _, domain = session.identifier.rpartition("@")
        told = {
            "id": session.account,
            "email": session.identifier,
            "local": local,
            "domain": domain,
            "name": session.name,
            "groups": ",".join(groups_of(session)),
            "tenant": session.tenant,
            "role": session.role.value,
            "session": session.id,
            "factors": ",".join(sorted(session.factors)),
        }
        encoded = {key: encode(text) for key, text in told.items()} | self._credentials
        named = encoded | {
            "user": encoded["email" if self._user_is_email else "id"],
            "assertion": self._assertions.sign(session, now) if "assertion" in self._names else "",
        }
        found = [(name, named[key]) for key, name in self._names.items()]
        found += [(name, template.fill(encoded)) for name, template in self._templates.items()]
        return [(name, value) for name, value in found if value]


def groups_of(session: Session) -> list[str]:
    """The role first, then the module flags, and `owner` for the platform's owner."""
    groups = [session.role.value, *sorted(module.value for module in session.modules)]
    return [*groups, "owner"] if session.is_owner else groups


def encode(value: str) -> str:
    """The one encoding of identity values: ASCII as it is, the rest and `%` as percent-encoded UTF-8.

    `Zoë` is sent as `Zo%C3%AB`. Servers disagree about other bytes in header fields; about these they can't.
    """
    return quote(value, safe=READABLE)
