"""Lists of breached passwords in the format of Have I Been Pwned: a sorted file, or a folder of ranges.

A range contains the passwords whose SHA-1 begins with the same five hexadecimal digits; each of its lines has the other
35 digits, a colon, and how often the password was seen. A folder has a file for each range, named by the five digits,
with or without `.txt`. A single file has whole lines of forty digits for all ranges, sorted. See
https://haveibeenpwned.com/API/v3#PwnedPasswords.

No list is loaded whole: from a folder one small file is read, and a single file is searched by bisection. Both are
checked when they are opened, because a list in the wrong format would silently match nothing.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Protocol

DIGITS = 40
PREFIX_DIGITS = 5
BLOCK_BYTES = 4_096
MAX_LINE_BYTES = 80
SAMPLES = 64
RANGE_NAME = re.compile(r"[0-9A-Fa-f]{5}(?:\.txt)?")
LINE = re.compile(rb"[0-9A-Fa-f]{40}(?::\d+)?\s*")


class NoBreachList(ValueError):
    """The path is not a breach list; the message says why, and what to do."""


class BreachList(Protocol):
    """A list on this machine. `holds` may read from disk and raise OSError."""

    def holds(self, digest: str) -> bool: ...


def digest_of(password: str) -> str:
    """Return the SHA-1 in upper-case hexadecimal, the form in which the lists store a password."""
    return hashlib.sha1(password.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest().upper()


def open_list(path: str) -> BreachList | None:
    """Open the list at `path`; None for "". Raises NoBreachList."""
    if not path:
        return None
    where = Path(path)
    try:
        if where.is_dir():
            check_folder(where)
            return BreachFolder(where)
        if not where.is_file():
            raise NoBreachList("there is no such file or folder")
        check_file(where)
        return BreachFile(where)
    except OSError as error:
        raise NoBreachList(f"it can't be read: {error.strerror}") from error


def check_folder(folder: Path) -> None:
    with os.scandir(folder) as entries:
        if not any(RANGE_NAME.fullmatch(entry.name) for entry in entries):
            raise NoBreachList("the folder holds no range, which is a file named like 00000 or 00000.txt")


def check_file(path: Path) -> None:
    """Check lines from all over the file: some lists have other digests, some are sorted by count."""
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        found = [next_line(file.fileno(), size * at // SAMPLES) for at in range(SAMPLES)]
        lines = [
            os.pread(file.fileno(), MAX_LINE_BYTES, 0).partition(b"\n")[0],
            *(line for at, line in found if at < size),
        ]
    if not all(LINE.fullmatch(line) for line in lines):
        raise NoBreachList("each line has to be a SHA-1 in 40 hexadecimal digits, a colon, and a count")
    digests = [line[:DIGITS].upper() for line in lines]
    if digests != sorted(digests):
        raise NoBreachList("its lines are not sorted by digest; take the list that is ordered by hash")


class BreachFolder:
    """One file for each range."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def holds(self, digest: str) -> bool:
        prefix, suffix = split(digest)
        for name in (prefix, f"{prefix}.txt", prefix.lower(), f"{prefix.lower()}.txt"):
            try:
                return is_listed((self._folder / name).read_bytes(), suffix)
            except FileNotFoundError:
                continue
        return False


class BreachFile:
    """All lines in one file, sorted by their digest."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def holds(self, digest: str) -> bool:
        """Bisect until few bytes are left, and search those."""
        wanted = digest.encode("ascii")
        with self._path.open("rb", buffering=0) as file:
            low, high = 0, os.fstat(file.fileno()).st_size  # the line, if it exists, begins in [low, high)
            while high - low > BLOCK_BYTES:
                middle = (low + high) // 2
                begins, line = next_line(file.fileno(), middle)
                if begins >= high:
                    high = middle
                elif line[:DIGITS].upper() <= wanted:
                    low = begins
                else:
                    high = begins
            rest = os.pread(file.fileno(), high - low + MAX_LINE_BYTES, low)
        return is_listed(rest, wanted)


def next_line(descriptor: int, at: int) -> tuple[int, bytes]:
    """Return where the first line that begins after byte `at` begins, and the line without its end."""
    piece = os.pread(descriptor, 2 * MAX_LINE_BYTES, at)
    _, _, rest = piece.partition(b"\n")
    return at + len(piece) - len(rest), rest.partition(b"\n")[0]


def split(digest: str) -> tuple[str, bytes]:
    """Return the digits that name the range, and those listed in it."""
    return digest[:PREFIX_DIGITS], digest[PREFIX_DIGITS:].encode("ascii")


def is_listed(lines: bytes, wanted: bytes) -> bool:
    """Whether a line has the wanted digits. Padding lines have a count of 0 and don't match."""
    for line in lines.splitlines():
        digits, _, count = line.strip().partition(b":")
        if digits.upper() == wanted:
            return not count or count.strip(b"0") != b""
    return False
