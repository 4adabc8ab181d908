"""A provider's public keys (RFC 7517), and the ring that keeps them.

The ring reads them when a token needs one, and keeps them for an hour. A key that it does not know makes it read them
again at once, because providers rotate their keys, and then at most once a minute: whoever sends tokens could otherwise
make the gateway ask without end. Callers that need a reading at the same time share it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.model.base64url import decode_base64url
from gateway.model.clock import Clock
from gateway.sso.oidc.encoding import shown
from gateway.sso.oidc.fetching import Fetched
from gateway.sso.oidc.record import Refusal, Refused

if TYPE_CHECKING:
    from joserfc.jwk import ECKey, OKPKey, RSAKey

    Material = RSAKey | ECKey | OKPKey

KEPT_SECONDS = 3_600
REREAD_SECONDS = 60  # between readings for a key that is not there
RETRY_SECONDS = 10  # after one that failed
MAX_KEYS = 20
MAX_KEY_ID = 256
RSA_BITS = range(2_048, 8_193)
EXPONENT_BITS = range(2, 33)

# Who publishes one of them has published a secret key.
SECRET_MEMBERS = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))


@dataclass(frozen=True, slots=True)
class Key:
    """A public key that verifies signatures of these `algorithms`. `issuer`: the only one that it is for, or ""."""

    id: str
    algorithms: frozenset[str]
    issuer: str
    material: Material


def read_keys(document: Mapping[str, object]) -> tuple[Key, ...] | Refused:
    """Return the keys of a JWK Set that can verify ID tokens. Others are ignored (RFC 7517 §5)."""
    given = document.get("keys")
    if not isinstance(given, list):
        return Refused(Refusal.NO_KEYS)
    found = [key for each in given if isinstance(each, dict) and (key := read_key(each)) is not None]
    if len(found) > MAX_KEYS:
        return Refused(Refusal.TOO_MANY_KEYS, str(len(found)))
    return tuple(found) or Refused(Refusal.NO_KEYS)


def read_key(given: Mapping[str, object]) -> Key | None:
    identity, issuer, operations = given.get("kid", ""), given.get("issuer", ""), given.get("key_ops", ["verify"])
    if not isinstance(identity, str) or len(identity) > MAX_KEY_ID or not isinstance(issuer, str):
        return None
    if given.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return None
    if not SECRET_MEMBERS.isdisjoint(given):
        return None
    read = import_public(given)
    if read is None:
        return None
    algorithms, material = read
    if "alg" in given:
        algorithms &= {str(given["alg"])}
    return Key(identity, algorithms, issuer, material) if algorithms else None


def import_public(given: Mapping[str, object]) -> tuple[frozenset[str], Material] | None:
    """Return the algorithms that the type of a JWK allows, and the key."""
    # Imported when used: see libraries.load.
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey, OKPKey, RSAKey

    try:
        match given:
            case {"kty": "RSA", "n": str(n), "e": str(e)} if is_fit(n, RSA_BITS) and is_fit(e, EXPONENT_BITS):
                return frozenset(("RS256", "PS256")), RSAKey.import_key({"kty": "RSA", "n": n, "e": e})
            case {"kty": "EC", "crv": "P-256", "x": str(x), "y": str(y)}:
                return frozenset(("ES256",)), ECKey.import_key({"kty": "EC", "crv": "P-256", "x": x, "y": y})
            case {"kty": "OKP", "crv": "Ed25519", "x": str(x)}:
                return frozenset(("EdDSA",)), OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": x})
    except (JoseError, ValueError, TypeError):  # a point that is not on the curve, say
        return None
    return None


def is_fit(number: str, bits: range) -> bool:
    """Whether an odd number has so many bits. Longer ones take too long to compute with."""
    value = decode_base64url(number) if len(number) < bits.stop else None
    found = int.from_bytes(value or b"")
    return found % 2 == 1 and found.bit_length() in bits


class KeyRing:
    """The keys of one provider. `fetch` gets the document at its `jwks_uri`."""

    def __init__(self, fetch: Callable[[], Awaitable[Fetched | Refused]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: tuple[Key, ...] = ()
        self._read_at = 0
        self._next_read = 0
        self._failure: Refused | None = None  # of the last reading
        self._reading: asyncio.Task[None] | None = None

    async def find(self, identity: str) -> tuple[Key, ...] | Refused:
        """Return the keys with an id. Without one ("") all, of which one has to be the only one that fits.

        Fails with KEY_UNKNOWN if the provider does not have it, or with the reason why the keys can't be read.
        """
        found = self._select(identity)
        if not found and (self._reading is not None or self._clock() >= self._next_read):
            await self._read()
            found = self._select(identity)
        return found or self._failure or Refused(Refusal.KEY_UNKNOWN, shown(identity))

    def _select(self, identity: str) -> tuple[Key, ...]:
        if self._clock() >= self._read_at + KEPT_SECONDS:
            self._keys = ()
        return tuple(key for key in self._keys if key.id == identity) if identity else self._keys

    async def _read(self) -> None:
        """Read the keys, or wait for the reading that somebody else began. It goes on if a caller is cancelled."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._replace())
            self._reading.add_done_callback(self._end)
        await asyncio.shield(self._reading)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._reading = None

    async def _replace(self) -> None:
        """Replace the keys. Those that were read before stay, within their hour, if it fails."""
        self._next_read = self._clock() + RETRY_SECONDS
        fetched = await self._fetch()
        keys = fetched if isinstance(fetched, Refused) else read_keys(fetched.content)
        if isinstance(keys, Refused):
            self._failure = keys
            return
        is_again = bool(self._keys)  # for a key that was not among them
        self._keys, self._failure, self._read_at = keys, None, self._clock()
        self._next_read = self._read_at + (REREAD_SECONDS if is_again else 0)
