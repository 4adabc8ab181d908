"""Lists of breached passwords in the format of Have I Been Pwned: a sorted file, a folder of ranges, or its range API.

A range is what begins with the same five hexadecimal digits of the password's SHA-1; its lines are the other 35 digits,
a colon, and how often the password was seen. A folder holds a file for each range, named by the five digits, with or
without `.txt`. A file holds whole lines of forty digits for all of them, sorted.
See https://haveibeenpwned.com/API/v3#PwnedPasswords.

Nothing is loaded whole: of a folder one small file is read, and in a file the line is looked for by halving.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Protocol

import aiohttp
import structlog

log = structlog.get_logger("passwords")

PREFIX_DIGITS = 5
BLOCK_BYTES = 4_096
MAX_LINE_BYTES = 80
API_SECONDS = 2.0
MAX_RANGE_BYTES = 1_000_000


class BreachList(Protocol):
    """A list on this machine. `holds` may read from disk; raises OSError."""

    def holds(self, digest: str) -> bool: ...


def digest_of(password: str) -> str:
    """Return SHA-1 in upper-case hexadecimal, the name under which the lists know a password."""
    return hashlib.sha1(password.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest().upper()


def open_list(path: str) -> BreachList | None:
    """Return the list at `path`, or None for "". Raises OSError if there is none."""
    if not path:
        return None
    where = Path(path)
    if where.is_dir():
        return BreachFolder(where)
    with where.open("rb"):
        return BreachFile(where)


class BreachFolder:
    """One file for each range."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def holds(self, digest: str) -> bool:
        prefix, suffix = digest[:PREFIX_DIGITS], digest[PREFIX_DIGITS:]
        for name in (prefix, f"{prefix}.txt", prefix.lower(), f"{prefix.lower()}.txt"):
            try:
                return is_in_range((self._folder / name).read_bytes(), suffix)
            except FileNotFoundError:
                continue
        return False


class BreachFile:
    """All lines in one file, sorted by their digest."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def holds(self, digest: str) -> bool:
        """Halve until few bytes are left, and read those."""
        wanted = digest.encode("ascii")
        with self._path.open("rb", buffering=0) as file:
            low, high = 0, os.fstat(file.fileno()).st_size  # the line, if it is there, begins in [low, high)
            while high - low > BLOCK_BYTES:
                middle = (low + high) // 2
                piece = os.pread(file.fileno(), 2 * MAX_LINE_BYTES, middle)
                line_at = piece.find(b"\n") + 1
                if line_at == 0 or middle + line_at >= high:
                    high = middle
                    continue
                if piece[line_at : line_at + len(wanted)].upper() <= wanted:
                    low = middle + line_at
                else:
                    high = middle + line_at
            rest = os.pread(file.fileno(), high - low + MAX_LINE_BYTES, low)
        return any(count_of(line, wanted) for line in rest.splitlines())


class BreachAPI:
    """The range API: it learns five digits of the digest, and answers with ranges padded to hide which one it was."""

    def __init__(self, address: str) -> None:
        self._address = address.rstrip("/")

    async def holds(self, digest: str) -> bool | None:
        """Return whether a password was breached; None if the API did not answer in time."""
        prefix, suffix = digest[:PREFIX_DIGITS], digest[PREFIX_DIGITS:]
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=API_SECONDS)) as client,
                client.get(f"{self._address}/{prefix}", headers={"Add-Padding": "true"}, allow_redirects=False) as got,
            ):
                if got.status != 200:
                    log.warning("breach_api_unavailable", status=got.status)
                    return None
                return is_in_range(await got.content.read(MAX_RANGE_BYTES), suffix)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("breach_api_unavailable", reason=str(error) or type(error).__name__)
            return None


def is_in_range(lines: bytes, suffix: str) -> bool:
    wanted = suffix.encode("ascii")
    return any(count_of(line, wanted) for line in lines.splitlines())


def count_of(line: bytes, wanted: bytes) -> int:
    """Return how often the wanted digest was seen, if `line` is about it; padding says 0."""
    digest, _, count = line.strip().partition(b":")
    if digest.upper() != wanted:
        return 0
    return int(count) if count.isdigit() else 1
