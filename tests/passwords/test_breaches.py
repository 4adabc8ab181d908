"""Lists of breached passwords on this machine: found where they are, in every form that lists come in."""

from __future__ import annotations

import bisect
import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.breaches.lists import BreachFile, BreachFolder, NoBreachList, digest_of, open_list

MANY = sorted(digest_of(f"password {n}") for n in range(20_000))
FORMS: dict[str, Callable[[list[str]], bytes]] = {
    "as downloaded": lambda lines: "".join(f"{line}:{n % 900 + 1}\r\n" for n, line in enumerate(lines)).encode(),
    "with LF": lambda lines: "".join(f"{line}:1\n" for line in lines).encode(),
    "without a final newline": lambda lines: "\n".join(f"{line}:12345678" for line in lines).encode(),
    "without counts": lambda lines: "".join(f"{line}\n" for line in lines).encode(),
    "in lower case": lambda lines: "".join(f"{line.lower()}:3\n" for line in lines).encode(),
}


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_a_digest_is_sha1_in_upper_case() -> None:
    assert digest_of("password") == "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8"
    assert digest_of("zoë") == hashlib.sha1("zoë".encode()).hexdigest().upper()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [1, 2, 3, 80, 81, 82, 83, 500, 20_000])
def test_every_line_of_a_file_is_found_and_nothing_else(tmp_path: Path, form: str, size: int) -> None:
    lines = MANY[:size]
    found = open_list(str(write(tmp_path / "list", FORMS[form](lines))))
    assert isinstance(found, BreachFile)
    asked = lines if size <= 500 else [*lines[:100], *lines[-100:], *lines[::97]]
    assert [line for line in asked if not found.holds(line)] == []
    absent = [digest_of(f"other {n}") for n in range(200)]
    assert [line for line in (*absent, "0" * 40, "F" * 40) if found.holds(line)] == []


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.integers(0, 2**160 - 1), min_size=1, max_size=400),
    st.integers(0, 2**160 - 1),
    st.sampled_from(sorted(FORMS)),
)
def test_a_file_says_what_the_lines_in_memory_say(
    tmp_path_factory: pytest.TempPathFactory, numbers: set[int], other: int, form: str
) -> None:
    lines = sorted(f"{number:040X}" for number in numbers)
    found = BreachFile(write(tmp_path_factory.getbasetemp() / "drawn", FORMS[form](lines)))
    for number in (*list(numbers)[:20], other):
        line = f"{number:040X}"
        at = bisect.bisect_left(lines, line)
        assert found.holds(line) is (at < len(lines) and lines[at] == line)


def test_a_line_of_padding_counts_for_nothing(tmp_path: Path) -> None:
    content = f"{MANY[0]}:0\n{MANY[1]}:00\n{MANY[2]}:10\n".encode()
    found = BreachFile(write(tmp_path / "list", content))
    assert [found.holds(line) for line in MANY[:3]] == [False, False, True]


def test_an_endless_count_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "00000").write_text(f"{'A' * 35}:{'9' * 10_000}\n")
    assert BreachFolder(tmp_path).holds("00000" + "A" * 35)


def test_a_file_that_was_emptied_or_spoilt_meanwhile_holds_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "list", FORMS["with LF"](MANY))
    found = open_list(str(path))
    assert found is not None
    for content in (b"", b"\n", b"x" * 100_000, b"\n" * 100_000, bytes(100_000)):
        path.write_bytes(content)
        assert not found.holds(MANY[5])
    path.unlink()
    with pytest.raises(OSError, match="No such file"):
        found.holds(MANY[5])


@pytest.mark.parametrize("name", ["{}", "{}.txt", "lower", "lower.txt"])
def test_a_folder_of_ranges_is_searched(tmp_path: Path, name: str) -> None:
    digest = MANY[7]
    prefix = digest[:5]
    file = name.format(prefix) if "{}" in name else name.replace("lower", prefix.lower())
    (tmp_path / file).write_text(f"{'0' * 35}:1\r\n{digest[5:]}:4\r\n{'F' * 35}:0\r\n")
    found = open_list(str(tmp_path))
    assert isinstance(found, BreachFolder)
    assert found.holds(digest)
    assert found.holds(prefix + "0" * 35)
    assert not found.holds(prefix + "F" * 35)
    assert not found.holds(prefix + "1" * 35)
    assert not found.holds("00000" + digest[5:])


def test_no_list_is_none() -> None:
    assert open_list("") is None


BAD = [
    (b"", "SHA-1 in 40 hexadecimal digits"),
    (b"password\n123456\n", "SHA-1 in 40 hexadecimal digits"),
    (b"8846F7EAEE8FB117AD06BDD830B7586C:3\n", "SHA-1 in 40 hexadecimal digits"),  # an NTLM digest
    (FORMS["with LF"](MANY)[:-40_000] + b"<html>\n" * 6_000, "SHA-1 in 40 hexadecimal digits"),
    (FORMS["with LF"](MANY[::-1]), "ordered by hash"),
    (FORMS["as downloaded"]([digest_of(str(n)) for n in range(5_000)]), "ordered by hash"),
    (f"{MANY[1]}:1\n{MANY[0]}:1\n".encode(), "ordered by hash"),
]


@pytest.mark.parametrize(("content", "said"), BAD)
def test_a_file_in_which_nothing_would_be_found_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(NoBreachList, match=re.escape(said)):
        open_list(str(write(tmp_path / "list", content)))


def test_a_place_where_no_list_is_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoBreachList, match="no such file"):
        open_list(str(tmp_path / "none"))
    with pytest.raises(NoBreachList, match="holds no range"):
        open_list(str(tmp_path))
    with pytest.raises(NoBreachList, match="no such file"):
        open_list("/dev/null")
    (tmp_path / "file").write_text("x")
    with pytest.raises(NoBreachList, match="no such file"):
        open_list(str(tmp_path / "file" / "below"))
