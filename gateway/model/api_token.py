"""API tokens: how they are written, how a request carries one, and what one may do. Pure.

A token is a prefix, 32 base62 characters of randomness (190 bits), and six of CRC-32 over both. Whatever only looks
like a token is refused by the checksum, before any look-up, and scanners for secrets can find ours by pattern.

A request carries it as `Authorization: Bearer TOKEN`, or as the password of Basic, for clients that know nothing else
(WebDAV, CalDAV, git). What is found of it in the head is its credential: the SHA-256 of the token, followed by the user
name of Basic, if there was one. A credential is never 32 bytes long, and so never the key of a session's cookie.

Wherever else a token is in an Authorization, however it is wrapped, the field is noise: servers differ in what they
accept (padding, commas, white space), and none of them is to find a token there.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
import string
import zlib
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from ipaddress import ip_network
from typing import Protocol

from gateway.model.factor import Factor
from gateway.model.networks import Network, is_within
from gateway.model.secret import Secret

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_LENGTH, CHECKSUM_LENGTH = 32, 6
PATTERN = r"otw_(?:pat|svc)_[0-9A-Za-z]{38}"
WRITTEN = re.compile(PATTERN.encode())
LIKELY = re.compile(rb"otw_(?:pat|svc)_", re.IGNORECASE)
URL_SAFE = bytes.maketrans(b"-_", b"+/")
NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
NOISE = b""
"""The credential of what looks like a token and isn't one: it belongs to nobody."""
PERSON = Factor("person")
"""What every session of a token lacks (Session.missing): to whatever knows nothing of tokens, it is anonymous."""
MARK = b"t"
DIGEST_END = len(MARK) + 32


class Kind(StrEnum):
    """Whose tokens they are: a person's, or a service account's."""

    PERSONAL = "pat"
    SERVICE = "svc"


def make_token(kind: Kind) -> Secret[str]:
    body = f"otw_{kind}_" + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    return Secret(body + checksum(body.encode()))


def checksum(body: bytes) -> str:
    """Return the CRC-32 of prefix and random part as six base62 digits."""
    number, digits = zlib.crc32(body), ""
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits


def is_token(text: bytes) -> bool:
    body, check = text[:-CHECKSUM_LENGTH], text[-CHECKSUM_LENGTH:]
    return WRITTEN.fullmatch(text) is not None and checksum(body).encode() == check


def digest_of(token: bytes) -> bytes:
    return sha256(token).digest()


def read_authorization(value: bytes) -> bytes | None:
    """Return the credential in the value of an Authorization field, NOISE, or None if it is not for us.

    A token in the place of the user name is noise: clients show and log user names.
    """
    scheme, _, given = value.partition(b" ")
    user, password = b"", given.strip(b" \t")
    if scheme.lower() == b"basic":
        try:
            user, _, password = base64.b64decode(password, validate=True).partition(b":")
        except binascii.Error:
            password = b""
    if scheme.lower() in (b"basic", b"bearer") and is_token(password) and not LIKELY.search(user):
        return MARK + digest_of(password) + user.strip().lower()
    return NOISE if LIKELY.search(value) or LIKELY.search(user + password) or is_hidden(value) else None


def encodings(text: bytes) -> list[bytes]:
    """Return what base64 makes of a text, wherever in a longer one it stands."""
    whole = [(shift, base64.b64encode(bytes(shift) + text + bytes(3))) for shift in range(3)]
    return [written[-(-shift * 8 // 6) : (shift + len(text)) * 8 // 6] for shift, written in whole]


HIDDEN = re.compile(b"|".join(re.escape(part) for kind in Kind for part in encodings(f"otw_{kind}_".encode())))


def is_hidden(value: bytes) -> bool:
    """Whether a token is in base64 in it, of any alphabet, with whatever a lenient decoder leaves out."""
    return HIDDEN.search(NOT_BASE64.sub(b"", value.translate(URL_SAFE))) is not None


def is_kept(key: bytes, identifier: str) -> bool:
    """Whether the session found by a key is kept in memory: not by a token with one of the countless further spellings
    of its account's email, with which one program could fill the memory.
    """
    return not is_credential(key) or key[DIGEST_END:] in (b"", identifier.encode())


def is_credential(key: bytes) -> bool:
    """Whether the key of a session is a token's credential."""
    return len(key) != 32


def read_credential(key: bytes) -> tuple[bytes, str | None] | None:
    """Return the token's digest, and the user name that came with it, or None for noise. Bytes that are no UTF-8 are
    replaced, and match no name.
    """
    if len(key) < DIGEST_END:
        return None
    user = key[DIGEST_END:]
    return key[len(MARK) : DIGEST_END], user.decode("utf-8", "replace") if user else None


class Asked(Protocol):
    """What matters of a request (model.inbound)."""

    @property
    def method(self) -> str: ...
    @property
    def readings(self) -> tuple[str, ...]: ...
    @property
    def address(self) -> str: ...


class Limit(StrEnum):
    """What a token can be limited in."""

    METHODS = "methods"
    PATHS = "paths"
    NETWORKS = "networks"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token may do, besides what its account may. Empty means no limit. `expires_at` is UTC seconds.

    `paths` are prefixes of whole segments, without a final slash. Every reading of a path has to be below one of them.
    """

    token: str
    expires_at: int
    methods: frozenset[str] = frozenset()
    paths: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()

    def refuse(self, asked: Asked) -> str:
        """Return why the token doesn't allow a request, or "" if it does."""
        match self.find_limit(asked):
            case Limit.METHODS:
                return f"the token allows {', '.join(sorted(self.methods))} only"
            case Limit.PATHS:
                return f"the token allows paths below {', '.join(self.paths)} only"
            case Limit.NETWORKS:
                return "the token allows other networks only"
        return ""

    def find_limit(self, asked: Asked) -> Limit | None:
        """Return the limit that a request is beyond, None if the token allows it."""
        if self.methods and asked.method not in self.methods:
            return Limit.METHODS
        if self.paths and not all(any(is_below(path, prefix) for prefix in self.paths) for path in asked.readings):
            return Limit.PATHS
        if self.networks and not is_within_any(asked.address, self.networks):
            return Limit.NETWORKS
        return None


def read_networks(text: str) -> tuple[Network, ...]:
    """Return the networks of a stored text, separated by spaces."""
    return tuple(map(ip_network, text.split()))


def is_below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")


@lru_cache(maxsize=4_096)
def is_within_any(address: str, networks: tuple[Network, ...]) -> bool:
    """The same as is_within, remembered: programs send many requests from one address."""
    return is_within(address, *networks)
