"""Paths: one reading where all servers agree, more where they differ, none where no honest client asks."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.target import read_path


@pytest.mark.parametrize(
    ("path", "readings"),
    [
        ("/", ("/",)),
        ("/admin", ("/admin",)),
        ("/admin/", ("/admin/",)),
        ("/%61dmin", ("/admin",)),
        ("/.well-known/change-password", ("/.well-known/change-password",)),
        ("/a/.hidden", ("/a/.hidden",)),
        ("/a/..b", ("/a/..b",)),
        ("/My%20File%20(1).pdf", ("/My File (1).pdf",)),
        ("/caf%C3%A9", ("/café",)),
        ("/100%25", ("/100%",)),
        ("/100%2525", ("/100%25", "/100%")),
        ("/C%2523.pdf", ("/C%23.pdf", "/C#.pdf", "/C")),
        ("/what%253F", ("/what%3F", "/what?", "/what")),
        ("/pub/a%252Fb", ("/pub/a%2Fb", "/pub/a/b")),
        ("/pub%252Fa/b%2Fc", ("/pub%2Fa/b/c", "/pub%2Fa/b%2Fc", "/pub/a/b/c")),
        ("/admin%253bx", ("/admin%3bx", "/admin", "/admin;x")),
        ("/%2561dmin", ("/%61dmin", "/admin")),
        ("/admin%23/public", ("/admin#/public", "/admin")),
        ("/admin%3fx", ("/admin?x", "/admin")),
        ("/admin;x%3f/y", ("/admin/y", "/admin;x?/y", "/admin;x", "/admin")),
        ("/admin%253f/y", ("/admin%3f/y", "/admin?/y", "/admin")),
        ("/admin%2f", ("/admin/", "/admin%2F")),
        ("/admin%3b", ("/admin", "/admin;")),
        ("/admin;x", ("/admin", "/admin;x")),
        ("/admin;x/y", ("/admin/y", "/admin;x/y")),
        ("/admin//", ("/admin/", "/admin//")),
        ("/x//admin", ("/x/admin", "/x//admin")),
        ("/;x", ("/", "/;x")),
    ],
)
def test_a_path_has_the_readings_that_servers_give_it(path: str, readings: tuple[str, ...]) -> None:
    assert read_path(path.encode()) == readings


@pytest.mark.parametrize(
    "path",
    [
        "", "admin", "*", "http://evil/", "@evil/a", ":80/a",
        "/..", "/.", "/a/..", "/a/./b", "/public/../admin", "/public/%2e%2e/admin", "/public/%2E./admin",
        "/public/..%2fadmin", "/public%2f..%2fadmin", "/public/%252e%252e/admin", "/public/%252e/admin",
        "/public/..;/admin", "/public/%2e%2e;x/admin", "/public;/../admin", "/public/.;/admin",
        "/a%00", "/a%2500", "/a%0a", "/a%0d%0a", "/a%5cb", "/a\\b", "/a%255cb", "/a%25252fb", "/a%250a", "/a%25ff", "/a%7f", "/a%c2%80",
        "/a#b", "/a b", "/a\tb", "/a%", "/a%4", "/a%zz", "/a%u002f", "/a%ff", "/a%c0%af", "/a%e0%80%af",
        "/a\x80", "/\u00e9",
    ],
)  # fmt: skip
def test_a_path_that_no_honest_client_sends_has_no_reading(path: str) -> None:
    assert read_path(path.encode("latin-1")) is None


@pytest.mark.parametrize(
    "path",
    [
        "//", "//x", "//x/company", "//gw:80/payroll", "///x/company", "//@x", "//%78/company", "/%2fx/company", "/%2Fx", "/%2f/x", "/;//x/company",
        "/;/x/company", "/;a=1/x", "/%3b/x", "/%3b%2fx", "/%252fx/company", "/%253b/x", "/.//x", "/..//x", "/%2e//x", "/%2e%2fx",
    ],
)  # fmt: skip
def test_a_path_that_some_server_takes_for_a_reference_to_another_host_has_no_reading(path: str) -> None:
    assert read_path(path.encode()) is None


PIECES = ("/", "a", "%2f", "%252F", "%25", "2f", ";", "%3b", "%253B", ".", "%2e", "%41", "%2541", "\\", "%5c", "%00")


@given(st.lists(st.sampled_from(PIECES), max_size=9).map(lambda pieces: "/" + "".join(pieces)))
def test_whatever_a_server_makes_of_a_reading_is_a_reading_too(path: str) -> None:
    """Decoding again, cutting parameters, folding slashes: none of them leads out of what policy was asked about."""
    readings = read_path(path.encode()) or ()
    for reading in readings:
        decoded = unquote(reading, errors="strict")
        assert re.sub("/+", "/", re.sub(";[^/]*", "", decoded)) in readings
        assert not decoded.startswith("//")


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1), max_size=5))
def test_no_reading_holds_what_a_further_decoding_could_turn_into_a_climb(segments: list[str]) -> None:
    path = "/" + "/".join(quote(segment, safe="") for segment in segments)
    for reading in read_path(path.encode()) or ():
        for seen in (reading, unquote(reading)):
            assert not any(part in (".", "..") for part in seen.split("/"))
            assert "\\" not in seen
            assert "\x00" not in seen


@given(st.lists(st.from_regex(r"[A-Za-z0-9_~!$&'()*+,=:@-]{1,9}", fullmatch=True), min_size=1, max_size=5))
def test_a_plain_path_is_its_own_one_reading(segments: list[str]) -> None:
    path = "/" + "/".join(segments)
    assert read_path(path.encode()) == (path,)
