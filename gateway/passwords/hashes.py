"""Password hashes in the formats that OtiumWork stores: Werkzeug's (`pbkdf2`, `scrypt`) and argon2id.

PBKDF2 is computed by OpenSSL through `cryptography`, which needs about half the time of `hashlib` for the same bytes.
Every function here blocks for as long as a hash takes, and lets other threads run meanwhile.
"""

from __future__ import annotations

import hashlib
import hmac

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from werkzeug.security import DEFAULT_PBKDF2_ITERATIONS, check_password_hash, gen_salt

from gateway.logs import get_logger

log = get_logger("hashing")

PBKDF2 = "pbkdf2:"
SCRYPT = "scrypt:"
ARGON2 = "$argon2id$"
KNOWN_PREFIXES = (PBKDF2, SCRYPT, ARGON2)
SALT_CHARACTERS = 16
DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303  (a hash of a password that somebody else stored)
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


def make(method: str, password: str) -> str:
    """Return a new hash. `method` is Werkzeug's, with its parameters: `pbkdf2:sha256:1000000`."""
    digest, rounds = pbkdf2_parameters(method)
    salt = gen_salt(SALT_CHARACTERS)
    return f"{method}${salt}${pbkdf2(digest, password, salt, rounds).hex()}"


def is_match(stored: str, password: str) -> bool:
    """Compare with a hash of any kind that OtiumWork may hold. A malformed hash matches nothing."""
    try:
        if stored.startswith(ARGON2):
            return PasswordHasher().verify(stored, password)
        if stored.startswith(PBKDF2):
            return is_pbkdf2_match(stored, password)
        return check_password_hash(stored, password)
    except (VerificationError, InvalidHashError):
        return False
    except (ValueError, TypeError, OverflowError, MemoryError) as error:
        log.error("stored_hash_is_malformed", reason=type(error).__name__)
        return False


def is_known(text: str) -> bool:
    """Whether `text` looks like a hash that `is_match` can compare with: for imports."""
    is_plain = text.isascii() and text.isprintable() and len(text) < 1_000
    return is_plain and text.startswith(KNOWN_PREFIXES) and text.count("$") >= 2


def is_pbkdf2_match(stored: str, password: str) -> bool:
    method, salt, hexadecimal = stored.split("$", 2)
    digest, rounds = pbkdf2_parameters(method)
    return hmac.compare_digest(pbkdf2(digest, password, salt, rounds).hex(), hexadecimal)


def pbkdf2_parameters(method: str) -> tuple[str, int]:
    """Return the digest and the rounds of `pbkdf2[:digest[:rounds]]`. Raises ValueError."""
    name, digest, rounds, *rest = (*method.split(":"), *("sha256", str(DEFAULT_PBKDF2_ITERATIONS))[method.count(":") :])
    if name != "pbkdf2" or rest:
        raise ValueError("this is no method of PBKDF2")
    return digest, int(rounds)


def pbkdf2(digest: str, password: str, salt: str, rounds: int) -> bytes:
    """RFC 8018 §5.2, with an output as long as the digest. Raises ValueError and OverflowError."""
    algorithm = DIGESTS.get(digest)
    if algorithm is None:  # md5, sha3 and others that hashlib knows
        return hashlib.pbkdf2_hmac(digest, password.encode(), salt.encode(), rounds)
    kdf = PBKDF2HMAC(algorithm=algorithm, length=algorithm.digest_size, salt=salt.encode(), iterations=rounds)
    return kdf.derive(password.encode())
