"""Password hashes in the formats that OtiumWork stores: Werkzeug's (`pbkdf2`, `scrypt`) and argon2id.

PBKDF2 is computed by OpenSSL through `cryptography`, which needs about half the time of `hashlib` for the same bytes.
Every function here blocks for the whole time of a hash, and releases the interpreter lock meanwhile. All work is done
in the calling thread, also argon2id's lanes, which would otherwise start a thread each: so hashing uses no more cores
than it has threads, and the thread's CPU clock shows the cost of a hash (see constant_work).

A stored hash sets its own cost. An attacker who can put hashes into an import could block every sign-in with one that
takes an hour or all memory, so there is a limit: about a second, and 256 MB.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from argon2 import Parameters, extract_parameters
from argon2.exceptions import InvalidHashError
from argon2.low_level import core, ffi
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from werkzeug.security import DEFAULT_PBKDF2_ITERATIONS, check_password_hash, gen_salt

from gateway.observe.logs import get_logger

log = get_logger("hashing")

PBKDF2 = "pbkdf2:"
SCRYPT = "scrypt:"
ARGON2 = "$argon2id$"
KNOWN_PREFIXES = (PBKDF2, SCRYPT, ARGON2)
SALT_CHARACTERS = 16
MOST_PBKDF2_ROUNDS = 4_000_000
MOST_SCRYPT_BLOCKS = 2**21  # N * r * p
MOST_SCRYPT_MEMORY_BLOCKS = 2**21  # N * r, each of 128 bytes
MOST_ARGON2_KIB = 2**18
MOST_ARGON2_PASSES = 2**20  # KiB * passes
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
    """Whether the password matches a hash of any kind that OtiumWork may store. A malformed or too costly hash never
    matches.
    """
    try:
        check_cost(stored)
        if stored.startswith(ARGON2):
            return is_argon2_match(stored, password)
        if stored.startswith(PBKDF2):
            return is_pbkdf2_match(stored, password)
        return check_password_hash(stored, password)
    except (InvalidHashError, ValueError, TypeError, OverflowError, MemoryError) as error:
        log.error("stored_hash_is_malformed", reason=str(error) or type(error).__name__)
        return False


def is_known(text: str) -> bool:
    """Whether `text` looks like a hash that `is_match` supports: for imports."""
    is_plain = text.isascii() and text.isprintable() and len(text) < 1_000
    return is_plain and text.startswith(KNOWN_PREFIXES) and text.count("$") >= 2


def is_usable(stored: str) -> bool:
    """Whether a password can match at all: the method is supported, and its cost is within the limit."""
    try:
        check_cost(stored)
    except (InvalidHashError, ValueError):
        return False
    return stored.startswith(KNOWN_PREFIXES)


def check_cost(stored: str) -> None:
    """Raises ValueError if comparing with this hash would take far more time or memory than any reasonable one."""
    if stored.startswith(ARGON2):
        given = extract_parameters(stored)
        is_dear = given.memory_cost > MOST_ARGON2_KIB or given.memory_cost * given.time_cost > MOST_ARGON2_PASSES
    elif stored.startswith(SCRYPT):
        n, r, p = map(int, stored.partition("$")[0].split(":")[1:] or (2**15, 8, 1))
        is_dear = n * r > MOST_SCRYPT_MEMORY_BLOCKS or n * r * p > MOST_SCRYPT_BLOCKS
    else:
        is_dear = pbkdf2_parameters(stored.partition("$")[0])[1] > MOST_PBKDF2_ROUNDS
    if is_dear:
        raise ValueError("this hash costs too much to compare with")


def method_of(stored: str) -> str:
    """Return a hash without its salt and digest: `pbkdf2:sha256:600000`, `$argon2id$v=19$m=65536,t=3,p=4`."""
    return stored.rsplit("$", 2)[0]


def is_pbkdf2_match(stored: str, password: str) -> bool:
    method, salt, hexadecimal = stored.split("$", 2)
    digest, rounds = pbkdf2_parameters(method)
    return hmac.compare_digest(pbkdf2(digest, password, salt, rounds).hex(), hexadecimal)


def is_argon2_match(stored: str, password: str) -> bool:
    *_, salt, expected = stored.split("$")
    return hmac.compare_digest(argon2id(extract_parameters(stored), password, unpad(salt)), unpad(expected))


def unpad(text: str) -> bytes:
    """Decode base64 without padding, as argon2 writes it. Raises ValueError."""
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def argon2id(given: Parameters, password: str, salt: bytes) -> bytes:
    """Compute argon2id (RFC 9106), all lanes in this thread. Raises ValueError for parameters that the RFC excludes."""
    secret = encode(password)
    output = ffi.new("uint8_t[]", given.hash_len)
    inputs = ffi.new("uint8_t[]", secret), ffi.new("uint8_t[]", salt)  # these must live as long as the context
    fields = {
        "version": given.version,
        "out": output,
        "outlen": given.hash_len,
        "pwd": inputs[0],
        "pwdlen": len(secret),
        "salt": inputs[1],
        "saltlen": len(salt),
        "t_cost": given.time_cost,
        "m_cost": given.memory_cost,
        "lanes": given.parallelism,
        "threads": 1,
    }
    if core(ffi.new("argon2_context *", fields), given.type.value):
        raise ValueError("argon2id refuses these parameters")
    return bytes(ffi.buffer(output))


def pbkdf2_parameters(method: str) -> tuple[str, int]:
    """Return the digest and the rounds of `pbkdf2[:digest[:rounds]]`. Raises ValueError."""
    name, digest, rounds, *rest = (*method.split(":"), *("sha256", str(DEFAULT_PBKDF2_ITERATIONS))[method.count(":") :])
    if name != "pbkdf2" or rest:
        raise ValueError("this is no method of PBKDF2")
    return digest, int(rounds)


def pbkdf2(digest: str, password: str, salt: str, rounds: int) -> bytes:
    """Compute PBKDF2 (RFC 8018 §5.2) with an output as long as the digest. Raises ValueError and OverflowError."""
    algorithm = DIGESTS.get(digest)
    if algorithm is None:  # md5, sha3 and others that hashlib supports
        return hashlib.pbkdf2_hmac(digest, encode(password), salt.encode(), rounds)
    kdf = PBKDF2HMAC(algorithm=algorithm, length=algorithm.digest_size, salt=salt.encode(), iterations=rounds)
    return kdf.derive(encode(password))


def encode(password: str) -> bytes:
    """Encode a password. A lone surrogate can't be typed, but must not raise: it is compared like all others."""
    return password.encode("utf-8", "surrogatepass")
