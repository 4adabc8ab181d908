"""The records of a WebAuthn ceremony: what it is about, and how it ends."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Site:
    """The relying party of a ceremony. `origins` are serialised as browsers do it: "https://example.org".

    `is_shared`: the RP ID is a domain above the host, so that other sites may have passkeys for it as well.
    """

    rp_id: str
    origins: frozenset[str]
    is_shared: bool = False

    def has(self, key: Key) -> bool:
        """Whether a key was made for this site. The browser does not find others, and they are refused."""
        return key.rp_id == self.rp_id


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A credential as the options name it to the browser (WebAuthn L3 §5.8.3)."""

    id: bytes
    transports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """What is stored of a passkey (WebAuthn L3 §4, "credential record")."""

    id: bytes
    public_key: bytes
    """COSE_Key (RFC 9052 §7), as the authenticator encoded it."""
    sign_count: int
    is_backup_eligible: bool
    is_backed_up: bool
    aaguid: str
    """In the form of a UUID, lower case; "" if the authenticator doesn't say its model."""
    transports: tuple[str, ...]
    is_discoverable: bool | None
    """None if the browser doesn't say (WebAuthn L3 §10.1.3, credProps)."""
    rp_id: str


class Refusal(StrEnum):
    """Why an answer was refused."""

    MALFORMED = "malformed"
    TYPE = "type"  # not a passkey, or the answer to the other ceremony
    CHALLENGE = "challenge"
    ORIGIN = "origin"
    CROSS_ORIGIN = "cross_origin"  # asked for in a frame of another site
    RP_ID = "rp_id"
    PRESENCE = "presence"
    VERIFICATION = "verification"
    BACKUP_ELIGIBLE = "backup_eligible"  # this flag of a key changed, or it contradicts the one for "backed up"
    ALGORITHM = "algorithm"  # a public key that can't be used
    ATTESTATION = "attestation"
    CREDENTIAL = "credential"  # another key's answer
    HANDLE = "handle"
    SIGNATURE = "signature"


@dataclass(frozen=True, slots=True)
class Refused:
    reason: Refusal


@dataclass(frozen=True, slots=True)
class Registered:
    """A new key. `is_verified`: the authenticator verified the person (UV) when it made the key.

    If it did not, a finder of the authenticator could set its PIN. The first UV of such a key therefore proves nothing
    without another factor (WebAuthn L3 §4, uvInitialized).
    """

    key: Key
    is_verified: bool


@dataclass(frozen=True, slots=True)
class Asserted:
    """A proof by a key. `sign_count` and `is_backed_up` replace those stored.

    `went_back`: the counter did not increase, so there may be a copy of the key (WebAuthn L3 §6.1.1).
    """

    is_verified: bool
    sign_count: int
    is_backed_up: bool
    went_back: bool


class Rejected(Exception):
    """Ends the reading of an answer; read_registration and read_assertion return its reason."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason)
        self.reason = reason
