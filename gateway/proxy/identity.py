"""Identity headers: the fields that tell the upstream who is signed in.

The fields are cached per session until it changes or its signed assertion is about to expire, because a signature costs
more than all other work on a request.
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
RENEW_SECONDS = 30  # every assertion that is sent stays valid for at least this long
MAX_CACHED = 20_000
READABLE = "".join(chr(c) for c in range(0x20, 0x7F) if c != ord("%"))


@dataclass(frozen=True, slots=True)
class Assertions:
    """Signs `X-Otium-Assertion` (ES256, RFC 7518 §3.4)."""

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
    """Builds the identity fields. `names` maps each value to its header; "" leaves it out.

    `templates` are further fields by name, and `credentials` the secrets that they use.
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
        """The names of all identity headers."""
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
        """Return the fields for a proxy that copies them: all names, with empty values if there is no session.

        If a field is missing, Caddy 2.6 inserts the text of its placeholder, and anonymous people would have an
        identity.
        """
        told = dict(self.fields(session, now)) if session else {}
        names = (*self._names.values(), *self._templates)
        return [
            *(f"{name}: {told.get(name, '')}".encode("ascii") for name in names),
            *(f"{name}: {value}".encode("ascii") for name, value in self._fixed),
        ]

    @property
    def fixed_lines(self) -> bytes:
        """The fields of every request, each ending in CRLF."""
        return "".join(f"{name}: {value}\r\n" for name, value in self._fixed).encode("ascii")

    def fields(self, session: Session, now: int) -> list[tuple[str, str]]:
        """Return the (header name, value) pairs of the session."""
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
    """Return the role, then the modules, then `owner` for the platform's owner."""
    groups = [session.role.value, *sorted(module.value for module in session.modules)]
    return [*groups, "owner"] if session.is_owner else groups


def encode(value: str) -> str:
    """Encode an identity value: printable ASCII unchanged; `%` and everything else as percent-encoded UTF-8.

    `Zoë` is sent as `Zo%C3%AB`. Servers differ in how they decode other bytes in header fields.
    """
    return quote(value, safe=READABLE)
