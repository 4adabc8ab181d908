"""Reads and verifies signed tokens: JWS in its compact form (RFC 7515 §7.1). Pure.

The token is taken apart here, once and strictly, so that no second reader can see another header. The library
`joserfc` verifies the signature. Which keys are acceptable follows from the provider alone, never from the token.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from gateway.model.base64url import decode_base64url
from gateway.sso.oidc import entra
from gateway.sso.oidc.encoding import read_object
from gateway.sso.oidc.keys import Key
from gateway.sso.oidc.record import ALGORITHMS, Refusal, Refused, Rejected

MAX_TOKEN = 16_384  # characters
# They bring a key along, say where to get one, or change how the rest is to be read.
FORBIDDEN = frozenset(("jwk", "jku", "x5u", "x5c", "crit", "b64", "enc", "zip", "cty"))


@dataclass(frozen=True, slots=True)
class Compact:
    """A token, taken apart and not verified. `signed` are the bytes that its signature is of."""

    algorithm: str
    key_id: str
    type: str
    signed: bytes
    payload: bytes
    signature: bytes


def key_id_of(token: str) -> str | Refused:
    """Return the id of the key that a token names, "" if none, to look it up. Nothing is verified yet."""
    try:
        return read_compact(token).key_id
    except Rejected as rejected:
        return rejected.refused


def read_compact(token: str) -> Compact:
    """Take a token apart. Raises Rejected."""
    if len(token) > MAX_TOKEN:
        raise Rejected(Refusal.LONG)
    parts = token.split(".")
    if len(parts) == 5:
        raise Rejected(Refusal.ENCRYPTED)
    decoded = [decode_base64url(part) for part in parts] if token.isascii() else []
    match decoded:
        case [bytes(first), bytes(payload), bytes(signature)]:
            header = read_object(first, Refusal.MALFORMED)
        case _:
            raise Rejected(Refusal.MALFORMED)
    if forbidden := FORBIDDEN & header.keys():
        raise Rejected(Refusal.HEADER, " ".join(sorted(forbidden)))
    match [header.get("alg"), header.get("kid", ""), header.get("typ", "")]:
        case [str(algorithm), str(key_id), str(kind)]:
            signed = f"{parts[0]}.{parts[1]}".encode("ascii")
            return Compact(algorithm, key_id, kind.lower().removeprefix("application/"), signed, payload, signature)
        case _:
            raise Rejected(Refusal.MALFORMED)


def verify(token: Compact, keys: Sequence[Key], *, issuer: str, allowed: Collection[str]) -> None:
    """Check the signature. `keys` are those with the token's key id. Raises Rejected."""
    if token.algorithm not in ALGORITHMS or token.algorithm not in allowed:
        raise Rejected(Refusal.ALGORITHM)
    key = choose(token, keys)
    if key.issuer and not entra.is_key_of(key.issuer, issuer):
        raise Rejected(Refusal.KEY_ISSUER)
    # Imported when used: see libraries.load. The algorithm is called directly: it was chosen above, and what the
    # library would do beforehand is to read the token again.
    from joserfc.errors import JoseError
    from joserfc.jws import JWSRegistry

    try:
        is_right = JWSRegistry.algorithms[token.algorithm].verify(token.signed, token.signature, key.material)
    except (JoseError, ValueError):
        is_right = False
    if not is_right:
        raise Rejected(Refusal.SIGNATURE)


def choose(token: Compact, keys: Sequence[Key]) -> Key:
    """Return the one key that a token can be signed with. A token without a key id needs no other to be there."""
    named = [key for key in keys if key.id == token.key_id or not token.key_id]
    fitting = [key for key in named if token.algorithm in key.algorithms]
    if not named:
        raise Rejected(Refusal.KEY_UNKNOWN)
    if not fitting:
        raise Rejected(Refusal.KEY_UNFIT)
    if len(fitting) > 1:
        raise Rejected(Refusal.KEY_AMBIGUOUS)
    return fitting[0]
